//! What outlives a killed background but not the browser: the keys of answers that are coming (protocol section 6.5),
//! in `chrome.storage.session`, which is memory and open to trusted contexts only. An offscreen document has no
//! `chrome.storage`, so its service worker lends it.

use crate::platform::{self, object};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use js_sys::{Object, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};

/// Before each key, so that nothing else in the session store is taken for a mirror.
const PREFIX: &str = "ask:";

/// Longest mirror taken back, in characters; the protocol's is below 2 KiB.
const LONGEST: u32 = 64 * 1024;

#[wasm_bindgen]
extern "C" {
    type Session;

    #[wasm_bindgen(method, catch)]
    fn set(this: &Session, items: &JsValue) -> Result<Promise, JsValue>;

    #[wasm_bindgen(method, catch)]
    fn remove(this: &Session, key: &str) -> Result<Promise, JsValue>;

    #[wasm_bindgen(method, catch)]
    fn get(this: &Session, key: &JsValue) -> Result<Promise, JsValue>;
}

/// Keeps these bytes for a question in place of earlier ones, or erases them. Calls take effect in their order.
pub fn keep(ask: u64, bytes: Option<&[u8]>) {
    let key = format!("{PREFIX}{ask}");
    let value = bytes.map(|bytes| JsValue::from(STANDARD.encode(bytes)));
    spawn_local(async move {
        // Without a mirror an answer that is interrupted ends as truncated, which is honest.
        let _ = match (session(), value) {
            (Some(session), Some(value)) => finish(session.set(&object(&[(&key, &value)]))).await,
            (Some(session), None) => finish(session.remove(&key)).await,
            (None, Some(value)) => {
                platform::ask_worker(&message("mirror", &[("key", &key.into()), ("value", &value)])).await
            }
            (None, None) => platform::ask_worker(&message("unmirror", &[("key", &key.into())])).await,
        };
    });
}

/// Everything kept, as (question, bytes).
pub async fn kept() -> Vec<(u64, Vec<u8>)> {
    let all = match session() {
        Some(session) => finish(session.get(&JsValue::NULL)).await,
        None => platform::ask_worker(&message("mirrored", &[])).await,
    };
    let Ok(Some(all)) = all.map(|all| all.dyn_into::<Object>().ok()) else { return Vec::new() };
    let entry = |key: JsValue| {
        let ask = key.as_string()?.strip_prefix(PREFIX)?.parse().ok()?;
        let value = Reflect::get(&all, &key).ok()?.dyn_into::<js_sys::JsString>().ok()?;
        let bytes = (value.length() <= LONGEST).then(|| STANDARD.decode(String::from(value)).ok()).flatten()?;
        Some((ask, bytes))
    };
    Object::keys(&all).iter().filter_map(entry).collect()
}

fn session() -> Option<Session> {
    let get = |of: &JsValue, name: &str| Reflect::get(of, &name.into()).ok().filter(JsValue::is_object);
    let storage = get(&get(&js_sys::global(), "chrome")?, "storage")?;
    Some(get(&storage, "session")?.unchecked_into())
}

async fn finish(promise: Result<Promise, JsValue>) -> Result<JsValue, JsValue> {
    JsFuture::from(promise?).await
}

fn message(kind: &str, more: &[(&str, &JsValue)]) -> JsValue {
    let kind = kind.into();
    let to = "bg".into();
    let mut fields = vec![("to", &to), ("kind", &kind)];
    fields.extend_from_slice(more);
    object(&fields)
}
