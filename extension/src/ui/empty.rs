//! What stands where no message does: a start, or why nobody can be asked; and the same as one line above the
//! composer when there are messages.

use std::rc::Rc;

use sycamore::prelude::*;

use super::redraw::{Redraw, create_memo, create_selector};
use super::state::{App, Page};
use super::status::{Shape, shape, status_of};
use super::{composer, format, icon};
use crate::port::{Command, NetworkView, ProviderView};

/// Questions to start with; each goes into the composer, not away.
const SUGGESTIONS: [&str; 3] =
    ["Explain a letter from my landlord: ", "Find the bug in this function: ", "Make this email firm, not angry: "];
/// How long a search for providers may last before it is called a failure, in ms.
const SEARCH_MS: f64 = 8_000.0;

/// How a clock is put right.
const CLOCK_FIX: &str = "Switch on automatic date and time in the settings of this computer, then ask again. Providers \
    refuse questions of another time, so that nobody can send an old one twice.";

/// Why nobody can be asked, if so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    None,
    NoNetwork,
    NoProvider,
}

fn trouble(app: App, connected_since: ReadSignal<Option<f64>>) -> Trouble {
    if app.network.with(|network| network.state == "lost") {
        return Trouble::NoNetwork;
    }
    if app.reader().is_some_and(|reader| reader.usable) || !app.loaded.get() {
        return Trouble::None;
    }
    match connected_since.get() {
        Some(since) if app.now_ms.get() - since > SEARCH_MS => Trouble::NoProvider,
        _ => Trouble::None,
    }
}

/// When the network came up, as seen here.
fn connected_since(app: App) -> ReadSignal<Option<f64>> {
    let up = create_selector(move || app.network.with(|network| network.state == "connected"));
    create_memo(move || up.get().then(js_sys::Date::now))
}

/// Fills the empty transcript.
pub fn empty(app: App) -> View {
    let since = connected_since(app);
    let trouble = create_selector(move || trouble(app, since));
    view! {
        div(class="mx-auto flex min-h-full w-full max-w-[520px] flex-col justify-center py-6 ps-1 pe-1") {
            (Redraw { by: move || match trouble.get() {
                Trouble::None => start(app),
                Trouble::NoNetwork => no_network(app),
                Trouble::NoProvider => no_provider(app),
            } })
        }
    }
}

fn start(app: App) -> View {
    let suggestions: Vec<View> = SUGGESTIONS
        .into_iter()
        .map(|text| {
            let (arrow, name) = (icon::icon(icon::ARROW_OUT, 14), text.trim_end_matches([':', ' ']));
            view! {
                button(
                    r#type="button", data-testid="suggestion",
                    class="flex min-h-9 w-full items-center gap-2 border-t border-line px-3 text-start text-ctl first:border-t-0 hover:bg-bg2",
                    on:click=move |_| {
                        app.draft.set(text.to_owned());
                        composer::focus();
                    }
                ) {
                    span(class="flex-1") { (name) }
                    span(class="text-ink3") { (arrow) }
                }
            }
        })
        .collect();
    let suggestions = View::from(suggestions);
    view! {
        h2(class="text-fig font-semibold") { "Ask anything, privately." }
        p(class="mt-1 text-read text-ink2") {
            "No account, no wallet. Your words are sealed for one provider; everybody on the way sees only noise."
        }
        div(class="card mt-4 overflow-hidden") { (suggestions) }
    }
}

fn no_network(app: App) -> View {
    let nodes = create_selector(move || app.network.with(|network| network.nodes.clone()));
    let picture = icon::icon(icon::NO_NETWORK, 22);
    view! {
        div(data-testid="no-network") {
            span(class="text-ink2") { (picture) }
            h2(class="mt-3 text-title font-semibold") { "No way to the network" }
            p(class="mt-1 text-ctl text-ink2") {
                (Redraw { by: move || View::from(tried(nodes.with(Vec::len))) })
                " Your draft and your chats are here and readable. We try again by ourselves."
            }
            div(class="card mt-3 px-3 py-1.5") { (move || node_rows(&nodes.get_clone())) }
            div(class="mt-3 flex gap-2") {
                button(r#type="button", class="btn btn-solid", data-testid="try-now", on:click=move |_| app.send(Command::TryNow)) { "Try now" }
                button(r#type="button", class="btn", data-testid="open-network", on:click=move |_| app.go(Page::Network)) { "Entry nodes" }
            }
        }
    }
}

fn tried(nodes: usize) -> String {
    match nodes {
        1 => "We tried one entry node.".into(),
        n => format!("We tried {n} entry nodes."),
    }
}

/// One row an entry node: its shape, its name, its state.
pub fn node_rows(nodes: &[(String, String)]) -> View {
    View::from(
        nodes
            .iter()
            .map(|(address, state)| {
                let mark = shape(match state.as_str() {
                    "connected" => Shape::Online,
                    "connecting" => Shape::Unknown,
                    _ => Shape::Offline,
                });
                let (name, whole, state) = (host_of(address), address.clone(), state.clone());
                view! {
                    div(class="flex min-h-8 items-center gap-2.5 text-ctl") {
                        (mark)
                        span(class="min-w-0 flex-1 truncate", title=whole) { (name) }
                        span(class="flex-none text-ink3") { (state) }
                    }
                }
            })
            .collect::<Vec<View>>(),
    )
}

/// Host and port of a multiaddr, "127.0.0.1:4010"; the whole when it has none.
pub fn host_of(address: &str) -> String {
    let parts: Vec<&str> = address.split('/').collect();
    let after = |names: &[&str]| parts.windows(2).find(|pair| names.contains(&pair[0])).map(|pair| pair[1].to_owned());
    match (after(&["ip4", "ip6", "dns4", "dns6", "dns", "dnsaddr"]), after(&["tcp"])) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host,
        _ => address.to_owned(),
    }
}

fn no_provider(app: App) -> View {
    let chosen = create_selector(move || {
        let provider = app.settings.with(|settings| settings.provider.clone())?;
        Some(app.provider(&provider).map_or_else(|| "The chosen provider".to_owned(), |provider| provider.name.clone()))
    });
    let best =
        create_selector(move || app.other_than(None).map(|provider| (provider.id.clone(), provider.name.clone())));
    let picture = icon::icon(icon::NO_SERVER, 22);
    view! {
        div(data-testid="no-provider") {
            span(class="text-ink2") { (picture) }
            h2(class="mt-3 text-title font-semibold") {
                (Redraw { by: move || View::from(match chosen.get_clone() {
                    Some(name) => format!("{name} cannot answer now"),
                    None => "No provider can answer now".to_owned(),
                }) })
            }
            p(class="mt-1 text-ctl text-ink2") {
                (Redraw { by: move || View::from(if best.with(Option::is_some) {
                    "Not sent, not counted. Others are ready now."
                } else {
                    "Not sent, not counted. Your draft is kept; it can be sent as soon as one is back."
                }) })
            }
            (Redraw { by: move || seen(app) })
            div(class="mt-3 flex flex-wrap gap-2") {
                (Redraw { by: move || match best.get_clone() {
                    Some((id, name)) => view! {
                        button(
                            r#type="button", class="btn btn-solid", data-testid="ask-other",
                            on:click=move |_| {
                                app.send(Command::Choose { provider: Some(id.clone()), model: None });
                            }
                        ) { (Redraw { by: move || View::from(format!("Ask {name}")) }) }
                    },
                    None => view! {
                        button(r#type="button", class="btn btn-solid", data-testid="try-now", on:click=move |_| app.send(Command::TryNow)) { "Look again" }
                    },
                } })
                button(r#type="button", class="btn", on:click=move |_| app.go(Page::Providers)) { "All providers" }
            }
        }
    }
}

/// Up to four known providers with what is known of them.
fn seen(app: App) -> View {
    let now = app.now_ms.get();
    let known: Vec<Rc<ProviderView>> = app.providers.with(|all| all.iter().take(4).cloned().collect());
    let rows: Vec<View> = known
        .iter()
        .map(|provider| {
            let (mark, word) = status_of(provider, now);
            let (mark, name) = (shape(mark), provider.name.clone());
            let word = if provider.usable && provider.response_ms > 0 {
                format::seconds(provider.response_ms.into())
            } else {
                word
            };
            view! {
                div(class="flex min-h-8 items-center gap-2.5 text-ctl") {
                    (mark)
                    span(class="min-w-0 flex-1 truncate") { (name) }
                    span(class="flex-none text-ink3") { (word) }
                }
            }
        })
        .collect();
    if rows.is_empty() {
        return View::new();
    }
    let rows = View::from(rows);
    view! { div(class="card mt-3 px-3 py-1.5") { (rows) } }
}

/// One line above the composer while messages fill the page.
pub fn banner(app: App) -> View {
    let since = connected_since(app);
    let line = create_selector(move || {
        let off = app.network.with(clock_words);
        if off.is_some() {
            return off.map(|words| (words, "How to fix"));
        }
        if app.rows.with(Vec::is_empty) {
            return None;
        }
        match trouble(app, since) {
            Trouble::None => None,
            Trouble::NoNetwork => Some((app.network.with(lost_words), "Try now")),
            Trouble::NoProvider => Some(("No provider can answer now. Not sent; draft kept.".to_owned(), "Providers")),
        }
    });
    view! {
        (Redraw { by: move || match line.get_clone() {
            None => View::new(),
            Some((words, act)) => {
                let mark = shape(if act == "How to fix" { Shape::Warn } else { Shape::Offline });
                let test = match act {
                    "Try now" => "try-now",
                    "How to fix" => "clock-fix",
                    _ => "open-providers",
                };
                let button = view! {
                    button(r#type="button", class="btn min-h-7!", data-testid=test, on:click=move |_| match act {
                        "Try now" => app.send(Command::TryNow),
                        "How to fix" => app.toast.set(Some(CLOCK_FIX.into())),
                        _ => app.go(Page::Providers),
                    }) { (act) }
                };
                view! {
                    div(class="mx-auto mb-2 flex w-[calc(100%-24px)] max-w-[680px] items-center gap-2.5 rounded-card border border-line bg-bg2 px-3 py-2 text-sec", data-testid="banner", role="status") {
                        (mark)
                        span(class="min-w-0 flex-1") { (words) }
                        (button)
                    }
                }
            }
        } })
    }
}

fn lost_words(network: &NetworkView) -> String {
    match network.next_try_s {
        Some(s) => format!("No way to the network. Not sent; draft kept; next try in {}.", format::duration(s.into())),
        None => "No way to the network. Not sent; draft kept; trying again.".into(),
    }
}

fn clock_words(network: &NetworkView) -> Option<String> {
    let off = network.clock_off_s?;
    let side = if off > 0 { "ahead" } else { "behind" };
    Some(format!("Your clock is {} {side}. Not sent; nothing charged.", format::duration(off.unsigned_abs() as f64)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_hosts_from_addresses() {
        assert_eq!(host_of("/ip4/127.0.0.1/tcp/4010/ws/p2p/16U"), "127.0.0.1:4010");
        assert_eq!(host_of("/dns4/tern-2.example/tcp/443/wss/p2p/16U"), "tern-2.example:443");
        assert_eq!(host_of("nonsense"), "nonsense");
        assert_eq!(host_of(""), "");
    }

    #[test]
    fn says_how_the_clock_is_off() {
        let network = NetworkView { clock_off_s: Some(-360), ..NetworkView::default() };
        assert!(clock_words(&network).unwrap().starts_with("Your clock is 6 min behind."));
    }
}
