//! Choosing who answers: cards in the panel, a table where there is room. Picking applies from the next question.

use std::rc::Rc;

use sycamore::prelude::*;
use wasm_bindgen::JsCast;

use super::column::{self, COLUMNS, Column, STATES, Sorting};
use super::invite::value_of;
use super::provider::{self, GRID};
use super::redraw::{Redraw, create_selector};
use super::state::{App, Page, is_ready};
use super::windowed::{Windowed, windowed};
use super::{app, choosing, format, icon};
use crate::port::{ProviderView, sort};

/// Height of a provider's row before one was measured, in px.
const ROW: f64 = 72.0;
/// Rows of the skeleton.
const SKELETONS: usize = 6;
/// How long a search without result shows the skeleton, in seconds of the page's clock.
const SEARCH_MS: f64 = 8_000.0;
/// The page.
pub fn providers(app: App) -> View {
    let search = create_signal(String::new());
    let opened = js_sys::Date::now();
    let (state, sorting) = (create_signal(String::new()), create_signal(Sorting::best(Column::Best)));
    let found = create_selector(move || {
        let words = search.with(|words| format::lower(words.trim()));
        let mut all = app.providers.with(|all| {
            let wanted =
                |one: &&Rc<ProviderView>| state.with(|state| column::is_wanted(one, &words, state, &format::lower));
            all.iter().filter(wanted).cloned().collect::<Vec<Rc<ProviderView>>>()
        });
        // They are in the automatic choice's order already.
        if sorting.get() != Sorting::best(Column::Best) {
            sort(&mut all, &|a, b| sorting.get().compare(a, b));
        }
        all.iter().map(|provider| Rc::from(provider.id.as_str())).collect::<Vec<Rc<str>>>()
    });
    let known = create_selector(move || app.providers.with(Vec::len));
    let online =
        create_selector(move || app.providers.with(|all| all.iter().filter(|provider| is_ready(provider)).count()));
    let searching =
        create_selector(move || known.get() == 0 && (!app.loaded.get() || app.now_ms.get() - opened < SEARCH_MS));
    let tab = app::icon_button(icon::EXPAND, "Open in a tab", "open-tab", super::palette::open_tab);
    let (header, automatic) = (app::header(app, "Providers", tab), automatic(app));
    let (controls, heads) = (controls(app, search, state, sorting), heads(sorting));
    let (area, content) = (create_node_ref(), create_node_ref());
    let at = move |id: &str| found.with(|ids| ids.iter().position(|one| **one == *id)).map(|at| at + 2);
    let Windowed { rows, look } =
        windowed(found, (area, content), "data-provider-id", ROW, move |id| provider::row(app, id.to_string(), at));
    view! {
        section(class="flex min-h-0 flex-1 flex-col", aria-label="Providers") {
            (header)
            div(class="min-h-0 flex-1 overflow-y-auto", r#ref=area, data-testid="provider-area", on:scroll=move |_| look()) {
                div(class="mx-auto w-full max-w-[1180px]") {
                    div(class="flex flex-col gap-3 p-3 wide:px-4") {
                        (automatic)
                        (controls)
                    }
                    (Redraw { by: move || if searching.get() { skeleton() } else { View::new() } })
                    (Redraw { by: move || if known.get() == 0 && !searching.get() { nobody(app) } else { View::new() } })
                    (Redraw { by: move || if known.get() > 0 && found.with(Vec::is_empty) {
                        view! { p(class="px-4 py-8 text-center text-ctl text-ink3") { "No provider matches. All others are hidden by your search." } }
                    } else {
                        View::new()
                    } })
                    div(hidden=known.get() == 0, role="table", aria-label="Providers", aria-rowcount=found.with(|ids| (ids.len() + 1).to_string())) {
                        (heads)
                        div(class="border-b border-line", role="rowgroup", r#ref=content) { (rows) }
                    }
                }
            }
            p(class="flex-none border-t border-line px-4 py-2 text-sec text-ink3") {
                (Redraw { by: move || View::from(format!("{}, {} ready. First word, speed and done: measured on your own questions. Stars: yours.",
                    format::plural(known.get() as u64, "provider", "providers"), online.get())) })
            }
        }
    }
}

fn automatic(app: App) -> View {
    let on = create_selector(move || app.settings.with(|settings| settings.provider.is_none()));
    let words = create_selector(move || {
        let ready = app.providers.with(|all| all.iter().filter(|provider| is_ready(provider)).count());
        match (on.get(), app.reader()) {
            (true, Some(reader)) if ready > 1 => match &reader.why {
                Some(why) => format!("{} now: {why}. Switches by itself.", reader.name),
                None => format!("{} now, one of {ready} that are ready. Switches by itself.", reader.name),
            },
            (true, Some(reader)) => format!("{} now, the only one that is ready.", reader.name),
            (true, None) => "Takes the best provider that is ready.".to_owned(),
            (false, Some(reader)) => format!("Off: {} answers until you choose another.", reader.name),
            (false, None) => "Off: the chosen provider is not there.".to_owned(),
        }
    });
    let picture = icon::icon(icon::ROUTE, 16);
    view! {
        div(class="card flex flex-1 items-start gap-2.5 p-3 wide:items-center") {
            span(class="pt-0.5 text-accent") { (picture) }
            div(class="min-w-0 flex-1") {
                p(class="text-ctl font-semibold", id="automatic-name") { "Automatic" }
                p(class="text-sec text-ink2") { (Redraw { by: move || View::from(words.get_clone()) }) }
            }
            button(
                r#type="button", role="switch", class="switch", aria-labelledby="automatic-name", data-testid="provider-automatic",
                aria-checked=if on.get() { "true" } else { "false" },
                on:click=move |_| {
                    if on.get_untracked() {
                        let reader = app.reader();
                        if let Some(reader) = reader {
                            app.choose(Some(reader.id.clone()), None);
                        }
                    } else {
                        app.choose(None, None);
                    }
                }
            ) {}
        }
    }
}

/// The order and the narrowing of the list.
fn controls(app: App, search: Signal<String>, state: Signal<String>, sorting: Signal<Sorting>) -> View {
    let states: Vec<View> = STATES.into_iter().map(|(id, name)| view! { option(value=id) { (name) } }).collect();
    let orders: Vec<View> = COLUMNS
        .into_iter()
        .enumerate()
        .map(|(at, (column, name))| {
            let value = at.to_string();
            view! { option(value=value, selected=sorting.get().column == column) { (name) } }
        })
        .collect();
    let (presets, states, orders) = (
        choosing::presets(app, move || sorting.set(Sorting::best(Column::Best))),
        View::from(states),
        View::from(orders),
    );
    view! {
        (presets)
        div(class="flex flex-wrap gap-2") {
            input(
                r#type="search", class="field min-w-36 flex-1", placeholder="Name or model (/)", data-search="",
                aria-label="Search providers", data-testid="provider-search",
                on:input=move |event: web_sys::Event| search.set(value_of(&event))
            )
            select(
                class="field min-w-32 flex-1 wide:w-auto! wide:flex-none", aria-label="Status", data-testid="provider-state",
                on:change=move |event: web_sys::Event| state.set(chosen_in(&event))
            ) { (states) }
            select(
                class="field min-w-32 flex-1 wide:w-auto! wide:flex-none broad:hidden", aria-label="Order", data-testid="provider-order",
                on:change=move |event: web_sys::Event| {
                    let at = chosen_in(&event).parse::<usize>().ok();
                    if let Some((column, _)) = at.and_then(|at| COLUMNS.get(at)) {
                        sorting.set(Sorting::best(*column));
                    }
                }
            ) { (orders) }
        }
    }
}

fn chosen_in(event: &web_sys::Event) -> String {
    let field = event.target().and_then(|target| target.dyn_into::<web_sys::HtmlSelectElement>().ok());
    field.map(|field| field.value()).unwrap_or_default()
}

/// The table's head: each column orders the rows.
fn heads(sorting: Signal<Sorting>) -> View {
    let class = format!(
        "hidden broad:grid {GRID} items-center gap-x-2 border-y border-line bg-bg2 px-4 min-h-8 text-sec text-ink3"
    );
    let mut heads: Vec<View> = vec![head_of("", "text-start")];
    for (column, name) in COLUMNS.into_iter().skip(1) {
        heads.push(head(sorting, column, name));
        if column == Column::First {
            heads.push(head_of("Lately", "text-end"));
        }
    }
    heads.extend([head_of("Privacy", "text-end"), head_of("", "text-end")]);
    let heads = View::from(heads);
    view! { div(class="hidden broad:block", role="rowgroup") { div(class=class, role="row") { (heads) } } }
}

fn head_of(name: &'static str, class: &'static str) -> View {
    if name.is_empty() {
        return view! { span(role="columnheader") { span(class="sr-only") { "More" } } };
    }
    view! { span(class=class, role="columnheader") { (name) } }
}

fn head(sorting: Signal<Sorting>, column: Column, name: &'static str) -> View {
    let start = matches!(column, Column::Provider | Column::Model);
    let class = if start {
        "flex min-h-7 w-full items-center gap-1 text-start hover:text-ink"
    } else {
        "flex min-h-7 w-full items-center justify-end gap-1 text-end hover:text-ink"
    };
    view! {
        span(role="columnheader", aria-sort=sorting.get().aria(column)) {
            button(r#type="button", class=class, data-testid="provider-sort", on:click=move |_| sorting.set(sorting.get_untracked().pressed(column))) {
                (name)
                (Redraw { by: move || match sorting.get().aria(column) {
                    "ascending" => view! { span(class="text-ink", aria-hidden="true") { "↑" } },
                    "descending" => view! { span(class="text-ink", aria-hidden="true") { "↓" } },
                    _ => View::new(),
                } })
            }
        }
    }
}

fn skeleton() -> View {
    let rows: Vec<View> = (0..SKELETONS)
        .map(|_| {
            view! {
                div(class="flex items-center gap-3 border-t border-line px-4 py-3") {
                    span(class="skeleton size-6 flex-none") {}
                    div(class="flex flex-1 flex-col gap-1.5") {
                        span(class="skeleton h-3.5 w-2/5") {}
                        span(class="skeleton h-3 w-3/5") {}
                    }
                }
            }
        })
        .collect();
    let rows = View::from(rows);
    view! { div(role="status", aria-label="Looking for providers", data-testid="provider-skeleton") { (rows) } }
}

fn nobody(app: App) -> View {
    view! {
        div(class="flex flex-col items-center gap-1 px-6 py-10 text-center", data-testid="provider-none") {
            p(class="text-title font-semibold") { "No provider heard yet" }
            p(class="max-w-[40ch] text-ctl text-ink2") { "Providers announce themselves every 30 seconds. If none appears, the entry nodes may be the wrong ones." }
            button(r#type="button", class="btn mt-3", on:click=move |_| app.go(Page::Network)) { "Entry nodes" }
        }
    }
}
