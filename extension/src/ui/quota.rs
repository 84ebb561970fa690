//! The day's free questions: the footer's meter, the card that stands above the composer when none is left, and what
//! became of one question's share. A limit so high that nobody reaches it is not counted on the screen.

use sycamore::prelude::*;

use super::redraw::{Redraw, create_selector};
use super::state::App;
use super::{format, icon};
use crate::port::{FreeView, MessageView};

/// Above this many a day no meter is shown.
const COUNTED_MOST: u32 = 1_000;
/// Above this many the meter is a bar instead of segments.
const SEGMENTS: u32 = 8;
/// Width of the bar.
const BAR: u32 = 48;

/// The limit, when it is one that somebody reaches.
fn counted(app: App) -> Option<FreeView> {
    app.free.get().filter(|free| free.limit <= COUNTED_MOST)
}

/// How many questions are left.
fn left(free: &FreeView) -> u32 {
    free.limit.saturating_sub(free.used)
}

/// None is left now. The day's end counts at once, before the background has told it.
fn is_spent(free: &FreeView, now_ms: f64) -> bool {
    left(free) == 0 && now_ms < free.reset_ms as f64
}

/// None is left: nothing can be sent until the day ends.
pub fn spent(app: App) -> Option<FreeView> {
    let now = app.now_ms.get();
    counted(app).filter(|free| is_spent(free, now))
}

/// Refuses what would need a free question when none is left; true when it did.
pub fn refuses(app: App, failed: Option<&MessageView>) -> bool {
    // A request that its providers failed is open to them still.
    let open = failed.and_then(|view| unit(view, app.now_ms.get_untracked())) == Some("open");
    let refused = !open && untrack(|| spent(app)).is_some();
    if refused {
        app.toast.set(Some("No free question is left today. Nothing was sent.".into()));
    }
    refused
}

/// Seconds to the end of the day.
fn rest_s(free: &FreeView, now_ms: f64) -> f64 {
    ((free.reset_ms as f64 - now_ms) / 1_000.0).max(0.0)
}

/// Seconds until a question can be sent again, when none is left, in whole minutes.
pub fn opens_in(app: App) -> Option<u32> {
    let rest = rest_s(&spent(app)?, app.now_ms.get());
    Some(((rest / 60.0).ceil() * 60.0) as u32)
}

/// The meter's words.
fn words(free: &FreeView) -> String {
    match left(free) {
        0 => format!("{} of {} used", format::count(free.used.into()), format::count(free.limit.into())),
        1 => "Last free one today".into(),
        left => format!("{} of {} free left", format::count(left.into()), format::count(free.limit.into())),
    }
}

/// The meter's long form.
fn in_full(free: &FreeView, now_ms: f64) -> String {
    let mut text = format!("{}, resets in {}, 00:00 UTC", words(free), format::duration(rest_s(free, now_ms)));
    text.extend(asides(free).into_iter().map(|aside| format!(". {aside}")));
    text
}

/// What else there is to say of the used ones.
fn asides(free: &FreeView) -> Vec<String> {
    let mut said = Vec::new();
    if free.open > 0 {
        said.push(format!(
            "{} failed and {} open: Retry there uses no other",
            free.open,
            if free.open == 1 { "stays" } else { "stay" }
        ));
    }
    if free.lost > 0 {
        said.push(format!("{} used without an answer: who accepted failed", free.lost));
    }
    said
}

/// What became of an answer's free question, where it did not end well.
pub fn of_unit(app: App, view: &MessageView) -> Option<String> {
    let now = app.now_ms.get();
    untrack(|| counted(app)).and_then(|_| unit_words(view, now))
}

/// How an answer's free question stands: an open one ends with the keys of those who accepted it.
fn unit(view: &MessageView, now_ms: f64) -> Option<&str> {
    match (view.unit.as_deref(), view.open_until_ms) {
        (Some("open"), Some(until)) if until as f64 <= now_ms => Some("lost"),
        (unit, _) => unit,
    }
}

/// What an answer took, for its details.
pub fn charge(app: App, view: &MessageView) -> String {
    let words = of_unit(app, view);
    match (words, view.unit.as_deref()) {
        (Some(words), _) => format!("Nothing. {words}"),
        (None, Some("used")) if untrack(|| counted(app)).is_some() => "Nothing: one of the day's free questions".into(),
        _ => "Nothing".into(),
    }
}

fn unit_words(view: &MessageView, now_ms: f64) -> Option<String> {
    let name = view.provider_name.as_deref().unwrap_or("the same providers");
    match unit(view, now_ms) {
        Some("open") => Some(format!("It stays open to {name} until its keys end: Retry there uses no other.")),
        Some("back") => Some("Not counted.".into()),
        Some("lost") => Some("A free question was used without an answer: who accepted it failed.".into()),
        _ => None,
    }
}

/// The outlines of the meter: filled, empty, and the width of both.
fn outlines(left: u32, limit: u32) -> (String, String, u32) {
    let pill = |x: u32, width: u32| {
        let straight = width.saturating_sub(4);
        format!("M{} 0h{straight}a2 2 0 0 1 0 4h-{straight}a2 2 0 0 1 0-4z", x + 2)
    };
    let ring = |x: u32, width: u32| {
        let straight = width.saturating_sub(4);
        format!("M{} .5h{straight}a1.5 1.5 0 0 1 0 3h-{straight}a1.5 1.5 0 0 1 0-3z", x + 2)
    };
    if limit > SEGMENTS {
        // Something that is left is seen, however little it is.
        let width = u64::from(BAR) * u64::from(left.min(limit)) / u64::from(limit);
        let width = u32::try_from(width).unwrap_or(BAR).max(4);
        return (if left == 0 { String::new() } else { pill(0, width) }, ring(0, BAR), BAR);
    }
    let filled = (0..left.min(limit)).map(|at| pill(at * 14, 12)).collect();
    let empty = (left.min(limit)..limit).map(|at| ring(at * 14, 12)).collect();
    (filled, empty, (limit * 14).saturating_sub(2))
}

fn picture(free: &FreeView) -> View {
    let (filled, empty, width) = outlines(left(free), free.limit);
    let (width, frame) = (width.to_string(), format!("0 0 {width} 4"));
    view! {
        svg(viewBox=frame, width=width, height="4", class="flex-none", aria-hidden="true") {
            path(d=filled, fill="currentColor") {}
            path(d=empty, fill="none", stroke="currentColor") {}
        }
    }
}

/// The footer's meter: segments and words; "free" where nobody reaches the limit.
pub fn meter(app: App) -> View {
    let free = create_selector(move || app.free.get());
    let full = create_selector(move || {
        let now = app.now_ms.get();
        free.get().map(|free| in_full(&free, now)).unwrap_or_default()
    });
    view! {
        (Redraw { by: move || match free.get() {
            None => View::new(),
            Some(free) if free.limit > COUNTED_MOST => view! {
                span(class="flex-none", data-testid="free", title="Nothing is charged, and the day's limit is far above what a person asks.") { "free" }
            },
            Some(free) => {
                let (picture, said) = (picture(&free), words(&free));
                let (mark, class) = match left(&free) {
                    0 => ("text-stop", "text-stop slim:hidden"),
                    1 => ("text-warn", "text-warn slim:hidden"),
                    _ => ("text-accent", "slim:hidden"),
                };
                let (left, limit) = (left(&free).to_string(), free.limit.to_string());
                let shown = left.clone();
                view! {
                    span(
                        class="inline-flex flex-none items-center gap-2", role="meter", aria-label="Free questions left today",
                        aria-valuemin="0", aria-valuemax=limit, aria-valuenow=left, aria-valuetext=full.get_clone(), title=full.get_clone(),
                        data-testid="quota", data-left=shown
                    ) {
                        span(class=mark) { (picture) }
                        span(class=class) { (said) }
                    }
                }
            }
        } })
    }
}

/// The card that tells that none is left, until when, and what can be done.
pub fn card(app: App) -> View {
    let limit = create_selector(move || spent(app));
    view! {
        (Redraw { by: move || match limit.get() {
            None => View::new(),
            Some(free) => draw_card(app, free),
        } })
    }
}

fn draw_card(app: App, free: FreeView) -> View {
    let rest = create_selector(move || format::duration(rest_s(&free, app.now_ms.get())));
    let (picture, said) = (picture(&free), format!("{} free questions used", words(&free).trim_end_matches(" used")));
    let until = format!(
        "until {} more, at {} your time (00:00 UTC)",
        format::count(free.limit.into()),
        format::clock(free.reset_ms as f64)
    );
    let asides: Vec<View> = asides(&free)
        .into_iter()
        .map(|aside| {
            let aside = format!("{aside}.");
            view! { p(class="text-sec text-ink2") { (aside) } }
        })
        .collect();
    let asides = View::from(asides);
    view! {
        div(class="sheet mb-1.5 rounded-card border border-line2 bg-bg2 p-3", data-testid="limit-card", role="status") {
            p(class="flex items-center gap-2 text-sec text-stop") { (picture) (said) }
            p(class="mt-1 text-fig font-semibold", data-testid="limit-rest") { (Redraw { by: move || View::from(rest.get_clone()) }) }
            p(class="text-sec text-ink2") { (until) }
            p(class="mt-1 text-sec text-ink2") { "Nothing is sent until then. Your draft is kept and can be changed." }
            (asides)
        }
    }
}

/// In place of Send: the draft can be left to go by itself when the next day begins.
pub fn send_later(app: App, free: &FreeView, blank: ReadSignal<bool>) -> View {
    let (clock, words) = (icon::icon(icon::HISTORY, 14), format!("Send at {}", format::clock(free.reset_ms as f64)));
    view! {
        button(
            r#type="button", class="btn", data-testid="limit-queue", disabled=blank.get(),
            title="Sends the draft by itself when the next day begins, while this panel is open",
            on:click=move |_| app.queued.set(true)
        ) { (clock) (words) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FREE: FreeView = FreeView { limit: 3, used: 0, lost: 0, open: 0, reset_ms: 86_400_000 };

    #[test]
    fn counts_down_and_warns_at_the_last() {
        let said = |used| words(&FreeView { used, ..FREE });
        assert_eq!(
            [0, 1, 2, 3, 4].map(said),
            ["3 of 3 free left", "2 of 3 free left", "Last free one today", "3 of 3 used", "4 of 3 used"]
        );
        assert_eq!(words(&FreeView { limit: 0, ..FREE }), "0 of 0 used");
    }

    #[test]
    fn says_when_it_resets_and_what_became_of_the_used() {
        let now = 86_400_000.0 - 22_320_000.0;
        assert_eq!(in_full(&FREE, now), "3 of 3 free left, resets in 6 h 12 min, 00:00 UTC");
        let used = FreeView { used: 3, open: 1, lost: 1, ..FREE };
        assert_eq!(
            in_full(&used, now),
            "3 of 3 used, resets in 6 h 12 min, 00:00 UTC. 1 failed and stays open: Retry there uses no other. 1 used without an answer: who accepted failed"
        );
        assert_eq!(rest_s(&FREE, 1e12), 0.0);
    }

    #[test]
    fn the_day_ends_by_the_clock_alone() {
        let used = FreeView { used: 3, ..FREE };
        assert!(is_spent(&used, 0.0));
        assert!(!is_spent(&used, 86_400_000.0));
        assert!(!is_spent(&FREE, 0.0));
    }

    #[test]
    fn draws_a_segment_for_each_up_to_eight() {
        let parts = |left, limit| {
            let (filled, empty, width) = outlines(left, limit);
            (filled.matches('M').count(), empty.matches('M').count(), width)
        };
        assert_eq!(parts(2, 3), (2, 1, 40));
        assert_eq!(parts(8, 8), (8, 0, 110));
        assert_eq!(parts(9, 20), (1, 1, BAR));
        assert_eq!(parts(0, 20), (0, 1, BAR));
        assert_eq!(parts(0, 0), (0, 0, 0));
        assert_eq!(parts(9, 3), (3, 0, 40));
        assert!(outlines(1, 1_000).0.starts_with("M2 0h0a"), "a little is seen");
    }

    #[test]
    fn tells_what_became_of_a_question() {
        let view = |unit: &str, name: Option<&str>| MessageView {
            unit: Some(unit.into()),
            provider_name: name.map(Into::into),
            ..MessageView::default()
        };
        assert_eq!(
            unit_words(&view("open", Some("Fjord")), 0.0).as_deref(),
            Some("It stays open to Fjord until its keys end: Retry there uses no other.")
        );
        assert!(unit_words(&view("open", None), 0.0).is_some_and(|words| words.contains("the same providers")));
        assert_eq!(unit_words(&view("back", None), 0.0).as_deref(), Some("Not counted."));
        let ends = MessageView { open_until_ms: Some(1_000), ..view("open", None) };
        assert_eq!(unit(&ends, 999.0), Some("open"));
        let lost = Some("A free question was used without an answer: who accepted it failed.".into());
        assert_eq!(unit_words(&ends, 1_000.0), lost);
        assert_eq!(unit_words(&view("used", None), 0.0), None);
        assert_eq!(unit_words(&MessageView::default(), 0.0), None);
    }
}
