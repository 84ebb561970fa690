//! How each update of the background changes what the panel shows. Text that grows waits for the next frame, so that a
//! stream writes to the page at most once a frame.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use gloo::timers::callback::Timeout;
use sycamore::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;

use super::state::{App, InviteView, Row, take_sent};
use crate::port::{Command, ConversationView, Map, MessageView, ProviderView, Update, sort};

/// Pieces of text that wait for the next frame: message id and text.
type Pending = VecDeque<(String, String)>;

/// Providers are drawn anew at most so often, in ms: a large market is heard many times a second.
const SEEN_MS: u32 = 150;

thread_local! {
    static PENDING: RefCell<Pending> = const { RefCell::new(VecDeque::new()) };
    /// Providers that were heard since they were drawn; none while no drawing is due.
    static HEARD: RefCell<Option<Vec<ProviderView>>> = const { RefCell::new(None) };
}

impl App {
    /// Takes one update in.
    pub fn apply(self, update: Update) {
        match update {
            Update::Snapshot { settings, network, providers, conversations, open, free } => batch(|| {
                self.linked.set(true);
                super::file::interrupted(self);
                self.settings.set(settings);
                self.network.set(network);
                self.free.set(free);
                HEARD.with_borrow_mut(|heard| heard.iter_mut().for_each(Vec::clear));
                self.providers.update(Vec::clear);
                self.see(providers);
                self.conversations.set(conversations);
                self.reopen(open);
                self.loaded.set(true);
            }),
            Update::Network { network } => self.network.set(network),
            Update::Provider { provider } => self.see_later(provider),
            Update::Conversations { conversations } => {
                let gone = self.open.with_untracked(|open| {
                    open.as_ref().is_some_and(|id| !conversations.iter().any(|row| row.id == *id))
                });
                self.conversations.set(conversations);
                if gone && self.beginning.with_untracked(Option::is_none) {
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
            Update::Free { free } => self.free.set(Some(free)),
            Update::Settings { settings } => self.settings.set(settings),
            Update::Invite { changes, error } => self.invite.set(Some(InviteView { changes, error })),
            Update::Exported { json, conversation, more } => super::file::exported(json, conversation.as_deref(), more),
            Update::Receipts { json } => super::file::save("privacyai-receipts.json", "application/json", &[json]),
            Update::Usage { rows, firsts } => self.usage.set(Some((rows, firsts))),
            Update::Found { text, hits, done } => self.found.set((text, hits, done)),
            Update::Imported { added, present, broken } => super::file::imported(self, added, present, broken),
            Update::Notice { text } => self.toast.set(Some(text)),
            Update::Refused { text } => {
                self.beginning.set(None);
                if self.draft.with_untracked(String::is_empty) {
                    self.draft.set(take_sent());
                }
                self.toast.set(Some(text));
            }
        }
    }

    /// The port broke: what is shown stays, as not live.
    pub fn unlinked(self) {
        self.linked.set(false);
    }

    /// The first is shown at once, and those that follow soon after it together.
    fn see_later(self, provider: ProviderView) {
        let first = HEARD.with_borrow_mut(|heard| match heard {
            Some(heard) => {
                heard.push(provider);
                None
            }
            None => {
                *heard = Some(Vec::new());
                Some(provider)
            }
        });
        let Some(first) = first else { return };
        self.see(vec![first]);
        self.see_soon();
    }

    fn see_soon(self) {
        let see = move || {
            let heard = HEARD.take().unwrap_or_default();
            if !heard.is_empty() {
                HEARD.set(Some(Vec::new()));
                self.see(heard);
                self.see_soon();
            }
        };
        Timeout::new(SEEN_MS, move || self.scope.run_in(see)).forget();
    }

    /// Takes these in; the others stay as they are and are not copied.
    fn see(self, providers: Vec<ProviderView>) {
        let mut new: Map<String, Rc<ProviderView>> =
            providers.into_iter().map(|provider| (provider.id.clone(), Rc::new(provider))).collect();
        self.providers.update(|all| {
            for known in all.iter_mut() {
                if let Some(provider) = new.remove(&known.id) {
                    *known = provider;
                }
            }
            all.extend(std::mem::take(&mut new).into_iter().map(|(_, provider)| provider));
            put_in_order(all);
        });
    }

    /// Only what this panel shows or asked for replaces what it shows.
    fn expects(self, id: &str) -> bool {
        let is = |signal: Signal<Option<String>>| signal.with_untracked(|known| known.as_deref() == Some(id));
        is(self.open) || is(self.wanted) || is(self.beginning)
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
            (None, Some(last)) if !self.loaded.get_untracked() || self.expects(&last.id) => self.show(last),
            (None, _) => {
                self.beginning.set(None);
                self.open.set(None);
                self.replace_rows(Vec::new());
            }
        }
    }

    fn show(self, conversation: ConversationView) {
        PENDING.with_borrow_mut(VecDeque::clear);
        let same = self.open.with_untracked(|open| open.as_deref() == Some(&*conversation.id));
        self.beginning.set(None);
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
        if open.is_none() && self.beginning.with_untracked(|id| id.as_ref() == Some(&conversation)) {
            self.open.set(Some(conversation));
        } else if open.as_deref() != Some(&*conversation) {
            return;
        }
        self.beginning.set(None);
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

    /// Shows these messages instead.
    pub fn replace_rows(self, rows: Vec<Row>) {
        let old = self.rows.replace(rows);
        dispose_later(old);
    }

    fn grow_later(self, answer: String, text: String) {
        let first = PENDING.with_borrow_mut(|pending| {
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
        let pending = PENDING.take();
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

/// In the order of the automatic choice; behind them those it does not choose from, the blocked ones last.
fn put_in_order(providers: &mut [Rc<ProviderView>]) {
    let rank = |provider: &ProviderView| match provider.status.as_str() {
        "online" => 0,
        "busy" => 1,
        "unknown" => 2,
        _ => 3,
    };
    let key = |one: &ProviderView| {
        let speed = if one.response_ms == 0 { u32::MAX } else { one.response_ms };
        (one.blocked, one.place.unwrap_or(u32::MAX), !one.usable, one.equivocated, rank(one), speed)
    };
    sort(providers, &|a, b| key(a).cmp(&key(b)).then_with(|| a.id.cmp(&b.id)));
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
