//! Search over the words of all chats, newest first: some messages at a time, one in memory, so that nothing else waits
//! for it. A new search ends the one before.

use super::{Background, Event};
use crate::conversation::Book;
use crate::port::{Hit, Update};
use crate::storage::Storage;
use gloo::timers::callback::Timeout;
use privacyai::effect::Table;

/// Messages that are looked through at once.
const AT_ONCE: usize = 24;
/// Chats that are told; nobody reads through more.
const HITS: usize = 100;
/// Characters that are shown before and behind what was found.
const AROUND: (usize, usize) = (32, 80);

/// A search under way.
pub struct Search {
    panel: u32,
    /// As typed, to be told with the hits.
    text: String,
    /// In small letters.
    words: String,
    /// Chats to look through, the next one last.
    left: Vec<String>,
    /// The next message of it.
    at: usize,
    hit: Option<Hit>,
    hits: Vec<Hit>,
}

impl Background {
    /// Begins a search for a panel; without words it ends the one that is under way.
    pub(super) fn search(&mut self, panel: u32, text: String) {
        let words = lower(text.trim());
        let mut left: Vec<String> = self.book.rows().into_iter().map(|row| row.id).collect();
        left.reverse();
        self.search =
            (!words.is_empty()).then(|| Search { panel, text, words, left, at: 0, hit: None, hits: Vec::new() });
        self.search_soon();
    }

    fn search_soon(&self) {
        let mut ticks = self.ticks.clone();
        Timeout::new(0, move || drop(ticks.try_send(Event::Search))).forget();
    }

    /// Looks through some messages more.
    pub(super) async fn search_on(&mut self) {
        let Some(mut search) = self.search.take() else { return };
        let known = search.hits.len();
        for _ in 0..AT_ONCE {
            let Some(conversation) = search.left.last().cloned().filter(|_| search.hits.len() < HITS) else {
                return self.tell_hits(&search, true);
            };
            let Some((id, key)) = self.book.message_at(&conversation, search.at) else {
                search.left.pop();
                search.at = 0;
                search.hits.extend(search.hit.take());
                continue;
            };
            search.at += 1;
            let found = match self.book.message(&conversation, &id) {
                Some(message) => excerpt(&message.view.text, &search.words),
                None => {
                    let value = self.database.get(Table::Messages, &key).await.ok().flatten();
                    Book::read(&[value]).first().and_then(|view| excerpt(&view.text, &search.words))
                }
            };
            match (found, &mut search.hit) {
                (None, _) => {}
                (Some(_), Some(hit)) => hit.count += 1,
                (Some((before, found, after)), hit) => {
                    *hit = Some(Hit { conversation, message: id, count: 1, before, found, after });
                }
            }
        }
        if search.hits.len() > known {
            self.tell_hits(&search, false);
        }
        self.search = Some(search);
        self.search_soon();
    }

    fn tell_hits(&self, search: &Search, done: bool) {
        let (text, hits) = (search.text.clone(), search.hits.clone());
        self.panels.tell(search.panel, &Update::Found { text, hits, done });
    }
}

/// Small letters of any script, as the browser writes them.
fn lower(text: &str) -> String {
    js_sys::JsString::from(text).to_lower_case().into()
}

fn excerpt(text: &str, words: &str) -> Option<(String, String, String)> {
    around(text, &lower(text), words)
}

/// What stands around the first place where these words are: before, they, and behind, in one line.
fn around(text: &str, small: &str, words: &str) -> Option<(String, String, String)> {
    let at = small.find(words)?;
    // Small letters of some scripts are longer or shorter than their capitals: then the small ones are shown.
    let text = if text.len() == small.len() { text } else { small };
    let end = at + words.len();
    let (before, found, after) = match (text.get(..at), text.get(at..end), text.get(end..)) {
        (Some(before), Some(found), Some(after)) => (before, found, after),
        _ => (small.get(..at)?, small.get(at..end)?, small.get(end..)?),
    };
    let line = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let from = before.char_indices().rev().take(AROUND.0).last().map_or(0, |(at, _)| at);
    let mut start = line(before.get(from..)?.to_owned());
    if before.ends_with(char::is_whitespace) && !start.is_empty() {
        start.push(' ');
    }
    if from > 0 {
        start.insert(0, '…');
    }
    let mut rest = line(after.chars().take(AROUND.1).collect());
    if after.starts_with(char::is_whitespace) && !rest.is_empty() {
        rest.insert(0, ' ');
    }
    Some((start, line(found.to_owned()), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_stands_around() {
        let of = |text: &str, small: &str, words: &str| {
            around(text, small, words).map(|(before, found, after)| format!("{before}[{found}]{after}"))
        };
        assert_eq!(of("The Moon\n is far", "the moon\n is far", "moon").as_deref(), Some("The [Moon] is far"));
        assert_eq!(of("moonlight", "moonlight", "moon").as_deref(), Some("[moon]light"));
        assert_eq!(of("No.", "no.", "moon"), None);
        let long = format!("{} moon {}", "é".repeat(100), "x".repeat(200));
        let shown = of(&long, &long, "moon").unwrap();
        assert!(shown.starts_with("…é") && shown.contains(" [moon] x") && shown.chars().count() < 125, "{shown}");
        // İ in small letters is a byte longer.
        assert_eq!(of("İ moon", "i\u{307} moon", "moon").as_deref(), Some("i\u{307} [moon]"));
    }
}
