//! Conversations that come from a file: what of them is believed, and how they join the others. A file can say anything,
//! so what it claims of keys, routes and receipts is left out: nobody here has checked it.

use super::{Book, Conversation, LONGEST_ANSWER, Message, TITLE, is_live};
use crate::port::{ConversationView, MessageView};
use privacyai::map::Map;

/// Most messages of one conversation.
const MESSAGES: usize = 10_000;

/// Longest id; those of this program have 16 characters.
const ID: usize = 64;

/// What is taken of a conversation; none when it is not one.
pub fn believed(mut view: ConversationView) -> Option<ConversationView> {
    let title: String = view.title.trim().chars().take(4 * TITLE).collect();
    let sound = is_id(&view.id) && view.messages.len() <= MESSAGES && !title.is_empty();
    let messages = std::mem::take(&mut view.messages).into_iter().map(believed_message).collect::<Option<Vec<_>>>()?;
    (sound && !messages.is_empty()).then_some(ConversationView { title, messages, ..view })
}

fn believed_message(view: MessageView) -> Option<MessageView> {
    let sound = is_id(&view.id)
        && matches!(view.role.as_str(), "user" | "assistant")
        && view.text.len() <= LONGEST_ANSWER
        && view.stars.is_none_or(|stars| (1..=5).contains(&stars));
    let phase = if is_live(&view.phase) { "truncated".into() } else { view.phase };
    sound.then_some(MessageView { phase, receipt: None, route: None, unit: None, open_until_ms: None, ..view })
}

/// Whether it has the form of an id of a conversation or a message.
pub fn is_id(id: &str) -> bool {
    (1..=ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

impl Book {
    /// Adds a conversation; false when one of this id is there, which stays as it is.
    pub fn add(&mut self, view: ConversationView) -> bool {
        if self.conversations.contains_key(&view.id) {
            return false;
        }
        let changed_ms = view.messages.iter().map(|message| message.asked_ms).max().unwrap_or(0);
        let (mut order, mut messages) = (Vec::new(), Map::new());
        for message in view.messages {
            let id = message.id.clone();
            // Two messages of one id are one row, so the first counts.
            if !messages.contains_key(&id) {
                order.push(id.clone());
                self.dirty_messages.insert((view.id.clone(), id.clone()), ());
                messages.insert(id, Message { view: message, json: Vec::new(), ask: None });
            }
        }
        let new = Conversation { title: view.title, changed_ms, order, live: Vec::new(), pinned: view.pinned };
        self.dirty.insert(view.id.clone(), ());
        self.conversations.insert(view.id.clone(), new);
        self.messages.insert(view.id, messages);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat(id: &str) -> ConversationView {
        let message = |id: &str, role: &str, phase: &str| MessageView {
            id: id.into(),
            role: role.into(),
            text: "So.".into(),
            phase: phase.into(),
            asked_ms: 7,
            receipt: Some("valid".into()),
            unit: Some("open".into()),
            ..MessageView::default()
        };
        let messages = vec![message("m1", "user", ""), message("m2", "assistant", "streaming")];
        ConversationView { id: id.into(), title: " A chat ".into(), messages, pinned: Some(true) }
    }

    #[test]
    fn comes_in_once_and_claims_nothing_unchecked() {
        let mut book = Book::default();
        let taken = believed(chat("c1")).unwrap();
        assert_eq!((&*taken.title, &*taken.messages[1].phase), ("A chat", "truncated"));
        assert!(taken.messages.iter().all(|message| message.receipt.is_none() && message.unit.is_none()));
        assert!(book.add(taken.clone()));
        assert!(!book.add(ConversationView { title: "Other".into(), ..taken.clone() }), "what is here stays");
        assert_eq!((book.rows()[0].title.as_str(), book.rows()[0].changed_ms), ("A chat", 7));
        assert_eq!(book.view("c1"), Some(taken));
        assert!(book.rows()[0].pinned, "at the top, as it was");
        assert_eq!(book.changes().len(), 3, "one row for the chat and one for each message");
        assert!(book.live().is_empty());
    }

    #[test]
    fn what_is_no_conversation_is_left_out() {
        let with = |change: fn(&mut ConversationView)| {
            let mut view = chat("c1");
            change(&mut view);
            believed(view).is_some()
        };
        assert!(with(|_| ()));
        assert!(!with(|view| view.id = "../c".into()));
        assert!(!with(|view| view.id = "c".repeat(65)));
        assert!(!with(|view| view.title = " ".into()));
        assert!(!with(|view| view.messages.clear()));
        assert!(!with(|view| view.messages[0].id = "a/b".into()));
        assert!(!with(|view| view.messages[0].role = "system".into()));
        assert!(!with(|view| view.messages[1].stars = Some(9)));
        let mut twice = chat("c1");
        twice.messages[1].id = "m1".into();
        let mut book = Book::default();
        assert!(book.add(believed(twice).unwrap()));
        assert_eq!(book.view("c1").map(|view| view.messages.len()), Some(1));
    }
}
