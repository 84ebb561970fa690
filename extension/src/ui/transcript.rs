//! The messages of the open conversation, and the scroll that follows the newest only while it is in view.

use std::cell::Cell;
use std::rc::Rc;

use sycamore::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;

use super::state::{App, Page, Row};
use super::{answer, app, clipboard, icon};

/// Nearer to the end than this counts as being there, in px.
const NEAR: i32 = 40;

/// Draws the messages in their scroll area; `otherwise` stands there while there is none.
pub fn transcript(app: App, otherwise: impl Fn() -> View + 'static) -> View {
    let area = create_node_ref();
    let following = create_signal(true);
    let top = Rc::new(Cell::new(0));
    let rows = create_memo(move || app.rows.get_clone());
    let empty = create_selector(move || app.rows.with(Vec::is_empty));
    let content = create_node_ref();
    on_mount(move || keep_at_end(area, content, following));
    create_effect(move || {
        app.open.track();
        following.set(true);
        to_end(area);
    });
    view! {
        div(class="relative flex min-h-0 flex-1 flex-col") {
            div(
                class="min-h-0 flex-1 overflow-y-auto overflow-x-hidden px-4", r#ref=area, tabindex="-1", data-testid="transcript",
                on:scroll=move |_| {
                    // Growing text moves the end away without a scroll: only a move upwards lets go of it.
                    let now = scroll_top(area);
                    let up = now < top.replace(now);
                    let follow = is_near_end(area) || (following.get_untracked() && !up);
                    if following.get_untracked() != follow {
                        following.set(follow);
                    }
                }
            ) {
                (if empty.get() { otherwise() } else { View::new() })
                div(class="mx-auto flex w-full max-w-[680px] flex-col gap-4 pt-4 pb-5", hidden=empty.get(), r#ref=content) {
                    Keyed(list=rows, view=move |row| message(app, row), key=|row| row.id.clone())
                }
            }
            (if !following.get() && !empty.get() {
                view! {
                    button(
                        r#type="button",
                        class="btn absolute inset-x-0 bottom-2 mx-auto w-fit rounded-full! shadow-float text-sec",
                        on:click=move |_| {
                            following.set(true);
                            to_end(area);
                        }
                    ) {
                        (icon::icon(icon::DOWN, 13))
                        (if app.running().is_some() { "New text below" } else { "To the newest" })
                    }
                }
            } else {
                View::new()
            })
        }
    }
}

fn to_end(area: NodeRef) {
    if let Some(node) = area.try_get() {
        let area: &web_sys::Element = node.unchecked_ref();
        area.set_scroll_top(area.scroll_height());
    }
}

/// Follows the end whenever content or area change their size: text, notices, the growing composer.
fn keep_at_end(area: NodeRef, content: NodeRef, following: Signal<bool>) {
    let resized = Closure::<dyn FnMut()>::new(move || {
        if following.get_untracked() {
            to_end(area);
        }
    });
    if let Ok(observer) = web_sys::ResizeObserver::new(resized.as_ref().unchecked_ref()) {
        for node in [area, content] {
            if let Some(node) = node.try_get() {
                observer.observe(node.unchecked_ref());
            }
        }
        // The transcript lives as long as the page.
        std::mem::forget(observer);
    }
    resized.forget();
}

fn scroll_top(area: NodeRef) -> i32 {
    area.try_get().map_or(0, |node| node.unchecked_ref::<web_sys::Element>().scroll_top())
}

fn is_near_end(area: NodeRef) -> bool {
    let Some(node) = area.try_get() else { return true };
    let area: &web_sys::Element = node.unchecked_ref();
    area.scroll_height() - area.scroll_top() - area.client_height() < NEAR
}

fn message(app: App, row: Row) -> View {
    if row.view.with_untracked(|view| view.role == "user") { question(app, row) } else { answer::answer(app, row) }
}

fn question(app: App, row: Row) -> View {
    let text = row.text;
    let id = row.id.to_string();
    let copied = create_signal(false);
    let edit = {
        let id = id.clone();
        move || {
            app.editing.set(Some(id.clone()));
            app.draft.set(text.get_clone_untracked());
            app.go(Page::Chat);
            super::keyboard::focus_composer();
        }
    };
    let edit = app::icon_button(icon::PENCIL, "Edit and ask again (Up)", "question-edit", edit);
    view! {
        div(
            class="message group flex items-start justify-end gap-1", data-testid="question", data-message-id=id, role="article",
            aria-label="Your question"
        ) {
            div(class="flex flex-none gap-0.5 pt-1 opacity-0 group-hover:opacity-100 group-focus-within:opacity-100") {
                (edit)
                (if copied.get() {
                    app::icon_button(icon::CHECK, "Copied", "question-copied", || ())
                } else {
                    app::icon_button(icon::COPY, "Copy question", "question-copy", move || {
                        text.with_untracked(|text| clipboard::copy(text, copied));
                    })
                })
            }
            div(class="bubble min-w-0 max-w-[80%] rounded-float bg-bg3 px-3 py-2 text-read") { (text.get_clone()) }
        }
    }
}
