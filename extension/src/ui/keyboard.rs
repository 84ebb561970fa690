//! Keys: one list of them, and what each does. Single keys act outside text fields only; Enter never sends while an
//! input method composes.

use sycamore::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;

use super::state::{App, Overlay, Page};
use super::{app, composer, icon, keys, rating};
use crate::port::Command;

/// Keys that are always the same, as the list shows them first.
const FIXED: [(&str, &str); 3] =
    [("Send", "Enter"), ("New line", "Shift+Enter"), ("Stop, or close what is on top", "Esc")];

/// Keys inside the composer.
pub fn in_composer(app: App, event: &web_sys::KeyboardEvent) {
    match event.key().as_str() {
        // 229 is what an input method reports for the Enter that ends its composition in some browsers.
        "Enter" if !event.shift_key() && !event.is_composing() && event.key_code() != 229 => {
            event.prevent_default();
            app.ask();
        }
        _ => {
            let empty = app.draft.with_untracked(String::is_empty) && app.running().is_none();
            if empty && does(app, event) == Some("edit") {
                event.prevent_default();
                edit_last(app);
            }
        }
    }
}

/// Takes the last question into the composer, to be changed.
pub fn edit_last(app: App) {
    let last = app.rows.with_untracked(|rows| {
        rows.iter().rev().find(|row| row.view.with_untracked(|view| view.role == "user")).cloned()
    });
    if let Some(last) = last {
        app.editing.set(Some(last.id.to_string()));
        app.draft.set(last.text.get_clone_untracked());
        focus_composer();
    }
}

/// Listens to the whole page.
pub fn listen(app: App) {
    let pressed = Closure::<dyn FnMut(web_sys::KeyboardEvent)>::new(move |event: web_sys::KeyboardEvent| {
        app.scope.run_in(|| {
            if !event.is_composing() && press(app, &event) {
                event.prevent_default();
            }
        });
    });
    let _ = window().add_event_listener_with_callback("keydown", pressed.as_ref().unchecked_ref());
    pressed.forget();
}

/// Does what a key says; true when it did something.
fn press(app: App, event: &web_sys::KeyboardEvent) -> bool {
    let key = event.key();
    if key == "Escape" {
        return escape(app);
    }
    if key == "ArrowDown" || key == "ArrowUp" {
        // In a list, arrows do what J and K do.
        let free = !in_text_field(event) && app.overlay.get_untracked() == Overlay::None;
        return free && step(if key == "ArrowDown" { 1 } else { -1 });
    }
    let Some(what) = does(app, event) else { return false };
    let single = combination(event).is_none_or(|keys| keys::is_single(&keys));
    if what != "palette" && app.overlay.get_untracked() != Overlay::None || single && in_text_field(event) {
        return false;
    }
    match what {
        "palette" => {
            let open = app.overlay.get_untracked() == Overlay::Palette;
            app.overlay.set(if open { Overlay::None } else { Overlay::Palette });
        }
        "providers" => app.go(Page::Providers),
        "new" => app.new_chat(),
        "history" => app.go(Page::History),
        "details" => match newest_answer(app) {
            Some(id) => app.go(Page::Details(id)),
            None => return false,
        },
        "rate" => return focus_first(rating::FOCUS),
        "keys" => app.overlay.set(Overlay::Keys),
        "search" => return focus_first("[data-search]"),
        "next" => return step(1),
        "previous" => return step(-1),
        _ => return false,
    }
    true
}

/// What the user means with these keys.
fn does(app: App, event: &web_sys::KeyboardEvent) -> Option<&'static str> {
    let pressed = combination(event)?;
    app.settings.with_untracked(|settings| match &settings.keys {
        Some(chosen) => keys::does(chosen, &pressed),
        None => keys::does(&Vec::new(), &pressed),
    })
}

/// The pressed keys as text.
pub fn combination(event: &web_sys::KeyboardEvent) -> Option<String> {
    let (key, code) = (event.key(), event.code());
    let control = event.ctrl_key() || event.meta_key();
    keys::combination(keys::Press { key: &key, code: &code, control, alt: event.alt_key() })
}

/// Keys as they are drawn, each in its frame.
pub fn glyphs(keys: &str) -> View {
    // A lone plus is a key, not what stands between two.
    let parts: Vec<&str> = if keys == "+" { vec![keys] } else { keys.split('+').collect() };
    let parts: Vec<View> = parts
        .into_iter()
        .map(|key| {
            let key = key.to_owned();
            view! { kbd(class="kbd") { (key) } }
        })
        .collect();
    let parts = View::from(parts);
    view! { span(class="flex gap-1") { (parts) } }
}

/// Closes the top layer; with none open, cancels what waits or runs.
fn escape(app: App) -> bool {
    if app.overlay.get_untracked() != Overlay::None {
        app.overlay.set(Overlay::None);
        focus_composer();
    } else if app.toast.with_untracked(Option::is_some) {
        app.toast.set(None);
    } else if app.page.with_untracked(|page| *page != Page::Chat) {
        app.go(Page::Chat);
        focus_composer();
    } else if app.queued.get_untracked() {
        app.queued.set(false);
    } else if app.editing.with_untracked(Option::is_some) {
        composer::cancel_edit(app);
    } else if let Some(running) = app.running() {
        app.send(Command::Stop { answer: running.id.to_string() });
    } else {
        return false;
    }
    true
}

/// The newest answer's id.
pub fn newest_answer(app: App) -> Option<String> {
    app.rows.with_untracked(|rows| {
        rows.iter()
            .rev()
            .find(|row| row.view.with_untracked(|view| view.role == "assistant"))
            .map(|row| row.id.to_string())
    })
}

fn in_text_field(event: &web_sys::KeyboardEvent) -> bool {
    let target = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
    target.is_some_and(|element| matches!(element.tag_name().as_str(), "INPUT" | "TEXTAREA" | "SELECT"))
}

/// Focuses the first element of this selector; true when there is one.
pub fn focus_first(selector: &str) -> bool {
    let found = document().query_selector(selector).ok().flatten();
    let Some(field) = found.and_then(|field| field.dyn_into::<web_sys::HtmlElement>().ok()) else { return false };
    field.focus().is_ok()
}

/// Moves the focus among the items of a list.
fn step(by: i32) -> bool {
    let Ok(items) = document().query_selector_all("[data-item]") else { return false };
    let here = document().active_element();
    let count = i32::try_from(items.length()).unwrap_or(0);
    let at = (0..count).find(|at| {
        items.get(at.unsigned_abs()).is_some_and(|item| here.as_ref().is_some_and(|here| item.contains(Some(here))))
    });
    let next = match at {
        Some(at) => (at + by).clamp(0, count - 1),
        None => 0,
    };
    let Some(item) = items.get(next.unsigned_abs()).and_then(|item| item.dyn_into::<web_sys::HtmlElement>().ok())
    else {
        return false;
    };
    item.focus().is_ok()
}

/// Puts the cursor into the composer once the page has drawn it.
pub fn focus_composer() {
    gloo::timers::callback::Timeout::new(0, composer::focus).forget();
}

/// The list of keys.
pub fn list(app: App) -> View {
    let chosen = app.settings.with(|settings| settings.keys.clone().unwrap_or_default());
    let changeable = keys::KEYS.iter().map(|key| (key.what, keys::keys_of(&chosen, key.id)));
    let all = FIXED.iter().map(|(what, keys)| (*what, (*keys).to_owned())).chain(changeable);
    let rows: Vec<View> = all
        .filter(|(_, keys)| !keys.is_empty())
        .map(|(what, keys)| {
            let keys = glyphs(&keys);
            view! {
                li(class="flex min-h-8 items-center gap-2 border-t border-line text-ctl") {
                    span(class="flex-1") { (what) }
                    (keys)
                }
            }
        })
        .collect();
    let rows = View::from(rows);
    let close = app::icon_button(icon::CLOSE, "Close (Esc)", "keys-close", move || app.overlay.set(Overlay::None));
    view! {
        div(class="fixed inset-0 z-20 grid place-items-center bg-bg/70 p-3", on:click=move |_| app.overlay.set(Overlay::None)) {
            div(
                class="sheet w-full max-w-[400px] rounded-float border border-line2 bg-bg p-4 shadow-float", role="dialog",
                aria-modal="true", aria-label="Keys", data-testid="keys",
                on:click=move |event: web_sys::MouseEvent| event.stop_propagation()
            ) {
                div(class="mb-2 flex items-center") {
                    h2(class="flex-1 text-read font-semibold") { "Keys" }
                    (close)
                }
                ul { (rows) }
            }
        }
    }
}
