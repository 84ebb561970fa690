//! The user's side of the marketplace: one wasm for panel and background.

mod background;
mod conversation;
mod json;
mod mirror;
mod platform;
mod port;
mod route;
mod seal;
mod settings;
mod storage;
mod transport;
mod ui;
mod usage;

/// Draws the panel; called once by each panel page.
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn run_panel() {
    // Words for a panic cost the shipped wasm more than they tell there.
    #[cfg(debug_assertions)]
    console_error_panic_hook::set_once();
    ui::run();
}
