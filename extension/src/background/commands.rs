//! What panels order, carried out or refused with a sentence.

use super::network::Way;
use super::{Background, Running};
use crate::conversation::{self, Asked, Book, Chat};
use crate::json;
use crate::mirror;
use crate::platform;
use crate::port::{Command, ConversationView, Settings, Update, new_id};
use crate::settings;
use crate::storage::Storage;
use crate::usage::Usage;
use privacyai::client::{Ask, AskId, Client, Input, Window};
use privacyai::identity::ProviderId;
use privacyai::reputation::Rating;
use std::str::FromStr;

/// Longest chat request in bytes: it must fit the largest size class with the body around it (protocol section 4).
const LONGEST_CONTENT: usize = 146_000;

impl Background {
    /// One word of a panel; what cannot be read or done is refused to that panel alone.
    pub(super) async fn obey(&mut self, panel: u32, word: &str) {
        let result = match json::decode(word) {
            Some(command) => self.carry_out(panel, command).await,
            None => Err("The panel and the background do not understand each other. Reload the extension.".into()),
        };
        if let Err(text) = result {
            self.panels.tell(panel, &Update::Refused { text });
        }
    }

    async fn carry_out(&mut self, panel: u32, command: Command) -> Result<(), String> {
        match command {
            Command::Hello => {
                let snapshot = self.snapshot().await;
                self.panels.tell(panel, &snapshot);
                self.tell_notices(panel);
            }
            Command::Ask { conversation, begins, text, replaces, provider } => {
                self.refuse_uncounted().await?;
                let chat = match conversation {
                    Some(conversation) => {
                        self.load(&conversation).await;
                        Chat::Known(conversation)
                    }
                    None => Chat::New(begins.unwrap_or_else(new_id)),
                };
                let ask = new_ask();
                let now = platform::now().0;
                let asked = self.book.ask(chat, replaces.as_deref(), &text, ask, &mut new_id, now)?;
                self.put(ask, asked, provider.as_deref(), None).await;
            }
            Command::Retry { conversation, answer, provider } => {
                self.refuse_uncounted().await?;
                self.load(&conversation).await;
                let ask = new_ask();
                // Where that answer failed, its request of the day is open to those who accepted it.
                let failed = self.book.message(&conversation, &answer);
                let unit = failed.filter(|message| message.view.unit.as_deref() == Some("open"));
                let unit = unit.and_then(|message| message.ask);
                let asked = self.book.retry(&conversation, &answer, ask, &mut new_id, platform::now().0)?;
                self.put(ask, asked, provider.as_deref(), unit).await;
            }
            Command::Rate { conversation, answer, stars, reasons } => {
                self.rate(&conversation, &answer, stars, reasons).await?;
            }
            Command::Block { provider, on } => {
                let mut new = self.settings.clone();
                new.blocked = settings::listed(&new.blocked, &provider, on);
                // Who is let in again is one of the only ones, where there are such.
                if !on && settings::leaves_out(&new, &provider) {
                    new.allowed = settings::listed(&new.allowed, &provider, true);
                }
                self.replace_settings(new).await?;
            }
            Command::Allow { provider, on } => {
                let mut new = self.settings.clone();
                new.allowed = settings::listed(&new.allowed, &provider, on);
                if on {
                    new.blocked = settings::listed(&new.blocked, &provider, false);
                }
                self.replace_settings(new).await?;
            }
            Command::Stop { answer } => self.stop(&answer).await,
            Command::Open { conversation } => {
                let view = self.view(&conversation).await.ok_or("This conversation is gone. Start a new one.")?;
                self.open = Some(conversation);
                self.panels.tell(panel, &Update::Conversation { conversation: view });
            }
            Command::Rename { conversation, title } => {
                self.book.rename(&conversation, &title, platform::now().0)?;
                self.tell_conversations();
            }
            Command::Delete { conversation } => {
                let under_way = self.book.delete(&conversation);
                self.drop_asks(under_way).await;
                if self.open.as_deref() == Some(&conversation) {
                    self.open = None;
                }
                self.tell_conversations();
            }
            Command::Choose { provider, model } => {
                self.replace_settings(Settings { provider, model, ..self.settings.clone() }).await?;
            }
            Command::Trust { provider } => {
                let id = ProviderId::from_str(&provider).map_err(|_| settings::MALFORMED)?;
                self.step(Input::Trust(id)).await;
            }
            Command::ReadInvite { text } => {
                let invite = self.read_invite(&text);
                self.panels.tell(panel, &invite);
            }
            Command::Join { text } => self.join(&text).await?,
            Command::Set { settings } => self.replace_settings(settings).await?,
            Command::TryNow => self.transport.try_now(),
            Command::Pin { conversation, on } => {
                self.book.pin(&conversation, on)?;
                self.tell_conversations();
            }
            Command::Export { conversation } => {
                self.export(panel, conversation).await;
            }
            Command::Receipts => {
                let json = self.receipts().await;
                self.panels.tell(panel, &Update::Receipts { json });
            }
            Command::Usage => {
                let usage = self.usage().await;
                self.panels.tell(panel, &usage);
            }
            Command::Find { text } => self.search(panel, text),
            Command::Import { conversations } => {
                let (mut added, mut present, mut broken) = (0, 0, 0);
                for conversation in conversations {
                    match conversation::believed(conversation).map(|believed| self.book.add(believed)) {
                        None => broken += 1,
                        Some(true) => added += 1,
                        Some(false) => present += 1,
                    }
                }
                self.tell_conversations();
                self.panels.tell(panel, &Update::Imported { added, present, broken });
            }
            Command::DeleteAll => self.delete_all().await?,
        }
        Ok(())
    }

    /// Stores the settings and tells all panels.
    pub(super) async fn keep_settings(&mut self) {
        let json = Some(json::encode(&self.settings).into_bytes());
        self.write(vec![settings::row(settings::SETTINGS, json)]).await;
        self.panels.tell_all(&Update::Settings { settings: self.settings.clone() });
    }

    /// Questions that waited for the first connection go out.
    pub(super) async fn ask_held(&mut self) {
        let held: Vec<Ask> = self.running.values_mut().filter_map(|running| running.held.take()).collect();
        for ask in held {
            self.step(Input::Ask(ask)).await;
        }
    }

    /// Questions that waited for a connection end, as there is none.
    pub(super) fn give_up_held(&mut self) {
        let held = self.running.iter().filter(|(_, running)| running.held.is_some());
        for ask in held.map(|(ask, _)| *ask).collect::<Vec<_>>() {
            self.finish(ask, "no_network", |_| ());
        }
    }

    /// Puts a question that the book has taken. It is stored with the end of this word; what the machine needs to keep
    /// before it leaves, the machine asks for itself.
    async fn put(&mut self, ask: u64, asked: Asked, provider: Option<&str>, unit: Option<u64>) {
        let Asked { conversation, answer, dropped } = asked;
        let content = self.book.content(&conversation, &answer);
        let last = self.book.last_provider(&conversation, &answer).and_then(|id| ProviderId::from_str(&id).ok());
        self.book.change(&conversation, &answer, |message| message.ask = Some(ask));
        let running = Running {
            conversation: conversation.clone(),
            answer,
            began: platform::monotonic_ms(),
            provider: None,
            unsent: false,
            held: None,
        };
        self.running.insert(ask, running);
        self.unasked.retain(|ask, ()| self.running.contains_key(ask));
        self.unasked.insert(ask, ());
        self.drop_asks(dropped).await;
        if let Some(conversation) = self.book.view(&conversation) {
            self.panels.tell_all(&Update::Conversation { conversation });
        }
        self.tell_conversations();
        self.open = Some(conversation);
        if content.len() > LONGEST_CONTENT {
            // Error 8 of protocol section 5.8, found before anything left.
            return self.finish(ask, "error", |message| message.code = Some(8));
        }
        let question = Ask {
            id: AskId(ask),
            choice: settings::choice(&self.settings, provider),
            model: if provider.is_some() { None } else { self.settings.model.clone() },
            content,
            profile: settings::profile(&self.settings),
            last,
            unit: unit.map(AskId),
        };
        if self.way.is_connected() {
            self.step(Input::Ask(question)).await;
        } else if self.way.is_lost() || self.settings.entry_nodes.is_empty() {
            self.finish(ask, "no_network", |_| ());
        } else if let Some(running) = self.running.get_mut(&ask) {
            running.held = Some(question);
        }
    }

    async fn stop(&mut self, answer: &str) {
        let found = self.running.iter().find(|(_, running)| running.answer == answer);
        let Some((ask, held)) = found.map(|(ask, running)| (*ask, running.held.is_some())) else { return };
        if held {
            self.finish(ask, "stopped", |_| ());
        } else {
            self.step(Input::Cancel(AskId(ask))).await;
        }
    }

    /// Questions whose messages are gone: nothing more of them is shown.
    async fn drop_asks(&mut self, asks: Vec<u64>) {
        for ask in asks {
            let was_held = self.running.remove(&ask).is_some_and(|running| running.held.is_some());
            mirror::keep(ask, None);
            if !was_held {
                self.step(Input::Cancel(AskId(ask))).await;
            }
        }
    }

    async fn replace_settings(&mut self, new: Settings) -> Result<(), String> {
        settings::check(&new)?;
        let dial = new.entry_nodes != self.settings.entry_nodes;
        self.settings = new;
        self.keep_settings().await;
        self.step(Input::Wishes(settings::wishes(&self.settings))).await;
        self.tell_places();
        if dial {
            self.dial_anew().await;
        }
        Ok(())
    }

    async fn view(&mut self, conversation: &str) -> Option<ConversationView> {
        self.load(conversation).await;
        self.book.view(conversation)
    }

    async fn snapshot(&mut self) -> Update {
        let open = match self.open.clone() {
            Some(conversation) => self.view(&conversation).await,
            None => None,
        };
        Update::Snapshot {
            settings: self.settings.clone(),
            network: self.network_view(),
            providers: self.first_providers(),
            conversations: self.book.rows(),
            open,
            free: self.free,
        }
    }

    async fn rate(&mut self, conversation: &str, answer: &str, stars: u8, reasons: u8) -> Result<(), String> {
        if !(1..=5).contains(&stars) {
            return Err("Stars go from 1 to 5.".into());
        }
        self.load(conversation).await;
        let rated = self.book.message(conversation, answer).and_then(|message| message.view.provider.clone());
        let provider = rated.and_then(|id| ProviderId::from_str(&id).ok()).ok_or("Nobody answered here.")?;
        let rating = Rating { provider, stars, reasons, at: platform::now() };
        self.step(Input::Rate(answer.as_bytes().to_vec(), rating)).await;
        let changed = self.book.change(conversation, answer, |message| message.view.stars = Some(stars));
        if let Some(message) = changed {
            let (conversation, message) = (conversation.to_owned(), message.view.clone());
            self.panels.tell_all(&Update::Message { conversation, message });
        }
        self.tell_places();
        Ok(())
    }

    async fn usage(&mut self) -> Update {
        let (mut usage, now) = (Usage::default(), platform::now().0);
        for id in self.book.ids() {
            let messages = match self.book.view(&id) {
                Some(view) => view.messages,
                None => Book::read(&self.stored(&id).await),
            };
            for message in &messages {
                usage.add(message, now);
            }
        }
        usage.told()
    }

    async fn delete_all(&mut self) -> Result<(), String> {
        let under_way: Vec<u64> = self.running.keys().copied().collect();
        self.drop_asks(under_way).await;
        let cleared = self.database.clear().await;
        // What waits for room or to be told is of what is gone now.
        self.unkept = Default::default();
        self.notices.clear();
        self.due.clear();
        self.search = None;
        self.client = Client::new();
        self.timer = None;
        self.book = Default::default();
        self.providers.clear();
        self.recent_first_ms.clear();
        self.places.clear();
        self.free = None;
        (self.open, self.stored_open) = (None, None);
        self.settings = settings::default_settings();
        self.way = Way::restore(None).map_err(|error| error.to_string())?;
        self.dial();
        self.begin(Vec::new(), Vec::new()).await;
        self.step(Input::Window(Window::Open)).await;
        let snapshot = self.snapshot().await;
        self.panels.tell_all(&snapshot);
        cleared.map_err(|error| format!("Not everything could be deleted: {error}. Remove the extension to be sure."))
    }
}

/// A number for a question that no earlier one of this installation had.
fn new_ask() -> u64 {
    // 53 bits, so that it stays exact in JSON read by anything.
    u64::from_be_bytes(platform::random()) >> 11
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
