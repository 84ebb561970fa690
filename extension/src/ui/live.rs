//! What a screen reader hears of a growing answer: whole sentences, at most one write in two seconds, code as one
//! phrase; at the end one sentence that it is complete.

use std::cell::RefCell;

use gloo::timers::callback::Interval;
use sycamore::prelude::*;

use super::format;
use super::redraw::{Redraw, create_effect, create_selector};
use super::state::{App, is_running};

/// The least time between two writes, in ms.
const PAUSE_MS: u32 = 2_000;

/// How far the running answer was spoken.
#[derive(Default)]
struct Spoken {
    answer: String,
    bytes: usize,
}

thread_local! {
    static SPOKEN: RefCell<Spoken> = RefCell::default();
}

/// Starts speaking into the region.
pub fn speak(app: App) {
    let said = create_signal(String::new());
    provide_context(said);
    // An answer that begins and ends between two writes is heard to end as well.
    let running = create_selector(move || app.running().map(|row| row.id));
    create_effect(move || {
        if let Some(id) = running.get_clone() {
            SPOKEN.set(Spoken { answer: id.to_string(), bytes: 0 });
        }
    });
    Interval::new(PAUSE_MS, move || {
        let text = untrack_tick(app);
        if text.as_deref() != Some("") && said.with_untracked(|now| text.as_deref() != Some(now)) {
            said.set(text.unwrap_or_default());
        }
    })
    .forget();
}

/// The region itself.
pub fn region() -> View {
    let said = use_context::<Signal<String>>();
    view! {
        div(class="sr-only", aria-live="polite", data-testid="live") { (Redraw { by: move || View::from(said.get_clone()) }) }
    }
}

/// What to say now: nothing new is an empty text, silence is none.
fn untrack_tick(app: App) -> Option<String> {
    let last = app.rows.with_untracked(|rows| rows.last().cloned())?;
    let (role, phase, tokens) = last.view.with_untracked(|view| (view.role.clone(), view.phase.clone(), view.tokens));
    if role != "assistant" {
        return None;
    }
    SPOKEN.with_borrow_mut(|spoken| {
        if is_running(&phase) {
            if app.settings.with_untracked(|settings| settings.whole_answers) {
                return Some(String::new());
            }
            return last.text.with_untracked(|text| {
                let rest = text.get(spoken.bytes..).unwrap_or_default();
                let end = sentences_end(rest);
                let said = in_words(rest.get(..end).unwrap_or_default());
                spoken.bytes = spoken.bytes.saturating_add(end);
                Some(said)
            });
        }
        if *spoken.answer != *last.id {
            return Some(String::new());
        }
        *spoken = Spoken::default();
        Some(match (phase.as_str(), tokens) {
            ("complete", Some((_, out))) => format!("Answer complete, {}", format::plural(out, "token", "tokens")),
            ("complete", None) => "Answer complete".into(),
            ("stopped", _) => "Stopped".into(),
            ("truncated", _) => "Answer cut off".into(),
            _ => "The answer failed".into(),
        })
    })
}

/// Where the last whole sentence ends; inside an open code block nothing is whole.
fn sentences_end(text: &str) -> usize {
    let mut end = 0;
    let mut fenced = false;
    let mut line_start = 0;
    for (at, letter) in text.char_indices() {
        if letter == '\n' {
            if text.get(line_start..at).is_some_and(|line| line.trim_start().starts_with("```")) {
                fenced = !fenced;
            }
            line_start = at + 1;
            if !fenced {
                end = at + 1;
            }
        } else if letter == ' ' && !fenced {
            let before = text.get(..at).unwrap_or_default();
            if before.ends_with(['.', '!', '?', ':', '…']) {
                end = at + 1;
            }
        }
    }
    end
}

/// Prose as it is, marks left out; code as "code block, sql, 10 lines".
fn in_words(text: &str) -> String {
    let mut said: Vec<String> = Vec::new();
    let mut code: Option<(String, usize)> = None;
    for line in text.lines() {
        match (line.trim_start().strip_prefix("```"), code.take()) {
            (Some(_), Some((language, lines))) => {
                let language = if language.is_empty() { String::new() } else { format!(", {language}") };
                said.push(format!("code block{language}, {}.", format::plural(lines as u64, "line", "lines")));
            }
            (Some(language), None) => code = Some((language.trim().to_owned(), 0)),
            (None, Some((language, lines))) => code = Some((language, lines.saturating_add(1))),
            (None, None) => {
                let plain = line.trim_start_matches(['#', '-', '*', '>', ' ']).replace(['*', '`', '|'], "");
                if !plain.trim().is_empty() {
                    said.push(plain.trim().to_owned());
                }
            }
        }
    }
    said.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spoken(text: &str) -> String {
        in_words(&text[..sentences_end(text)])
    }

    #[test]
    fn speaks_whole_sentences_only() {
        assert_eq!(spoken("Use a join. It ru"), "Use a join.");
        assert_eq!(spoken("Use a jo"), "");
        assert_eq!(spoken("- **first**\n- sec"), "first");
    }

    #[test]
    fn speaks_code_as_one_phrase() {
        assert_eq!(spoken("So:\n```sql\nSELECT 1. \n"), "So:");
        assert_eq!(spoken("So:\n```sql\nSELECT 1;\nSELECT 2;\n```\n"), "So: code block, sql, 2 lines.");
    }
}
