//! What was asked, by day and by provider, as bars and as tables of the same figures.

use sycamore::prelude::*;

use super::bars::{self, Bar};
use super::lines::{self, Point};
use super::redraw::{Redraw, create_selector};
use super::segments::segments;
use super::state::{App, Firsts};
use super::{app, column, format};
use crate::port::{Command, UsageRow, sort};

/// A UTC day in ms.
const DAY_MS: f64 = 86_400_000.0;
/// Spans to look at, in days.
const SPANS: [(&str, &str); 2] = [("14", "2 weeks"), ("84", "12 weeks")];

/// One provider's figures in the span.
#[derive(Clone, Debug, Default, PartialEq)]
struct Line {
    provider: String,
    name: String,
    questions: u32,
    answered: u32,
    tokens: (u64, u64),
}

/// Everything that the page shows of a span.
#[derive(Clone, Debug, Default, PartialEq)]
struct Figures {
    /// All together.
    all: Line,
    /// Most asked first.
    lines: Vec<Line>,
    /// A bar a day, oldest first: the first provider, the second, all others.
    bars: Vec<Bar>,
    /// Half, and 95 of 100, of the first words of each of these days came within so many ms.
    firsts: Vec<Point>,
    /// The same of all these days.
    first: Point,
}

/// Half, and 95 of 100, of these are not above that.
fn quantiles(mut times: Vec<u32>) -> Point {
    sort(&mut times, &Ord::cmp);
    let at = |part: usize| times.get((times.len() * part / 100).min(times.len().saturating_sub(1))).copied();
    at(50).zip(at(95))
}

fn add(line: &mut Line, row: &UsageRow) {
    line.questions = line.questions.saturating_add(row.questions);
    line.answered = line.answered.saturating_add(row.answered);
    line.tokens = (line.tokens.0.saturating_add(row.tokens.0), line.tokens.1.saturating_add(row.tokens.1));
}

/// The figures of the last `days` up to `today`.
fn figures(rows: &[UsageRow], firsts: &Firsts, today: u32, days: u32) -> Figures {
    let first = today.saturating_sub(days.saturating_sub(1));
    let mut figures = Figures { bars: vec![[0; 3]; days as usize], ..Figures::default() };
    let within = || rows.iter().filter(|row| (first..=today).contains(&row.day));
    for row in within() {
        add(&mut figures.all, row);
        let at = figures.lines.iter().position(|line| line.provider == row.provider).unwrap_or_else(|| {
            let name = if row.name.is_empty() { "Nobody".into() } else { row.name.clone() };
            figures.lines.push(Line { provider: row.provider.clone(), name, ..Line::default() });
            figures.lines.len() - 1
        });
        if let Some(line) = figures.lines.get_mut(at) {
            add(line, row);
        }
    }
    sort(&mut figures.lines, &|a, b| b.questions.cmp(&a.questions).then_with(|| a.name.cmp(&b.name)));
    for row in within() {
        let series = figures.lines.iter().position(|line| line.provider == row.provider).unwrap_or(2).min(2);
        let bar = figures.bars.get_mut((row.day - first) as usize);
        if let Some(count) = bar.and_then(|bar| bar.get_mut(series)) {
            *count = count.saturating_add(row.questions);
        }
    }
    let of = |from: u32, to: u32| {
        firsts.iter().filter(|(day, _)| (from..=to).contains(day)).flat_map(|(_, times)| times).copied().collect()
    };
    figures.firsts = (first..=today).map(|day| quantiles(of(day, day))).collect();
    figures.first = quantiles(of(first, today));
    figures
}

/// The names of the three series; of those that there are.
fn series(lines: &[Line]) -> Vec<String> {
    let mut names: Vec<String> = lines.iter().take(2).map(|line| line.name.clone()).collect();
    match lines.len() {
        0..=2 => {}
        3 => names.extend(lines.get(2).map(|line| line.name.clone())),
        more => names.push(format!("{} others", more - 2)),
    }
    names
}

/// "99.1 %" of so many; a dash of none.
fn share(line: &Line) -> String {
    if line.questions == 0 {
        return column::UNKNOWN.into();
    }
    format!("{} %", format::fixed(f64::from(line.answered) * 100.0 / f64::from(line.questions), 1))
}

/// The page.
pub fn usage(app: App) -> View {
    app.send(Command::Usage);
    let (span, as_table) = (create_signal(14), (create_signal(false), create_signal(false)));
    let header = app::header(app, "Usage", View::new());
    let spans = spans(span);
    let shown = create_selector(move || {
        let today = (app.now_ms.get() / DAY_MS) as u32;
        app.usage.with(|usage| usage.as_ref().map(|(rows, firsts)| (figures(rows, firsts, today, span.get()), today)))
    });
    view! {
        section(class="flex min-h-0 flex-1 flex-col", aria-label="Usage", data-testid="usage") {
            (header)
            div(class="min-h-0 flex-1 overflow-y-auto px-4 py-4") {
                div(class="mx-auto flex w-full max-w-[860px] flex-col gap-5") {
                    (spans)
                    (Redraw { by: move || match shown.get_clone() {
                        None => view! { p(class="text-ctl text-ink3", role="status") { "Counting." } },
                        Some((figures, today)) => draw(app, figures, today, as_table),
                    } })
                    p(class="text-sec text-ink3") { "Counted from the chats kept in this browser, in days of UTC. Nothing here is sent anywhere." }
                    button(r#type="button", class="btn self-start", data-testid="export-receipts", on:click=move |_| app.send(Command::Receipts)) { "Export receipts" }
                }
            }
        }
    }
}

fn spans(span: Signal<u32>) -> View {
    segments(
        "Span",
        "usage-span",
        &SPANS,
        move || span.get().to_string(),
        move |days| span.set(days.parse().unwrap_or(14)),
    )
}

fn draw(app: App, figures: Figures, today: u32, (as_table, firsts_as_table): (Signal<bool>, Signal<bool>)) -> View {
    let Figures { all, lines, bars, firsts, first } = figures;
    let open = all.questions.saturating_sub(all.answered);
    let heads = View::from(vec![
        head(
            "Questions",
            format::count(all.questions.into()),
            format!("{} not answered to the end", format::count(open.into())),
        ),
        head(
            "Tokens",
            format::count(all.tokens.0.saturating_add(all.tokens.1)),
            format!("{} in, {} out", format::count(all.tokens.0), format::count(all.tokens.1)),
        ),
        head("Done", share(&all), "answered to the end".into()),
        head(
            "First word, typical",
            first.map_or_else(|| column::UNKNOWN.into(), |(half, _)| format::seconds(half.into())),
            first.map_or_else(String::new, |(_, most)| format!("1 in 20 took over {}", format::seconds(most.into()))),
        ),
    ]);
    let names = series(&lines);
    let (legend, most) = (legend(&names), format::count(bars::most(&bars).into()));
    let since = today.saturating_sub(u32::try_from(bars.len()).unwrap_or(0).saturating_sub(1));
    let label = format!("Questions a day since {}: at most {most}, {} in all", day(since), all.questions);
    let (chart, table) = (bars::bars(&bars, label), by_day(&names, bars, since));
    let (providers, toggle) = (by_provider(app, lines), toggle(as_table, "usage-table"));
    let words = first_words(firsts, since, firsts_as_table);
    view! {
        div(class="grid grid-cols-2 gap-4 wide:grid-cols-4") { (heads) }
        div {
            div(class="mb-2 flex flex-wrap items-center gap-x-4 gap-y-1 text-sec") {
                h2(class="text-ctl font-semibold") { "Questions a day, by provider" }
                (legend)
                span(class="flex-1") {}
                (toggle)
            }
            div(hidden=as_table.get()) {
                p(class="text-meta text-ink3") { (most) }
                (chart)
                div(class="mt-1 flex justify-between text-meta text-ink3") { span { (day(since)) } span { "today" } }
            }
            div(hidden=!as_table.get()) { (table) }
        }
        div(class="grid grid-cols-1 gap-5 wide:grid-cols-2") {
            (words)
            (providers)
        }
    }
}

fn toggle(as_table: Signal<bool>, id: &'static str) -> View {
    view! {
        button(
            r#type="button", class="btn min-h-7! text-sec", data-testid=id, aria-pressed=if as_table.get() { "true" } else { "false" },
            on:click=move |_| as_table.set(!as_table.get_untracked())
        ) { (Redraw { by: move || View::from(if as_table.get() { "Show as chart" } else { "Show as table" }) }) }
    }
}

/// The chart of the times to the first word, and its twin.
fn first_words(points: Vec<Point>, since: u32, as_table: Signal<bool>) -> View {
    let top = lines::top(&points);
    let days = points.iter().flatten().count();
    let label = format!("Seconds to the first word a day since {}: {days} days with answers", day(since));
    let (chart, toggle) = (lines::lines(&points, label), toggle(as_table, "usage-firsts-table"));
    let seconds = |ms: u32| format::fixed(f64::from(ms) / 1_000.0, 2);
    let rows: Vec<View> = points
        .into_iter()
        .enumerate()
        .filter_map(|(at, point)| Some((since.saturating_add(u32::try_from(at).ok()?), point?)))
        .map(|(at, (half, most))| {
            let (cells, day) = (View::from(vec![cell(seconds(half)), cell(seconds(most))]), day(at));
            view! { tr(class="border-t border-line") { th(class="py-1 text-start font-normal", scope="row") { (day) } (cells) } }
        })
        .collect();
    let (rows, top) = (View::from(rows), format::fixed(f64::from(top) / 1_000.0, 0));
    view! {
        div(data-testid="usage-firsts") {
            div(class="mb-2 flex flex-wrap items-center gap-x-4 gap-y-1 text-sec") {
                h2(class="text-ctl font-semibold") { "Seconds to first word" }
                span(class="inline-flex items-center gap-1.5") { span(class="h-0 w-4 border-t-2 border-accent", aria-hidden="true") {} "half" }
                span(class="inline-flex items-center gap-1.5") { span(class="h-0 w-4 border-t-2 border-dashed border-ink2", aria-hidden="true") {} "95 %" }
                span(class="flex-1") {}
                (toggle)
            }
            div(hidden=as_table.get()) {
                p(class="text-meta text-ink3") { (top) }
                (chart)
                div(class="mt-1 flex justify-between text-meta text-ink3") { span { (day(since)) } span { "today" } }
            }
            table(class="table w-full text-sec", data-testid="usage-first-days", hidden=!as_table.get()) {
                thead(class="text-ink3") { tr {
                    th(class="py-1 text-start font-normal", scope="col") { "Day" }
                    th(class="px-2 py-1 text-end font-normal", scope="col") { "Half" }
                    th(class="px-2 py-1 text-end font-normal", scope="col") { "95 %" }
                } }
                tbody { (rows) }
            }
        }
    }
}

fn head(name: &'static str, figure: String, more: String) -> View {
    view! {
        div {
            p(class="text-sec text-ink2") { (name) }
            p(class="text-fig font-semibold") { (figure) }
            p(class="text-sec text-ink3") { (more) }
        }
    }
}

fn day(day: u32) -> String {
    // Noon, so that it is the same day in nearly every zone.
    format::day((f64::from(day) + 0.5) * DAY_MS)
}

fn legend(names: &[String]) -> View {
    let marks = [
        "size-2.5 rounded-[2px] bg-accent",
        "size-2.5 rounded-[2px] bg-ink2",
        "stripes size-2.5 rounded-[2px] border border-ink3",
    ];
    let all: Vec<View> = names
        .iter()
        .zip(marks)
        .map(|(name, class)| {
            let name = name.clone();
            view! { span(class="inline-flex min-w-0 max-w-full items-center gap-1.5") { span(class=class, aria-hidden="true") {} span(class="truncate") { (name) } } }
        })
        .collect();
    View::from(all)
}

/// The chart's twin.
fn by_day(names: &[String], bars: Vec<Bar>, since: u32) -> View {
    let heads: Vec<View> = names
        .iter()
        .map(|name| {
            let name = name.clone();
            view! { th(class="whitespace-nowrap px-2 py-1 text-end font-normal", scope="col") { (name) } }
        })
        .collect();
    let count = names.len();
    let rows: Vec<View> = bars
        .into_iter()
        .enumerate()
        .filter(|(_, bar)| bar.iter().any(|count| *count > 0))
        .map(|(at, bar)| {
            let cells: Vec<View> = bar.into_iter().take(count).map(|n| cell(format::count(n.into()))).collect();
            let (cells, day) = (View::from(cells), day(since.saturating_add(u32::try_from(at).unwrap_or(0))));
            view! { tr(class="border-t border-line") { th(class="py-1 text-start font-normal", scope="row") { (day) } (cells) } }
        })
        .collect();
    if rows.is_empty() {
        return view! { p(class="text-sec text-ink3") { "Nothing was asked." } };
    }
    let (heads, rows) = (View::from(heads), View::from(rows));
    view! {
        div(class="overflow-x-auto") {
            table(class="table w-full text-sec", data-testid="usage-days") {
                thead(class="text-ink3") { tr { th(class="py-1 text-start font-normal", scope="col") { "Day" } (heads) } }
                tbody { (rows) }
            }
        }
    }
}

fn cell(text: String) -> View {
    view! { td(class="whitespace-nowrap px-2 py-1 text-end") { (text) } }
}

fn by_provider(app: App, lines: Vec<Line>) -> View {
    if lines.is_empty() {
        return View::new();
    }
    let rows: Vec<View> = lines
        .into_iter()
        .map(|line| {
            let stars = untrack(|| app.provider(&line.provider));
            let stars = stars.map_or_else(|| column::UNKNOWN.to_owned(), |provider| column::stars(&provider).0);
            let cells = View::from(vec![
                cell(format::count(line.questions.into())),
                cell(share(&line)),
                cell(format!("{} / {}", format::count(line.tokens.0), format::count(line.tokens.1))),
                cell(stars),
            ]);
            let name = line.name;
            view! { tr(class="border-t border-line") { th(class="max-w-40 truncate py-1.5 text-start font-normal", scope="row") { (name) } (cells) } }
        })
        .collect();
    let heads: Vec<View> = ["Questions", "Done", "Tokens in / out", "You rated"]
        .into_iter()
        .map(|name| view! { th(class="whitespace-nowrap px-2 py-1 text-end font-normal", scope="col") { (name) } })
        .collect();
    let (heads, rows) = (View::from(heads), View::from(rows));
    view! {
        div(class="overflow-x-auto") {
            table(class="table w-full text-sec", data-testid="usage-providers") {
                thead(class="text-ink3") { tr { th(class="py-1 text-start font-normal", scope="col") { "By provider" } (heads) } }
                tbody { (rows) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(day: u32, provider: &str, questions: u32, answered: u32) -> UsageRow {
        UsageRow {
            day,
            provider: provider.into(),
            name: provider.to_uppercase(),
            questions,
            answered,
            tokens: (u64::from(questions), 10),
        }
    }

    #[test]
    fn sums_a_span_by_day_and_provider() {
        let rows = [
            row(100, "a", 1, 1),
            row(100, "b", 5, 4),
            row(99, "c", 2, 2),
            row(100, "d", 1, 1),
            row(99, "b", 1, 1),
            row(97, "a", 9, 9),
            UsageRow { name: String::new(), ..row(100, "", 1, 0) },
        ];
        let firsts = vec![(97, vec![9_000]), (99, vec![400, 200, 300]), (100, (1..=100).collect())];
        let shown = figures(&rows, &firsts, 100, 2);
        assert_eq!(shown.firsts, [Some((300, 400)), Some((51, 96))]);
        assert_eq!(shown.first, Some((52, 98)), "of those in the span");
        let names: Vec<_> = shown.lines.iter().map(|line| (&*line.name, line.questions, line.answered)).collect();
        assert_eq!(names, [("B", 6, 5), ("C", 2, 2), ("A", 1, 1), ("D", 1, 1), ("Nobody", 1, 0)]);
        assert_eq!(shown.bars, [[1, 2, 0], [5, 0, 3]]);
        assert_eq!((shown.all.questions, shown.all.answered, shown.all.tokens), (11, 9, (11, 60)));
        assert_eq!(shown.bars.iter().flatten().sum::<u32>(), shown.all.questions, "the bars are the sum");
        assert_eq!(series(&shown.lines), ["B", "C", "3 others"]);
        assert_eq!(series(&shown.lines[..3]), ["B", "C", "A"]);
        assert_eq!(share(&shown.lines[0]), "83.3 %");
        let none = figures(&[], &Vec::new(), 100, 14);
        assert_eq!((none.first, none.firsts.len()), (None, 14));
        assert_eq!((share(&none.all), none.bars.len(), series(&none.lines).len()), ("–".into(), 14, 0));
    }
}
