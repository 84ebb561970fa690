//! One answer's facts: who, under which key, how long each part took, its receipt, and who could see what.

use sycamore::prelude::*;

use super::redraw::Redraw;
use super::state::App;
use super::status::{Shape, shape};
use super::{app, clipboard, cut, format, glyph, icon, quota};
use crate::port::{MessageView, ProviderView};

/// The page for one message.
pub fn details(app: App, id: &str) -> View {
    let found = app.rows.with_untracked(|rows| rows.iter().find(|row| *row.id == *id).cloned());
    let header = app::header(app, "Message details", View::new());
    let Some(row) = found else {
        return view! {
            (header)
            p(class="p-4 text-ctl text-ink2") { "This answer is not in the open chat." }
        };
    };
    let view = row.view;
    view! {
        section(class="flex min-h-0 flex-1 flex-col", aria-label="Message details", data-testid="details") {
            (header)
            div(class="min-h-0 flex-1 overflow-y-auto px-4 py-4") {
                div(class="mx-auto flex w-full max-w-[520px] flex-col gap-5") {
                    (Redraw { by: move || {
                        let mut view = view.get_clone();
                        view.text = row.text.get_clone_untracked();
                        let provider = view.provider.as_deref().and_then(|id| app.provider(id));
                        View::from(vec![who(&view, provider.as_deref()), key(&view), times(&view), receipt(app, &view), sight(&view)])
                    } })
                }
            }
        }
    }
}

fn who(view: &MessageView, provider: Option<&ProviderView>) -> View {
    let picture = provider.map(|provider| glyph::glyph(provider.glyph, 20));
    let name = view.provider_name.clone().unwrap_or_else(|| "No provider".into());
    let facts =
        provider.and_then(|provider| provider.models.iter().find(|model| Some(&model.id) == view.model.as_ref()));
    let mut line = vec![view.model.clone().unwrap_or_else(|| "No model".into())];
    if let Some(model) = facts {
        if !model.detail.is_empty() {
            line.push(model.detail.clone());
        }
        line.push(format!("context {}", format::context(model.context)));
    }
    let line = line.join(" · ");
    let lines: Vec<View> = choice(view)
        .into_iter()
        .map(
            |(name, words)| view! { dt(class="text-ink2") { (name) } dd(class="[overflow-wrap:anywhere]") { (words) } },
        )
        .collect();
    let choice = if lines.is_empty() {
        View::new()
    } else {
        let lines = View::from(lines);
        view! { dl(class="grid grid-cols-[112px_minmax(0,1fr)] gap-y-1.5 text-ctl", data-testid="details-choice") { (lines) } }
    };
    let asked = format!("Asked {} at {}", format::day(view.asked_ms as f64), format::clock(view.asked_ms as f64));
    view! {
        div(class="flex items-center gap-3") {
            (picture)
            div(class="min-w-0") {
                p(class="truncate text-read font-semibold") { (name) }
                p(class="text-sec text-ink2") { (line) }
                p(class="text-sec text-ink3") { (asked) }
            }
        }
        (choice)
    }
}

/// How it came to this provider: why it was chosen, who was asked as well, who took over.
fn choice(view: &MessageView) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    if let Some(why) = &view.why {
        lines.push(("Chosen because", why.clone()));
    }
    if let Some(name) = &view.also_asked {
        lines.push(("Also asked", format!("{name}, as the first word was late")));
    }
    let Some(cuts) = &view.cuts else { return lines };
    if let Some(begun_by) = &view.begun_by {
        lines.push(("Begun by", begun_by.clone()));
    }
    for (number, (at, name, anew)) in cuts.iter().enumerate() {
        let words = view.text.get(..usize::try_from(*at).unwrap_or(usize::MAX)).map_or(0, format::words);
        let after = format::plural(words, "word", "words");
        // Where the next one was asked at the same place, this one gave nothing.
        if cuts.get(number + 1).is_some_and(|next| next.0 == *at) {
            lines.push(("Asked to continue", format!("{name}, after {after}: gave nothing")));
            continue;
        }
        let how = if *anew { "answered anew" } else { "went on" };
        lines.push(("Continued by", format!("{name}, which {how} after {after}")));
    }
    lines
}

fn key(view: &MessageView) -> View {
    let Some(id) = view.provider.clone() else { return View::new() };
    let copied = create_signal(false);
    let fours = format::fours(&id);
    let copy = app::icon_button(icon::COPY, "Copy key", "details-key-copy", move || clipboard::copy(&id, copied));
    view! {
        div {
            h2(class="mb-1.5 text-sec text-ink3") { "Key" }
            div(class="flex items-center gap-2 rounded-ctl border border-line bg-bg2 px-3 py-2") {
                p(class="flex-1 font-mono text-sec [word-spacing:0.2em]", dir="ltr", data-testid="details-key") { (fours) }
                (copy)
            }
            p(class="mt-1 text-sec text-ink3", role="status") { (Redraw { by: move || View::from(if copied.get() { "Copied." } else { "The answer was opened with this key only." }) }) }
        }
    }
}

/// A part of the time to the end: name, ms, colour of its bar.
type Part = (&'static str, u32, &'static str);

fn times(view: &MessageView) -> View {
    let Some(first) = view.first_ms else { return View::new() };
    let accept = view.accept_ms.unwrap_or(0).min(first);
    let mut parts: Vec<Part> = Vec::new();
    if accept > 0 {
        parts.push(("Sealed, sent, accepted", accept, "bg-ink3"));
    }
    parts.push(("First word", first.saturating_sub(accept), "bg-ink"));
    if let Some(total) = view.total_ms {
        parts.push(("Writing", total.saturating_sub(first), "bg-accent"));
    }
    let whole = parts.iter().map(|(_, ms, _)| u64::from(*ms)).sum::<u64>().max(1);
    let bar: Vec<View> = parts
        .iter()
        .map(|(_, ms, colour)| {
            let class = format!("h-2 {colour}");
            // To scale, but never so thin that a part vanishes.
            let style = format!("flex-grow:{ms};min-width:2px");
            view! { span(class=class, style=style) {} }
        })
        .collect();
    let legend: Vec<View> = parts
        .iter()
        .map(|(name, ms, colour)| {
            let class = format!("size-2 rounded-[2px] {colour}");
            let (name, value) = (*name, format::seconds((*ms).into()));
            view! {
                span(class="inline-flex items-center gap-1.5 text-sec") {
                    span(class=class) {}
                    span(class="text-ink2") { (name) }
                    span(class="font-semibold") { (value) }
                }
            }
        })
        .collect();
    let (bar, legend, first, whole) =
        (View::from(bar), View::from(legend), format::seconds(first.into()), format::seconds(whole as f64));
    view! {
        div {
            div(class="mb-1.5 flex justify-between text-sec") {
                h2(class="text-ink3") { "Time" }
                span(class="font-semibold") { (first) " to first word" }
            }
            div(class="flex gap-0.5 overflow-hidden rounded-[3px]", aria-hidden="true") { (bar) }
            div(class="mt-2 flex flex-wrap gap-x-4 gap-y-1") { (legend) }
            p(class="mt-1 text-sec text-ink3") { "Together " (whole) ", measured here." }
        }
    }
}

fn receipt(app: App, view: &MessageView) -> View {
    let tokens = match view.tokens {
        Some((prompt, out)) => format!("{} in, {} out", format::count(prompt), format::count(out)),
        None => "–".into(),
    };
    let (mark, words) = match view.receipt.as_deref() {
        Some("valid") => (Shape::Online, "Valid: signed by the provider for this very answer"),
        Some("implausible") => {
            (Shape::Warn, "Valid, but its counts look wrong: these words cannot be so many tokens, or so few")
        }
        Some("bad") => (Shape::Blocked, "Bad: it does not fit this answer"),
        _ => (Shape::Offline, "None came"),
    };
    let class = match mark {
        Shape::Blocked => "inline-flex items-center gap-2 text-stop",
        Shape::Warn => "inline-flex items-center gap-2 text-warn",
        _ => "inline-flex items-center gap-2",
    };
    let state = view.receipt.clone().unwrap_or_else(|| "none".into());
    let mark = shape(mark);
    let unit = quota::charge(app, view);
    let finish = view.finish.clone().unwrap_or_else(|| "–".into());
    let error = view.code.map(|code| {
        let code = format!("Error {code} of the protocol");
        view! { dt(class="text-ink2") { "Code" } dd { (code) } }
    });
    view! {
        div {
            h2(class="mb-1.5 text-sec text-ink3") { "Receipt" }
            dl(class="grid grid-cols-[96px_minmax(0,1fr)] gap-y-1.5 text-ctl") {
                dt(class="text-ink2") { "Tokens" }
                dd { (tokens) }
                dt(class="text-ink2") { "Charged" }
                dd(data-testid="details-unit") { (unit) }
                dt(class="text-ink2") { "Ended by" }
                dd { (finish) }
                dt(class="text-ink2") { "Signature" }
                dd(class=class, data-testid="details-receipt", data-receipt=state) { (mark) (words) }
                (error)
            }
        }
    }
}

/// Who could see words and address: rows of the route that this answer really took.
fn sight(view: &MessageView) -> View {
    let provider = view.provider_name.clone().unwrap_or_else(|| "The provider".into());
    let mut rows = Vec::new();
    let mut close =
        "If the relay and the provider work together, they can link your IP address to the words.".to_owned();
    match &view.route {
        Some((out, back, own_out, own_back)) => {
            let near = *own_out || *own_back;
            rows.push(sight_row(provider.clone(), "the provider".into(), "yes", if near { "maybe" } else { "no" }));
            let owner = |own: bool| if own { "may belong to the provider" } else { "another node" };
            rows.push(sight_row("Relay out".into(), format!("{}, {}", peer(out), owner(*own_out)), "no", "yes"));
            if back != out {
                rows.push(sight_row("Relay back".into(), format!("{}, {}", peer(back), owner(*own_back)), "no", "yes"));
            }
            if near {
                close =
                    format!("A node that carried this may belong to {provider}: then it knows your IP address too.");
            }
        }
        None => rows.push(sight_row(provider, "the provider, the way is not known".into(), "yes", "maybe")),
    }
    for name in cut::other_readers(view) {
        // The way to it is not told, so nothing is claimed of it.
        rows.push(sight_row(name, "asked too".into(), "yes", "maybe"));
    }
    rows.push(sight_row("Everyone else".into(), "that a request happened".into(), "no", "no"));
    let rows = View::from(rows);
    view! {
        div {
            h2(class="mb-1.5 text-sec text-ink3") { "Who could see what" }
            table(class="w-full text-ctl") {
                thead(class="text-sec text-ink3") {
                    tr { th(class="text-start font-normal") { span(class="sr-only") { "Who" } } th(class="w-20 text-start font-normal") { "Words" } th(class="w-20 text-start font-normal") { "Your IP" } }
                }
                tbody { (rows) }
            }
            p(class="mt-2 text-sec text-ink2") { (close) }
        }
    }
}

fn sight_row(name: String, what: String, words: &'static str, address: &'static str) -> View {
    let (words, address) = (seen(words), seen(address));
    view! {
        tr(class="border-t border-line align-top") {
            th(class="py-1.5 pe-2 text-start font-normal", scope="row") {
                span(class="block font-semibold") { (name) }
                span(class="block text-sec text-ink3 [overflow-wrap:anywhere]") { (what) }
            }
            td(class="py-1.5") { (words) }
            td(class="py-1.5") { (address) }
        }
    }
}

fn seen(word: &'static str) -> View {
    let (path, class) = match word {
        "no" => (icon::DASH, "inline-flex items-center gap-1.5 text-ink3"),
        "maybe" => (icon::EYE, "inline-flex items-center gap-1.5 text-warn"),
        _ => (icon::EYE, "inline-flex items-center gap-1.5"),
    };
    let picture = icon::icon(path, 14);
    view! { span(class=class) { (picture) (word) } }
}

/// A peer by the end of its id, where peers differ.
fn peer(id: &str) -> String {
    let letters: Vec<char> = id.chars().collect();
    letters.iter().skip(letters.len().saturating_sub(8)).collect()
}
