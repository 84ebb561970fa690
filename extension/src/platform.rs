//! What only the browser can give: the clock, randomness, timers and the few `chrome.*` calls. Written by hand, as it
//! is ten functions. Firefox has the same `chrome` name space with promises.

use js_sys::{Array, Date, Function, Object, Promise, Reflect};
use privacyai::effect::Millis;
use rand_core::{TryCryptoRng, TryRng};
use std::convert::Infallible;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

#[wasm_bindgen]
extern "C" {
    /// A `chrome.runtime.Port`.
    #[derive(Clone, Debug)]
    pub type Port;

    /// Its name.
    #[wasm_bindgen(method, getter)]
    pub fn name(this: &Port) -> JsValue;

    /// Sends a message; throws when the other end is gone.
    #[wasm_bindgen(method, catch, js_name = postMessage)]
    pub fn post_message(this: &Port, message: &JsValue) -> Result<(), JsValue>;

    /// Messages of the other end.
    #[wasm_bindgen(method, getter, js_name = onMessage)]
    pub fn on_message(this: &Port) -> ChromeEvent;

    /// The end of the other end.
    #[wasm_bindgen(method, getter, js_name = onDisconnect)]
    pub fn on_disconnect(this: &Port) -> ChromeEvent;

    /// A `chrome.events.Event`.
    pub type ChromeEvent;

    /// Calls `listener` at each event.
    #[wasm_bindgen(method, js_name = addListener)]
    pub fn add_listener(this: &ChromeEvent, listener: &Function);

    #[wasm_bindgen(js_namespace = ["chrome", "runtime"], js_name = sendMessage, catch)]
    fn runtime_send_message(message: &JsValue) -> Result<Promise, JsValue>;

    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn performance_now() -> f64;
}

/// The wall clock.
pub fn now() -> Millis {
    Millis(Date::now() as u64)
}

/// A monotonic clock in milliseconds since this context began, for durations.
pub fn monotonic_ms() -> f64 {
    performance_now()
}

/// Begins this context anew.
pub fn reload() {
    drop(gloo::utils::window().location().reload());
}

/// Waits.
pub async fn sleep(ms: u32) {
    gloo::timers::future::TimeoutFuture::new(ms).await;
}

/// `crypto.getRandomValues`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Entropy;

impl TryRng for Entropy {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        // A browser without a random source cannot seal anything; going on would be worse than stopping.
        getrandom::fill(bytes).expect("crypto.getRandomValues exists in every browser that runs this");
        Ok(())
    }
}

impl TryCryptoRng for Entropy {}

/// Random bytes.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let Ok(()) = Entropy.try_fill_bytes(&mut bytes);
    bytes
}

/// An id of 16 characters for a conversation or a message.
pub fn new_id() -> String {
    format!("{:016x}", u64::from_be_bytes(random()))
}

/// Asks the service worker (or event page) something: `to_worker` names it. Answers its `value`.
pub async fn ask_worker(message: &JsValue) -> Result<JsValue, JsValue> {
    let answer = JsFuture::from(runtime_send_message(message)?).await?;
    let error = Reflect::get(&answer, &"error".into())?;
    if error.is_undefined() { Reflect::get(&answer, &"value".into()) } else { Err(error) }
}

/// A plain object.
pub fn object(fields: &[(&str, &JsValue)]) -> JsValue {
    let object = Object::new();
    for (name, value) in fields {
        // A fresh plain object takes every property.
        let _ = Reflect::set(&object, &(*name).into(), value);
    }
    object.into()
}

/// An array of strings.
pub fn strings<'a>(items: impl IntoIterator<Item = &'a str>) -> Array {
    items.into_iter().map(JsValue::from).collect()
}
