//! What is kept in the browser's store, and what becomes of it when the store is full, emptied or damaged: it is told,
//! what can be kept is kept, and only what is damaged begins anew.

use super::{Background, DATABASE, Event};
use crate::json;
use crate::platform;
use crate::port::{FULL, UNCOUNTED, Update};
use crate::settings;
use crate::storage::{Database, Origin, Storage, StorageError};
use gloo::timers::callback::Timeout;
use privacyai::client::{Input, KNOWN};
use privacyai::effect::{Batch, Table};

/// What could not be kept is tried again after so long, in ms.
const RETRY_MS: u32 = 5_000;

/// Messages read at once: more would hold up the panels, whose thread opens them too.
const AT_ONCE: usize = 200;

/// Titles that are named of conversations that are gone.
const NAMED: usize = 5;

impl Background {
    /// Stores what changed in the conversations.
    pub(super) async fn save(&mut self) {
        let mut batch = self.book.changes();
        if self.open != self.stored_open {
            self.stored_open = self.open.clone();
            batch.push(settings::row(settings::OPEN, self.open.clone().map(String::into_bytes)));
        }
        self.write(batch).await;
    }

    /// Stores these writes with those that the store did not take before.
    pub(super) async fn write(&mut self, batch: Batch) {
        // What is deleted may make room, so it does not wait.
        let frees = batch.iter().any(|write| write.value.is_none());
        self.unkept.add(batch);
        if self.unkept.batch().is_empty() || (!frees && platform::monotonic_ms() < self.unkept.until) {
            return;
        }
        let mut result = self.database.write(self.unkept.batch()).await;
        match &result {
            Ok(()) => {}
            Err(error) if error.is_full() => {
                let frees = self.unkept.frees();
                if !frees.is_empty() && self.database.write(&frees).await.is_ok() {
                    self.unkept.freed();
                    result = self.database.write(self.unkept.batch()).await;
                }
            }
            Err(_) => {
                if self.reopen().await.is_ok() {
                    result = self.database.write(self.unkept.batch()).await;
                }
            }
        }
        match result {
            Ok(()) => self.is_kept(),
            Err(error) => self.is_not_kept(&error),
        }
    }

    /// Refuses a question while the store takes nothing: it would leave uncounted.
    pub(super) async fn refuse_uncounted(&mut self) -> Result<(), String> {
        // There may be room since it was tried last.
        self.unkept.until = 0.0;
        self.write(Batch::new()).await;
        if self.unkept.batch().is_empty() { Ok(()) } else { Err(UNCOUNTED.into()) }
    }

    fn is_kept(&mut self) {
        if self.unkept.kept() {
            self.tell_all("Everything is kept again.".into());
        }
    }

    fn is_not_kept(&mut self, error: &StorageError) {
        self.unkept.until = platform::monotonic_ms() + f64::from(RETRY_MS);
        let mut ticks = self.ticks.clone();
        Timeout::new(RETRY_MS, move || drop(ticks.try_send(Event::Due))).forget();
        let text = if error.is_full() { FULL.into() } else { format!("Something could not be kept: {error}.") };
        if self.unkept.told.as_ref() != Some(&text) {
            self.panels.tell_all(&Update::Notice { text: text.clone() });
            self.unkept.told = Some(text);
        }
    }

    /// Opens the store again, after it was closed under this program. Where it was emptied, what is in memory goes back.
    async fn reopen(&mut self) -> Result<(), StorageError> {
        self.database = Database::open(DATABASE).await?;
        if self.database.origin() == Origin::Kept {
            return Ok(());
        }
        let gone = self.book.outlive_store();
        let kept = self.book.rows().len();
        self.open = self.open.take().filter(|id| self.book.view(id).is_some());
        self.stored_open = None;
        let mut batch = self.book.changes();
        let json = json::encode(&self.settings).into_bytes();
        batch.push(settings::row(settings::SETTINGS, Some(json)));
        let network = self.way.network.to_json().ok().map(String::into_bytes);
        batch.push(settings::row(settings::NETWORK, network));
        self.unkept.forget();
        self.unkept.add(batch);
        self.later.push_back(Input::StoreLost);
        self.tell_conversations();
        let gone = match gone.len() {
            0 => "No chat is lost".into(),
            count => {
                let named: Vec<String> = gone.iter().take(NAMED).map(|title| format!("“{title}”")).collect();
                let more = if count > NAMED { " and others" } else { "" };
                format!("{} gone: {}{more}", chats(count, "is", "are"), named.join(", "))
            }
        };
        self.tell_all(format!(
            "The browser's store was emptied while this ran. {} kept, with all receipts and settings. {gone}.",
            chats(kept, "that was open here is", "that were open here are")
        ));
        Ok(())
    }

    /// The values of the rows of a conversation that is not in memory.
    pub(super) async fn stored(&mut self, conversation: &str) -> Vec<Option<Vec<u8>>> {
        let missing = self.book.missing(conversation);
        let mut values = Vec::with_capacity(missing.len());
        for keys in missing.chunks(AT_ONCE) {
            if let Ok(read) = self.database.get_all(Table::Messages, keys).await {
                values.extend(read);
                continue;
            }
            // Not all can be read: what can is not lost with the others.
            for key in keys {
                let mut value = self.database.get(Table::Messages, key).await;
                if value.is_err() && self.reopen().await.is_ok() {
                    value = self.database.get(Table::Messages, key).await;
                }
                values.push(value.ok().flatten());
            }
        }
        values
    }

    /// Brings a conversation into memory.
    pub(super) async fn load(&mut self, conversation: &str) {
        let values = self.stored(conversation).await;
        if self.book.view(conversation).is_none() {
            self.book.fill(conversation, &values);
            // Whoever shows it writes it for the panel next, in a task of its own.
            platform::sleep(0).await;
        }
    }

    /// After a start: what is damaged is made anew as far as it can be, and told.
    pub(super) async fn mend(&mut self) {
        if self.database.origin() == Origin::KeysLost {
            // All that is there is unreadable for ever. What is left of it is damaged at the next start.
            drop(self.database.clear().await);
            self.notices.push(
                "The key that sealed what this browser kept is gone, so nobody can read it any more. Everything begins anew."
                    .into(),
            );
            return;
        }
        let damaged = self.database.damaged();
        let count = |table: Table| damaged.iter().filter(|of| **of == table).count();
        let mut said = Vec::new();
        let entries = count(Table::Conversations);
        // A conversation without its row leaves messages that belong to none.
        let rows = self.database.count(Table::Messages).await.unwrap_or_default();
        if entries > 0 || rows as usize > self.book.message_rows() {
            let recovered = self.book.recover(&self.database.rows(Table::Messages).await);
            if recovered > 0 {
                said.push(format!("{} made anew from the messages", chats(recovered, "is", "are")));
            }
            if entries > recovered {
                said.push(format!("{} lost", chats(entries - recovered, "is", "are")));
            }
        }
        for (table, words) in [
            (Table::Settings, "settings are as new where they were damaged"),
            (Table::Quota, "today's free questions are counted anew"),
            (Table::Providers, "known providers are learned anew"),
            (Table::Health, "some of what was measured of providers is forgotten"),
            (Table::Ratings, "some of your stars are forgotten"),
            (Table::Receipts, "some receipts are lost"),
        ] {
            if count(table) > 0 {
                said.push(words.into());
            }
        }
        if !said.is_empty() {
            self.notices
                .push(format!("Some of what this browser kept was damaged: {}. All else is fine.", said.join(", ")));
        }
        // What is told needs to be told once. A damaged message stays, and says so in its place.
        for table in [Table::Conversations, Table::Settings].into_iter().chain(KNOWN) {
            drop(self.database.drop_damaged(table).await);
        }
    }

    /// A sentence for all panels, and for the next one when there is none.
    fn tell_all(&mut self, text: String) {
        if self.panels.is_empty() {
            self.notices.push(text);
        } else {
            self.panels.tell_all(&Update::Notice { text });
        }
    }

    /// What a new panel has to know.
    pub(super) fn tell_notices(&mut self, panel: u32) {
        let told = std::mem::take(&mut self.notices).into_iter().chain(self.unkept.told.clone());
        let text = told.collect::<Vec<String>>().join(" ");
        if !text.is_empty() {
            self.panels.tell(panel, &Update::Notice { text });
        }
    }
}

/// "1 chat is", "3 chats are".
fn chats(count: usize, one: &str, many: &str) -> String {
    if count == 1 { format!("1 chat {one}") } else { format!("{count} chats {many}") }
}
