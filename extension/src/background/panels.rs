//! The open panels: ports that carry JSON text. A panel may say anything; what cannot be read is refused.

use crate::json;
use crate::platform::Port;
use crate::port::{IMPORT, PORT, Update};
use futures::channel::mpsc;
use js_sys::Array;
use privacyai::map::Map;
use std::cell::RefCell;
use wasm_bindgen::prelude::*;

/// Words of panels that may wait for the loop; a person cannot give more, so the rest is dropped.
pub const WAITING_WORDS: usize = 256;

/// Most panels at once: popup, side panels and tabs of one person.
const PANELS: usize = 32;

/// Longest word of a panel in bytes: the longest question, written as JSON.
const LONGEST_WORD: u32 = 1024 * 1024;

/// Longest word that brings chats of a file. Letters outside ASCII are up to three bytes and a quote is two in the port's
/// own JSON, and of that it takes 64 MiB. A panel sends the next such word when this one is answered.
const LONGEST_IMPORT: u32 = 32 * 1024 * 1024;

/// What a panel did.
pub enum PanelEvent {
    /// It opened its port.
    Opened(u32, Port),
    /// It said something.
    Said(u32, String),
    /// It is gone.
    Closed(u32),
}

thread_local! {
    static TO_LOOP: RefCell<Option<mpsc::Sender<PanelEvent>>> = const { RefCell::new(None) };
    static NEXT: RefCell<u32> = const { RefCell::new(0) };
}

/// Where panels' events go from now on.
pub fn listen() -> mpsc::Receiver<PanelEvent> {
    let (sender, receiver) = mpsc::channel(WAITING_WORDS);
    TO_LOOP.with_borrow_mut(|to| *to = Some(sender));
    receiver
}

/// Takes a panel's port with the messages that came before the wasm was loaded.
#[wasm_bindgen]
pub fn accept_panel(port: Port, early: Array) {
    if port.name().as_string().as_deref() != Some(PORT) {
        return;
    }
    let id = NEXT.with_borrow_mut(|next| {
        *next = next.wrapping_add(1);
        *next
    });
    tell(PanelEvent::Opened(id, port.clone()));
    for message in early.iter() {
        say(id, &message);
    }
    let on_message = Closure::<dyn FnMut(JsValue)>::new(move |message| say(id, &message));
    port.on_message().add_listener(on_message.as_ref().unchecked_ref());
    let on_disconnect = Closure::<dyn FnMut()>::new(move || tell(PanelEvent::Closed(id)));
    port.on_disconnect().add_listener(on_disconnect.as_ref().unchecked_ref());
    // The browser keeps both as long as the port, and nothing tells when it let go of them.
    on_message.forget();
    on_disconnect.forget();
}

fn say(id: u32, message: &JsValue) {
    let word = message.dyn_ref::<js_sys::JsString>().filter(|word| {
        let longest = if word.starts_with(IMPORT, 0) { LONGEST_IMPORT } else { LONGEST_WORD };
        word.length() <= longest
    });
    tell(PanelEvent::Said(id, word.map(String::from).unwrap_or_default()));
}

fn tell(event: PanelEvent) {
    TO_LOOP.with_borrow_mut(|to| {
        if let Some(to) = to {
            // A full queue means a panel that says more than a person can; it is not answered.
            let _ = to.try_send(event);
        }
    });
}

/// The ports of all open panels.
#[derive(Default)]
pub struct Panels(Map<u32, Port>);

impl Panels {
    /// A panel came; the oldest goes when there are too many.
    pub fn open(&mut self, id: u32, port: Port) {
        if self.0.len() >= PANELS {
            self.0.pop_first();
        }
        self.0.insert(id, port);
    }

    /// A panel went.
    pub fn close(&mut self, id: u32) {
        self.0.remove(&id);
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tells one panel.
    pub fn tell(&self, id: u32, update: &Update) {
        if let Some(port) = self.0.get(&id) {
            post(port, &json::encode(update).into());
        }
    }

    /// Tells all panels.
    pub fn tell_all(&self, update: &Update) {
        if self.0.is_empty() {
            return;
        }
        let json: JsValue = json::encode(update).into();
        for port in self.0.values() {
            post(port, &json);
        }
    }
}

/// A port takes 64 MiB; what is larger is not lost in silence. A port that is gone says so by itself.
fn post(port: &Port, json: &JsValue) {
    if port.post_message(json).is_err() {
        let text = "This is too large to be shown or saved.".into();
        let _ = port.post_message(&json::encode(&Update::Refused { text }).into());
    }
}
