//! What the panel shows, as signals, and what its user does with it. How the background changes them stands in
//! [`super::updates`].

use std::cell::RefCell;
use std::rc::Rc;

use sycamore::prelude::*;

use super::link;
use crate::port::{
    Command, ConversationRow, FreeView, Hit, MessageView, NetworkView, ProviderView, Settings, UsageRow, new_id,
};

/// Where the panel is.
#[derive(Clone, Debug, PartialEq)]
pub enum Page {
    /// The conversation.
    Chat,
    /// The list of conversations.
    History,
    /// The providers.
    Providers,
    /// What was asked, in figures.
    Usage,
    /// The settings.
    Settings,
    /// Entry nodes, and the field for an invite.
    Network,
    /// One answer's facts, by message id.
    Details(String),
    /// A provider shows another key, by its providerId text.
    KeyChanged(String),
}

/// Times to the first word in ms, by UTC day.
pub type Firsts = Vec<(u32, Vec<u32>)>;

/// What lies over the page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Overlay {
    /// Nothing.
    None,
    /// The command palette.
    Palette,
    /// The list of keys.
    Keys,
}

/// What a pasted invite would change.
#[derive(Clone, Debug, PartialEq)]
pub struct InviteView {
    /// One line a change.
    pub changes: Vec<String>,
    /// Why it cannot be taken.
    pub error: Option<String>,
}

/// One message on the page. Its text is kept apart, so that a growing answer redraws its text alone.
#[derive(Clone)]
pub struct Row {
    /// The message id.
    pub id: Rc<str>,
    /// Everything but the text.
    pub view: Signal<MessageView>,
    /// The text so far.
    pub text: Signal<String>,
}

impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

/// The signals. Made once at the root; they live as long as the page.
#[derive(Clone, Copy)]
pub struct App {
    /// The root scope, which owns what outlives a view.
    pub scope: NodeHandle,
    /// A snapshot came.
    pub loaded: Signal<bool>,
    /// The port stands.
    pub linked: Signal<bool>,
    /// The settings.
    pub settings: Signal<Settings>,
    /// The way to the network.
    pub network: Signal<NetworkView>,
    /// What is left of the day's free requests.
    pub free: Signal<Option<FreeView>>,
    /// Seen providers, best first.
    pub providers: Signal<Vec<Rc<ProviderView>>>,
    /// Conversations, newest first.
    pub conversations: Signal<Vec<ConversationRow>>,
    /// The open conversation's id.
    pub open: Signal<Option<String>>,
    /// Its messages.
    pub rows: Signal<Vec<Row>>,
    /// The conversation asked for and not come yet.
    pub wanted: Signal<Option<String>>,
    /// The message that was found in it, by its id, until it is in view.
    pub sought: Signal<Option<String>>,
    /// The id of the conversation whose first question was sent and that has not come yet.
    pub beginning: Signal<Option<String>>,
    /// The page.
    pub page: Signal<Page>,
    /// What lies over it.
    pub overlay: Signal<Overlay>,
    /// What is being written.
    pub draft: Signal<String>,
    /// The question that the draft replaces.
    pub editing: Signal<Option<String>>,
    /// Send the draft as soon as a provider is usable.
    pub queued: Signal<bool>,
    /// The last invite read.
    pub invite: Signal<Option<InviteView>>,
    /// An answer whose question is asked again by itself, and when.
    pub line: Signal<Option<(String, f64)>>,
    /// What was asked, once it was counted, and the times to the first word by day.
    pub usage: Signal<Option<(Vec<UsageRow>, Firsts)>>,
    /// What the last search has found: its words, the hits, and whether that is all.
    pub found: Signal<(String, Vec<Hit>, bool)>,
    /// A sentence about something refused.
    pub toast: Signal<Option<String>>,
    /// Unix ms, once a second.
    pub now_ms: Signal<f64>,
}

/// Settings until the first snapshot.
fn no_settings() -> Settings {
    Settings { profile: "balanced".into(), theme: "system".into(), ..Settings::default() }
}

thread_local! {
    /// What was sent last, to give it back when it is refused.
    static SENT: RefCell<String> = const { RefCell::new(String::new()) };
}

/// What was sent last, when it was refused.
pub fn take_sent() -> String {
    SENT.take()
}

impl App {
    /// The signals at their start.
    pub fn create() -> Self {
        Self {
            scope: use_global_scope(),
            loaded: create_signal(false),
            linked: create_signal(false),
            settings: create_signal(no_settings()),
            network: create_signal(NetworkView::default()),
            free: create_signal(None),
            providers: create_signal(Vec::new()),
            conversations: create_signal(Vec::new()),
            open: create_signal(None),
            rows: create_signal(Vec::new()),
            wanted: create_signal(None),
            sought: create_signal(None),
            beginning: create_signal(None),
            page: create_signal(Page::Chat),
            overlay: create_signal(Overlay::None),
            draft: create_signal(String::new()),
            editing: create_signal(None),
            queued: create_signal(false),
            invite: create_signal(None),
            line: create_signal(None),
            usage: create_signal(None),
            found: create_signal(Default::default()),
            toast: create_signal(None),
            now_ms: create_signal(js_sys::Date::now()),
        }
    }

    /// Sends a command.
    pub fn send(self, command: Command) {
        link::send(&command);
    }

    /// A provider by its id text.
    pub fn provider(self, id: &str) -> Option<Rc<ProviderView>> {
        self.providers.with(|all| all.iter().find(|provider| provider.id == id).cloned())
    }

    /// Who would read the next question: the chosen provider, or in automatic the best usable one.
    pub fn reader(self) -> Option<Rc<ProviderView>> {
        match self.settings.with(|settings| settings.provider.clone()) {
            Some(id) => self.provider(&id),
            None => self.providers.with(|all| all.iter().find(|provider| is_ready(provider)).cloned()),
        }
    }

    /// Everyone who may be asked next: the chosen provider, or in automatic all usable ones.
    pub fn readers(self) -> Vec<Rc<ProviderView>> {
        if self.settings.with(|settings| settings.provider.is_some()) {
            return self.reader().into_iter().filter(|reader| reader.usable).collect();
        }
        self.providers.with(|all| all.iter().filter(|provider| is_ready(provider)).cloned().collect())
    }

    /// The first usable provider other than this one.
    pub fn other_than(self, id: Option<&str>) -> Option<Rc<ProviderView>> {
        self.providers.with(|all| all.iter().find(|provider| is_ready(provider) && Some(&*provider.id) != id).cloned())
    }

    /// The answer that runs now.
    pub fn running(self) -> Option<Row> {
        let last = self.rows.with(|rows| rows.last().cloned())?;
        last.view.with(|view| view.role == "assistant" && is_running(&view.phase)).then_some(last)
    }

    /// Whether no message follows the one of this id.
    pub fn is_newest(self, id: &str) -> bool {
        self.rows.with(|rows| rows.last().is_some_and(|row| *row.id == *id))
    }

    /// Sends the draft, or says why not by opening what must be decided first.
    pub fn ask(self) {
        let text = self.draft.get_clone().trim().to_owned();
        if text.is_empty() || self.running().is_some() || self.beginning.with(Option::is_some) {
            return;
        }
        if super::quota::spent(self).is_some() {
            return;
        }
        let changed = self.settings.with(|settings| settings.provider.clone()).and_then(|id| self.provider(&id));
        if let Some(provider) = changed.filter(|provider| provider.key_changed_from.is_some()) {
            self.go(Page::KeyChanged(provider.id.clone()));
            return;
        }
        if !self.reader().is_some_and(|reader| reader.usable) {
            self.queued.set(true);
            return;
        }
        self.queued.set(false);
        let replaces = self.editing.get_clone();
        self.editing.set(None);
        SENT.set(text.clone());
        let conversation = self.open.get_clone();
        let begins = conversation.is_none().then(new_id);
        self.beginning.set(begins.clone());
        self.send(Command::Ask { conversation, begins, text, replaces, provider: None });
        self.draft.set(String::new());
    }

    /// Opens a conversation.
    pub fn open_conversation(self, id: &str) {
        self.sought.set(None);
        self.wanted.set(Some(id.to_owned()));
        self.send(Command::Open { conversation: id.to_owned() });
        self.go(Page::Chat);
    }

    /// Opens a conversation where words were found in it.
    pub fn open_found(self, hit: &Hit) {
        self.open_conversation(&hit.conversation);
        self.sought.set(Some(hit.message.clone()));
    }

    /// Leaves the open conversation for an empty one.
    pub fn new_chat(self) {
        self.sought.set(None);
        self.open.set(None);
        self.wanted.set(None);
        self.beginning.set(None);
        self.replace_rows(Vec::new());
        self.editing.set(None);
        self.go(Page::Chat);
        super::keyboard::focus_composer();
    }

    /// Goes to a page; the address follows.
    pub fn go(self, page: Page) {
        if self.page.with(|now| *now != page) {
            self.page.set(page);
        }
    }

    /// Replaces the settings, here at once and in the background.
    pub fn set(self, change: impl FnOnce(&mut Settings)) {
        let mut settings = self.settings.get_clone_untracked();
        change(&mut settings);
        self.settings.set(settings.clone());
        self.send(Command::Set { settings });
    }

    /// Chooses who answers from the next question on; none is automatic.
    pub fn choose(self, provider: Option<String>, model: Option<String>) {
        self.settings.update(|settings| {
            settings.provider.clone_from(&provider);
            settings.model.clone_from(&model);
        });
        self.send(Command::Choose { provider, model });
    }

    /// Deletes everything, the draft too.
    pub fn forget(self) {
        self.send(Command::DeleteAll);
        SENT.take();
        self.toast.set(None);
        self.draft.set(String::new());
        self.new_chat();
    }
}

/// Whether automatic may ask this one: a key that changed is its user's to decide on first, and some are never asked.
pub fn is_ready(provider: &ProviderView) -> bool {
    provider.usable && provider.key_changed_from.is_none() && !provider.equivocated && !provider.blocked
}

/// The phases in which an answer still may come.
pub fn is_running(phase: &str) -> bool {
    matches!(phase, "waiting" | "streaming" | "stalled")
}
