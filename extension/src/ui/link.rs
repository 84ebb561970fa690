//! The port to the background: one JSON text a message, commands out, updates in. It wakes the background first,
//! connects again when the port breaks and keeps a few commands meanwhile. Nothing is stored here.

use std::cell::RefCell;
use std::collections::VecDeque;

use gloo::timers::callback::Timeout;
use js_sys::{Object, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};

use crate::port::{self, Command, PORT, Update};

/// Commands kept while no port stands: a user does not press more keys than this within a reconnection.
const MAX_WAITING: usize = 16;
/// First pause before a new connection, doubled up to [`LAST_PAUSE_MS`].
const FIRST_PAUSE_MS: u32 = 100;
/// Longest pause before a new connection.
const LAST_PAUSE_MS: u32 = 3_000;

#[wasm_bindgen]
extern "C" {
    type Port;
    type ChromeEvent;

    #[wasm_bindgen(js_namespace = ["chrome", "runtime"], js_name = connect, catch)]
    fn connect(info: &JsValue) -> Result<Port, JsValue>;
    #[wasm_bindgen(js_namespace = ["chrome", "runtime"], js_name = sendMessage, catch)]
    fn send_message(message: &JsValue) -> Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch, js_name = postMessage)]
    fn post_message(this: &Port, message: &JsValue) -> Result<(), JsValue>;
    #[wasm_bindgen(method, getter, js_name = onMessage)]
    fn on_message(this: &Port) -> ChromeEvent;
    #[wasm_bindgen(method, getter, js_name = onDisconnect)]
    fn on_disconnect(this: &Port) -> ChromeEvent;
    #[wasm_bindgen(method, js_name = addListener)]
    fn add_listener(this: &ChromeEvent, listener: &JsValue);
}

/// What the link needs between two events.
struct Link {
    port: Option<Port>,
    waiting: VecDeque<String>,
    pause_ms: u32,
    /// Called with every update, and with nothing when the port broke.
    listener: Box<dyn Fn(Option<Update>)>,
    closures: Vec<Closure<dyn FnMut(JsValue)>>,
}

thread_local! {
    static LINK: RefCell<Option<Link>> = const { RefCell::new(None) };
}

/// Connects; `listener` hears every update, and `None` when the connection broke.
pub fn open(listener: impl Fn(Option<Update>) + 'static) {
    LINK.with_borrow_mut(|link| {
        *link = Some(Link {
            port: None,
            waiting: VecDeque::new(),
            pause_ms: FIRST_PAUSE_MS,
            listener: Box::new(listener),
            closures: Vec::new(),
        });
    });
    spawn_local(establish());
}

/// Sends a command, or keeps it until the port stands again.
pub fn send(command: &Command) {
    let text = port::encode(command);
    LINK.with_borrow_mut(|link| {
        let Some(link) = link.as_mut() else { return };
        let sent = link.port.as_ref().is_some_and(|port| port.post_message(&JsValue::from_str(&text)).is_ok());
        if !sent && link.waiting.len() < MAX_WAITING {
            link.waiting.push_back(text);
        }
    });
}

/// Wakes the background, connects and says hello.
async fn establish() {
    if let Ok(promise) = send_message(&object(&[("to", "bg"), ("kind", "ensure")])) {
        // No answer means that nobody listens yet; connecting then fails too and is tried again.
        let _ = JsFuture::from(promise).await;
    }
    let port = match connect(&object(&[("name", PORT)])) {
        Ok(port) => port,
        Err(_) => return again(),
    };
    let heard = Closure::new(move |message: JsValue| {
        let update = message.as_string().and_then(|text| port::decode(&text));
        if let Some(update) = update {
            hear(Some(update));
        }
    });
    let broken = Closure::new(move |_: JsValue| {
        LINK.with_borrow_mut(|link| {
            if let Some(link) = link.as_mut() {
                link.port = None;
            }
        });
        hear(None);
        again();
    });
    port.on_message().add_listener(heard.as_ref());
    port.on_disconnect().add_listener(broken.as_ref());
    LINK.with_borrow_mut(|link| {
        let Some(link) = link.as_mut() else { return };
        let hello = port::encode(&Command::Hello);
        let _ = port.post_message(&JsValue::from_str(&hello));
        while let Some(text) = link.waiting.pop_front() {
            let _ = port.post_message(&JsValue::from_str(&text));
        }
        link.port = Some(port);
        link.closures.clear();
        link.closures.extend([heard, broken]);
    });
}

/// Hands an update on without holding the link, so that the listener may send.
fn hear(update: Option<Update>) {
    let listener = LINK.with_borrow_mut(|link| {
        let link = link.as_mut()?;
        if update.is_some() {
            link.pause_ms = FIRST_PAUSE_MS;
        }
        Some(std::mem::replace(&mut link.listener, Box::new(|_| ())))
    });
    let Some(listener) = listener else { return };
    listener(update);
    LINK.with_borrow_mut(|link| {
        if let Some(link) = link.as_mut() {
            link.listener = listener;
        }
    });
}

/// Tries again after a pause.
fn again() {
    let pause = LINK.with_borrow_mut(|link| {
        let Some(link) = link.as_mut() else { return LAST_PAUSE_MS };
        let pause = link.pause_ms;
        link.pause_ms = pause.saturating_mul(2).min(LAST_PAUSE_MS);
        pause
    });
    Timeout::new(pause, || spawn_local(establish())).forget();
}

/// A plain object of strings.
fn object(fields: &[(&str, &str)]) -> JsValue {
    let object = Object::new();
    for (name, value) in fields {
        let _ = Reflect::set(&object, &JsValue::from_str(name), &JsValue::from_str(value));
    }
    object.into()
}
