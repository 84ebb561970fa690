//! Joining a network: an invite is pasted, read, shown as what it would change, and only then taken.

use sycamore::prelude::*;

use super::redraw::{Redraw, create_selector};
use super::state::{App, Page};
use super::{app, empty, icon};
use crate::port::Command;

/// The first screen, while there is no entry node.
pub fn first(app: App) -> View {
    let form = form(app);
    let mark = icon::mark(28);
    view! {
        div(class="min-h-0 flex-1 overflow-y-auto px-4", data-testid="first-screen") {
            div(class="mx-auto flex min-h-full w-full max-w-[480px] flex-col justify-center py-6") {
                (mark)
                h2(class="mt-4 text-fig font-semibold") { "Join a network" }
                p(class="mt-1 mb-4 text-read text-ink2") {
                    "Nothing of a running network is built in. Paste an invite link from somebody you trust; you see what it would change before it is taken."
                }
                (form)
            }
        }
    }
}

/// The page of the entry nodes.
pub fn network(app: App) -> View {
    let header = app::header(app, "Network", View::new());
    let form = form(app);
    let state = move || {
        app.network.with(|network| match network.state.as_str() {
            "connected" => match network.discovery_ms {
                Some(ms) => format!("Connected. First provider after {}.", super::format::seconds(ms.into())),
                None => "Connected.".to_owned(),
            },
            "connecting" => "Connecting.".to_owned(),
            "lost" => "No way to the network.".to_owned(),
            _ => "No entry node yet.".to_owned(),
        })
    };
    view! {
        section(class="flex min-h-0 flex-1 flex-col", aria-label="Network") {
            (header)
            div(class="min-h-0 flex-1 overflow-y-auto px-4 py-4") {
                div(class="mx-auto flex w-full max-w-[680px] flex-col gap-4") {
                    div {
                        h2(class="text-ctl font-semibold") { "Entry nodes" }
                        p(class="text-sec text-ink2") { (state()) }
                        (Redraw { by: move || {
                            let nodes = app.network.with(|network| network.nodes.clone());
                            if nodes.is_empty() { return View::new(); }
                            let rows = empty::node_rows(&nodes);
                            view! { div(class="card mt-2 px-3 py-1.5") { (rows) } }
                        } })
                        div(class="mt-2 flex gap-2") {
                            button(r#type="button", class="btn", data-testid="network-try", on:click=move |_| app.send(Command::TryNow)) { "Try now" }
                            button(r#type="button", class="btn btn-plain", on:click=move |_| app.go(Page::Settings)) { "Edit by hand" }
                        }
                    }
                    div(class="border-t border-line pt-4") {
                        h2(class="mb-2 text-ctl font-semibold") { "Take another invite" }
                        (form)
                    }
                }
            }
        }
    }
}

/// Paste, read, see, join.
fn form(app: App) -> View {
    let text = create_signal(String::new());
    let blank = create_selector(move || text.with(|text| text.trim().is_empty()));
    app.invite.set(None);
    let read = move || {
        let pasted = text.get_clone_untracked().trim().to_owned();
        if !pasted.is_empty() {
            app.send(Command::ReadInvite { text: pasted });
        }
    };
    let ready =
        create_selector(move || app.invite.with(|invite| invite.as_ref().is_some_and(|invite| invite.error.is_none())));
    view! {
        div(class="flex flex-col gap-2") {
            label(class="text-sec text-ink2", r#for="invite") { "Invite link" }
            textarea(
                id="invite", rows="3", class="field resize-none font-mono text-sec", placeholder="pam1:", dir="ltr",
                "spellcheck"="false", autocomplete="off", data-testid="invite-input", prop:value=text.get_clone(),
                on:input=move |event: web_sys::Event| {
                    text.set(value_of(&event));
                    app.invite.set(None);
                },
                on:keydown=move |event: web_sys::KeyboardEvent| {
                    if event.key() == "Enter" && !event.is_composing() {
                        event.prevent_default();
                        read();
                    }
                }
            ) {}
            (Redraw { by: move || match app.invite.get_clone() {
                None => View::new(),
                Some(invite) => outcome(invite),
            } })
            div(class="flex gap-2") {
                (Redraw { by: move || if ready.get() {
                    view! {
                        button(
                            r#type="button", class="btn btn-solid btn-big", data-testid="invite-join",
                            on:click=move |_| {
                                app.send(Command::Join { text: text.get_clone_untracked().trim().to_owned() });
                                app.go(Page::Chat);
                            }
                        ) { "Join" }
                        button(
                            r#type="button", class="btn btn-big", data-testid="invite-cancel",
                            on:click=move |_| {
                                text.set(String::new());
                                app.invite.set(None);
                            }
                        ) { "Do not join" }
                    }
                } else {
                    view! {
                        button(
                            r#type="button", class="btn btn-solid btn-big", data-testid="invite-read", disabled=blank.get(),
                            on:click=move |_| read()
                        ) { "Show what it changes" }
                    }
                } })
            }
        }
    }
}

fn outcome(invite: super::state::InviteView) -> View {
    if let Some(error) = invite.error {
        return view! {
            p(class="rounded-ctl border border-stop-line bg-stop-soft px-3 py-2 text-ctl", role="alert", data-testid="invite-error") { (error) }
        };
    }
    let lines: Vec<View> = invite
        .changes
        .into_iter()
        .map(|line| view! { li(class="border-t border-line py-1.5 first:border-t-0 [overflow-wrap:anywhere]") { (line) } })
        .collect();
    let lines = View::from(lines);
    view! {
        div(class="sheet card px-3 py-1.5", data-testid="invite-changes") {
            p(class="pt-1 text-sec text-ink3") { "This invite would set" }
            ul(class="text-ctl") { (lines) }
        }
    }
}

/// The text of an input that an event came from.
pub fn value_of(event: &web_sys::Event) -> String {
    let target = event.current_target().map(wasm_bindgen::JsValue::from).unwrap_or_default();
    js_sys::Reflect::get(&target, &"value".into()).ok().and_then(|value| value.as_string()).unwrap_or_default()
}
