//! The command palette: everything the panel can do, found by typing.

use sycamore::prelude::*;
use wasm_bindgen::JsCast;

use super::icon::{self, Icon};
use super::invite::value_of;
use super::redraw::{Redraw, create_memo, create_selector};
use super::state::{App, Overlay, Page};
use super::{format, keyboard, keys};

/// Rows shown at once.
const MOST: usize = 9;

/// What an entry does.
#[derive(Clone, Debug, PartialEq)]
enum Do {
    Go(Page),
    NewChat,
    Choose(Option<String>),
    Profile(&'static str),
    Theme(&'static str),
    Open(String),
    Keys,
    Tab,
}

/// An entry: its name for tests, icon, words, and which of [`keys::KEYS`] does the same.
#[derive(Clone, PartialEq)]
struct Entry {
    id: String,
    picture: Icon,
    words: String,
    keys: &'static str,
    act: Do,
}

fn entries(app: App) -> Vec<Entry> {
    let entry =
        |id: &str, picture, words: &str, keys, act| Entry { id: id.into(), picture, words: words.into(), keys, act };
    let mut all = vec![
        entry("new-chat", icon::COMPOSE, "New chat", "new", Do::NewChat),
        entry("providers", icon::SERVER, "Switch provider", "providers", Do::Go(Page::Providers)),
        entry("history", icon::HISTORY, "Chats", "history", Do::Go(Page::History)),
        entry("usage", icon::CHART, "Usage", "", Do::Go(Page::Usage)),
        entry("settings", icon::SETTINGS, "Settings", "", Do::Go(Page::Settings)),
        entry("network", icon::LINK, "Network and invites", "", Do::Go(Page::Network)),
        entry("keys", icon::KEYBOARD, "Keys", "keys", Do::Keys),
        entry("tab", icon::EXPAND, "Open in a tab", "", Do::Tab),
        entry("automatic", icon::ROUTE, "Switch to automatic choice", "", Do::Choose(None)),
    ];
    app.providers.with(|providers| {
        for provider in providers.iter().filter(|provider| provider.usable) {
            all.push(Entry {
                id: format!("use-{}", provider.id),
                picture: icon::SERVER,
                words: format!("Switch to {}", provider.name),
                keys: "",
                act: Do::Choose(Some(provider.id.clone())),
            });
        }
    });
    for (id, words) in [("fast", "Fast"), ("balanced", "Balanced"), ("high", "High")] {
        all.push(entry(id, icon::SHIELD, &format!("Switch privacy level to {words}"), "", Do::Profile(id)));
    }
    for (id, words) in [("system", "the system's theme"), ("light", "light theme"), ("dark", "dark theme")] {
        all.push(entry(id, icon::SETTINGS, &format!("Use {words}"), "", Do::Theme(id)));
    }
    app.conversations.with(|conversations| {
        for row in conversations {
            all.push(Entry {
                id: format!("open-{}", row.id),
                picture: icon::CHATS,
                words: row.title.clone(),
                keys: "",
                act: Do::Open(row.id.clone()),
            });
        }
    });
    all
}

/// Draws it over the page.
pub fn palette(app: App) -> View {
    let search = create_signal(String::new());
    let at = create_signal(0usize);
    let field = create_node_ref();
    let found = create_memo(move || {
        let wanted = search.with(|search| format::lower(search.trim()));
        let mut all = entries(app);
        all.retain(|entry| format::lower(&entry.words).contains(&wanted));
        all.truncate(MOST);
        all
    });
    on_mount(move || {
        if let Some(field) = field.try_get().and_then(|node| node.dyn_into::<web_sys::HtmlElement>().ok()) {
            let _ = field.focus();
        }
    });
    let picture = icon::icon(icon::SEARCH, 15);
    let key = move |event: web_sys::KeyboardEvent| {
        let count = found.with_untracked(Vec::len);
        match event.key().as_str() {
            "ArrowDown" if count > 0 => at.set((at.get_untracked() + 1) % count),
            "ArrowUp" if count > 0 => at.set((at.get_untracked() + count - 1) % count),
            "Enter" if !event.is_composing() => {
                let chosen = found.with_untracked(|found| found.get(at.get_untracked()).map(|entry| entry.act.clone()));
                if let Some(act) = chosen {
                    run(app, act);
                }
            }
            _ => return,
        }
        event.prevent_default();
    };
    view! {
        div(class="fixed inset-0 z-20 bg-bg/70 p-3", on:click=move |_| app.overlay.set(Overlay::None)) {
            div(
                class="sheet mx-auto mt-6 w-full max-w-[440px] overflow-hidden rounded-float border border-line2 bg-bg shadow-float",
                role="dialog", aria-modal="true", aria-label="Commands", data-testid="palette",
                on:click=move |event: web_sys::MouseEvent| event.stop_propagation()
            ) {
                div(class="flex items-center gap-2.5 border-b border-line px-3") {
                    span(class="text-ink3") { (picture) }
                    input(
                        class="min-h-10 flex-1 bg-transparent text-ctl focus-visible:outline-none", r#ref=field, role="combobox",
                        aria-expanded="true", aria-controls="palette-list", aria-label="Command", placeholder="Type a command",
                        aria-activedescendant=format!("command-{}", at.get()), data-testid="palette-input",
                        on:keydown=key,
                        on:input=move |event: web_sys::Event| {
                            search.set(value_of(&event));
                            at.set(0);
                        }
                    )
                    kbd(class="kbd") { "Esc" }
                }
                ul(class="p-1", id="palette-list", role="listbox", aria-label="Commands") {
                    (Redraw { by: move || View::from(
                        found.get_clone().into_iter().enumerate().map(|(index, entry)| row(app, at, index, entry)).collect::<Vec<View>>()
                    ) })
                }
                (Redraw { by: move || if found.with(Vec::is_empty) {
                    view! { p(class="px-3 pb-3 text-ctl text-ink3") { "No command and no chat matches." } }
                } else {
                    View::new()
                } })
            }
        }
    }
}

fn row(app: App, at: Signal<usize>, index: usize, entry: Entry) -> View {
    let here = create_selector(move || at.get() == index);
    let id = format!("command-{index}");
    let picture = icon::icon(entry.picture, 15);
    let keys =
        app.settings.with_untracked(|settings| keys::keys_of(&settings.keys.clone().unwrap_or_default(), entry.keys));
    let keys = if keys.is_empty() { View::new() } else { keyboard::glyphs(&keys) };
    let (name, words, act) = (entry.id, entry.words, entry.act);
    view! {
        li(
            id=id, role="option", data-testid="palette-run", data-command=name,
            aria-selected=if here.get() { "true" } else { "false" },
            class=if here.get() {
                "flex min-h-9 cursor-pointer items-center gap-2.5 rounded-ctl px-2.5 text-ctl bg-bg3"
            } else {
                "flex min-h-9 cursor-pointer items-center gap-2.5 rounded-ctl px-2.5 text-ctl"
            },
            on:click=move |_| run(app, act.clone()), on:mousemove=move |_| if !here.get_untracked() { at.set(index) }
        ) {
            span(class="text-ink2") { (picture) }
            span(class="min-w-0 flex-1 truncate") { (words) }
            (keys)
        }
    }
}

fn run(app: App, act: Do) {
    app.overlay.set(Overlay::None);
    match act {
        Do::Go(page) => app.go(page),
        Do::NewChat => app.new_chat(),
        Do::Choose(provider) => {
            app.choose(provider, None);
            super::keyboard::focus_composer();
        }
        Do::Profile(profile) => app.set(|settings| settings.profile = profile.into()),
        Do::Theme(theme) => app.set(|settings| settings.theme = theme.into()),
        Do::Open(conversation) => app.open_conversation(&conversation),
        Do::Keys => app.overlay.set(Overlay::Keys),
        Do::Tab => open_tab(),
    }
}

/// Opens this page in a tab of its own.
pub fn open_tab() {
    let location = window().location();
    let (path, hash) = (location.pathname().unwrap_or_default(), location.hash().unwrap_or_default());
    let _ = window().open_with_url_and_target(&format!("{path}?view=tab{hash}"), "_blank");
}
