//! The background's loop: what panels say, what the network does and the timer go into the client machine; what it asks
//! for is carried out in order. Every key and every word stays here; panels get views.

mod answers;
mod asked;
mod commands;
mod files;
mod keeping;
mod network;
mod panels;
mod provider;
mod search;
mod unkept;

use crate::conversation::{Book, Live};
use crate::json;
use crate::mirror;
use crate::platform::{self, Entropy};
use crate::port::{Command, FreeView, STUCK, Settings, Update};
use crate::settings;
use crate::storage::{Database, StorageError};
use crate::transport::{Happening, Owner, Transport, WAITING_HAPPENINGS, Waku};
use futures::StreamExt;
use futures::channel::mpsc;
use futures::stream::{self, select_all};
use gloo::timers::callback::Timeout;
use network::Way;
use panels::{PanelEvent, Panels};
use privacyai::client::{AskId, Client, Effect, Input, KNOWN, Seen, Window};
use privacyai::effect::{Millis, Row, Table};
use privacyai::identity::ProviderId;
use privacyai::map::{Map, Set};
use privacyai::ranking::Place;
use search::Search;
use std::collections::VecDeque;
use unkept::Unkept;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;

/// The database's name.
const DATABASE: &str = "privacyai";

/// Growing text is stored at most this often, in milliseconds (protocol section 6.5).
const SAVE_MS: f64 = 1_000.0;

/// Longest the timer sleeps at once, in milliseconds; a later time is reached in several sleeps.
const LONGEST_SLEEP_MS: u64 = 600_000;

/// Providers kept to show: as many as the client's table holds (protocol section 5.10).
const PROVIDERS: usize = 2_048;

/// Starts the background in this context, with what makes light nodes.
#[wasm_bindgen]
pub fn run_background(waku: Waku) {
    // Words for a panic cost the shipped wasm more than they tell there.
    #[cfg(debug_assertions)]
    console_error_panic_hook::set_once();
    let panels = panels::listen();
    spawn_local(async move {
        match Background::start(waku).await {
            Ok((background, happenings, ticks)) => background.run(panels, happenings, ticks).await,
            Err(error) => refuse_all(panels, &error).await,
        }
    });
}

/// Without a store nothing can be kept sealed, so nothing is begun, unless a panel has everything deleted.
async fn refuse_all(mut events: mpsc::Receiver<PanelEvent>, error: &StorageError) {
    let mut panels = Panels::default();
    let error = error.to_string();
    let error = error.trim_end_matches('.');
    let mut text = format!("{STUCK}: {error}. Free some disk space or leave private browsing, then reload.");
    while let Some(event) = events.next().await {
        match event {
            PanelEvent::Opened(id, port) => panels.open(id, port),
            PanelEvent::Said(_, word) if json::decode(&word) == Some(Command::DeleteAll) => {
                match Database::delete(DATABASE).await {
                    // The panels connect to what begins then.
                    Ok(()) => return platform::reload(),
                    Err(error) => text = format!("{STUCK}, and nothing could be deleted: {error}. Install it anew."),
                }
                panels.tell_all(&Update::Refused { text: text.clone() });
            }
            PanelEvent::Said(id, _) => panels.tell(id, &Update::Refused { text: text.clone() }),
            PanelEvent::Closed(id) => panels.close(id),
        }
    }
}

/// Everything the loop turns to.
enum Event {
    Panel(PanelEvent),
    Network(Happening),
    Tick,
    /// Providers wait to be told.
    Due,
    /// A search goes on.
    Search,
}

/// A question under way.
struct Running {
    conversation: String,
    answer: String,
    /// Monotonic time of the question, or of its resume.
    began: f64,
    provider: Option<ProviderId>,
    /// No node took it.
    unsent: bool,
    /// It waits for the first connection.
    held: Option<privacyai::client::Ask>,
}

/// The background.
struct Background {
    client: Client,
    database: Database,
    unkept: Unkept,
    /// Sentences that the next panel has to be told.
    notices: Vec<String>,
    book: Book,
    settings: Settings,
    way: Way,
    transport: Transport,
    panels: Panels,
    /// Peer ids of the usable nodes that the panels know of.
    connected: Vec<String>,
    running: Map<u64, Running>,
    providers: Map<ProviderId, Seen>,
    /// The last times to the first word.
    recent_first_ms: Map<ProviderId, Vec<u32>>,
    /// What is left of the day's free requests.
    free: Option<FreeView>,
    /// The providers in the order of the automatic choice, as it was at a monotonic time.
    places: Vec<Place>,
    placed: f64,
    /// Providers whose views the panels do not have as they are now.
    due: Set<ProviderId>,
    search: Option<Search>,
    /// Questions of which nothing has left yet.
    unasked: Set<u64>,
    /// The conversation last open, and what of that is stored.
    open: Option<String>,
    stored_open: Option<String>,
    /// Inputs that came up while effects were carried out.
    later: VecDeque<Input>,
    saved: f64,
    ticks: mpsc::Sender<Event>,
    timer: Option<Timeout>,
}

impl Background {
    async fn start(waku: Waku) -> Result<(Self, mpsc::Receiver<Happening>, mpsc::Receiver<Event>), StorageError> {
        let database = Database::open(DATABASE).await?;
        // What cannot be read is damaged, as what does not open: it stops nothing else.
        let rows = database.rows(Table::Settings).await;
        let stored = |key: &[u8]| rows.iter().find(|row| row.key == key).map(|row| row.value.clone());
        let settings = stored(settings::SETTINGS).and_then(|json| json::decode_bytes(&json));
        let way = Way::restore(stored(settings::NETWORK))?;
        let open = stored(settings::OPEN).and_then(|id| String::from_utf8(id).ok());
        let book = Book::restore(&database.rows(Table::Conversations).await);
        let mut known = Vec::new();
        for table in KNOWN {
            known.extend(database.rows(table).await);
        }
        let (happened, happenings) = mpsc::channel(WAITING_HAPPENINGS);
        let (ticks, ticked) = mpsc::channel(1);
        let mut background = Self {
            client: Client::new(),
            database,
            unkept: Unkept::default(),
            notices: Vec::new(),
            book,
            settings: settings.unwrap_or_else(settings::default_settings),
            way,
            transport: Transport::new(waku, happened),
            panels: Panels::default(),
            connected: Vec::new(),
            running: Map::new(),
            providers: Map::new(),
            recent_first_ms: Map::new(),
            free: None,
            places: Vec::new(),
            placed: 0.0,
            due: Set::new(),
            search: None,
            unasked: Set::new(),
            stored_open: open.clone(),
            open,
            later: VecDeque::new(),
            saved: platform::monotonic_ms(),
            ticks,
            timer: None,
        };
        background.mend().await;
        background.dial();
        let mirrors: Map<u64, Vec<u8>> = mirror::kept().await.into_iter().collect();
        // What left no mirror cannot go on: its request of the day is open to those who accepted it.
        let goes_on = |live: &Live| mirrors.contains_key(&live.ask).then_some(AskId(live.ask));
        let resumed = background.book.live().iter().filter_map(|(_, live)| goes_on(live)).collect();
        background.begin(known, resumed).await;
        background.resume(mirrors).await;
        background.save().await;
        Ok((background, happenings, ticked))
    }

    /// Tells the machine what is stored and what the user and the network set.
    async fn begin(&mut self, known: Vec<Row>, resumed: Vec<AskId>) {
        self.step(Input::FreeDaily(self.way.network.free_daily)).await;
        self.step(Input::Wishes(settings::wishes(&self.settings))).await;
        self.step(Input::Restored(known, resumed)).await;
    }

    async fn run(
        mut self,
        panels: mpsc::Receiver<PanelEvent>,
        happenings: mpsc::Receiver<Happening>,
        ticks: mpsc::Receiver<Event>,
    ) {
        let mut events = select_all([
            panels.map(Event::Panel).boxed_local(),
            happenings.map(Event::Network).boxed_local(),
            ticks.boxed_local(),
            stream::pending().boxed_local(),
        ]);
        while let Some(event) = events.next().await {
            match event {
                Event::Panel(PanelEvent::Opened(id, port)) => {
                    self.panels.open(id, port);
                    self.step(Input::Window(Window::Open)).await;
                }
                Event::Panel(PanelEvent::Said(id, word)) => self.obey(id, &word).await,
                Event::Panel(PanelEvent::Closed(id)) => {
                    self.panels.close(id);
                    if self.panels.is_empty() {
                        self.step(Input::Window(Window::Closed)).await;
                    }
                }
                Event::Network(happening) => self.notice(happening).await,
                Event::Tick => self.step(Input::Tick).await,
                Event::Due => self.tell_due(),
                Event::Search => self.search_on().await,
            }
            if platform::monotonic_ms() - self.saved >= SAVE_MS {
                self.book.settle();
                self.saved = platform::monotonic_ms();
            }
            self.save().await;
        }
    }

    /// One input into the machine and its effects out, with all that follow from them.
    async fn step(&mut self, input: Input) {
        self.later.push_back(input);
        while let Some(input) = self.later.pop_front() {
            for effect in self.client.handle(input, platform::now(), &mut Entropy) {
                self.carry(effect).await;
            }
        }
    }

    async fn carry(&mut self, effect: Effect) {
        match effect {
            Effect::Persist(mut batch) => {
                // An answer that ends is stored with its receipt and the day's count, or none of them.
                batch.extend(self.book.changes());
                self.write(batch).await;
            }
            Effect::Subscribe { content_topic, shard, provider } => {
                self.transport.subscribe(&content_topic, shard, self.owner(provider));
            }
            Effect::Unsubscribe { content_topic, .. } => self.transport.unsubscribe(&content_topic),
            Effect::Query { content_topic, shard, seconds } => self.transport.query(&content_topic, shard, seconds),
            Effect::Publish { ask, provider, message, attempt } => {
                if self.unasked.contains_key(&ask.0) {
                    // A question that was not counted would be free again after a restart.
                    if self.unkept.holds(Table::Quota) {
                        self.finish(ask.0, "uncounted", |_| ());
                        return self.later.push_back(Input::Cancel(ask));
                    }
                    self.unasked.remove(&ask.0);
                }
                self.transport.publish(ask.0, self.owner(Some(provider)), message, attempt);
            }
            Effect::Mirror(ask, bytes) => {
                // The mirror says up to where the text counts, so that much of it must be stored first.
                if bytes.is_some() {
                    self.book.settle();
                    self.saved = platform::monotonic_ms();
                    self.save().await;
                }
                mirror::keep(ask.0, bytes.as_deref());
            }
            Effect::Event(event) => self.show(event).await,
            Effect::WakeAt(at) => self.wake_at(at),
        }
    }

    /// What the network did.
    async fn notice(&mut self, happening: Happening) {
        match happening {
            Happening::Message { content_topic, payload, source } => {
                return self.step(Input::Message { content_topic, payload, source }).await;
            }
            Happening::Published { ask, out_and_back: (out, back) } => return self.set_route(ask, out, back),
            Happening::PublishFailed { ask } => {
                if let Some(running) = self.running.get_mut(&ask) {
                    running.unsent = true;
                }
                return self.step(Input::PublishFailed(AskId(ask))).await;
            }
            Happening::Connected => {
                self.way.connected();
                self.step(Input::Connected).await;
                self.ask_held().await;
            }
            Happening::Disconnected => {
                self.way.lost();
                self.step(Input::Disconnected).await;
            }
            Happening::Nodes => {}
        }
        if self.way.look(&self.transport.nodes()) {
            self.give_up_held();
        }
        self.tell_network();
        let connected = self.transport.connected_peers();
        if connected != self.connected {
            self.connected = connected;
            self.tell_providers();
        }
    }

    fn owner(&self, provider: Option<ProviderId>) -> Owner {
        let seen = provider.and_then(|id| self.providers.get(&id));
        Owner { provider, peer_ids: seen.map(|seen| seen.peer_ids.clone()).unwrap_or_default() }
    }

    fn wake_at(&mut self, at: Millis) {
        let wait = at.0.saturating_sub(platform::now().0).min(LONGEST_SLEEP_MS);
        let mut ticks = self.ticks.clone();
        // A full queue means that a tick waits already. The timer replaced here fires no more.
        let tick = move || drop(ticks.try_send(Event::Tick));
        self.timer = Some(Timeout::new(u32::try_from(wait).unwrap_or(u32::MAX), tick));
    }
}
