//! One provider in the list: a card in the panel, a row of the table where there is room, with more on request.

use sycamore::prelude::*;

use super::column::{self, UNKNOWN};
use super::redraw::{Redraw, create_selector};
use super::spark::spark;
use super::state::{App, Page};
use super::status::{Shape, shape, status_line, status_of};
use super::{format, glyph, icon};
use crate::port::{Command, ModelView, ProviderView};

/// The table's columns; header and rows share them.
pub const GRID: &str =
    "broad:grid-cols-[24px_minmax(96px,1.5fr)_minmax(88px,1.4fr)_64px_88px_44px_40px_56px_56px_60px_76px_128px]";

/// Draws the row of the provider with this id; `at` tells which of the table's rows it is.
pub fn row(app: App, id: String, at: impl Fn(&str) -> Option<usize> + 'static) -> View {
    let at = {
        let id = id.clone();
        create_selector(move || at(&id))
    };
    let provider = {
        let id = id.clone();
        // A heartbeat alone draws nothing anew, so that a button keeps its focus.
        create_selector(move || {
            app.provider(&id).map(|provider| ProviderView { heard_ms: 0, ..ProviderView::clone(&provider) })
        })
    };
    let chosen = {
        let id = id.clone();
        create_selector(move || app.settings.with(|settings| settings.provider.as_deref() == Some(&*id)))
    };
    let next = {
        let id = id.clone();
        create_selector(move || app.reader().is_some_and(|reader| reader.id == id))
    };
    let status = {
        let id = id.clone();
        create_selector(move || {
            let now = app.now_ms.get();
            app.provider(&id).map(|provider| status_of(&provider, now))
        })
    };
    let open = create_signal(false);
    let has = move |what: fn(&ProviderView) -> bool| {
        provider.with(|provider| provider.as_ref().map(|provider| if what(provider) { "true" } else { "false" }))
    };
    view! {
        div(
            role="row", aria-rowindex=at.get().map(|at| at.to_string()), class=if next.get() { "border-t border-line bg-accent-soft" } else { "border-t border-line" },
            data-testid="provider-row", data-provider-id=id,
            data-status=provider.with(|provider| provider.as_ref().map(|provider| provider.status.clone())),
            data-state=provider.with(|provider| provider.as_ref().map(|provider| provider.state.clone())),
            data-usable=has(|provider| provider.usable), data-blocked=has(|provider| provider.blocked),
            data-chosen=if chosen.get() { "true" } else { "false" }
        ) {
            (Redraw { by: move || match provider.get_clone() {
                None => View::new(),
                Some(provider) => figures(app, provider, status, chosen, next, open),
            } })
        }
    }
}

fn figures(
    app: App,
    provider: ProviderView,
    status: ReadSignal<Option<(Shape, String)>>,
    chosen: ReadSignal<bool>,
    next: ReadSignal<bool>,
    open: Signal<bool>,
) -> View {
    let class = format!(
        "grid grid-cols-[24px_minmax(0,1fr)_auto] {GRID} items-start broad:items-center gap-x-2 gap-y-0.5 px-4 py-2.5 broad:min-h-12{}",
        if provider.blocked { " text-ink3" } else { "" }
    );
    let (picture, name) = (glyph::glyph(provider.glyph, 15), provider.name.clone());
    let models: Vec<View> =
        provider.models.iter().map(|model| model_line(app, &provider, model, provider.models.len() > 1)).collect();
    let models = View::from(models);
    let price = provider.models.first().map_or_else(|| UNKNOWN.to_owned(), column::price);
    let speed = column::speed(&provider);
    let values = View::from(vec![
        value(if price == "free" { "" } else { "for a million tokens" }, (price, String::new())),
        value("first word", (column::first_word(&provider), String::new())),
        cell(spark(&provider.recent_first_ms)),
        value("tok/s", (speed, String::new())),
        value("done", column::done(&provider)),
        value("stars", column::stars(&provider)),
        value("measured", column::measured(&provider)),
        value("", ("Community".to_owned(), String::new())),
    ]);
    let buttons = buttons(app, &provider, chosen, next, open);
    let warning = warning(app, &provider);
    view! {
        div(class=class) {
            span(class="row-span-2 broad:row-span-1", role="cell") { (picture) }
            div(class="flex min-w-0 flex-wrap items-center gap-x-2 broad:flex-col broad:items-start", role="cell") {
                span(class="max-w-full truncate text-ctl font-semibold") { (name) }
                (Redraw { by: move || status.get_clone().map_or_else(View::new, status_line) })
            }
            div(class="row-start-1 col-start-3 justify-self-end broad:col-start-auto broad:row-start-auto broad:order-last", role="cell") { (buttons) }
            div(class="col-span-2 min-w-0 broad:col-span-1", role="cell") { (models) }
            div(class="order-1 col-span-2 col-start-2 flex flex-wrap items-center gap-x-4 broad:contents") { (values) }
        }
        (warning)
        (Redraw { by: move || if open.get() { more(app, &provider) } else { View::new() } })
    }
}

fn cell(inner: View) -> View {
    view! { span(class="text-sec broad:text-end", role="cell") { (inner) } }
}

/// A figure and what it counts; its name stands beside it in a card, above it in the table.
fn value(name: &'static str, (figure, of): (String, String)) -> View {
    cell(view! {
        span { (figure) }
        span(class="text-ink3") { " " (of) }
        span(class="text-ink3 broad:hidden") { " " (name) }
    })
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
            (Redraw { by: move || if here.get() { icon::icon(icon::CHECK, 12) } else { icon::icon(icon::RIGHT, 12) } })
            span(class="truncate") {
                span(class="text-ink2") { (name) }
                span(class="text-ink3") { " " (tail) }
            }
        }
    }
}

fn buttons(
    app: App,
    provider: &ProviderView,
    chosen: ReadSignal<bool>,
    next: ReadSignal<bool>,
    open: Signal<bool>,
) -> View {
    let (id, blocked, name) = (provider.id.clone(), provider.blocked, provider.name.clone());
    let pick = pick(app, provider, chosen, next);
    let label = if blocked { format!("Let {name} be asked again") } else { format!("Never ask {name}") };
    let (tip, path) = (label.clone(), if blocked { icon::RETRY } else { icon::BAN });
    let picture = icon::icon(path, 16);
    let more = format!("More about {name}");
    view! {
        div(class="flex items-center") {
            (pick)
            button(
                r#type="button", class="icon-btn", aria-label=label, title=tip, data-testid="provider-block",
                on:click=move |_| block(app, &id, !blocked)
            ) { (picture) }
            button(
                r#type="button", class="icon-btn", aria-label=more, title="Why, key, standing", data-testid="provider-more",
                aria-expanded=if open.get() { "true" } else { "false" }, on:click=move |_| open.set(!open.get_untracked())
            ) { (Redraw { by: move || icon::icon(if open.get() { icon::CHEVRON } else { icon::RIGHT }, 16) }) }
        }
    }
}

/// Never to be asked, or again. Who is blocked is not chosen any more either.
fn block(app: App, id: &str, on: bool) {
    if on && app.settings.with_untracked(|settings| settings.provider.as_deref() == Some(id)) {
        app.choose(None, None);
    }
    app.send(Command::Block { provider: id.to_owned(), on });
}

fn pick(app: App, provider: &ProviderView, chosen: ReadSignal<bool>, next: ReadSignal<bool>) -> View {
    if provider.equivocated || provider.key_changed_from.is_some() || provider.blocked {
        return View::new();
    }
    let (id, name) = (provider.id.clone(), format!(" {}", provider.name));
    view! {
        (Redraw { by: move || if chosen.get() {
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
                    (Redraw { by: move || View::from(if next.get() { "Keep" } else { "Use" }) })
                    span(class="sr-only") { (name) }
                }
            }
        } })
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
        div(class="mx-4 mb-2.5 flex items-center gap-2 rounded-ctl border border-stop-line bg-stop-soft px-3 py-1.5 text-sec", role="cell") {
            (mark)
            span(class="min-w-0 flex-1") { (words) }
            (compare)
        }
    }
}

/// Why it stands where it stands, its key, what backs it, what it can do.
fn more(app: App, provider: &ProviderView) -> View {
    let of = untrack(|| app.providers.with(|all| all.iter().filter(|one| one.place.is_some()).count()));
    let why = why(provider, of);
    let key = if provider.confirmed {
        format::fours(&provider.id)
    } else {
        format!("{} (one node has shown it so far; another one confirms it)", format::fours(&provider.id))
    };
    let only = super::choosing::only_button(app, provider.id.clone(), &provider.name);
    let parts = View::from(vec![
        part("Why it stands here", why, "text-sec"),
        part("Key", key, "font-mono text-meta [overflow-wrap:anywhere]"),
        part(
            "Community",
            "Sealed on the way. The operator can read your words and has nothing at stake.".into(),
            "text-sec",
        ),
        part("Announces", announces(provider), "text-sec"),
    ]);
    view! {
        div(class="px-4 pb-3 ps-12", role="cell") {
            dl(class="grid grid-cols-1 gap-3 wide:grid-cols-2 broad:grid-cols-4", data-testid="provider-facts") { (parts) }
            div(class="mt-2.5") { (only) }
        }
    }
}

fn part(name: &'static str, words: String, class: &'static str) -> View {
    view! {
        div {
            dt(class="text-sec text-ink3") { (name) }
            dd(class=class) { (words) }
        }
    }
}

fn why(provider: &ProviderView, of: usize) -> String {
    match (provider.place, &provider.why) {
        (Some(place), Some(why)) => format!("Place {} of {of}: {why}.", place.saturating_add(1)),
        _ if provider.blocked => "Your lists leave it out, so it is never asked.".into(),
        _ if provider.usable => "It does not offer your model.".into(),
        _ => "It cannot be asked now.".into(),
    }
}

/// What it says of itself.
fn announces(provider: &ProviderView) -> String {
    let mut said = Vec::new();
    if provider.response_ms > 0 {
        said.push(format!("answers in {}", format::seconds(provider.response_ms.into())));
    }
    if let Some(speed) = provider.models.first().map(|model| model.tokens_per_s).filter(|speed| *speed > 0) {
        said.push(format!("{} tok/s", format::count(speed.into())));
    }
    said.push(format!("{} at once", format::count(provider.max_concurrent.into())));
    said.join(" · ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_why_it_stands_there() {
        let mut provider = ProviderView { usable: true, ..ProviderView::default() };
        assert_eq!(why(&provider, 4), "It does not offer your model.");
        provider.blocked = true;
        assert_eq!(why(&provider, 4), "Your lists leave it out, so it is never asked.");
        (provider.place, provider.why) = (Some(1), Some("lowest price of 4 with your model".into()));
        assert_eq!(why(&provider, 4), "Place 2 of 4: lowest price of 4 with your model.");
        assert_eq!(why(&ProviderView::default(), 0), "It cannot be asked now.");
    }

    #[test]
    fn says_what_it_announces() {
        let provider = ProviderView { response_ms: 410, max_concurrent: 4, ..ProviderView::default() };
        assert_eq!(announces(&provider), "answers in 0.41 s · 4 at once");
    }
}
