//! What the panel shows: signals, and how each update of the background changes them. Text that grows waits for the
//! next frame, so that a stream writes to the page at most once a frame.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use gloo::timers::callback::Timeout;
use sycamore::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;

use super::link;
use crate::port::{
    Command, ConversationRow, ConversationView, MessageView, NetworkView, ProviderView, Settings, Update,
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
    /// The settings.
    Settings,
    /// Entry nodes, and the field for an invite.
    Network,
    /// One answer's facts, by message id.
    Details(String),
    /// A provider shows another key, by its providerId text.
    KeyChanged(String),
}

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
    /// Seen providers, best first.
    pub providers: Signal<Vec<ProviderView>>,
    /// Conversations, newest first.
    pub conversations: Signal<Vec<ConversationRow>>,
    /// The open conversation's id.
    pub open: Signal<Option<String>>,
    /// Its messages.
    pub rows: Signal<Vec<Row>>,
    /// The conversation asked for and not come yet.
    pub wanted: Signal<Option<String>>,
    /// A first question was sent and its conversation is not known yet.
    pub beginning: Signal<bool>,
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
    /// A sentence about something refused.
    pub toast: Signal<Option<String>>,
    /// Unix ms, once a second.
    pub now_ms: Signal<f64>,
}

/// Settings until the first snapshot.
fn no_settings() -> Settings {
    Settings {
        entry_nodes: Vec::new(),
        profile: "balanced".into(),
        theme: "system".into(),
        whole_answers: false,
        provider: None,
        model: None,
    }
}

/// Text that waits for the next frame: (message id, piece).
type Pending = Rc<RefCell<VecDeque<(String, String)>>>;

thread_local! {
    static PENDING: Pending = Pending::default();
    /// What was sent last, to give it back when it is refused.
    static SENT: RefCell<String> = const { RefCell::new(String::new()) };
}

impl App {
    /// The signals at their start; the draft is the one kept for this panel.
    pub fn create() -> Self {
        Self {
            scope: use_global_scope(),
            loaded: create_signal(false),
            linked: create_signal(false),
            settings: create_signal(no_settings()),
            network: create_signal(NetworkView::default()),
            providers: create_signal(Vec::new()),
            conversations: create_signal(Vec::new()),
            open: create_signal(None),
            rows: create_signal(Vec::new()),
            wanted: create_signal(None),
            beginning: create_signal(false),
            page: create_signal(Page::Chat),
            overlay: create_signal(Overlay::None),
            draft: create_signal(kept_draft()),
            editing: create_signal(None),
            queued: create_signal(false),
            invite: create_signal(None),
            toast: create_signal(None),
            now_ms: create_signal(js_sys::Date::now()),
        }
    }

    /// Sends a command.
    pub fn send(self, command: Command) {
        link::send(&command);
    }

    /// A provider by its id text.
    pub fn provider(self, id: &str) -> Option<ProviderView> {
        self.providers.with(|all| all.iter().find(|provider| provider.id == id).cloned())
    }

    /// Who would read the next question: the chosen provider, or in automatic the best usable one.
    pub fn reader(self) -> Option<ProviderView> {
        match self.settings.with(|settings| settings.provider.clone()) {
            Some(id) => self.provider(&id),
            None => self.providers.with(|all| all.iter().find(|provider| provider.usable).cloned()),
        }
    }

    /// Everyone who may be asked next: the chosen provider, or in automatic all usable ones.
    pub fn readers(self) -> Vec<ProviderView> {
        if self.settings.with(|settings| settings.provider.is_some()) {
            return self.reader().into_iter().filter(|reader| reader.usable).collect();
        }
        self.providers.with(|all| {
            all.iter()
                .filter(|provider| provider.usable && provider.key_changed_from.is_none() && !provider.equivocated)
                .cloned()
                .collect()
        })
    }

    /// The first usable provider other than this one.
    pub fn other_than(self, id: Option<&str>) -> Option<ProviderView> {
        self.providers.with(|all| {
            all.iter()
                .find(|provider| provider.usable && provider.key_changed_from.is_none() && Some(&*provider.id) != id)
                .cloned()
        })
    }

    /// The answer that runs now.
    pub fn running(self) -> Option<Row> {
        let last = self.rows.with(|rows| rows.last().cloned())?;
        last.view.with(|view| view.role == "assistant" && is_running(&view.phase)).then_some(last)
    }

    /// Sends the draft, or says why not by opening what must be decided first.
    pub fn ask(self) {
        let text = self.draft.get_clone().trim().to_owned();
        if text.is_empty() || self.running().is_some() || self.beginning.get() {
            return;
        }
        let changed = self.settings.with(|settings| settings.provider.clone()).and_then(|id| self.provider(&id));
        if let Some(provider) = changed.filter(|provider| provider.key_changed_from.is_some()) {
            self.go(Page::KeyChanged(provider.id));
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
        self.beginning.set(self.open.with(Option::is_none));
        self.send(Command::Ask { conversation: self.open.get_clone(), text, replaces, provider: None });
        self.draft.set(String::new());
    }

    /// Opens a conversation.
    pub fn open_conversation(self, id: &str) {
        self.wanted.set(Some(id.to_owned()));
        self.send(Command::Open { conversation: id.to_owned() });
        self.go(Page::Chat);
    }

    /// Leaves the open conversation for an empty one.
    pub fn new_chat(self) {
        self.open.set(None);
        self.wanted.set(None);
        self.beginning.set(false);
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
        self.draft.set(String::new());
        self.new_chat();
    }

    /// Takes one update in.
    pub fn apply(self, update: Update) {
        match update {
            Update::Snapshot { settings, network, providers, conversations, open } => batch(|| {
                self.linked.set(true);
                self.settings.set(settings);
                self.network.set(network);
                self.providers.set(sorted(providers));
                self.conversations.set(conversations);
                self.reopen(open);
                self.loaded.set(true);
            }),
            Update::Network { network } => self.network.set(network),
            Update::Provider { provider } => {
                let mut all = self.providers.get_clone_untracked();
                match all.iter_mut().find(|known| known.id == provider.id) {
                    Some(known) => *known = provider,
                    None => all.push(provider),
                }
                self.providers.set(sorted(all));
            }
            Update::Conversations { conversations } => {
                let gone = self.open.with_untracked(|open| {
                    open.as_ref().is_some_and(|id| !conversations.iter().any(|row| row.id == *id))
                });
                self.conversations.set(conversations);
                if gone && !self.beginning.get_untracked() {
                    self.open.set(None);
                    self.replace_rows(Vec::new());
                }
            }
            Update::Conversation { conversation } if self.expects(&conversation.id) => self.show(conversation),
            // Another panel's.
            Update::Conversation { .. } => {}
            Update::Message { conversation, message } => self.put(conversation, message),
            Update::Delta { conversation, answer, text } => {
                if self.open.with_untracked(|open| open.as_deref() == Some(&*conversation)) {
                    self.grow_later(answer, text);
                }
            }
            Update::Settings { settings } => self.settings.set(settings),
            Update::Invite { changes, error } => self.invite.set(Some(InviteView { changes, error })),
            Update::Exported { json } => super::settings::save_file(&json),
            Update::Refused { text } => {
                self.beginning.set(false);
                if self.draft.with_untracked(String::is_empty) {
                    self.draft.set(SENT.take());
                }
                self.toast.set(Some(text));
            }
        }
    }

    /// The port broke: what is shown stays, as not live.
    pub fn unlinked(self) {
        self.linked.set(false);
    }

    /// Only what this panel shows or asked for replaces what it shows.
    fn expects(self, id: &str) -> bool {
        let is = |signal: Signal<Option<String>>| signal.with_untracked(|known| known.as_deref() == Some(id));
        is(self.open) || is(self.wanted) || self.beginning.get_untracked()
    }

    /// A snapshot's conversation: the first one is shown; after a broken port this panel stays where it is.
    fn reopen(self, last: Option<ConversationView>) {
        let mine = self.open.get_clone_untracked();
        let mine = mine.filter(|id| self.conversations.with_untracked(|all| all.iter().any(|row| row.id == *id)));
        match (mine, last) {
            (Some(mine), Some(last)) if mine == last.id => self.show(last),
            (Some(mine), _) => {
                self.wanted.set(Some(mine.clone()));
                self.send(Command::Open { conversation: mine });
            }
            (None, Some(last)) if !self.loaded.get_untracked() => self.show(last),
            (None, _) => {
                self.beginning.set(false);
                self.open.set(None);
                self.replace_rows(Vec::new());
            }
        }
    }

    fn show(self, conversation: ConversationView) {
        PENDING.with(|pending| pending.borrow_mut().clear());
        let same = self.open.with_untracked(|open| open.as_deref() == Some(&*conversation.id));
        self.beginning.set(false);
        self.wanted.set(None);
        self.open.set(Some(conversation.id));
        if same {
            let ids: Vec<String> = conversation.messages.iter().map(|message| message.id.clone()).collect();
            for message in conversation.messages {
                self.put_row(message);
            }
            self.retain(|row| ids.iter().any(|id| **id == *row.id));
        } else {
            self.replace_rows(conversation.messages.into_iter().map(row).collect());
        }
    }

    fn put(self, conversation: String, message: MessageView) {
        let open = self.open.get_clone_untracked();
        if open.is_none() && self.beginning.get_untracked() {
            self.open.set(Some(conversation));
        } else if open.as_deref() != Some(&*conversation) {
            return;
        }
        self.beginning.set(false);
        self.flush();
        self.put_row(message);
    }

    /// Adds or changes one message. Text only grows: a shorter one leaves what is shown.
    fn put_row(self, mut message: MessageView) {
        let known = self.rows.with_untracked(|rows| rows.iter().find(|row| *row.id == *message.id).cloned());
        let Some(known) = known else {
            let added = self.scope.run_in(|| row(message));
            let mut rows = self.rows.get_clone_untracked();
            rows.push(added);
            self.rows.set(rows);
            return;
        };
        let text = std::mem::take(&mut message.text);
        if text.len() > known.text.with_untracked(String::len) || message.role == "user" {
            known.text.set(text);
        }
        if known.view.with_untracked(|view| *view != message) {
            known.view.set(message);
        }
    }

    fn retain(self, keep: impl Fn(&Row) -> bool) {
        let (kept, gone): (Vec<Row>, Vec<Row>) = self.rows.get_clone_untracked().into_iter().partition(|row| keep(row));
        if !gone.is_empty() {
            self.rows.set(kept);
            dispose_later(gone);
        }
    }

    fn replace_rows(self, rows: Vec<Row>) {
        let old = self.rows.replace(rows);
        dispose_later(old);
    }

    fn grow_later(self, answer: String, text: String) {
        let first = PENDING.with(|pending| {
            let mut pending = pending.borrow_mut();
            let first = pending.is_empty();
            match pending.back_mut() {
                Some((id, waiting)) if *id == answer => waiting.push_str(&text),
                _ => pending.push_back((answer, text)),
            }
            first
        });
        if !first {
            return;
        }
        // A hidden page gets no frames; it still has to keep up.
        if document().hidden() {
            Timeout::new(100, move || self.scope.run_in(|| self.flush())).forget();
            return;
        }
        let frame = Closure::once_into_js(move || self.scope.run_in(|| self.flush()));
        let _ = window().request_animation_frame(frame.unchecked_ref());
    }

    fn flush(self) {
        let pending = PENDING.with(|pending| std::mem::take(&mut *pending.borrow_mut()));
        if pending.is_empty() {
            return;
        }
        for (answer, piece) in pending {
            let row = self.rows.with_untracked(|rows| rows.iter().find(|row| *row.id == *answer).cloned());
            if let Some(row) = row {
                row.text.update(|text| text.push_str(&piece));
            }
        }
    }
}

/// The phases in which an answer still may come.
pub fn is_running(phase: &str) -> bool {
    matches!(phase, "waiting" | "streaming" | "stalled")
}

/// Usable ones first, then by state and announced response time.
fn sorted(mut providers: Vec<ProviderView>) -> Vec<ProviderView> {
    let rank = |provider: &ProviderView| match provider.status.as_str() {
        "online" => 0,
        "busy" => 1,
        "unknown" => 2,
        _ => 3,
    };
    let speed = |provider: &ProviderView| if provider.response_ms == 0 { u32::MAX } else { provider.response_ms };
    providers.sort_by(|a, b| {
        (!a.usable, a.equivocated, rank(a), speed(a), &a.id).cmp(&(!b.usable, b.equivocated, rank(b), speed(b), &b.id))
    });
    providers
}

fn row(mut message: MessageView) -> Row {
    let text = std::mem::take(&mut message.text);
    Row { id: message.id.as_str().into(), view: create_signal(message), text: create_signal(text) }
}

/// Frees the signals of messages that left the page, after the page has let go of them.
fn dispose_later(rows: Vec<Row>) {
    if rows.is_empty() {
        return;
    }
    Timeout::new(0, move || {
        for row in rows {
            row.view.dispose();
            row.text.dispose();
        }
    })
    .forget();
}

/// Where a draft outlives a reload of the panel.
const DRAFT: &str = "draft";

fn kept_draft() -> String {
    window().session_storage().ok().flatten().and_then(|store| store.get_item(DRAFT).ok().flatten()).unwrap_or_default()
}

/// Keeps the draft for this panel's session.
pub fn keep_draft(draft: &str) {
    if let Ok(Some(store)) = window().session_storage() {
        let _ = if draft.is_empty() { store.remove_item(DRAFT) } else { store.set_item(DRAFT, draft) };
    }
}
