//! Conversations: what was asked and answered, in memory as far as it was opened, and as rows to store. It knows no
//! network and no clock; what changed since the last save comes out as one batch.

use crate::json::{self, Json, record};
use crate::port::{ConversationRow, ConversationView, MessageView};
use privacyai::effect::Table;
use privacyai::map::{Map, Set, sort};
use rows::message_key;
use serde_json::Value;

mod import;
mod rows;

pub use import::believed;
use import::is_id;

/// Longest question in bytes: more does not fit one request (protocol section 4).
pub const LONGEST_TEXT: usize = 128 * 1024;

/// Longest answer kept in bytes; the protocol's 32,768 frames hold less than this.
const LONGEST_ANSWER: usize = 16 * 1024 * 1024;

/// Characters of a title made from the first question.
const TITLE: usize = 48;

/// The phase of a message whose row cannot be read.
pub const DAMAGED: &str = "damaged";

/// Most JSON events kept with an answer; one a tool call, so this is far above what a model sends.
const JSON_EVENTS: usize = 256;

record! {
    /// A message as it is stored.
    #[derive(Clone, Debug)]
    pub struct Message {
        /// What the panel shows of it.
        pub view: MessageView,
        /// JSON events of the answer (reasoning, tool calls), in order.
        pub json: Vec<String>,
        /// The question's number at the client machine, for an answer.
        pub ask: Option<u64>,
    }
}

record! {
    /// An answer that was still coming when this was stored.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Live {
        /// The answer's message id.
        pub answer: String,
        /// The question's number at the client machine.
        pub ask: u64,
    }
}

record! {
    /// A conversation as it is stored: its messages lie in rows of their own.
    #[derive(Clone, Debug)]
    pub struct Conversation {
        title: String,
        changed_ms: u64,
        order: Vec<String>,
        live: Vec<Live>,
        pinned: Option<bool>,
    }
}

impl Conversation {
    /// As it is shown and exported.
    fn view(&self, id: &str, messages: &Map<String, Message>) -> ConversationView {
        ConversationView {
            id: id.to_owned(),
            title: self.title.clone(),
            messages: self.order.iter().filter_map(|id| Some(messages.get(id)?.view.clone())).collect(),
            pinned: self.pinned,
        }
    }
}

/// Where a question is asked.
pub enum Chat {
    /// In the conversation of this id.
    Known(String),
    /// In a new one of this id.
    New(String),
}

/// A new question and the empty message for its answer.
#[derive(Debug, PartialEq)]
pub struct Asked {
    /// The conversation.
    pub conversation: String,
    /// The answer's message id.
    pub answer: String,
    /// Questions that were under way in messages dropped by this one.
    pub dropped: Vec<u64>,
}

/// What is said of a conversation that is not there.
const GONE: Refusal = "This conversation is gone. Start a new one.";

/// Why a command cannot be done; one sentence each for what failed and what to do.
pub type Refusal = &'static str;

/// All conversations.
#[derive(Debug, Default)]
pub struct Book {
    conversations: Map<String, Conversation>,
    messages: Map<String, Map<String, Message>>,
    dirty: Set<String>,
    dirty_messages: Set<(String, String)>,
    /// Messages whose text grew since it was saved: they wait for [`Book::settle`].
    growing: Set<(String, String)>,
    deleted: Vec<(Table, Vec<u8>)>,
}

impl Book {
    /// All answers that were under way, as (conversation, answer).
    pub fn live(&self) -> Vec<(String, Live)> {
        let of = |(id, found): (&String, &Conversation)| {
            found.live.iter().map(|live| (id.clone(), live.clone())).collect::<Vec<_>>()
        };
        self.conversations.iter().flat_map(of).collect()
    }

    /// The list: pinned ones, then the others, each newest first.
    pub fn rows(&self) -> Vec<ConversationRow> {
        let mut rows: Vec<_> = self
            .conversations
            .iter()
            .map(|(id, found)| ConversationRow {
                id: id.clone(),
                title: found.title.clone(),
                changed_ms: found.changed_ms,
                messages: u32::try_from(found.order.len()).unwrap_or(u32::MAX),
                pinned: found.pinned == Some(true),
            })
            .collect();
        let last = |row: &ConversationRow| (row.pinned, row.changed_ms);
        sort(&mut rows, &|a, b| last(b).cmp(&last(a)).then_with(|| a.id.cmp(&b.id)));
        rows
    }

    /// All ids.
    pub fn ids(&self) -> Vec<String> {
        self.conversations.keys().cloned().collect()
    }

    /// A conversation, whole, when it is in memory.
    pub fn view(&self, conversation: &str) -> Option<ConversationView> {
        let found = self.conversations.get(conversation)?;
        Some(found.view(conversation, self.messages.get(conversation)?))
    }

    /// A message.
    pub fn message(&self, conversation: &str, message: &str) -> Option<&Message> {
        self.messages.get(conversation)?.get(message)
    }

    /// Adds a question and an empty answer. `replaces` drops that earlier question and everything after it.
    pub fn ask(
        &mut self,
        conversation: Chat,
        replaces: Option<&str>,
        text: &str,
        ask: u64,
        new_id: &mut impl FnMut() -> String,
        now_ms: u64,
    ) -> Result<Asked, Refusal> {
        if text.trim().is_empty() {
            return Err("There is nothing to ask. Type a question first.");
        }
        if text.len() > LONGEST_TEXT {
            return Err("The question is too long for one request. Shorten it to 128 KiB.");
        }
        let conversation = match conversation {
            Chat::Known(id) if self.messages.contains_key(&id) => id,
            Chat::Known(_) => return Err(GONE),
            Chat::New(id) => {
                // What is there already is not written over, whoever names it.
                if !is_id(&id) || self.conversations.contains_key(&id) {
                    return Err("No conversation can begin under this id. Reload the panel.");
                }
                let title = title_of(text);
                let new = Conversation { title, changed_ms: now_ms, order: Vec::new(), live: Vec::new(), pinned: None };
                self.conversations.insert(id.clone(), new);
                self.messages.insert(id.clone(), Map::new());
                id
            }
        };
        let dropped = match replaces {
            Some(question) => self.drop_from(&conversation, question)?,
            None => self.refuse_two(&conversation)?,
        };
        let question = MessageView { role: "user".into(), text: text.into(), ..empty_message(new_id(), now_ms) };
        self.push(&conversation, question);
        Ok(self.begin_answer(conversation, dropped, ask, new_id(), now_ms))
    }

    /// Drops the newest answer and begins a new one for the same question. An older one is refused, as what followed it
    /// would go without a word.
    pub fn retry(
        &mut self,
        conversation: &str,
        answer: &str,
        ask: u64,
        new_id: &mut impl FnMut() -> String,
        now_ms: u64,
    ) -> Result<Asked, Refusal> {
        let found = self.conversations.get(conversation).ok_or(GONE)?;
        if found.order.last().is_none_or(|last| last != answer) {
            return Err("Only the newest answer can be asked again. Edit the older question instead.");
        }
        let dropped = self.drop_from(conversation, answer)?;
        Ok(self.begin_answer(conversation.to_owned(), dropped, ask, new_id(), now_ms))
    }

    /// Who gave the last whole answer before this one.
    pub fn last_provider(&self, conversation: &str, answer: &str) -> Option<String> {
        let order = &self.conversations.get(conversation)?.order;
        let messages = self.messages.get(conversation)?;
        let before = order.iter().take_while(|id| *id != answer).filter_map(|id| messages.get(id));
        before
            .filter(|message| message.view.phase == "complete")
            .filter_map(|message| message.view.provider.clone())
            .last()
    }

    /// The chat request for an answer: every earlier message, none left out silently. Answers without a word are
    /// skipped, as they say nothing.
    pub fn content(&self, conversation: &str, answer: &str) -> Vec<u8> {
        let view = self.view(conversation);
        let messages: Vec<Value> = view
            .iter()
            .flat_map(|view| &view.messages)
            .take_while(|message| message.id != answer)
            .filter(|message| !message.text.is_empty())
            .map(|message| json::object(vec![("role", message.role.to_json()), ("content", message.text.to_json())]))
            .collect();
        json::object(vec![("messages", Value::Array(messages))]).to_string().into_bytes()
    }

    /// Changes a message; it is in the next batch.
    pub fn change(&mut self, conversation: &str, message: &str, change: impl FnOnce(&mut Message)) -> Option<&Message> {
        let found = self.messages.get_mut(conversation)?.get_mut(message)?;
        change(found);
        self.dirty_messages.insert((conversation.to_owned(), message.to_owned()), ());
        Some(found)
    }

    /// More text at the end of an answer.
    pub fn append(&mut self, conversation: &str, answer: &str, text: &str) {
        self.grow(conversation, answer, |message| {
            if message.view.text.len() + text.len() <= LONGEST_ANSWER {
                message.view.text.push_str(text);
            }
        });
    }

    /// One more JSON event of an answer.
    pub fn append_json(&mut self, conversation: &str, answer: &str, json: &[u8]) {
        self.grow(conversation, answer, |message| {
            if message.json.len() < JSON_EVENTS
                && let Ok(json) = std::str::from_utf8(json)
            {
                message.json.push(json.to_owned());
            }
        });
    }

    /// Puts text that grew into the next batch as well.
    pub fn settle(&mut self) {
        self.dirty_messages.extend(std::mem::take(&mut self.growing));
    }

    fn grow(&mut self, conversation: &str, answer: &str, change: impl FnOnce(&mut Message)) {
        if let Some(found) = self.messages.get_mut(conversation).and_then(|of| of.get_mut(answer)) {
            change(found);
            self.growing.insert((conversation.to_owned(), answer.to_owned()), ());
        }
    }

    /// Cuts an answer to what counts after a resume; false when less than that was kept, so that there is a gap.
    pub fn cut(&mut self, conversation: &str, answer: &str, text_bytes: u64, json_events: u64) -> bool {
        let mut whole = false;
        self.change(conversation, answer, |message| {
            let bytes = usize::try_from(text_bytes).unwrap_or(usize::MAX);
            let events = usize::try_from(json_events).unwrap_or(usize::MAX);
            let text = &mut message.view.text;
            whole = text.is_char_boundary(bytes) && message.json.len() >= events.min(JSON_EVENTS);
            if whole {
                text.truncate(bytes);
                message.json.truncate(events);
            }
        });
        whole
    }

    /// The answer comes no more: its conversation forgets that it was under way.
    pub fn end(&mut self, conversation: &str, answer: &str, now_ms: u64) {
        if let Some(found) = self.conversations.get_mut(conversation) {
            found.live.retain(|live| live.answer != answer);
            found.changed_ms = now_ms;
            self.dirty.insert(conversation.to_owned(), ());
        }
    }

    /// Gives a conversation another title.
    pub fn rename(&mut self, conversation: &str, title: &str, now_ms: u64) -> Result<(), Refusal> {
        let title: String = title.trim().chars().take(4 * TITLE).collect();
        if title.is_empty() {
            return Err("A title needs at least one character. Type one.");
        }
        let found = self.conversations.get_mut(conversation).ok_or("This conversation is gone.")?;
        found.title = title;
        found.changed_ms = now_ms;
        self.dirty.insert(conversation.to_owned(), ());
        Ok(())
    }

    /// Keeps a conversation at the top of the list, or not.
    pub fn pin(&mut self, conversation: &str, on: bool) -> Result<(), Refusal> {
        let found = self.conversations.get_mut(conversation).ok_or("This conversation is gone.")?;
        found.pinned = on.then_some(true);
        self.dirty.insert(conversation.to_owned(), ());
        Ok(())
    }

    /// Deletes a conversation with all its messages; gives the questions that were under way in it.
    pub fn delete(&mut self, conversation: &str) -> Vec<u64> {
        let Some(found) = self.conversations.remove(conversation) else { return Vec::new() };
        self.messages.remove(conversation);
        self.dirty.remove(conversation);
        self.dirty_messages.retain(|(of, _), ()| of != conversation);
        self.deleted.push((Table::Conversations, conversation.as_bytes().to_vec()));
        let keys = found.order.iter().map(|id| (Table::Messages, message_key(conversation, id)));
        self.deleted.extend(keys);
        found.live.iter().map(|live| live.ask).collect()
    }

    fn refuse_two(&self, conversation: &str) -> Result<Vec<u64>, Refusal> {
        match self.conversations.get(conversation) {
            Some(found) if found.live.is_empty() => Ok(Vec::new()),
            Some(_) => Err("An answer is still coming. Wait for it or stop it first."),
            None => Err(GONE),
        }
    }

    fn drop_from(&mut self, conversation: &str, message: &str) -> Result<Vec<u64>, Refusal> {
        let found = self.conversations.get_mut(conversation).ok_or(GONE)?;
        let from = found.order.iter().position(|id| id == message).ok_or("This message is gone already.")?;
        let dropped = found.order.split_off(from);
        let (gone, live): (Vec<_>, Vec<_>) =
            std::mem::take(&mut found.live).into_iter().partition(|live| dropped.contains(&live.answer));
        found.live = live;
        self.dirty.insert(conversation.to_owned(), ());
        for id in dropped {
            if let Some(messages) = self.messages.get_mut(conversation) {
                messages.remove(&id);
            }
            self.dirty_messages.remove(&(conversation.to_owned(), id.clone()));
            self.deleted.push((Table::Messages, message_key(conversation, &id)));
        }
        Ok(gone.iter().map(|live| live.ask).collect())
    }

    fn begin_answer(&mut self, conversation: String, dropped: Vec<u64>, ask: u64, id: String, now_ms: u64) -> Asked {
        let answer = MessageView { role: "assistant".into(), phase: "waiting".into(), ..empty_message(id, now_ms) };
        let id = answer.id.clone();
        self.push(&conversation, answer);
        if let Some(found) = self.conversations.get_mut(&conversation) {
            found.live.push(Live { answer: id.clone(), ask });
            found.changed_ms = now_ms;
        }
        Asked { conversation, answer: id, dropped }
    }

    fn push(&mut self, conversation: &str, view: MessageView) {
        let id = view.id.clone();
        if let (Some(found), Some(messages)) =
            (self.conversations.get_mut(conversation), self.messages.get_mut(conversation))
        {
            found.order.push(id.clone());
            messages.insert(id.clone(), Message { view, json: Vec::new(), ask: None });
            self.dirty.insert(conversation.to_owned(), ());
            self.dirty_messages.insert((conversation.to_owned(), id), ());
        }
    }
}

/// Whether an answer in this phase is still coming.
pub fn is_live(phase: &str) -> bool {
    matches!(phase, "waiting" | "streaming" | "stalled")
}

fn title_of(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default().trim();
    let mut title: String = line.chars().take(TITLE).collect();
    if line.chars().count() > TITLE {
        title.push('…');
    }
    title
}

fn empty_message(id: String, now_ms: u64) -> MessageView {
    MessageView { id, asked_ms: now_ms, ..MessageView::default() }
}

#[cfg(test)]
mod tests;
