//! Copying, with the word that it happened.

use gloo::timers::callback::Timeout;
use sycamore::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};

/// How long "Copied" stays, in ms.
const SHOWN_MS: u32 = 1_500;

/// Copies text; `copied` is true for a moment when it worked.
pub fn copy(text: &str, copied: Signal<bool>) {
    let written = window().navigator().clipboard().write_text(text);
    spawn_local(async move {
        if JsFuture::from(written).await.is_err() || !copied.is_alive() {
            return;
        }
        copied.set(true);
        Timeout::new(SHOWN_MS, move || {
            if copied.is_alive() {
                copied.set(false);
            }
        })
        .forget();
    });
}
