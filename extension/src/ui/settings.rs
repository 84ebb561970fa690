//! Settings: how answers travel and what that costs, entry nodes, look, and the user's own data.

use sycamore::prelude::*;
use wasm_bindgen::JsCast;

use super::invite::value_of;
use super::redraw::{Redraw, create_effect, create_selector};
use super::segments::segments;
use super::state::{App, Page};
use super::{app, choosing, empty, file, format, rebind};
use crate::port::Command;

/// Bytes of a frame on the wire.
const FRAME: u64 = 512;
/// Streams that share the channel of profile `high`; each of its users receives all of them.
const BUCKET: u64 = 64;
/// The answer that the figures are for: tokens, and tokens a second.
const TOKENS: u64 = 2_000;
/// See [`TOKENS`].
const RATE: u64 = 100;

/// A privacy level as shown.
struct Level {
    id: &'static str,
    name: &'static str,
    what: &'static str,
    step: String,
    data: String,
    first: String,
    still: &'static str,
}

/// The three levels; every figure is computed from the protocol's frame size and cadence.
fn levels() -> [Level; 3] {
    let seconds = TOKENS / RATE;
    // `fast`: a frame leaves as soon as it is 20 ms old.
    let fast = seconds * 1_000 / 20 * FRAME;
    // `balanced`: a frame each 100 ms, so a word waits half of it on average.
    let balanced = seconds * 1_000 / 100 * FRAME;
    // `high`: a frame each 250 ms, of every stream in the shared channel.
    let high = seconds * 1_000 / 250 * FRAME * BUCKET;
    [
        Level {
            id: "fast",
            name: "Fast",
            what: "Words leave as soon as they exist.",
            step: "≤ 0.02 s".into(),
            data: bytes(fast),
            first: "no delay".into(),
            still: "That you ask, when, the length, and often the topic from the rhythm.",
        },
        Level {
            id: "balanced",
            name: "Balanced",
            what: "Even packets on an even beat. The first word does not wait.",
            step: "0.05 s".into(),
            data: bytes(balanced),
            first: "no delay".into(),
            still: "That you ask, when, and roughly how long the answer is.",
        },
        Level {
            id: "high",
            name: "High",
            what: "A constant stream in a shared channel, padded at the end. No quick follow-ups.",
            step: "0.13 s".into(),
            data: bytes(high),
            first: "≤ 0.25 s".into(),
            still: "That someone here uses the market, and a rough length.",
        },
    ]
}

/// Bytes as "100 KB", "2.6 MB".
fn bytes(n: u64) -> String {
    if n < 1_000_000 { format!("{} KB", (n + 500) / 1_000) } else { format!("{} MB", format::fixed(n as f64 / 1e6, 1)) }
}

/// The page.
pub fn settings(app: App) -> View {
    let header = app::header(app, "Settings", View::new());
    let sections = View::from(vec![
        privacy(app),
        choosing::section(app),
        network(app),
        look(app),
        rebind::section(app),
        data(app),
        about(),
    ]);
    view! {
        section(class="flex min-h-0 flex-1 flex-col", aria-label="Settings", data-testid="settings") {
            (header)
            div(class="min-h-0 flex-1 overflow-y-auto px-4 py-4") {
                div(class="mx-auto flex w-full max-w-[860px] flex-col gap-8 pb-6") { (sections) }
            }
        }
    }
}

/// The heading of a part.
pub fn title(name: &'static str, what: &'static str) -> View {
    view! {
        div(class="mb-3") {
            h2(class="text-read font-semibold") { (name) }
            p(class="text-ctl text-ink2") { (what) }
        }
    }
}

fn privacy(app: App) -> View {
    let title = title(
        "How answers travel",
        "All three seal every word the same way. They differ in what size and rhythm give away.",
    );
    let cards: Vec<View> = levels().into_iter().map(|level| level_card(app, level)).collect();
    let cards = View::from(cards);
    let note = format!("For {} tokens at {RATE} a second.", format::count(TOKENS));
    let hedge = create_selector(move || app.settings.with(|settings| settings.hedge != Some(false)));
    view! {
        section {
            (title)
            div(class="grid grid-cols-1 gap-2.5 wide:grid-cols-3", role="radiogroup", aria-label="Privacy level", on:keydown=radio_keys) { (cards) }
            p(class="mt-2 text-sec text-ink3") { (note) }
            div(class="mt-3 flex min-h-12 items-center gap-3 border-y border-line py-2") {
                div(class="flex-1") {
                    p(class="text-ctl", id="hedge-name") { "Ask a second provider when the first word is late" }
                    p(class="text-sec text-ink2") { "At most one question in ten. Both then read it; the slower one is stopped. Without it another one is asked, and reads it, only when the first does not take it or fails." }
                }
                button(
                    r#type="button", role="switch", class="switch", aria-labelledby="hedge-name", data-testid="settings-hedge",
                    aria-checked=if hedge.get() { "true" } else { "false" },
                    on:click=move |_| app.set(|settings| settings.hedge = Some(settings.hedge == Some(false)))
                ) {}
            }
        }
    }
}

fn level_card(app: App, level: Level) -> View {
    let id = level.id;
    let on = create_selector(move || app.settings.with(|settings| settings.profile == id));
    let test = format!("settings-profile-{id}");
    let figures: Vec<View> = [("Each step", level.step), ("Data", level.data), ("First word", level.first)]
        .into_iter()
        .map(|(name, value)| {
            view! { span(class="flex justify-between text-sec") { span(class="text-ink2") { (name) } span(class="font-semibold") { (value) } } }
        })
        .collect();
    let (figures, default) =
        (View::from(figures), (id == "balanced").then(|| view! { span(class="text-sec text-ink3") { "default" } }));
    let (name, what, still) = (level.name, level.what, level.still);
    view! {
        button(
            r#type="button", role="radio", data-testid=test, aria-checked=if on.get() { "true" } else { "false" },
            tabindex=if on.get() { "0" } else { "-1" },
            class=if on.get() {
                "flex flex-col gap-2 rounded-card border border-accent bg-bg p-3 text-start ring-1 ring-accent"
            } else {
                "flex flex-col gap-2 rounded-card border border-line bg-bg p-3 text-start hover:bg-bg2"
            },
            on:click=move |_| app.set(|settings| settings.profile = id.into())
        ) {
            span(class="flex items-center gap-2") {
                (dot(on))
                span(class="flex-1 text-ctl font-semibold") { (name) }
                (default)
            }
            span(class="text-sec text-ink2 wide:min-h-12") { (what) }
            span(class="flex flex-col gap-1 border-t border-line pt-2") { (figures) }
            span(class="border-t border-line pt-2 text-sec") {
                span(class="block text-ink3") { "An onlooker can still tell" }
                (still)
            }
        }
    }
}

/// The dot of a radio.
fn dot(on: ReadSignal<bool>) -> View {
    view! {
        span(class=if on.get() {
            "grid size-4 flex-none place-items-center rounded-full border-2 border-accent"
        } else {
            "grid size-4 flex-none place-items-center rounded-full border border-edge"
        }) {
            span(class=if on.get() { "size-2 rounded-full bg-accent" } else { "hidden" }) {}
        }
    }
}

/// Arrows move within a group of radios and choose, as everywhere.
pub fn radio_keys(event: web_sys::KeyboardEvent) {
    let by = match event.key().as_str() {
        "ArrowRight" | "ArrowDown" => 1,
        "ArrowLeft" | "ArrowUp" => -1,
        _ => return,
    };
    event.prevent_default();
    event.stop_propagation();
    let group = event.current_target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
    let Some(radios) = group.and_then(|group| group.query_selector_all("[role=radio]").ok()) else { return };
    let here = document().active_element();
    let count = i32::try_from(radios.length()).unwrap_or(0);
    let at = (0..count)
        .find(|at| radios.get(at.unsigned_abs()).is_some_and(|radio| radio.is_same_node(here.as_deref())))
        .unwrap_or(0);
    if count == 0 {
        return;
    }
    let next = radios.get((at + by).rem_euclid(count).unsigned_abs());
    if let Some(next) = next.and_then(|next| next.dyn_into::<web_sys::HtmlElement>().ok()) {
        let _ = next.focus();
        next.click();
    }
}

fn network(app: App) -> View {
    let title = title("Network", "Entry nodes carry sealed packets. They see your address, never your words.");
    let text = create_signal(app.settings.with_untracked(|settings| settings.entry_nodes.join("\n")));
    let stored = create_selector(move || app.settings.with(|settings| settings.entry_nodes.join("\n")));
    create_effect(move || text.set(stored.get_clone()));
    let nodes = move || -> Vec<String> {
        text.with(|text| text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
    };
    let wrong = create_selector(move || {
        nodes().into_iter().find(|node| {
            !(node.starts_with('/') && node.contains("/p2p/") && (node.contains("/ws") || node.contains("/wss")))
        })
    });
    let changed = create_selector(move || app.settings.with(|settings| settings.entry_nodes != nodes()));
    view! {
        section {
            (title)
            label(class="sr-only", r#for="nodes") { "Entry nodes, one a line" }
            textarea(
                id="nodes", rows="3", class="field resize-y font-mono text-sec", dir="ltr", "spellcheck"="false",
                placeholder="/dns4/example/tcp/443/wss/p2p/16U…", data-testid="settings-nodes", prop:value=text.get_clone(),
                on:input=move |event: web_sys::Event| text.set(value_of(&event))
            ) {}
            (Redraw { by: move || match wrong.get_clone() {
                Some(node) => view! {
                    p(class="mt-1 text-sec text-stop", role="alert") {
                        (Redraw { by: move || View::from(format!("{} is no WebSocket address with a peer id (…/ws/p2p/…).", empty::host_of(&node))) })
                    }
                },
                None => View::new(),
            } })
            div(class="mt-2 flex flex-wrap gap-2") {
                button(
                    r#type="button", class="btn", data-testid="settings-nodes-save", disabled=!changed.get() || wrong.with(Option::is_some),
                    on:click=move |_| {
                        let entry_nodes = nodes();
                        app.set(|settings| settings.entry_nodes = entry_nodes);
                    }
                ) { "Save" }
                button(r#type="button", class="btn btn-plain", on:click=move |_| app.go(Page::Network)) { "Paste an invite instead" }
            }
        }
    }
}

fn look(app: App) -> View {
    let title = title("Look", "Light and dark, and how answers appear.");
    let themes = segments(
        "Theme",
        "settings-theme",
        &[("system", "System"), ("light", "Light"), ("dark", "Dark")],
        move || app.settings.with(|settings| settings.theme.clone()),
        move |id| app.set(|settings| settings.theme = id.into()),
    );
    let whole = create_selector(move || app.settings.with(|settings| settings.whole_answers));
    view! {
        section {
            (title)
            div(class="flex min-h-12 items-center gap-3 border-t border-line") {
                span(class="flex-1 text-ctl") { "Theme" }
                (themes)
            }
            div(class="flex min-h-12 items-center gap-3 border-y border-line py-2") {
                div(class="flex-1") {
                    p(class="text-ctl", id="whole-name") { "Show answers when complete" }
                    p(class="text-sec text-ink2") { "Calmer with a screen reader: nothing moves while words come." }
                }
                button(
                    r#type="button", role="switch", class="switch", aria-labelledby="whole-name", data-testid="settings-whole",
                    aria-checked=if whole.get() { "true" } else { "false" },
                    on:click=move |_| app.set(|settings| settings.whole_answers = !settings.whole_answers)
                ) {}
            }
        }
    }
}

fn data(app: App) -> View {
    let title = title(
        "Your data",
        "Chats and settings lie in this browser only, sealed with a key that cannot be read out of it.",
    );
    let (asking, import) = (create_signal(false), file::import_button(app));
    view! {
        section {
            (title)
            p(class="text-sec text-ink2") {
                "This protects the files on the disk. It does not protect against someone who uses this unlocked browser profile, against malware on this computer, or against what a provider keeps of the words it read."
            }
            div(class="mt-3 flex flex-wrap gap-2") {
                button(r#type="button", class="btn", data-testid="settings-export", on:click=move |_| app.send(Command::Export { conversation: None })) { "Export as JSON" }
                (import)
                button(r#type="button", class="btn btn-stop", data-testid="settings-delete", on:click=move |_| asking.set(true)) { "Delete everything" }
            }
            p(class="mt-2 text-sec text-ink3") { "The exported file is readable by everyone who gets it." }
            (Redraw { by: move || if asking.get() { confirm(app, asking) } else { View::new() } })
        }
    }
}

fn confirm(app: App, asking: Signal<bool>) -> View {
    on_mount(|| {
        let field = document().get_element_by_id("delete-word");
        if let Some(field) = field.and_then(|field| field.dyn_into::<web_sys::HtmlElement>().ok()) {
            let _ = field.focus();
        }
    });
    let typed = create_signal(String::new());
    let sure = create_selector(move || typed.with(|typed| typed.trim().eq_ignore_ascii_case("delete")));
    view! {
        div(class="sheet mt-3 rounded-card border border-stop-line bg-stop-soft p-3", role="group", aria-label="Delete everything") {
            p(class="text-ctl font-semibold") { "Delete every chat, setting and key?" }
            p(class="text-sec text-ink2") { "Afterwards it is as after a new installation, and nothing can bring it back." }
            label(class="mt-2 block text-sec", r#for="delete-word") { "Type delete" }
            div(class="mt-1 flex gap-2") {
                input(
                    id="delete-word", class="field", autocomplete="off", data-testid="settings-delete-word",
                    on:input=move |event: web_sys::Event| typed.set(value_of(&event))
                )
                button(r#type="button", class="btn", on:click=move |_| asking.set(false)) { "Keep" }
                button(
                    r#type="button", class="btn btn-stop", data-testid="settings-delete-confirm", disabled=!sure.get(),
                    on:click=move |_| {
                        app.forget();
                        asking.set(false);
                    }
                ) { "Delete" }
            }
        }
    }
}

fn about() -> View {
    let version = format!("PrivacyAI {}", env!("CARGO_PKG_VERSION"));
    view! {
        section {
            h2(class="mb-1 text-read font-semibold") { "About" }
            p(class="text-ctl", data-testid="settings-version") { (version) }
            p(class="text-sec text-ink2") { "Protocol PAM/1. MIT or Apache-2.0. Icons by Lucide, ISC." }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn computes_the_cost_of_each_level() {
        let data = levels().map(|level| level.data);
        assert_eq!(data, ["512 KB", "102 KB", "2.6 MB"]);
    }
}
