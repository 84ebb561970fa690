//! Conversations as rows: how they come from the store, also when some of them are damaged, and how they go there.

use super::{Book, Conversation, DAMAGED, Message, empty_message, is_live, title_of};
use crate::json::{self, Json};
use crate::port::{ConversationView, MessageView};
use privacyai::effect::{Batch, Row, Table, Write};
use privacyai::map::{Map, sort};

impl Book {
    /// From the rows of `Table::Conversations`; a row that cannot be read is left out.
    pub fn restore(rows: &[Row]) -> Self {
        let conversations = rows
            .iter()
            .filter_map(|row| Some((String::from_utf8(row.key.clone()).ok()?, json::decode_bytes(&row.value)?)));
        Self { conversations: conversations.collect(), ..Self::default() }
    }

    /// The keys of the rows of `Table::Messages` that [`Book::fill`] needs; none when it is in memory already.
    pub fn missing(&self, conversation: &str) -> Vec<Vec<u8>> {
        match self.conversations.get(conversation) {
            Some(found) if !self.messages.contains_key(conversation) => {
                found.order.iter().map(|message| message_key(conversation, message)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The id of a message by its place, and the key of its row.
    pub fn message_at(&self, conversation: &str, at: usize) -> Option<(String, Vec<u8>)> {
        let id = self.conversations.get(conversation)?.order.get(at)?;
        Some((id.clone(), message_key(conversation, id)))
    }

    /// Takes the values of the rows that [`Book::missing`] named, in its order. A message without a readable row keeps its
    /// place and says that it is damaged.
    pub fn fill(&mut self, conversation: &str, values: &[Option<Vec<u8>>]) {
        let Some(found) = self.conversations.get_mut(conversation) else { return };
        let messages = found.messages(values);
        found.live.retain(|live| messages.get(&live.answer).is_some_and(|message| message.view.phase != DAMAGED));
        self.messages.insert(conversation.to_owned(), messages);
    }

    /// A conversation, whole, from the values of such rows, without keeping it in memory.
    pub fn peek(&self, conversation: &str, values: &[Option<Vec<u8>>]) -> Option<ConversationView> {
        let found = self.conversations.get(conversation)?;
        Some(found.view(conversation, &found.messages(values)))
    }

    /// The messages in the values of such rows, without keeping them in memory.
    pub fn read(values: &[Option<Vec<u8>>]) -> Vec<MessageView> {
        let message = |value: &Option<Vec<u8>>| json::decode_bytes::<Message>(value.as_ref()?);
        values.iter().filter_map(message).map(|message| message.view).collect()
    }

    /// Everything that changed since the last call, as writes that belong together.
    pub fn changes(&mut self) -> Batch {
        let mut batch: Batch = std::mem::take(&mut self.deleted)
            .into_iter()
            .map(|(table, key)| Write { table, key, value: None })
            .collect();
        for (id, ()) in std::mem::take(&mut self.dirty) {
            if let Some(found) = self.conversations.get(&id) {
                batch.push(write(Table::Conversations, id.into_bytes(), found));
            }
        }
        for ((conversation, id), ()) in std::mem::take(&mut self.dirty_messages) {
            if let Some(message) = self.message(&conversation, &id) {
                batch.push(write(Table::Messages, message_key(&conversation, &id), message));
            }
        }
        batch
    }

    /// How many rows of `Table::Messages` there should be.
    pub fn message_rows(&self) -> usize {
        self.conversations.values().map(|found| found.order.len()).sum()
    }

    /// Makes conversations anew from the rows of messages that belong to none; gives how many.
    pub fn recover(&mut self, rows: &[Row]) -> usize {
        let mut found: Map<String, Vec<Message>> = Map::new();
        for row in rows {
            let key = std::str::from_utf8(&row.key).ok().and_then(|key| key.split_once('/'));
            let Some((conversation, _)) = key.filter(|(of, _)| !self.conversations.contains_key(*of)) else { continue };
            if let Some(message) = json::decode_bytes(&row.value) {
                found.get_or_insert_with(conversation.to_owned(), Vec::new).push(message);
            }
        }
        let count = found.len();
        for (id, mut messages) in found {
            // A question and its answer were asked at once.
            let place = |message: &Message| (message.view.asked_ms, message.view.role != "user");
            sort(&mut messages, &|a, b| place(a).cmp(&place(b)));
            let first = messages.iter().find(|message| message.view.role == "user");
            let title = first.map_or_else(|| "A chat".into(), |message| title_of(&message.view.text));
            let changed_ms = messages.last().map_or(0, |message| message.view.asked_ms);
            let order = messages.iter().map(|message| message.view.id.clone()).collect();
            for message in &mut messages {
                if is_live(&message.view.phase) {
                    message.view.phase = "truncated".into();
                    self.dirty_messages.insert((id.clone(), message.view.id.clone()), ());
                }
            }
            self.dirty.insert(id.clone(), ());
            let messages = messages.into_iter().map(|message| (message.view.id.clone(), message)).collect();
            self.messages.insert(id.clone(), messages);
            self.conversations.insert(id, Conversation { title, changed_ms, order, live: Vec::new(), pinned: None });
        }
        count
    }

    /// The store lost all rows: what is in memory is in the next batch, and the titles of the others, which are gone.
    pub fn outlive_store(&mut self) -> Vec<String> {
        self.deleted.clear();
        let messages = &self.messages;
        let mut gone = Vec::new();
        self.conversations.retain(|id, found| {
            let here = messages.contains_key(id);
            if !here {
                gone.push(found.title.clone());
            }
            here
        });
        for (id, messages) in self.messages.iter() {
            self.dirty.insert(id.clone(), ());
            let whole = messages.iter().filter(|(_, message)| message.view.phase != DAMAGED);
            self.dirty_messages.extend(whole.map(|(message, _)| ((id.clone(), message.clone()), ())));
        }
        self.growing.clear();
        gone
    }
}

impl Conversation {
    /// Its messages from the values of their rows.
    fn messages(&self, values: &[Option<Vec<u8>>]) -> Map<String, Message> {
        let read = |value: &Option<Vec<u8>>| value.as_ref().and_then(|value| json::decode_bytes(value));
        let message = |(id, value): (&String, &Option<Vec<u8>>)| {
            (id.clone(), read(value).unwrap_or_else(|| damaged(id, self.changed_ms)))
        };
        self.order.iter().zip(values).map(message).collect()
    }
}

fn damaged(id: &str, asked_ms: u64) -> Message {
    let view = MessageView { role: "assistant".into(), phase: DAMAGED.into(), ..empty_message(id.into(), asked_ms) };
    Message { view, json: Vec::new(), ask: None }
}

fn write(table: Table, key: Vec<u8>, value: &impl Json) -> Write {
    Write { table, key, value: Some(json::encode(value).into_bytes()) }
}

/// The key of a message's row.
pub fn message_key(conversation: &str, message: &str) -> Vec<u8> {
    format!("{conversation}/{message}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::Chat;

    fn book() -> (Book, Vec<Row>, String) {
        let mut next = 0;
        let mut id = || {
            next += 1;
            format!("id{next}")
        };
        let mut book = Book::default();
        let first = book.ask(Chat::New("c1".into()), None, "one", 1, &mut id, 5).unwrap();
        book.append(&first.conversation, &first.answer, "1");
        book.end(&first.conversation, &first.answer, 6);
        let conversation = first.conversation;
        let second = book.ask(Chat::Known(conversation.clone()), None, "two", 2, &mut id, 7).unwrap();
        book.append(&conversation, &second.answer, "2");
        book.settle();
        let row = |write: Write| Row { table: write.table, key: write.key, value: write.value.unwrap() };
        let rows = book.changes().into_iter().map(row).collect();
        (book, rows, conversation)
    }

    #[test]
    fn a_conversation_comes_back_from_its_messages() {
        let (book, mut rows, conversation) = book();
        rows.retain(|row| row.table == Table::Messages);
        rows.reverse();
        let mut again = Book::default();
        assert_eq!(again.recover(&rows), 1);
        let view = again.view(&conversation).unwrap();
        let texts: Vec<&str> = view.messages.iter().map(|message| &*message.text).collect();
        assert_eq!((&*view.title, texts), ("one", vec!["one", "1", "two", "2"]));
        assert_eq!(view.messages[3].phase, "truncated", "nothing goes on");
        assert_eq!(again.recover(&rows), 0, "once");
        assert!(again.changes().iter().any(|write| write.table == Table::Conversations));
        assert_eq!(again.message_rows(), book.message_rows());
    }

    #[test]
    fn a_damaged_message_keeps_its_place() {
        let (_, rows, conversation) = book();
        let mut again = Book::restore(&rows[..1]);
        let values = |key: &Vec<u8>| rows.iter().find(|row| row.key == *key).map(|row| row.value.clone());
        let mut values: Vec<_> = again.missing(&conversation).iter().map(values).collect();
        values[1] = Some(b"{".to_vec());
        values[3] = None;
        let peeked = again.peek(&conversation, &values);
        assert_eq!(again.missing(&conversation).len(), 4, "it is not in memory");
        again.fill(&conversation, &values);
        assert_eq!(again.view(&conversation), peeked);
        let phases: Vec<String> = again.view(&conversation).unwrap().messages.into_iter().map(|it| it.phase).collect();
        assert_eq!(phases, ["", DAMAGED, "", DAMAGED]);
        assert!(again.live().is_empty() && again.changes().is_empty(), "nothing is stored over it");
    }

    #[test]
    fn what_is_in_memory_outlives_the_store() {
        let (mut book, rows, conversation) = book();
        let other =
            Conversation { title: "Gone".into(), changed_ms: 1, order: Vec::new(), live: Vec::new(), pinned: None };
        book.conversations.insert("other".into(), other);
        assert_eq!(book.outlive_store(), ["Gone"]);
        assert_eq!(book.rows().len(), 1);
        assert_eq!(book.changes().len(), rows.len());
        assert!(book.view(&conversation).is_some());
    }
}
