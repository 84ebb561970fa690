//! The messages of the open conversation, and the scroll that follows the newest only while it is in view.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use gloo::timers::callback::Timeout;
use sycamore::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;

use super::redraw::{Redraw, create_effect, create_memo, create_selector};
use super::state::{App, Page, Row};
use super::window::{GAP, Heights, Window};
use super::{answer, app, clipboard, icon, list};

/// Nearer to the end than this counts as being there, in px.
const NEAR: i32 = 40;
/// A message that is sought is drawn and measured in a few turns; each is so long, in ms, ...
const TURN_MS: u32 = 16;
/// ... and there are so many at most.
const TURNS: u8 = 8;

/// Draws the messages in their scroll area; `otherwise` stands there while there is none.
pub fn transcript(app: App, otherwise: impl Fn() -> View + 'static) -> View {
    let shown = Shown {
        app,
        area: create_node_ref(),
        content: create_node_ref(),
        following: create_signal(true),
        window: create_signal(Window::default()),
    };
    let Shown { area, content, following, window, .. } = shown;
    let top = Rc::new(Cell::new(0));
    let ids = create_memo(move || {
        let range = window.with(|window| window.range.clone());
        app.rows.with(|rows| {
            let rows = rows.get(range.start.min(rows.len())..range.end.min(rows.len()));
            rows.unwrap_or_default().iter().map(|row| row.id.clone()).collect::<Vec<_>>()
        })
    });
    let messages = list::keyed(ids, move |id| {
        let row = app.rows.with_untracked(|rows| rows.iter().find(|row| row.id == id).cloned());
        row.map_or_else(View::new, |row| message(app, row))
    });
    let empty = create_selector(move || app.rows.with(Vec::is_empty));
    let open = create_selector(move || app.open.get_clone());
    on_mount(move || shown.keep_at_end());
    create_effect(move || {
        open.track();
        HEIGHTS.with_borrow_mut(Heights::clear);
        following.set(app.sought.with_untracked(Option::is_none));
    });
    create_effect(move || {
        app.rows.track();
        open.track();
        shown.look();
        if following.get_untracked() {
            shown.to_end();
        }
    });
    create_effect(move || {
        app.rows.track();
        if let Some(id) = app.sought.get_clone() {
            shown.seek(id, TURNS);
        }
    });
    let button = shown.button(empty);
    let (above, below) = (room(window, |window| window.above), room(window, |window| window.below));
    view! {
        div(class="relative flex min-h-0 flex-1 flex-col") {
            div(
                class=if following.get() {
                    "following min-h-0 flex-1 overflow-y-auto overflow-x-hidden px-4"
                } else {
                    "min-h-0 flex-1 overflow-y-auto overflow-x-hidden px-4"
                },
                r#ref=area, tabindex="-1", data-testid="transcript",
                on:scroll=move |_| {
                    // Growing text moves the end away without a scroll: only a move upwards lets go of it.
                    let now = shown.scroll_top();
                    let up = now < top.replace(now);
                    let follow = shown.is_near_end() || (following.get_untracked() && !up);
                    if following.get_untracked() != follow {
                        following.set(follow);
                    }
                    shown.look();
                }
            ) {
                (Redraw { by: move || if empty.get() { otherwise() } else { View::new() } })
                div(class="mx-auto flex w-full max-w-[680px] flex-col gap-4 pt-4 pb-5", hidden=empty.get(), r#ref=content) {
                    (above)
                    (messages)
                    (below)
                }
                div(class="end", aria-hidden="true") {}
            }
            (button)
        }
    }
}

/// Room for messages that do not stand in the page.
fn room(window: Signal<Window>, of: fn(&Window) -> f64) -> View {
    // A gap stands between it and the next message as well.
    let height = create_selector(move || (window.with(of) - GAP).round().max(0.0) as i64);
    view! { div(aria-hidden="true", hidden=height.get() == 0, style=format!("height:{}px", height.get())) {} }
}

thread_local! {
    /// Of the open conversation's messages.
    static HEIGHTS: RefCell<Heights> = RefCell::default();
}

/// The messages as they stand in the page.
#[derive(Clone, Copy)]
struct Shown {
    app: App,
    area: NodeRef,
    content: NodeRef,
    /// The end is kept in view.
    following: Signal<bool>,
    window: Signal<Window>,
}

impl Shown {
    fn button(self, empty: ReadSignal<bool>) -> View {
        let Self { app, following, .. } = self;
        view! {
            (Redraw { by: move || if !following.get() && !empty.get() {
                view! {
                    button(
                        r#type="button", data-testid="to-end",
                        class="btn absolute inset-x-0 bottom-2 mx-auto w-fit rounded-full! shadow-float text-sec",
                        on:click=move |_| {
                            following.set(true);
                            self.look();
                            self.to_end();
                        }
                    ) {
                        (icon::icon(icon::DOWN, 13))
                        (Redraw { by: move || View::from(if app.running().is_some() { "New text below" } else { "To the newest" }) })
                    }
                }
            } else {
                View::new()
            } })
        }
    }

    /// Measures what stands in the page and draws what should. The browser keeps the first visible message in place.
    fn look(self) {
        let (Some(area), Some(content)) = (self.area.try_get(), self.content.try_get()) else { return };
        let (area, content): (&web_sys::Element, &web_sys::Element) = (area.unchecked_ref(), content.unchecked_ref());
        let seen = area.client_height();
        if seen == 0
            && !self.app.rows.with_untracked(Vec::is_empty)
            && self.window.with_untracked(|w| !w.range.is_empty())
        {
            // Covered by another page: nothing has a height.
            return;
        }
        let ids: Vec<Rc<str>> = self.app.rows.with_untracked(|rows| rows.iter().map(|row| row.id.clone()).collect());
        let window = HEIGHTS.with_borrow_mut(|heights| {
            let mut next = content.first_element_child();
            while let Some(message) = next {
                if let Some(id) = message.get_attribute("data-message-id").filter(|_| message.client_height() > 0) {
                    heights.measured(&id, message.client_height().into());
                }
                next = message.next_element_sibling();
            }
            heights.window(&ids, area.scroll_top().into(), f64::from(seen.max(1)), self.following.get_untracked())
        });
        if self.window.with_untracked(|now| *now != window) {
            self.window.set(window);
        }
    }

    fn to_end(self) {
        if let Some(node) = self.area.try_get() {
            let area: &web_sys::Element = node.unchecked_ref();
            area.set_scroll_top(area.scroll_height());
        }
    }

    /// Scrolls to a message once it is here, and gives it the focus, which marks it. One that is far away has to be drawn
    /// first, at a place that is a guess until it is.
    fn seek(self, id: String, turns: u8) {
        let ids: Vec<Rc<str>> = self.app.rows.with_untracked(|rows| rows.iter().map(|row| row.id.clone()).collect());
        if !ids.iter().any(|known| **known == *id) {
            return;
        }
        self.following.set(false);
        let turn = move || {
            if self.app.sought.with_untracked(|sought| sought.as_deref() != Some(&*id)) {
                return;
            }
            let (Some(area), Some(content)) = (self.area.try_get(), self.content.try_get()) else { return };
            let (area, content): (&web_sys::Element, &web_sys::Element) =
                (area.unchecked_ref(), content.unchecked_ref());
            let found = content.query_selector(&format!("[data-message-id=\"{id}\"]")).ok().flatten();
            match found.and_then(|message| message.dyn_into::<web_sys::HtmlElement>().ok()) {
                Some(message) => {
                    if let Ok(Some(old)) = content.query_selector(".message[tabindex]") {
                        let _ = old.remove_attribute("tabindex");
                    }
                    message.set_tab_index(-1);
                    message.scroll_into_view();
                    let _ = message.focus();
                    self.app.sought.set(None);
                }
                None if turns == 0 => self.app.sought.set(None),
                None => {
                    area.set_scroll_top(HEIGHTS.with_borrow(|heights| heights.top(&ids, &id)) as i32);
                    self.look();
                    self.seek(id, turns - 1);
                }
            }
        };
        Timeout::new(TURN_MS, move || self.app.scope.run_in(turn)).forget();
    }

    /// Follows the end whenever content or area change their size: text, notices, the growing composer. Growing text is
    /// held by the browser already (`.end` in the style sheet), once there is something to scroll.
    fn keep_at_end(self) {
        let resized = Closure::<dyn FnMut()>::new(move || {
            self.look();
            if self.following.get_untracked() {
                self.to_end();
            }
        });
        if let Ok(observer) = web_sys::ResizeObserver::new(resized.as_ref().unchecked_ref()) {
            for node in [self.area, self.content] {
                if let Some(node) = node.try_get() {
                    observer.observe(node.unchecked_ref());
                }
            }
            // The transcript lives as long as the page.
            std::mem::forget(observer);
        }
        resized.forget();
    }

    fn scroll_top(self) -> i32 {
        self.area.try_get().map_or(0, |node| node.unchecked_ref::<web_sys::Element>().scroll_top())
    }

    fn is_near_end(self) -> bool {
        let Some(node) = self.area.try_get() else { return true };
        let area: &web_sys::Element = node.unchecked_ref();
        area.scroll_height() - area.scroll_top() - area.client_height() < NEAR
    }
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
    let edit = app::key_button(app, icon::PENCIL, ("Edit and ask again", "edit"), "question-edit", edit);
    view! {
        div(
            class="message group flex items-start justify-end gap-1", data-testid="question", data-message-id=id, role="article",
            aria-label="Your question"
        ) {
            div(class="flex flex-none gap-0.5 pt-1 opacity-0 group-hover:opacity-100 group-focus-within:opacity-100") {
                (edit)
                (Redraw { by: move || if copied.get() {
                    app::icon_button(icon::CHECK, "Copied", "question-copied", || ())
                } else {
                    app::icon_button(icon::COPY, "Copy question", "question-copy", move || {
                        text.with_untracked(|text| clipboard::copy(text, copied));
                    })
                } })
            }
            div(class="bubble min-w-0 max-w-[80%] rounded-float bg-bg3 px-3 py-2 text-read") { (Redraw { by: move || View::from(text.get_clone()) }) }
        }
    }
}
