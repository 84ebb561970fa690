//! The settings' section on keys: each row shows its keys, and takes others when it is pressed.

use sycamore::prelude::*;

use super::keyboard;
use super::keys::{self, Chosen, KEYS, Key, OFF, SINGLE};
use super::redraw::{Redraw, create_selector};
use super::state::App;

/// Draws it.
pub fn section(app: App) -> View {
    let taking = create_signal(None::<&'static str>);
    let said = create_signal(String::new());
    let rows: Vec<View> = KEYS.into_iter().map(|key| row(app, key, taking, said)).collect();
    let rows = View::from(rows);
    let single = create_selector(move || !chosen(app).iter().any(|(name, value)| name == SINGLE && value == OFF));
    let changed = create_selector(move || !chosen(app).is_empty());
    view! {
        section {
            div(class="mb-3") {
                h2(class="text-read font-semibold") { "Keys" }
                p(class="text-ctl text-ink2") { "Press a row, then the new keys. Backspace leaves it without. Enter sends and Esc closes or stops, always." }
            }
            div(class="flex min-h-12 items-center gap-3 border-t border-line py-2") {
                div(class="flex-1") {
                    p(class="text-ctl", id="single-name") { "Single keys" }
                    p(class="text-sec text-ink2") { "Keys without Ctrl or Alt; they act outside text fields." }
                }
                button(
                    r#type="button", role="switch", class="switch", aria-labelledby="single-name", data-testid="settings-single-keys",
                    aria-checked=if single.get() { "true" } else { "false" },
                    on:click=move |_| {
                        let off = single.get_untracked();
                        keep(app, move |chosen| {
                            chosen.retain(|(name, _)| name != SINGLE);
                            if off {
                                chosen.push((SINGLE.into(), OFF.into()));
                            }
                        });
                    }
                ) {}
            }
            ul { (rows) }
            p(class="mt-1 min-h-4 text-sec text-stop", role="status", data-testid="settings-keys-said") { (Redraw { by: move || View::from(said.get_clone()) }) }
            button(
                r#type="button", class="btn", data-testid="settings-keys-reset", disabled=!changed.get(),
                on:click=move |_| {
                    said.set(String::new());
                    keep(app, Vec::clear);
                }
            ) { "As they were" }
        }
    }
}

fn row(app: App, key: Key, taking: Signal<Option<&'static str>>, said: Signal<String>) -> View {
    let now = create_selector(move || keys::keys_of(&chosen(app), key.id));
    let here = create_selector(move || taking.get() == Some(key.id));
    let take = move |event: web_sys::KeyboardEvent| {
        if !here.get_untracked() {
            return;
        }
        // What is pressed now is meant for this row alone, but for Tab, which goes on.
        event.stop_propagation();
        let pressed = match event.key().as_str() {
            "Escape" | "Tab" => {
                taking.set(None);
                return;
            }
            "Backspace" | "Delete" => Some(String::new()),
            _ => keyboard::combination(&event),
        };
        // Enter would press the row again.
        event.prevent_default();
        let Some(pressed) = pressed else { return };
        let mut all = chosen(app);
        match keys::choose(&mut all, key.id, &pressed) {
            Ok(()) => {
                taking.set(None);
                said.set(String::new());
                keep(app, move |chosen| *chosen = all);
            }
            Err(taken) => said.set(taken),
        }
    };
    view! {
        li(class="border-t border-line") {
            button(
                r#type="button", class="flex min-h-9 w-full items-center gap-3 rounded-ctl px-1 text-start text-ctl hover:bg-bg2",
                data-testid="settings-key", data-key=key.id, aria-pressed=if here.get() { "true" } else { "false" },
                on:click=move |_| {
                    said.set(String::new());
                    taking.set(if here.get_untracked() { None } else { Some(key.id) });
                },
                on:keydown=take, on:blur=move |_| if here.get_untracked() { taking.set(None) }
            ) {
                span(class="min-w-0 flex-1") { (key.what) }
                (Redraw { by: move || if here.get() {
                    view! { span(class="text-sec text-accent") { "Press the keys" } }
                } else if now.with(String::is_empty) {
                    view! { span(class="text-sec text-ink3") { "off" } }
                } else {
                    keyboard::glyphs(&now.get_clone())
                } })
            }
        }
    }
}

fn chosen(app: App) -> Chosen {
    app.settings.with(|settings| settings.keys.clone().unwrap_or_default())
}

fn keep(app: App, change: impl FnOnce(&mut Chosen)) {
    let mut all = app.settings.with_untracked(|settings| settings.keys.clone().unwrap_or_default());
    change(&mut all);
    app.set(|settings| settings.keys = (!all.is_empty()).then_some(all));
}
