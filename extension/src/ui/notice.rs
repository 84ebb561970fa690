//! How an answer failed, in one sentence and one button, drawn below it.

use sycamore::prelude::*;

use super::redraw::{Redraw, create_selector};
use super::state::{App, Page, Row, is_ready};
use super::status::{Shape, shape};
use super::words::{Act, Market, Words, words};
use super::{answer, keyboard, quota};
use crate::port::Command;

/// What is asked for when an answer shall go on: the words so far are sent with it.
const GO_ON: &str = "Continue exactly where your last answer stopped.";

/// Draws the notice of an answer, if it has one.
pub fn notice(app: App, row: Row, phase: ReadSignal<String>) -> View {
    let (view, text, id) = (row.view, row.text, row.id.clone());
    let said = create_selector(move || {
        phase.track();
        let market = market(app, &row);
        let text = text.get_clone_untracked();
        view.with(|view| words(view, &text, &market))
    });
    let unit = create_selector(move || view.with(|view| quota::of_unit(app, view)));
    let newest = create_selector(move || app.is_newest(&id));
    view! {
        (Redraw { by: move || match said.get_clone() {
            None => View::new(),
            Some(mut words) => {
                let unit = unit.get_clone();
                // Where the words say already that nothing was counted, once is enough.
                if let Some(unit) = unit.filter(|_| !words.body.contains("ot counted")) {
                    words.body.push(' ');
                    words.body.push_str(&unit);
                }
                words.acts.retain(|act| newest.get() || !act.asks());
                draw(app, &view.with_untracked(|view| view.id.clone()), &phase.get_clone_untracked(), words)
            }
        } })
    }
}

/// What else there is for this answer.
fn market(app: App, row: &Row) -> Market {
    let (own, model, code) = row.view.with(|view| (view.provider.clone(), view.model.clone(), view.code));
    let asks_in = app.line.with(|line| {
        let (id, at) = line.as_ref().filter(|(id, _)| **id == *row.id)?;
        (!id.is_empty()).then(|| ((at - app.now_ms.get()) / 1_000.0).ceil().max(0.0) as u32)
    });
    let mut market = Market {
        other: app.other_than(own.as_deref()).map(|other| (other.id.clone(), other.name.clone())),
        asks_in,
        opens_in: if row.view.with(|view| view.phase == "limit") { quota::opens_in(app) } else { None },
        ..Market::default()
    };
    match code {
        Some(5) => {
            market.all_busy = app.providers.with(|all| {
                let usable = || all.iter().filter(|provider| is_ready(provider));
                let count = usable().count();
                (count > 0 && usable().all(|provider| provider.status == "busy")).then_some(count)
            });
        }
        Some(8) => {
            let own = own.and_then(|id| app.provider(&id)).or_else(|| app.reader());
            market.holds = own.and_then(|own| {
                let found = own.models.iter().find(|one| Some(&one.id) == model.as_ref()).or(own.models.first());
                found.map(|model| model.context)
            });
            market.larger = larger(app, market.holds.unwrap_or(u32::MAX));
            market.letters = app.rows.with(|rows| {
                let before = rows.iter().take_while(|one| one.id != row.id);
                before.map(|one| one.text.with_untracked(|text| text.chars().count() as u64)).sum()
            });
        }
        _ => {}
    }
    market
}

/// The model of the longest context above `holds` that can be asked now.
fn larger(app: App, holds: u32) -> Option<((String, String), String)> {
    app.providers.with(|all| {
        let usable = all.iter().filter(|one| is_ready(one));
        let models = usable.flat_map(|one| one.models.iter().map(move |model| (one, model)));
        let largest = models.filter(|(_, model)| model.context > holds).max_by_key(|(_, model)| model.context);
        largest.map(|(one, model)| ((one.id.clone(), one.name.clone()), model.id.clone()))
    })
}

fn draw(app: App, answer: &str, phase: &str, words: Words) -> View {
    let urgent = words.mark == Shape::Blocked;
    let acts: Vec<View> = words
        .acts
        .into_iter()
        .enumerate()
        .map(|(at, act)| {
            let answer = answer.to_owned();
            let (name, label) = (act.name(), act.label());
            let class = if at == 0 { "btn btn-solid" } else { "btn btn-plain" };
            view! {
                button(
                    r#type="button", class=class, data-testid="notice-action", data-act=name,
                    on:click=move |_| run(app, &answer, &act)
                ) { (label) }
            }
        })
        .collect();
    let class = if urgent {
        "mt-3 flex gap-2.5 rounded-card border border-stop-line bg-stop-soft p-3"
    } else {
        "mt-3 flex gap-2.5 rounded-card border border-line bg-bg2 p-3"
    };
    let (mark, acts, phase) = (shape(words.mark), View::from(acts), phase.to_owned());
    let (title, body) = (words.title, words.body);
    view! {
        div(class=class, data-testid="answer-notice", data-phase=phase, role="group", aria-label="What happened") {
            span(class="pt-[5px]") { (mark) }
            div(class="min-w-0 flex-1") {
                p(class="text-ctl font-semibold") { (title) }
                p(class="text-sec text-ink2") { (body) }
                div(class="mt-2 flex flex-wrap gap-1.5") { (acts) }
            }
        }
    }
}

/// Goes on below what came: the same conversation, asked for the rest.
pub fn go_on(app: App, provider: Option<String>) {
    if quota::refuses(app, None) {
        return;
    }
    if let Some(conversation) = app.open.get_clone_untracked() {
        let text = GO_ON.to_owned();
        app.send(Command::Ask { conversation: Some(conversation), begins: None, text, replaces: None, provider });
    }
}

fn run(app: App, id: &str, act: &Act) {
    match act {
        Act::Retry => answer::retry(app, id, None),
        Act::Other((provider, _)) => answer::retry(app, id, Some(provider.clone())),
        Act::Continue(other) => go_on(app, other.as_ref().map(|(provider, _)| provider.clone())),
        Act::Switch((provider, _)) => {
            let begun = app.rows.with_untracked(|rows| {
                rows.iter().any(|row| *row.id == *id && row.text.with_untracked(|text| !text.is_empty()))
            });
            app.send(Command::Stop { answer: id.to_owned() });
            // Words that came are never rewritten.
            if begun { go_on(app, Some(provider.clone())) } else { answer::retry(app, id, Some(provider.clone())) }
        }
        Act::Later(_) => {
            let reset_ms = app.free.get_untracked().map_or(0, |free| free.reset_ms);
            app.line.set(Some((id.to_owned(), reset_ms as f64)));
        }
        Act::Wait(seconds) => {
            app.line.set(Some((id.to_owned(), app.now_ms.get_untracked() + f64::from(*seconds) * 1_000.0)));
        }
        Act::Leave => app.line.set(None),
        Act::Larger((provider, _), model) => {
            app.choose(Some(provider.clone()), Some(model.clone()));
            answer::retry(app, id, None);
        }
        Act::Edit => keyboard::edit_last(app),
        Act::KeyChange(provider) => app.go(Page::KeyChanged(provider.clone())),
        Act::TryNow => app.send(Command::TryNow),
        Act::Providers => app.go(Page::Providers),
        Act::Details => app.go(Page::Details(id.to_owned())),
    }
}
