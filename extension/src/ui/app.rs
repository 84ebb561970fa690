//! The frame around every page: navigation, header, what lies over it, and the effects that tie signals to the page.

use gloo::timers::callback::Interval;
use sycamore::prelude::*;

use super::icon::{self, Icon};
use super::redraw::{Redraw, create_effect, create_selector};
use super::state::{App, Overlay, Page};
use super::{
    answer, chat, details, draft, history, key_change, keyboard, keys, link, live, page, palette, providers, quota,
    settings, usage,
};
use crate::port::{FULL, STUCK, UNCOUNTED};

/// What is asked before a store is deleted that cannot be opened.
const SURE: &str = "Delete every chat, setting and key? Nothing can bring them back.";

/// Draws and connects.
pub fn run() {
    let Some(body) = document().body() else { return };
    let target = document().get_element_by_id("app").unwrap_or_else(|| body.into());
    target.set_text_content(None);
    sycamore::render_to(root, &target);
}

fn root() -> View {
    let app = App::create();
    let scope = use_global_scope();
    link::open(move |update| {
        scope.run_in(|| match update {
            Some(update) => app.apply(update),
            None => app.unlinked(),
        });
    });
    Interval::new(1_000, move || app.now_ms.set(js_sys::Date::now())).forget();
    page::follow_address(app);
    keyboard::listen(app);
    live::speak(app);
    draft::follow(app);
    create_effect(move || set_theme(&app.settings.with(|settings| settings.theme.clone())));
    create_effect(move || {
        // A queued question leaves by itself as soon as somebody can read it.
        if app.queued.get() && quota::spent(app).is_none() && app.reader().is_some_and(|reader| reader.usable) {
            untrack(|| app.ask());
        }
    });
    create_effect(move || {
        // Whose turn in the line has come is asked again, while it is still shown.
        let due =
            app.line.with(|line| line.as_ref().filter(|(_, at)| *at <= app.now_ms.get()).map(|(id, _)| id.clone()));
        if let Some(id) = due {
            app.line.set(None);
            untrack(|| answer::retry(app, &id, None));
        }
    });
    let (navigation, chat, toast, live) = (navigation(app), chat::chat(app), toast(app), live::region());
    let network = network_state(app);
    let loaded = create_selector(move || app.loaded.get());
    view! {
        div(
            class="grid h-dvh grid-cols-1 wide:grid-cols-[152px_minmax(0,1fr)] bg-bg text-ink", data-testid="app",
            data-loaded=if app.loaded.get() { "true" } else { "false" },
            data-linked=if app.linked.get() { "true" } else { "false" },
            data-page=app.page.with(page::address)
        ) {
            (navigation)
            div(class="relative flex min-h-0 min-w-0 flex-col h-[inherit]") {
                (chat)
                (Redraw { by: move || if loaded.get() { sub_page(app) } else { sub_frame(app) } })
                (toast)
            }
        }
        (network)
        (live)
        (Redraw { by: move || match app.overlay.get() {
            Overlay::None => View::new(),
            Overlay::Palette => palette::palette(app),
            Overlay::Keys => keyboard::list(app),
        } })
    }
}

/// The page that replaces the conversation, when there is one.
fn sub_page(app: App) -> View {
    match app.page.get_clone() {
        Page::Chat => View::new(),
        Page::History => history::history(app),
        Page::Providers => providers::providers(app),
        Page::Usage => usage::usage(app),
        Page::Settings => settings::settings(app),
        Page::Network => super::invite::network(app),
        Page::Details(id) => details::details(app, &id),
        Page::KeyChanged(id) => key_change::key_change(app, &id),
    }
}

/// What stands before the first snapshot: the page's frame alone, so that nothing jumps and nothing is claimed.
fn sub_frame(app: App) -> View {
    if app.page.with(|page| *page == Page::Chat) {
        return View::new();
    }
    header(app, "", View::new())
}

fn navigation(app: App) -> View {
    let entries = View::from(vec![
        entry(app, Page::Chat, icon::CHATS, "Chats", "nav-chat"),
        entry(app, Page::Providers, icon::SERVER, "Providers", "nav-providers"),
        entry(app, Page::Usage, icon::CHART, "Usage", "nav-usage"),
        entry(app, Page::Network, icon::LINK, "Network", "nav-network"),
        entry(app, Page::Settings, icon::SETTINGS, "Settings", "nav-settings"),
    ]);
    let (mark, recent) = (icon::mark(16), history::recent(app));
    view! {
        nav(class="hidden wide:flex min-h-0 flex-col gap-0.5 border-e border-line bg-bg2 p-2", aria-label="Pages") {
            div(class="flex items-center gap-2 px-2 h-9 mb-1 text-read font-semibold") { (mark) "PrivacyAI" }
            (entries)
            div(class="mt-3 mb-1 px-2 text-meta text-ink3") { "Recent" }
            div(class="min-h-0 flex-1 overflow-y-auto") { (recent) }
        }
    }
}

fn entry(app: App, page: Page, path: Icon, name: &'static str, id: &'static str) -> View {
    let here = {
        let page = page.clone();
        create_selector(move || app.page.with(|now| *now == page))
    };
    let picture = icon::icon(path, 15);
    view! {
        button(
            r#type="button", data-testid=id, aria-current=here.get().then_some("page"),
            class=if here.get() {
                "flex items-center gap-2.5 rounded-ctl px-2 min-h-8 text-ctl text-start bg-bg3 text-ink font-medium"
            } else {
                "flex items-center gap-2.5 rounded-ctl px-2 min-h-8 text-ctl text-start text-ink2 hover:bg-bg3"
            },
            on:click=move |_| app.go(page.clone())
        ) {
            (picture)
            (name)
        }
    }
}

/// For tests and nobody else: the network's state without a word on the page.
fn network_state(app: App) -> View {
    view! {
        span(
            hidden=true, data-testid="network-state", data-state=app.network.with(|network| network.state.clone()),
            data-discovery-ms=app.network.with(|network| network.discovery_ms.map(|ms| ms.to_string()))
        ) {}
    }
}

fn toast(app: App) -> View {
    view! {
        (Redraw { by: move || match app.toast.get_clone() {
            None => View::new(),
            Some(text) => {
                let (way_on, label) = match text.as_str() {
                    FULL | UNCOUNTED => ("free-space", "Free space"),
                    SURE => ("stuck-sure", "Delete"),
                    text if text.starts_with(STUCK) => ("stuck-delete", "Delete everything"),
                    _ => ("", ""),
                };
                let way_on = (!label.is_empty()).then(|| view! {
                    button(
                        r#type="button", class="btn min-h-7!", data-testid=way_on,
                        on:click=move |_| {
                            app.toast.set((way_on == "stuck-delete").then(|| SURE.into()));
                            match way_on {
                                "free-space" => app.go(Page::History),
                                "stuck-sure" => app.forget(),
                                _ => {}
                            }
                        }
                    ) { (label) }
                });
                view! {
                div(
                    class="sheet absolute inset-x-3 bottom-28 z-10 mx-auto flex max-w-[680px] items-start gap-2 rounded-float border border-warn-line bg-warn-soft p-3 shadow-float",
                    role="status", data-testid="toast"
                ) {
                    span(class="pt-1.5") { (super::status::shape(super::status::Shape::Warn)) }
                    span(class="min-w-0 flex-1 text-ctl") { (text) }
                    (way_on)
                    (icon_button(icon::CLOSE, "Close", "toast-close", move || app.toast.set(None)))
                }
                }
            }
        } })
    }
}

/// A button that is an icon: its label is its name and its tooltip.
pub fn icon_button(path: Icon, label: &'static str, id: &'static str, press: impl Fn() + 'static) -> View {
    let picture = icon::icon(path, 16);
    view! {
        button(
            r#type="button", class="icon-btn", aria-label=label, title=label, data-testid=id, on:click=move |_| press()
        ) { (picture) }
    }
}

/// As [`icon_button`], for what has keys: its name says them as they are now.
pub fn key_button(
    app: App,
    path: Icon,
    (name, keys): (&'static str, &'static str),
    id: &'static str,
    press: impl Fn() + 'static,
) -> View {
    let picture = icon::icon(path, 16);
    let label = create_selector(move || keys::named(app, name, keys));
    view! {
        button(
            r#type="button", class="icon-btn", aria-label=label.get_clone(), title=label.get_clone(), data-testid=id,
            on:click=move |_| press()
        ) { (picture) }
    }
}

/// The header of a page that replaces the conversation.
pub fn header(app: App, title: impl Into<String>, more: View) -> View {
    let title = title.into();
    // Beside the navigation these pages stand on their own; the others lie over the conversation.
    let beside =
        app.page.with_untracked(|page| matches!(page, Page::Providers | Page::Usage | Page::Settings | Page::Network));
    let back = icon_button(icon::BACK, "Back (Esc)", "back", move || app.go(Page::Chat));
    view! {
        header(class="flex h-11 flex-none items-center gap-2 border-b border-line ps-3 pe-2") {
            span(class=if beside { "contents wide:hidden" } else { "contents" }) { (back) }
            h1(class="min-w-0 flex-1 truncate text-read font-semibold", tabindex="-1") { (title) }
            (more)
        }
    }
}

/// Marks the root for the chosen theme; the system's own needs no mark.
fn set_theme(theme: &str) {
    let Some(root) = document().document_element() else { return };
    let classes = root.class_list();
    for name in ["light", "dark"] {
        let _ = classes.toggle_with_force(name, theme == name);
    }
}
