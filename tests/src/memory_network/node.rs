//! The ends of the network in memory: each machine with what its edge keeps.

use super::Pace;
use privacyai::{
    client::{self, AskId, Client, Event, Seen},
    effect::{Batch, Millis, Row, Table},
    identity::ProviderId,
    provider::{Note, Provider, SessionId},
};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A client with what its edge keeps.
pub struct ClientNode {
    /// The machine.
    pub client: Client,
    /// How far its clock is ahead of the network's, in ms.
    pub clock: i64,
    /// All events so far.
    pub events: Vec<Event>,
    /// What was last seen of each provider.
    pub seen: BTreeMap<ProviderId, Seen>,
    pub(super) texts: BTreeMap<AskId, String>,
    pub(super) ends: BTreeMap<AskId, client::End>,
    /// What it mirrored.
    pub mirrors: BTreeMap<AskId, Vec<u8>>,
    /// Its stored rows.
    pub rows: Rows,
    pub(super) topics: BTreeSet<String>,
    pub(super) wake: Option<Millis>,
    pub(super) rng: ChaCha8Rng,
}

impl ClientNode {
    /// The text of this question so far.
    pub fn text(&self, ask: AskId) -> &str {
        self.texts.get(&ask).map_or("", String::as_str)
    }

    /// Whether it receives this content topic now.
    pub fn receives(&self, content_topic: &str) -> bool {
        self.topics.contains(content_topic)
    }

    /// How this question ended, once it has.
    pub fn end(&self, ask: AskId) -> Option<&client::End> {
        self.ends.get(&ask)
    }

    /// Does with an event what an edge does.
    pub(super) fn show(&mut self, event: Event) {
        match &event {
            Event::Provider(seen) => drop(self.seen.insert(seen.id, seen.clone())),
            Event::Text { ask, text } => self.texts.entry(*ask).or_default().push_str(text),
            Event::Resumed { ask, text_bytes, .. } => {
                self.texts.entry(*ask).or_default().truncate(*text_bytes as usize);
            }
            Event::Ended { ask, end } => {
                let before = self.ends.insert(*ask, end.clone());
                assert_eq!(before, None, "a question ends once");
            }
            _ => {}
        }
        self.events.push(event);
    }
}

/// A provider with what its edge keeps.
pub struct ProviderNode {
    /// The machine; none while the worker is down.
    pub provider: Option<Provider>,
    /// Its pace.
    pub pace: Pace,
    /// Jobs it was given.
    pub jobs: u64,
    /// Its notes.
    pub notes: Vec<Note>,
    /// Its stored rows.
    pub rows: Rows,
    /// It said that it is drained.
    pub drained: bool,
    /// Its model breaks off with this code after so many pieces.
    pub fails: Option<(u16, usize)>,
    /// It announces itself and takes no message.
    pub deaf: bool,
    pub(super) running: BTreeMap<SessionId, VecDeque<String>>,
    pub(super) topics: BTreeSet<String>,
    pub(super) wake: Option<Millis>,
    pub(super) life: u32,
    pub(super) rng: ChaCha8Rng,
}

/// Stored rows.
#[derive(Clone, Debug, Default)]
pub struct Rows(BTreeMap<(Table, Vec<u8>), Vec<u8>>);

impl Rows {
    pub(super) fn apply(&mut self, batch: Batch) {
        for write in batch {
            match write.value {
                Some(value) => self.0.insert((write.table, write.key), value),
                None => self.0.remove(&(write.table, write.key)),
            };
        }
    }

    /// All rows of one table.
    pub fn of(&self, table: Table) -> Vec<Row> {
        let rows = self.0.iter().filter(|((t, _), _)| *t == table);
        rows.map(|((table, key), value)| Row { table: *table, key: key.clone(), value: value.clone() }).collect()
    }
}
