//! The list of conversations: open, pin, rename, save as a file, delete, search.

use std::cell::RefCell;
use std::rc::Rc;

use gloo::timers::callback::Timeout;
use sycamore::prelude::*;
use wasm_bindgen::JsCast;

use super::invite::value_of;
use super::redraw::{Redraw, create_memo, create_selector};
use super::state::App;
use super::{app, file, format, icon, list};
use crate::port::{Command, ConversationRow, Hit};

/// Typing rests after so long, in ms.
const REST_MS: u32 = 150;
/// Rows in the navigation's short list.
const RECENT: usize = 12;

/// The page.
pub fn history(app: App) -> View {
    let search = create_signal(String::new());
    // What was found for other words counts no more.
    let is_hit = move |id: &str| {
        app.found.with(|(words, hits, _)| {
            search.with(|search| search == words) && hits.iter().any(|hit| hit.conversation == id)
        })
    };
    let found = create_memo(move || {
        let wanted = search.with(|search| format::lower(search.trim()));
        app.conversations.with(|all| {
            let found = all.iter().filter(|row| format::lower(&row.title).contains(&wanted) || is_hit(&row.id));
            found.map(|row| Rc::from(row.id.as_str())).collect::<Vec<Rc<str>>>()
        })
    });
    let later: Rc<RefCell<Option<Timeout>>> = Rc::default();
    let looked_for = move |event: web_sys::Event| {
        let text = value_of(&event);
        search.set(text.clone());
        // The words of all chats are looked through once the typing rests.
        let find = Timeout::new(REST_MS, move || app.send(Command::Find { text }));
        drop(later.replace(Some(find)));
    };
    let searching = create_selector(move || {
        search.with(|search| !search.trim().is_empty())
            && app.found.with(|(words, _, done)| !done || search.with(|search| search != words))
    });
    let none = create_selector(move || found.with(Vec::is_empty));
    let new = app::key_button(app, icon::COMPOSE, ("New chat", "new"), "history-new", move || app.new_chat());
    let header = app::header(app, "Chats", new);
    let rows = list::keyed(found, move |id| row(app, id.to_string(), search));
    let import = file::import_button(app);
    view! {
        section(class="flex min-h-0 flex-1 flex-col", aria-label="Chats") {
            (header)
            div(class="min-h-0 flex-1 overflow-y-auto px-3 py-3") {
                div(class="mx-auto flex w-full max-w-[680px] flex-col gap-2") {
                    input(
                        r#type="search", class="field", placeholder="Search titles and words (/)", aria-label="Search chats",
                        data-search="", data-testid="history-search", on:input=looked_for
                    )
                    (Redraw { by: move || if none.get() {
                        view! {
                            p(class="px-1 py-6 text-center text-ctl text-ink3") {
                                (Redraw { by: move || View::from(if app.conversations.with(Vec::is_empty) { "No chat yet. What you ask is kept here, sealed." } else if searching.get() { "Searching." } else { "No title and no words match." }) })
                            }
                        }
                    } else {
                        View::new()
                    } })
                    ul(class="flex flex-col") { (rows) }
                    div(class="flex justify-end") { (import) }
                }
            }
        }
    }
}

/// What a row is doing.
#[derive(Clone, Copy, PartialEq)]
enum Doing {
    Nothing,
    Renaming,
    Exporting,
    Deleting,
}

fn row(app: App, id: String, search: Signal<String>) -> View {
    let doing = create_signal(Doing::Nothing);
    let facts = {
        let id = id.clone();
        create_selector(move || app.conversations.with(|all| all.iter().find(|row| row.id == id).cloned()))
    };
    let open = {
        let id = id.clone();
        create_selector(move || app.open.with(|open| open.as_deref() == Some(&*id)))
    };
    let shown = id.clone();
    let hit = create_selector(move || {
        app.found.with(|(words, hits, _)| {
            hits.iter().find(|hit| hit.conversation == id && search.with(|search| search == words)).cloned()
        })
    });
    view! {
        li(
            class=if open.get() { "rounded-ctl bg-accent-soft" } else { "rounded-ctl hover:bg-bg2" }, data-testid="history-row",
            data-conversation-id=shown
        ) {
            (Redraw { by: move || match (facts.get_clone(), doing.get()) {
                (None, _) => View::new(),
                (Some(row), Doing::Nothing) => plain(app, row, doing, hit),
                (Some(row), Doing::Renaming) => renaming(app, row, doing),
                (Some(row), Doing::Exporting) => exporting(app, row, doing),
                (Some(row), Doing::Deleting) => deleting(app, row, doing),
            } })
            (Redraw { by: move || hit.get_clone().map_or_else(View::new, |hit| excerpt(app, hit)) })
        }
    }
}

/// Where the words were found, which opens the chat there.
fn excerpt(app: App, hit: Hit) -> View {
    let Hit { count, before, found, after, .. } = hit.clone();
    let more = if count > 1 { format!(" · in {} messages", format::count(count.into())) } else { String::new() };
    view! {
        button(
            r#type="button", class="block w-full px-2 pb-2 text-start text-sec text-ink2 [overflow-wrap:anywhere]",
            data-testid="history-hit", on:click=move |_| app.open_found(&hit)
        ) {
            (before)
            mark(class="bg-accent-soft font-semibold text-ink") { (found) }
            (after)
            span(class="text-ink3") { (more) }
        }
    }
}

fn plain(app: App, row: ConversationRow, doing: Signal<Doing>, hit: ReadSignal<Option<Hit>>) -> View {
    let day = format::day(row.changed_ms as f64);
    let rename = app::icon_button(icon::PENCIL, "Rename", "history-rename", move || doing.set(Doing::Renaming));
    let delete = app::icon_button(icon::TRASH, "Delete", "history-delete", move || doing.set(Doing::Deleting));
    let export =
        app::icon_button(icon::DOWNLOAD, "Save as a file", "history-export", move || doing.set(Doing::Exporting));
    let (title, pinned, picture) = (row.title.clone(), row.pinned, icon::icon(icon::PIN, 16));
    let (id, label) = (row.id.clone(), if pinned { "Do not keep at the top" } else { "Keep at the top" });
    view! {
        div(class="group flex min-h-9 items-center gap-1 pe-1") {
            button(
                r#type="button", class="flex min-h-9 min-w-0 flex-1 items-center gap-2 rounded-ctl px-2 text-start", data-item="",
                data-testid="history-open", on:click=move |_| match hit.get_clone_untracked() {
                    Some(hit) => app.open_found(&hit),
                    None => app.open_conversation(&row.id),
                }
            ) {
                span(class="min-w-0 flex-1 truncate text-ctl") { (title) }
                span(class="flex-none text-sec text-ink3 slim:hidden") { (day) }
            }
            button(
                r#type="button", class=if pinned { "icon-btn text-accent!" } else { "icon-btn" }, aria-label=label, title=label,
                aria-pressed=if pinned { "true" } else { "false" }, data-testid="history-pin",
                on:click=move |_| app.send(Command::Pin { conversation: id.clone(), on: !pinned })
            ) { (picture) }
            (rename)
            (export)
            (delete)
        }
    }
}

fn renaming(app: App, row: ConversationRow, doing: Signal<Doing>) -> View {
    let field = create_node_ref();
    let save = {
        let id = row.id.clone();
        move || {
            let title = text_in(field);
            if !title.is_empty() {
                app.send(Command::Rename { conversation: id.clone(), title });
            }
            doing.set(Doing::Nothing);
        }
    };
    let enter = save.clone();
    let title = row.title.clone();
    on_mount(move || {
        if let Some(input) = field.try_get().and_then(|node| node.dyn_into::<web_sys::HtmlInputElement>().ok()) {
            let _ = input.focus();
            input.select();
        }
    });
    view! {
        div(class="flex min-h-11 items-center gap-1.5 px-1") {
            input(
                class="field", r#ref=field, value=title, aria-label="Title", data-testid="history-title", maxlength="120",
                on:keydown=move |event: web_sys::KeyboardEvent| match event.key().as_str() {
                    "Enter" if !event.is_composing() => enter(),
                    "Escape" => {
                        event.stop_propagation();
                        doing.set(Doing::Nothing);
                    }
                    _ => {}
                }
            )
            button(r#type="button", class="btn", on:click=move |_| save()) { "Save" }
        }
    }
}

fn deleting(app: App, row: ConversationRow, doing: Signal<Doing>) -> View {
    let words = format!("Delete {}?", format::shorten(&row.title, 40));
    view! {
        div(class="flex min-h-11 items-center gap-1.5 px-2", role="group", aria-label="Delete this chat") {
            span(class="min-w-0 flex-1 truncate text-ctl") { (words) }
            button(r#type="button", class="btn", on:click=move |_| doing.set(Doing::Nothing)) { "Keep" }
            button(
                r#type="button", class="btn btn-stop", data-testid="history-confirm",
                on:click=move |_| app.send(Command::Delete { conversation: row.id.clone() })
            ) { "Delete" }
        }
    }
}

fn exporting(app: App, row: ConversationRow, doing: Signal<Doing>) -> View {
    let save = move |id: &str, markdown: bool| {
        file::export(app, id, markdown);
        doing.set(Doing::Nothing);
    };
    let (id, same) = (row.id.clone(), row.id.clone());
    view! {
        div(class="flex min-h-11 flex-wrap items-center gap-1.5 px-2 pb-2", role="group", aria-label="Save this chat as a file") {
            p(class="w-full pt-2 text-sec text-ink2") { "Everyone who gets the file can read it." }
            button(r#type="button", class="btn", on:click=move |_| doing.set(Doing::Nothing)) { "Close" }
            button(r#type="button", class="btn", data-testid="export-markdown", on:click=move |_| save(&id, true)) { "Markdown" }
            button(r#type="button", class="btn", data-testid="export-json", on:click=move |_| save(&same, false)) { "JSON" }
        }
    }
}

fn text_in(field: NodeRef) -> String {
    let input = field.try_get().and_then(|node| node.dyn_into::<web_sys::HtmlInputElement>().ok());
    input.map(|input| input.value().trim().to_owned()).unwrap_or_default()
}

/// The newest ones, for the navigation beside the page.
pub fn recent(app: App) -> View {
    let ids = create_memo(move || {
        app.conversations
            .with(|all| all.iter().take(RECENT).map(|row| Rc::from(row.id.as_str())).collect::<Vec<Rc<str>>>())
    });
    let rows = list::keyed(ids, move |id| {
        let id = id.to_string();
        let title = {
            let id = id.clone();
            create_selector(move || {
                app.conversations
                    .with(|all| all.iter().find(|row| row.id == id).map(|row| row.title.clone()))
                    .unwrap_or_default()
            })
        };
        let here = {
            let id = id.clone();
            create_selector(move || app.open.with(|open| open.as_deref() == Some(&*id)))
        };
        view! {
            li {
                button(
                    r#type="button", title=title.get_clone(), aria-current=here.get().then_some("true"),
                    class=if here.get() {
                        "block min-h-7 w-full truncate rounded-ctl px-2 text-start text-sec bg-bg3 text-ink"
                    } else {
                        "block min-h-7 w-full truncate rounded-ctl px-2 text-start text-sec text-ink2 hover:bg-bg3"
                    },
                    on:click=move |_| app.open_conversation(&id)
                ) { (Redraw { by: move || View::from(title.get_clone()) }) }
            }
        }
    });
    view! { ul(class="flex flex-col") { (rows) } }
}
