//! Choosing who answers: cards in the panel, a table from 720 px. Picking applies from the next question.

use std::rc::Rc;

use sycamore::prelude::*;

use super::invite::value_of;
use super::state::{App, Page, is_ready};
use super::status::{Shape, shape, status_line, status_of};
use super::{app, format, glyph, icon, list};
use crate::port::{ModelView, ProviderView};

/// Rows of the skeleton.
const SKELETONS: usize = 6;
/// How long a search without result shows the skeleton, in seconds of the page's clock.
const SEARCH_MS: f64 = 8_000.0;
/// The table's columns; header and rows share them.
const COLUMNS: &str =
    "broad:grid-cols-[24px_minmax(100px,1.5fr)_minmax(110px,1.5fr)_64px_64px_52px_52px_minmax(0,1fr)_64px]";

/// The page.
pub fn providers(app: App) -> View {
    let search = create_signal(String::new());
    let opened = js_sys::Date::now();
    let found = create_memo(move || {
        let wanted = search.with(|search| search.trim().to_lowercase());
        app.providers.with(|all| {
            all.iter()
                .filter(|provider| {
                    provider.name.to_lowercase().contains(&wanted)
                        || provider.models.iter().any(|model| model.id.to_lowercase().contains(&wanted))
                })
                .map(|provider| Rc::from(provider.id.as_str()))
                .collect::<Vec<Rc<str>>>()
        })
    });
    let known = create_selector(move || app.providers.with(Vec::len));
    let online =
        create_selector(move || app.providers.with(|all| all.iter().filter(|provider| is_ready(provider)).count()));
    let searching =
        create_selector(move || known.get() == 0 && (!app.loaded.get() || app.now_ms.get() - opened < SEARCH_MS));
    let tab = app::icon_button(icon::EXPAND, "Open in a tab", "open-tab", super::palette::open_tab);
    let (header, automatic) = (app::header(app, "Providers", tab), automatic(app));
    let columns = columns();
    let rows = list::keyed(found, move |id| row(app, id.to_string()));
    view! {
        section(class="flex min-h-0 flex-1 flex-col", aria-label="Providers") {
            (header)
            div(class="min-h-0 flex-1 overflow-y-auto") {
                div(class="mx-auto w-full max-w-[1180px]") {
                    div(class="flex flex-col gap-3 p-3 wide:flex-row wide:items-center wide:px-4") {
                        (automatic)
                        input(
                            r#type="search", class="field wide:max-w-[220px]", placeholder="Name or model (/)", data-search="",
                            aria-label="Search providers", data-testid="provider-search",
                            on:input=move |event: web_sys::Event| search.set(value_of(&event))
                        )
                    }
                    (if searching.get() { skeleton() } else { View::new() })
                    (if known.get() == 0 && !searching.get() { nobody(app) } else { View::new() })
                    (if known.get() > 0 && found.with(Vec::is_empty) {
                        view! { p(class="px-4 py-8 text-center text-ctl text-ink3") { "No name and no model matches." } }
                    } else {
                        View::new()
                    })
                    div(hidden=known.get() == 0) {
                        (columns)
                        ul(class="border-b border-line") { (rows) }
                    }
                }
            }
            p(class="flex-none border-t border-line px-4 py-2 text-sec text-ink3") {
                (format!("{}, {} ready. Times are announced by the provider; \"here\" was measured on your own questions.",
                    format::plural(known.get() as u64, "provider", "providers"), online.get()))
            }
        }
    }
}

fn automatic(app: App) -> View {
    let on = create_selector(move || app.settings.with(|settings| settings.provider.is_none()));
    let words = create_selector(move || {
        let ready = app.providers.with(|all| all.iter().filter(|provider| is_ready(provider)).count());
        match (on.get(), app.reader()) {
            (true, Some(reader)) if ready > 1 => {
                format!("The quickest of the {ready} that are ready, likely {}. Switches by itself.", reader.name)
            }
            (true, Some(reader)) => format!("{} now, the only one that is ready.", reader.name),
            (true, None) => "Takes the first provider that is ready.".to_owned(),
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
                p(class="text-sec text-ink2") { (words.get_clone()) }
            }
            button(
                r#type="button", role="switch", class="switch", aria-labelledby="automatic-name", data-testid="provider-automatic",
                aria-checked=if on.get() { "true" } else { "false" },
                on:click=move |_| {
                    if on.get_untracked() {
                        let reader = app.reader();
                        if let Some(reader) = reader {
                            app.choose(Some(reader.id), None);
                        }
                    } else {
                        app.choose(None, None);
                    }
                }
            ) {}
        }
    }
}

fn columns() -> View {
    let class = format!(
        "hidden broad:grid {COLUMNS} items-center gap-3 border-y border-line bg-bg2 px-4 min-h-8 text-sec text-ink3"
    );
    view! {
        div(class=class, aria-hidden="true") {
            span {}
            span { "Provider" }
            span { "Model" }
            span(class="text-end") { "Answers" }
            span(class="text-end") { "Here" }
            span(class="text-end") { "Tok/s" }
            span(class="text-end") { "At once" }
            span { "Key" }
            span {}
        }
    }
}

fn row(app: App, id: String) -> View {
    let provider = {
        let id = id.clone();
        create_selector(move || app.provider(&id))
    };
    let chosen = {
        let id = id.clone();
        create_selector(move || app.settings.with(|settings| settings.provider.as_deref() == Some(&*id)))
    };
    let next = {
        let id = id.clone();
        create_selector(move || app.reader().is_some_and(|reader| reader.id == id))
    };
    let status = create_selector(move || {
        let now = app.now_ms.get();
        provider.with(|provider| provider.as_ref().map(|provider| status_of(provider, now)))
    });
    view! {
        li(
            class=if next.get() { "border-t border-line bg-accent-soft broad:first:border-t-0" } else { "border-t border-line broad:first:border-t-0" },
            data-testid="provider-row", data-provider-id=id,
            data-status=provider.with(|provider| provider.as_ref().map(|provider| provider.status.clone())),
            data-usable=provider.with(|provider| provider.as_ref().map(|provider| if provider.usable { "true" } else { "false" })),
            data-chosen=if chosen.get() { "true" } else { "false" }
        ) {
            (match provider.get_clone() {
                None => View::new(),
                Some(provider) => facts(app, provider, status, chosen, next),
            })
        }
    }
}

fn facts(
    app: App,
    provider: ProviderView,
    status: ReadSignal<Option<(Shape, String)>>,
    chosen: ReadSignal<bool>,
    next: ReadSignal<bool>,
) -> View {
    let class = format!(
        "grid grid-cols-[24px_minmax(0,1fr)_auto] {COLUMNS} items-start broad:items-center gap-x-3 gap-y-0.5 px-4 py-2.5 broad:min-h-12"
    );
    let picture = glyph::glyph(provider.glyph, 15);
    let models: Vec<View> =
        provider.models.iter().map(|model| model_line(app, &provider, model, provider.models.len() > 1)).collect();
    let models = View::from(models);
    let announced = if provider.response_ms == 0 { "–".into() } else { format::seconds(provider.response_ms.into()) };
    let here = provider.first_ms.map_or_else(|| "–".to_owned(), |(ms, _)| format::seconds(ms.into()));
    let speed = provider.models.first().map_or(0, |model| model.tokens_per_s);
    let speed = if speed == 0 { "–".to_owned() } else { format::count(speed.into()) };
    let at_once = format::count(provider.max_concurrent.into());
    let mut fingerprint = format::fours(&provider.fingerprint);
    let pick = pick(app, &provider, chosen, next);
    let warning = warning(app, &provider);
    let figures = View::from(vec![
        figure("announced", announced),
        figure("here", here),
        figure("tok/s", speed),
        figure("at once", at_once),
    ]);
    let mut whole = format::fours(&provider.id);
    if !provider.confirmed {
        fingerprint.push_str(" · one source");
        whole.push_str(" · Only one node has shown this key so far; another that shows the same one confirms it");
    }
    let name = provider.name.clone();
    view! {
        div(class=class) {
            span(class="row-span-2 broad:row-span-1") { (picture) }
            div(class="flex min-w-0 flex-wrap items-center gap-x-2 broad:flex-col broad:items-start") {
                span(class="max-w-full truncate text-ctl font-semibold") { (name) }
                (move || status.get_clone().map_or_else(View::new, status_line))
            }
            div(class="row-start-1 col-start-3 justify-self-end broad:col-start-auto broad:row-start-auto broad:order-last") { (pick) }
            div(class="col-span-2 min-w-0 broad:col-span-1") { (models) }
            div(class="order-1 col-span-2 col-start-2 flex flex-wrap gap-x-4 broad:contents") { (figures) }
            span(class="order-2 col-span-2 col-start-2 truncate font-mono text-meta text-ink3 broad:order-none broad:col-span-1 broad:col-start-auto", title=whole, dir="ltr") {
                span(class="sr-only") { "Key " }
                (fingerprint)
            }
        }
        (warning)
    }
}

/// One figure: its name stands beside it in a card, above it in the table.
fn figure(name: &'static str, value: String) -> View {
    view! {
        span(class="text-sec broad:text-end") {
            span { (value) }
            span(class="text-ink3 broad:sr-only") { " " (name) }
        }
    }
}

fn model_line(app: App, provider: &ProviderView, model: &ModelView, many: bool) -> View {
    let name = model.id.clone();
    let context = format!("{} context", format::context(model.context));
    let tail = if model.detail.is_empty() { context } else { format!("{context} · {}", model.detail) };
    if !many {
        return view! {
            p(class="truncate text-sec") {
                span(class="text-ink2 broad:block broad:truncate") { (name) }
                span(class="text-ink3 broad:block broad:truncate") { " " (tail) }
            }
        };
    }
    let (provider, id, test) = (provider.id.clone(), model.id.clone(), model.id.clone());
    let here = {
        let (provider, id) = (provider.clone(), id.clone());
        create_selector(move || {
            app.settings
                .with(|settings| settings.provider.as_ref() == Some(&provider) && settings.model.as_ref() == Some(&id))
        })
    };
    view! {
        button(
            r#type="button", class="flex min-h-6 max-w-full items-center gap-1.5 rounded-ctl text-start text-sec hover:bg-bg3",
            data-testid="model-pick", data-model=test, aria-pressed=if here.get() { "true" } else { "false" },
            on:click=move |_| app.choose(Some(provider.clone()), Some(id.clone()))
        ) {
            (if here.get() { icon::icon(icon::CHECK, 12) } else { icon::icon(icon::RIGHT, 12) })
            span(class="truncate") {
                span(class="text-ink2") { (name) }
                span(class="text-ink3") { " " (tail) }
            }
        }
    }
}

fn pick(app: App, provider: &ProviderView, chosen: ReadSignal<bool>, next: ReadSignal<bool>) -> View {
    if provider.equivocated || provider.key_changed_from.is_some() {
        return View::new();
    }
    let (id, name) = (provider.id.clone(), format!(" {}", provider.name));
    view! {
        (if chosen.get() {
            let check = icon::icon(icon::CHECK, 15);
            view! { span(class="inline-flex min-h-7 items-center gap-1 text-sec text-accent") { (check) "Chosen" } }
        } else {
            let (id, name) = (id.clone(), name.clone());
            view! {
                button(
                    r#type="button", class="btn min-h-7! text-sec", data-testid="provider-pick", data-item="",
                    on:click=move |_| {
                        app.choose(Some(id.clone()), None);
                        app.go(Page::Chat);
                        super::keyboard::focus_composer();
                    }
                ) {
                    (if next.get() { "Keep" } else { "Use" })
                    span(class="sr-only") { (name) }
                }
            }
        })
    }
}

fn warning(app: App, provider: &ProviderView) -> View {
    let (words, id) = if provider.equivocated {
        (format!("{} signed two keys at once. Not used any more; proof kept.", provider.name), None)
    } else if provider.key_changed_from.is_some() {
        (
            format!("{} shows a key you have not seen before. Nothing is sent to it.", provider.name),
            Some(provider.id.clone()),
        )
    } else {
        return View::new();
    };
    let mark = shape(Shape::Blocked);
    let compare = id.map(|id| {
        view! {
            button(r#type="button", class="btn min-h-7! text-sec", data-testid="provider-compare", on:click=move |_| app.go(Page::KeyChanged(id.clone()))) { "Compare" }
        }
    });
    view! {
        div(class="mx-4 mb-2.5 flex items-center gap-2 rounded-ctl border border-stop-line bg-stop-soft px-3 py-1.5 text-sec") {
            (mark)
            span(class="min-w-0 flex-1") { (words) }
            (compare)
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
