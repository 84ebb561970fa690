//! Stars for the newest whole answer: one tap, skippable, with reasons for who likes to give them. They stay in this
//! browser and weigh for its user alone.

use std::cell::RefCell;

use sycamore::prelude::*;

use super::redraw::{Redraw, create_selector};
use super::settings::radio_keys;
use super::state::App;
use super::{app, format, icon, keyboard};
use crate::port::{Command, MessageView};

/// How long a rating can be changed, in ms.
const CHANGE_MS: f64 = 60_000.0;

/// Reasons with their bits, and the stars from which and up to which each is offered.
const REASONS: [(u8, &str, u8, u8); 4] =
    [(1, "Wrong", 1, 3), (2, "Slow", 1, 3), (4, "Cut off", 1, 3), (8, "Helped a lot", 4, 5)];

/// The star that takes the focus.
pub const FOCUS: &str = "[data-rating] [tabindex='0']";

thread_local! {
    /// Answers that shall not be asked about again while this page stands.
    static SKIPPED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// What stands below an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Row {
    Nothing,
    Ask,
    Rated(u8),
}

fn row_of(newest: bool, stars: Option<u8>, skipped: bool, changeable: bool) -> Row {
    match stars {
        Some(stars) if !(newest && changeable) => Row::Rated(stars),
        None if !newest || skipped => Row::Nothing,
        _ => Row::Ask,
    }
}

/// The reasons offered for so many stars.
fn reasons_for(stars: u8) -> impl Iterator<Item = (u8, &'static str)> {
    REASONS
        .into_iter()
        .filter(move |(_, _, from, to)| (*from..=*to).contains(&stars))
        .map(|(bit, name, ..)| (bit, name))
}

/// The given reasons that fit so many stars.
fn fitting(reasons: u8, stars: u8) -> u8 {
    reasons & reasons_for(stars).fold(0, |all, (bit, _)| all | bit)
}

/// What is being given.
#[derive(Clone, Copy)]
struct Given {
    app: App,
    view: Signal<MessageView>,
    stars: Signal<u8>,
    reasons: Signal<u8>,
    /// Unix ms up to which it can be changed.
    until: Signal<f64>,
    skipped: Signal<bool>,
}

impl Given {
    fn send(self) {
        let Some(conversation) = self.app.open.get_clone_untracked() else { return };
        let answer = self.view.with_untracked(|view| view.id.clone());
        let (stars, reasons) = (self.stars.get_untracked(), self.reasons.get_untracked());
        self.app.send(Command::Rate { conversation, answer, stars, reasons });
    }

    fn rate(self, stars: u8) {
        batch(|| {
            self.until.set(js_sys::Date::now() + CHANGE_MS);
            self.stars.set(stars);
            self.reasons.set(fitting(self.reasons.get_untracked(), stars));
        });
        self.send();
    }

    fn close(self) {
        SKIPPED.with_borrow_mut(|skipped| skipped.push(self.view.with_untracked(|view| view.id.clone())));
        self.until.set(0.0);
        self.skipped.set(true);
        keyboard::focus_composer();
    }
}

/// Draws it below an answer.
pub fn rating(app: App, view: Signal<MessageView>) -> View {
    let id = view.with_untracked(|view| view.id.clone());
    let given = Given {
        app,
        view,
        stars: create_signal(view.with_untracked(|view| view.stars.unwrap_or(0))),
        reasons: create_signal(0),
        until: create_signal(0.0),
        skipped: create_signal(SKIPPED.with_borrow(|skipped| skipped.contains(&id))),
    };
    let newest = create_selector(move || app.is_newest(&id));
    let row = create_selector(move || {
        let changeable = app.now_ms.get() < given.until.get();
        row_of(newest.get(), view.with(|view| view.stars), given.skipped.get(), changeable)
    });
    view! {
        (Redraw { by: move || match row.get() {
            Row::Nothing => View::new(),
            Row::Ask => ask(given),
            Row::Rated(stars) => {
                let words = format!("You rated {stars} of 5");
                view! { p(class="mt-1 text-sec text-ink3", data-testid="rated") { (words) } }
            }
        } })
    }
}

fn ask(given: Given) -> View {
    let stars = View::from((1..=5).map(|count| star(given, count)).collect::<Vec<View>>());
    let close = app::icon_button(icon::CLOSE, "Do not rate", "rating-skip", move || given.close());
    let key = move |event: web_sys::KeyboardEvent| {
        let number = event.key().parse::<u8>().ok().filter(|number| (1..=5).contains(number));
        match number {
            Some(number) if !event.ctrl_key() && !event.alt_key() && !event.meta_key() => {
                event.prevent_default();
                event.stop_propagation();
                given.rate(number);
                keyboard::focus_first(FOCUS);
            }
            _ => radio_keys(event),
        }
    };
    view! {
        div(class="mt-2 rounded-card border border-line p-2 ps-3", data-testid="rating") {
            div(class="flex flex-wrap items-center gap-x-3") {
                span(class="min-w-36 flex-1 text-ctl", id="rating-name") { "How was this answer?" }
                span(class="inline-flex", role="radiogroup", aria-labelledby="rating-name", data-rating="", on:keydown=key) { (stars) }
                (close)
            }
            (move || reasons(given))
            p(class="text-sec text-ink3") { "Stays in this browser and weighs for you alone." }
        }
    }
}

fn star(given: Given, count: u8) -> View {
    let label = format::plural(count.into(), "star", "stars");
    let test = format!("star-{count}");
    // One of them takes the focus: the chosen one, or the first.
    view! {
        button(
            r#type="button", role="radio", class="grid size-7 place-items-center rounded-ctl hover:bg-bg3", aria-label=label, data-testid=test,
            aria-checked=if given.stars.get() == count { "true" } else { "false" },
            tabindex=if given.stars.get().max(1) == count { "0" } else { "-1" },
            on:click=move |_| given.rate(count)
        ) { (Redraw { by: move || icon::star(given.stars.get() >= count, 16) }) }
    }
}

fn reasons(given: Given) -> View {
    let chips: Vec<View> = reasons_for(given.stars.get())
        .map(|(bit, name)| {
            let on = create_selector(move || given.reasons.get() & bit != 0);
            view! {
                button(
                    r#type="button", data-testid="rating-reason", aria-pressed=if on.get() { "true" } else { "false" },
                    class=if on.get() {
                        "inline-flex min-h-7 items-center gap-1 rounded-ctl bg-accent-soft px-2 text-sec text-accent"
                    } else {
                        "inline-flex min-h-7 items-center gap-1 rounded-ctl bg-bg3 px-2 text-sec"
                    },
                    on:click=move |_| {
                        given.until.set(js_sys::Date::now() + CHANGE_MS);
                        given.reasons.set(given.reasons.get_untracked() ^ bit);
                        given.send();
                    }
                ) {
                    (Redraw { by: move || if on.get() { icon::icon(icon::CHECK, 12) } else { View::new() } })
                    (name)
                }
            }
        })
        .collect();
    if chips.is_empty() {
        return View::new();
    }
    let chips = View::from(chips);
    view! { div(class="flex flex-wrap gap-1.5 py-1.5", role="group", aria-label="Why, if you like") { (chips) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_once_below_the_newest() {
        assert_eq!(row_of(true, None, false, false), Row::Ask);
        assert_eq!(row_of(true, None, true, false), Row::Nothing);
        assert_eq!(row_of(false, None, false, false), Row::Nothing);
        assert_eq!(row_of(true, Some(4), false, true), Row::Ask, "it can be changed for a while");
        assert_eq!(row_of(true, Some(4), false, false), Row::Rated(4));
        assert_eq!(row_of(false, Some(4), true, true), Row::Rated(4));
    }

    #[test]
    fn offers_reasons_that_fit_the_stars() {
        let names = |stars| reasons_for(stars).map(|(_, name)| name).collect::<Vec<_>>();
        assert_eq!(names(0), Vec::<&str>::new());
        assert_eq!(names(2), ["Wrong", "Slow", "Cut off"]);
        assert_eq!(names(5), ["Helped a lot"]);
        assert_eq!(fitting(3, 1), 3);
        assert_eq!(fitting(3, 5), 0);
        assert_eq!(fitting(9, 4), 8);
    }
}
