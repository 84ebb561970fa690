//! The draft outlives a closed popup: it is kept in `chrome.storage.session`, which lies in memory only and ends with
//! the browser. Where there is none, the draft ends with its page.

use js_sys::{Object, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};

use super::redraw::create_effect;
use super::state::App;

/// The draft's key; the background's own keys begin otherwise.
const KEY: &str = "panel-draft";

#[wasm_bindgen]
extern "C" {
    type Session;

    #[wasm_bindgen(method, catch)]
    fn get(this: &Session, key: &JsValue) -> Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn set(this: &Session, values: &JsValue) -> Result<Promise, JsValue>;
}

/// Brings the kept draft back and keeps what is written from now on.
pub fn follow(app: App) {
    let Some(store) = session() else { return };
    spawn_local(async move {
        let kept = match store.get(&KEY.into()) {
            Ok(found) => JsFuture::from(found).await.ok(),
            Err(_) => None,
        };
        let kept = kept.and_then(|found| Reflect::get(&found, &KEY.into()).ok()?.as_string()).unwrap_or_default();
        app.scope.run_in(|| {
            if app.draft.with_untracked(String::is_empty) && !kept.is_empty() {
                app.draft.set(kept);
            }
            create_effect(move || {
                let values = Object::new();
                let _ = Reflect::set(&values, &KEY.into(), &app.draft.get_clone().into());
                if let Ok(done) = store.set(&values) {
                    // A full store loses the draft at closing, nothing else.
                    spawn_local(async move { drop(JsFuture::from(done).await) });
                }
            });
        });
    });
}

fn session() -> Option<Session> {
    let inside = |of: &JsValue, name: &str| Reflect::get(of, &name.into()).ok().filter(JsValue::is_object);
    let storage = inside(&inside(&js_sys::global(), "chrome")?, "storage")?;
    Some(inside(&storage, "session")?.unchecked_into())
}
