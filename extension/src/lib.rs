//! The user's side of the marketplace: one wasm for panel and background.

pub mod platform;
pub mod port;
mod ui;

/// Draws the panel; called once by each panel page.
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn run_panel() {
    console_error_panic_hook::set_once();
    ui::run();
}
