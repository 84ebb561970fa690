//! Keys: one list of them, and what each does. Single keys act outside text fields only; Enter never sends while an
//! input method composes.

use sycamore::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;

use super::state::{App, Overlay, Page};
use super::{app, composer, icon};
use crate::port::Command;

/// The keys, as the list shows them.
const KEYS: [(&str, &[&str]); 12] = [
    ("Send", &["Enter"]),
    ("New line", &["Shift", "Enter"]),
    ("Stop, or close what is on top", &["Esc"]),
    ("Edit the last question (empty field)", &["Up"]),
    ("Commands", &["Ctrl", "K"]),
    ("Switch provider", &["Alt", "M"]),
    ("New chat", &["Alt", "N"]),
    ("Chats", &["Alt", "H"]),
    ("Details of the newest answer", &["Alt", "D"]),
    ("Search in a list", &["/"]),
    ("Next and previous in a list", &["J", "K"]),
    ("This list", &["?"]),
];

/// Keys inside the composer.
pub fn in_composer(app: App, event: &web_sys::KeyboardEvent) {
    match event.key().as_str() {
        // 229 is what an input method reports for the Enter that ends its composition in some browsers.
        "Enter" if !event.shift_key() && !event.is_composing() && event.key_code() != 229 => {
            event.prevent_default();
            app.ask();
        }
        "ArrowUp" if app.draft.with_untracked(String::is_empty) && app.running().is_none() => {
            event.prevent_default();
            edit_last(app);
        }
        _ => {}
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
    let command = event.ctrl_key() || event.meta_key();
    if key == "Escape" {
        return escape(app);
    }
    if command && !event.alt_key() && key.eq_ignore_ascii_case("k") {
        let next = if app.overlay.get_untracked() == Overlay::Palette { Overlay::None } else { Overlay::Palette };
        app.overlay.set(next);
        return true;
    }
    if event.alt_key() && !command {
        // The code is the key's place, so that a layout which writes another letter with Alt still works.
        match event.code().as_str() {
            "KeyM" => app.go(Page::Providers),
            "KeyN" => app.new_chat(),
            "KeyH" => app.go(Page::History),
            "KeyD" => match newest_answer(app) {
                Some(id) => app.go(Page::Details(id)),
                None => return false,
            },
            _ => return false,
        }
        return true;
    }
    if command || in_text_field(event) || app.overlay.get_untracked() != Overlay::None {
        return false;
    }
    match key.as_str() {
        "?" => app.overlay.set(Overlay::Keys),
        "/" => return focus_first("[data-search]"),
        "j" | "ArrowDown" => return step(1),
        "k" | "ArrowUp" => return step(-1),
        _ => return false,
    }
    true
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

fn focus_first(selector: &str) -> bool {
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
    let rows: Vec<View> = KEYS
        .into_iter()
        .map(|(what, keys)| {
            let keys: Vec<View> = keys.iter().map(|key| view! { kbd(class="kbd") { (*key) } }).collect();
            let keys = View::from(keys);
            view! {
                li(class="flex min-h-8 items-center gap-2 border-t border-line text-ctl") {
                    span(class="flex-1") { (what) }
                    span(class="flex gap-1") { (keys) }
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
