//! How an answer failed, in one sentence and one button: what failed, whether it was charged, what was done.

use sycamore::prelude::*;

use super::state::{App, Page, Row};
use super::status::{Shape, shape};
use super::{answer, format};
use crate::port::{Command, MessageView};

/// One next step.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// Ask again.
    Retry,
    /// Ask this provider (id, name) instead.
    Other(String, String),
    /// Stop waiting and ask this provider (id, name).
    Switch(String, String),
    /// Decide about a new key.
    KeyChange(String),
    /// Connect now.
    TryNow,
    /// See the providers.
    Providers,
    /// See the facts.
    Details,
}

impl Act {
    fn name(&self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Other(..) => "other",
            Self::Switch(..) => "switch",
            Self::KeyChange(_) => "key-change",
            Self::TryNow => "try-now",
            Self::Providers => "providers",
            Self::Details => "details",
        }
    }

    fn label(&self) -> String {
        match self {
            Self::Retry => "Retry".into(),
            Self::Other(_, name) => format!("Ask {}", format::shorten(name, 24)),
            Self::Switch(_, name) => format!("Switch to {}", format::shorten(name, 24)),
            Self::KeyChange(_) => "Compare the keys".into(),
            Self::TryNow => "Try now".into(),
            Self::Providers => "All providers".into(),
            Self::Details => "Details".into(),
        }
    }
}

/// What a notice says.
#[derive(Clone, Debug, PartialEq)]
pub struct Words {
    /// Its mark.
    pub mark: Shape,
    /// What failed.
    pub title: String,
    /// Charged or not, and what was done.
    pub body: String,
    /// Next steps, the first one filled.
    pub acts: Vec<Act>,
}

/// The words for an answer that is not as it should be; none for one that is. `other` is a usable provider other
/// than its own.
pub fn words(view: &MessageView, text: &str, other: Option<(String, String)>) -> Option<Words> {
    let name = view.provider_name.clone().unwrap_or_else(|| "The provider".into());
    let model = view.model.clone();
    let ask = |fallback: Act| other.clone().map_or(fallback, |(id, name)| Act::Other(id, name));
    let words = |mark, title: String, body: &str, acts: Vec<Act>| Some(Words { mark, title, body: body.into(), acts });
    match view.phase.as_str() {
        "stalled" => words(
            Shape::Warn,
            "No new words for 10 s.".into(),
            "Nothing is charged while we wait.",
            other.clone().map(|(id, name)| Act::Switch(id, name)).into_iter().collect(),
        ),
        "truncated" => words(
            Shape::Warn,
            format!("Cut off after {}", format::plural(format::words(text), "word", "words")),
            &format!("{name} went silent before the end. Not charged; what came is kept."),
            vec![ask(Act::Retry), Act::Details],
        ),
        "silent" => words(
            Shape::Warn,
            format!("{name} did not answer."),
            "Not charged; your question is kept.",
            vec![ask(Act::Retry), Act::Details],
        ),
        "no_provider" => words(
            Shape::Offline,
            match model {
                Some(model) => format!("No provider offers {model} now."),
                None => "No provider can answer now.".into(),
            },
            "Not sent, not counted.",
            vec![ask(Act::Retry), Act::Providers],
        ),
        "no_network" => words(
            Shape::Offline,
            "No way to the network.".into(),
            "Not sent; your question is kept.",
            vec![Act::TryNow, Act::Retry],
        ),
        "key_changed" => words(
            Shape::Blocked,
            format!("{name} shows a key you have not seen before."),
            "Nothing sent or charged.",
            view.provider
                .clone()
                .map(Act::KeyChange)
                .into_iter()
                .chain(other.map(|(id, name)| Act::Other(id, name)))
                .collect(),
        ),
        "error" => error_words(view, &name, other),
        _ => None,
    }
}

/// Errors of the protocol, by their number; the number itself stands in the details.
fn error_words(view: &MessageView, name: &str, other: Option<(String, String)>) -> Option<Words> {
    let ask = other.map_or(Act::Retry, |(id, name)| Act::Other(id, name));
    let wait = match view.retry_after {
        Some(s) if s > 0 => format!(" First free in about {}.", format::duration(s.into())),
        _ => String::new(),
    };
    let (title, body) = match view.code {
        Some(4) => (format!("{name} does not offer this model now."), "Not counted.".to_owned()),
        Some(5) => (format!("{name} is busy."), format!("Not charged.{wait}")),
        Some(8) => (
            "This question is too large for the model.".to_owned(),
            "Not charged; shorten it or ask a larger model.".to_owned(),
        ),
        Some(9) => (format!("{name} declined this."), "Not charged.".to_owned()),
        _ => (format!("{name} could not process this."), format!("Not charged.{wait}")),
    };
    let acts = match view.code {
        Some(5) => vec![Act::Retry, ask],
        _ => vec![ask, Act::Details],
    };
    let mut acts = acts;
    acts.dedup();
    Some(Words { mark: Shape::Warn, title, body, acts })
}

/// Draws the notice of an answer, if it has one.
pub fn notice(app: App, row: Row, phase: ReadSignal<String>) -> View {
    let (view, text) = (row.view, row.text);
    let said = create_selector(move || {
        phase.track();
        let other = view.with(|view| app.other_than(view.provider.as_deref()));
        let other = other.map(|other| (other.id, other.name));
        let text = text.get_clone_untracked();
        view.with(|view| words(view, &text, other))
    });
    view! {
        (match said.get_clone() {
            None => View::new(),
            Some(words) => draw(app, &view.with_untracked(|view| view.id.clone()), &phase.get_clone_untracked(), words),
        })
    }
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

fn run(app: App, id: &str, act: &Act) {
    match act {
        Act::Retry => answer::retry(app, id, None),
        Act::Other(provider, _) => answer::retry(app, id, Some(provider.clone())),
        Act::Switch(provider, _) => {
            app.send(Command::Stop { answer: id.to_owned() });
            answer::retry(app, id, Some(provider.clone()));
        }
        Act::KeyChange(provider) => app.go(Page::KeyChanged(provider.clone())),
        Act::TryNow => app.send(Command::TryNow),
        Act::Providers => app.go(Page::Providers),
        Act::Details => app.go(Page::Details(id.to_owned())),
    }
}
