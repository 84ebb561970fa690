//! One answer: who gives it, its text as it grows, how it ended, and what can be done with it.

use std::rc::Rc;

use gloo::timers::callback::Interval;
use sycamore::prelude::*;

use super::blocks::{Block, Blocks};
use super::cut::{self, Part};
use super::redraw::{Redraw, create_effect, create_memo, create_selector};
use super::state::{App, Page, Row, is_running};
use super::{app, clipboard, format, glyph, icon, keys, list, markdown, notice, quota, rating, raw, status};
use crate::port::{Command, MessageView};

/// A wait shorter than this is not worth a line, in ms.
const SAY_WAITING_AFTER_MS: f64 = 400.0;

/// Draws an answer.
pub fn answer(app: App, row: Row) -> View {
    let view = row.view;
    let text = row.text;
    let id = row.id.to_string();
    let phase = create_selector(move || view.with(|view| view.phase.clone()));
    let running = create_selector(move || phase.with(|phase| is_running(phase)));
    let whole = create_selector(move || running.get() && app.settings.with(|settings| settings.whole_answers));
    let blank = create_selector(move || text.with(String::is_empty));
    let (head, body, notice) = (head(app, view), body(view, text, running), notice::notice(app, row, phase));
    view! {
        article(
            class="message flex flex-col", data-testid="answer", data-message-id=id, data-phase=phase.get_clone(),
            data-provider=view.with(|view| view.provider.clone()),
            data-code=view.with(|view| view.code.map(|code| code.to_string())),
            aria-busy=if running.get() { "true" } else { "false" },
            aria-label=view.with(|view| format!("Answer by {}", view.provider_name.as_deref().unwrap_or("a provider")))
        ) {
            (head)
            // The wait has the height of the text's first line, what runs below it that of the cost line, and the room
            // of the actions is kept: nothing moves when the text begins or ends.
            (Redraw { by: move || if phase.with(|phase| phase == "waiting") && blank.get() { waiting(view) } else { View::new() } })
            div(class="prose mt-2", data-testid="answer-text", hidden=whole.get() || blank.get()) {
                (body)
            }
            (Redraw { by: move || if running.get() { progress(view, text, whole) } else { View::new() } })
            (Redraw { by: move || if phase.with(|phase| matches!(phase.as_str(), "complete" | "stopped")) { cost(app, view) } else { View::new() } })
            (notice)
            (Redraw { by: move || if running.get() { view! { div(class="mt-1 h-7") {} } } else { actions(app, view, text) } })
            (Redraw { by: move || if phase.with(|phase| phase == "complete") { rating::rating(app, view) } else { View::new() } })
        }
    }
}

fn head(app: App, view: Signal<MessageView>) -> View {
    let who = create_selector(move || {
        view.with(|view| (view.provider.clone(), view.provider_name.clone(), view.model.clone()))
    });
    let first = create_selector(move || view.with(|view| if is_running(&view.phase) { view.first_ms } else { None }));
    let bits = create_selector(move || {
        who.with(|(id, ..)| id.as_deref().and_then(|id| app.provider(id)).map(|provider| provider.glyph))
    });
    view! {
        div(class="flex min-h-6 items-center gap-2") {
            (bits.get().map_or_else(|| view! { span(class="skeleton size-6 flex-none") {} }, |bits| glyph::glyph(bits, 15)))
            h2(class="truncate text-ctl font-semibold") {
                (Redraw { by: move || View::from(who.with(|(_, name, _)| name.clone()).unwrap_or_else(|| "Choosing a provider".into())) })
            }
            span(class="min-w-0 flex-1 truncate text-sec text-ink3") { (Redraw { by: move || View::from(who.with(|(.., model)| model.clone()).unwrap_or_default()) }) }
            span(class="flex-none text-sec text-ink3") {
                (Redraw { by: move || View::from(first.get().map(|ms| format!("first word in {}", format::seconds(ms.into()))).unwrap_or_default()) })
            }
        }
    }
}

/// The text, in parts where another provider took over. Only the last part grows.
fn body(view: Signal<MessageView>, text: Signal<String>, running: ReadSignal<bool>) -> View {
    let cuts = create_selector(move || view.with(|view| (view.cuts.clone(), view.begun_by.clone())));
    view! {
        (Redraw { by: move || {
            cuts.track();
            let parts = view.with_untracked(cut::parts);
            View::from(parts.into_iter().map(|part| one_part(text, part, running)).collect::<Vec<View>>())
        } })
    }
}

fn one_part(text: Signal<String>, mut part: Part, running: ReadSignal<bool>) -> View {
    // Before the first word there is nothing to divide from.
    let divider = part.above.take().filter(|_| part.from > 0).map(cut::divider);
    let text = if part.to.is_some() {
        let source = text.with_untracked(|text| cut::source(text, &part));
        let inner = markdown::markdown(&source);
        view! { div(class="block") { (inner) } }
    } else {
        blocks(text, part, running)
    };
    view! { (divider) (text) }
}

/// The blocks: finished ones stay as they are, only the last is drawn again.
fn blocks(text: Signal<String>, part: Part, running: ReadSignal<bool>) -> View {
    let finished = create_signal(Vec::<Block>::new());
    let last = create_signal(Rc::<str>::from(""));
    let mut blocks = Blocks::default();
    create_effect(move || {
        let (source, more) = text.with(|text| match (part.from, part.goes_on) {
            (0, _) => blocks.grow(text),
            _ => blocks.grow(&cut::source(text, &part)),
        });
        batch(|| {
            if more || finished.with_untracked(Vec::len) != blocks.finished.len() {
                finished.set(blocks.finished.clone());
            }
            if last.with_untracked(|now| *now != source) {
                last.set(source);
            }
        });
    });
    let starts = create_memo(move || {
        finished.with(|blocks| blocks.iter().map(|block| Rc::from(block.start.to_string())).collect::<Vec<Rc<str>>>())
    });
    let finished_blocks = list::keyed(starts, move |start| {
        let source = finished.with_untracked(|blocks| {
            let block = blocks.iter().find(|block| *block.start.to_string() == *start);
            block.map(|block| block.source.clone()).unwrap_or_default()
        });
        let inner = markdown::markdown(&source);
        view! { div(class="block") { (inner) } }
    });
    let long = create_selector(move || running.get() && last.with(|last| last.len() > raw::LONGEST));
    view! {
        (finished_blocks)
        div(class=if running.get() { "block caret" } else { "block" }, aria-hidden=running.get().then_some("true")) {
            (Redraw { by: move || if long.get() { raw::raw(*last) } else { View::new() } })
            (match () {
                () if long.get() => View::new(),
                () if running.get() => markdown::growing(&last.get_clone()),
                () => markdown::markdown(&last.get_clone()),
            })
        }
    }
}

/// "Waiting, 1.2 s": counts while nobody has said a word.
fn waiting(view: Signal<MessageView>) -> View {
    let (asked, accepted) = view.with_untracked(|view| (view.asked_ms as f64, view.accept_ms));
    let waited = create_signal(js_sys::Date::now() - asked);
    let tick = Interval::new(100, move || waited.set(js_sys::Date::now() - asked));
    on_cleanup(move || drop(tick));
    let word = if accepted.is_some() { "Accepted, waiting for the first word" } else { "Waiting" };
    view! {
        p(class="mt-2 min-h-[1.375rem] text-read text-ink3", data-testid="answer-waiting") {
            (Redraw { by: move || View::from(if waited.get() >= SAY_WAITING_AFTER_MS {
                format!("{word}, {} s", format::fixed(waited.get() / 1000.0, 1))
            } else {
                String::new()
            }) })
        }
    }
}

/// What runs below growing text.
fn progress(view: Signal<MessageView>, text: Signal<String>, hidden: ReadSignal<bool>) -> View {
    let line = move || {
        let (tokens, first) = view.with(|view| (view.tokens, view.first_ms));
        let words = text.with(|text| format::words(text));
        if first.is_none() && words == 0 {
            return String::new();
        }
        let count = match tokens {
            Some((_, out)) if out > 0 => format::plural(out, "token", "tokens"),
            _ => format::plural(words, "word", "words"),
        };
        if hidden.get() { format!("Writing · {count} · free") } else { format!("{count} · free") }
    };
    view! { p(class="mt-2 w-fit min-h-6 py-1 text-sec text-ink3", aria-hidden="true") { (line()) } }
}

/// "0.62 s to first word · 81 tok/s · 264 tokens · free", which opens the details.
fn cost(app: App, view: Signal<MessageView>) -> View {
    let (line, id, mark) = view.with(|view| {
        let mark = match view.receipt.as_deref() {
            Some("bad") => status::Shape::Blocked,
            Some("implausible") => status::Shape::Warn,
            _ => status::Shape::Online,
        };
        (cost_line(view), view.id.clone(), mark)
    });
    let (mark, arrow) = (status::shape(mark), icon::icon(icon::RIGHT, 13));
    view! {
        button(
            r#type="button", data-testid="answer-cost", title=keys::named(app, "Details", "details"),
            class="mt-2 inline-flex min-h-6 w-fit items-center gap-2 rounded-ctl text-start text-sec text-ink2 hover:text-ink",
            on:click=move |_| app.go(Page::Details(id.clone()))
        ) {
            (mark)
            span { (line) }
            (arrow)
        }
    }
}

/// The cost line's words; what is not known is left out.
pub fn cost_line(view: &MessageView) -> String {
    let mut parts = Vec::new();
    if view.phase == "stopped" {
        parts.push("Stopped".to_owned());
    }
    if let Some(first) = view.first_ms {
        parts.push(format!("{} to first word", format::seconds(first.into())));
    }
    if let Some((_, out)) = view.tokens {
        let odd = view.receipt.as_deref() == Some("implausible");
        let span = view.total_ms.zip(view.first_ms).map(|(total, first)| total.saturating_sub(first));
        if let Some(span) = span.filter(|span| *span >= 50 && out > 1 && !odd) {
            parts.push(format!("{} tok/s", format::fixed((out - 1) as f64 * 1000.0 / f64::from(span), 0)));
        }
        let tokens = format::plural(out, "token", "tokens");
        parts.push(if odd { format!("{tokens}, which looks wrong") } else { tokens });
    }
    parts.push("free".to_owned());
    parts.join(" · ")
}

fn actions(app: App, view: Signal<MessageView>, text: Signal<String>) -> View {
    // A failure names its way on in the notice above; here stands what is left to do with the words.
    let failed = view.with_untracked(|view| !matches!(view.phase.as_str(), "complete" | "stopped"));
    let blank = text.with_untracked(String::is_empty);
    let stopped = !blank && view.with_untracked(|view| view.phase == "stopped");
    let copied = create_signal(false);
    let id = view.with_untracked(|view| view.id.clone());
    let provider = view.with_untracked(|view| view.provider.clone());
    let other = create_selector(move || {
        app.other_than(provider.as_deref()).map(|other| (other.id.clone(), other.name.clone()))
    });
    let again = {
        let id = id.clone();
        move || retry(app, &id, None)
    };
    let newest = {
        let id = id.clone();
        create_selector(move || app.is_newest(&id))
    };
    view! {
        div(class="mt-1 -ms-1.5 flex items-center gap-0.5") {
            (Redraw { by: move || if blank {
                View::new()
            } else if copied.get() {
                app::icon_button(icon::CHECK, "Copied", "answer-copied", || ())
            } else {
                app::icon_button(icon::COPY, "Copy answer", "answer-copy", move || text.with_untracked(|text| clipboard::copy(text, copied)))
            } })
            (Redraw { by: move || if newest.get() {
                app::icon_button(icon::RETRY, "Ask again", "answer-retry", again.clone())
            } else {
                View::new()
            } })
            (Redraw { by: move || if stopped && newest.get() {
                view! {
                    button(
                        r#type="button", data-testid="answer-continue", title="Ask for the rest, below what came",
                        class="inline-flex min-h-7 items-center rounded-ctl px-1.5 text-sec text-ink2 hover:bg-bg3",
                        on:click=move |_| notice::go_on(app, None)
                    ) { "Continue" }
                }
            } else {
                View::new()
            } })
            (Redraw { by: move || match other.get_clone() {
                _ if failed || !newest.get() => View::new(),
                None => View::new(),
                Some((other, name)) => {
                    let id = id.clone();
                    let corner = icon::icon(icon::CORNER, 14);
                    let name = format!("Ask {name}");
                    view! {
                        button(
                            r#type="button", data-testid="answer-other", title="Ask this provider the same question",
                            class="inline-flex min-h-7 min-w-0 items-center gap-1.5 rounded-ctl px-1.5 text-sec text-ink2 hover:bg-bg3",
                            on:click=move |_| retry(app, &id, Some(other.clone()))
                        ) {
                            (corner)
                            span(class="truncate") { (name) }
                        }
                    }
                }
            } })
        }
    }
}

/// Asks the question of this answer again, when it is the newest: what follows it would be dropped with it.
pub fn retry(app: App, answer: &str, provider: Option<String>) {
    let row = app.rows.with_untracked(|rows| rows.iter().find(|row| *row.id == *answer).cloned());
    if !app.is_newest(answer) {
        return;
    }
    let failed = row.map(|row| row.view.get_clone_untracked());
    // Asking again drops what is there: not for a question that could not be sent.
    if quota::refuses(app, failed.as_ref()) {
        return;
    }
    if let Some(conversation) = app.open.get_clone_untracked() {
        app.send(Command::Retry { conversation, answer: answer.to_owned(), provider });
    }
}

#[cfg(test)]
mod tests {
    use super::cost_line;
    use crate::port::MessageView;

    fn view() -> MessageView {
        MessageView {
            id: "m".into(),
            role: "assistant".into(),
            phase: "complete".into(),
            first_ms: Some(620),
            total_ms: Some(3_867),
            tokens: Some((38, 264)),
            ..MessageView::default()
        }
    }

    #[test]
    fn says_the_cost() {
        assert_eq!(cost_line(&view()), "0.62 s to first word · 81 tok/s · 264 tokens · free");
        assert_eq!(cost_line(&MessageView { tokens: None, first_ms: None, ..view() }), "free");
        assert_eq!(
            cost_line(&MessageView { total_ms: Some(620), ..view() }),
            "0.62 s to first word · 264 tokens · free"
        );
    }
}
