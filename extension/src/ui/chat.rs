//! The conversation's page: header, transcript, composer. It stays in the page while another one covers it, so that
//! draft and scroll position survive.

use sycamore::prelude::*;

use super::redraw::{Redraw, create_selector};
use super::state::{App, Overlay, Page};
use super::{app, composer, empty, icon, invite, keyboard, transcript};

/// Draws it.
pub fn chat(app: App) -> View {
    let here = create_selector(move || app.page.with(|page| *page == Page::Chat));
    // Without an entry node there is nobody to ask: the invite takes the whole page.
    let unset = create_selector(move || app.loaded.get() && app.network.with(|network| network.state == "unset"));
    let (header, transcript) = (header(app), transcript::transcript(app, move || empty::empty(app)));
    let (composer, banner) = (composer::composer(app), empty::banner(app));
    on_mount(keyboard::focus_composer);
    view! {
        main(class="contents") {
            div(class="flex min-h-0 flex-1 flex-col", hidden=!here.get()) {
                (header)
                (Redraw { by: move || if unset.get() { invite::first(app) } else { View::new() } })
                div(class="flex min-h-0 flex-1 flex-col", hidden=unset.get()) {
                    (transcript)
                    (banner)
                    (composer)
                }
            }
        }
    }
}

fn header(app: App) -> View {
    let title = create_selector(move || {
        let open = app.open.get_clone();
        app.conversations
            .with(|all| all.iter().find(|row| Some(&row.id) == open.as_ref()).map(|row| row.title.clone()))
            .unwrap_or_else(|| "New chat".into())
    });
    let mark = icon::mark(16);
    let buttons = View::from(vec![
        app::key_button(app, icon::HISTORY, ("Chats", "history"), "open-history", move || app.go(Page::History)),
        app::key_button(app, icon::COMPOSE, ("New chat", "new"), "new-chat", move || app.new_chat()),
        app::key_button(app, icon::MORE, ("Commands", "palette"), "more", move || app.overlay.set(Overlay::Palette)),
    ]);
    view! {
        header(class="flex h-11 flex-none items-center gap-2 border-b border-line ps-4 pe-2") {
            span(class="wide:hidden") { (mark) }
            h1(class="min-w-0 flex-1 truncate text-read font-semibold", title=title.get_clone()) { (Redraw { by: move || View::from(title.get_clone()) }) }
            (buttons)
        }
    }
}
