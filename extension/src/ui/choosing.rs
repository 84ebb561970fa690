//! How the automatic choice weighs providers, and whom it may ask: presets that set the weights, the weights themselves,
//! and the two lists.

use std::rc::Rc;

use sycamore::prelude::*;

use super::invite::value_of;
use super::redraw::{Redraw, create_memo, create_selector};
use super::segments::segments;
use super::state::{App, Page};
use super::{format, icon, list, settings};
use crate::port::{Command, Settings, Weights, preset};

/// Ways of choosing, with their names.
const PRESETS: [(&str, &str); 5] = [
    ("balanced", "Balanced"),
    ("fastest", "Fastest"),
    ("cheapest", "Cheapest"),
    ("trusted", "Trusted"),
    (CUSTOM, "Custom"),
];
/// Weights of the user's own.
const CUSTOM: &str = "custom";

/// What is weighed: the id, the name, and what counts.
const WEIGHED: [(&str, &str, &str); 4] = [
    ("speed", "Speed", "The first word, and how fast the others follow"),
    ("price", "Price", "What an answer costs"),
    ("reputation", "Reputation", "Your stars"),
    ("load", "Free slots", "Nobody waits there now"),
];

/// The weights that hold.
fn weights(settings: &Settings) -> Weights {
    settings.weights.unwrap_or_else(|| preset(settings.prefer.as_deref().unwrap_or_default()))
}

fn of(weights: Weights, at: usize) -> u8 {
    let (speed, price, reputation, load) = weights;
    [speed, price, reputation, load].get(at).copied().unwrap_or(0)
}

fn with(weights: Weights, at: usize, value: u8) -> Weights {
    let (speed, price, reputation, load) = weights;
    let mut all = [speed, price, reputation, load];
    if let Some(weight) = all.get_mut(at) {
        *weight = value;
    }
    let [speed, price, reputation, load] = all;
    (speed, price, reputation, load)
}

/// The presets; `chosen` is called when one is taken. The weights stand below when they are the user's own.
pub fn presets(app: App, chosen: impl Fn() + 'static) -> View {
    let is_custom = create_selector(move || app.settings.with(|settings| settings.weights.is_some()));
    let group = segments(
        "Automatic looks at",
        "prefer",
        &PRESETS,
        move || {
            if is_custom.get() {
                return CUSTOM.into();
            }
            app.settings.with(|settings| settings.prefer.clone().unwrap_or_else(|| "balanced".into()))
        },
        move |id| {
            chosen();
            app.set(|settings| match id {
                CUSTOM => settings.weights = Some(weights(settings)),
                id => (settings.weights, settings.prefer) = (None, Some(id.into())),
            });
        },
    );
    view! {
        (group)
        (Redraw { by: move || if is_custom.get() { sliders(app) } else { View::new() } })
    }
}

fn sliders(app: App) -> View {
    let sliders = View::from((0..WEIGHED.len()).map(|at| slider(app, at)).collect::<Vec<View>>());
    view! {
        div(class="grid max-w-[680px] grid-cols-1 gap-x-6 gap-y-0.5 wide:grid-cols-2", role="group", aria-label="Weights", data-testid="weights") {
            (sliders)
            p(class="text-sec text-ink3 wide:col-span-2") { "Whoever fails often comes later, whatever the weights." }
        }
    }
}

fn slider(app: App, at: usize) -> View {
    let (id, name, what) = WEIGHED.get(at).copied().unwrap_or_default();
    let value = create_selector(move || app.settings.with(|settings| of(weights(settings), at)));
    let (test, field) = (format!("weight-{id}"), format!("weight-{id}"));
    let (label, about, told) = (field.clone(), format!("about-{id}"), format!("about-{id}"));
    view! {
        div(class="flex items-center gap-2.5", title=what) {
            label(r#for=label, class="w-20 flex-none text-sec text-ink2") { (name) }
            input(
                r#type="range", id=field, class="slider", min="0", max="100", step="5", data-testid=test, aria-describedby=told,
                prop:value=value.get().to_string(), on:change=move |event: web_sys::Event| weigh(app, at, &event)
            ) {}
            span(class="w-6 flex-none text-end text-sec", aria-hidden="true") { (Redraw { by: move || View::from(value.get().to_string()) }) }
            span(class="sr-only", id=about) { (what) }
        }
    }
}

/// Sets one weight. Of four that are nothing none could be taken, so the slider goes back.
fn weigh(app: App, at: usize, event: &web_sys::Event) {
    let old = app.settings.with_untracked(weights);
    let new = with(old, at, value_of(event).parse().unwrap_or(0).min(100));
    if new != (0, 0, 0, 0) {
        return app.set(|settings| settings.weights = Some(new));
    }
    app.toast.set(Some("One of the four must count for something.".into()));
    if let Some(slider) = event.current_target() {
        let _ = js_sys::Reflect::set(&slider, &"value".into(), &of(old, at).into());
    }
}

/// The part of the settings.
pub fn section(app: App) -> View {
    let title = settings::title("Choice of provider", "What automatic looks at, and whom it may ask.");
    let presets = presets(app, || ());
    let only = names(
        app,
        ("Only these", "only"),
        "Everyone may be asked. In the list of providers, “More” about one begins a list of the only ones.",
        |settings| &mut settings.allowed,
    );
    let never = names(app, ("Never these", "never"), "Nobody is blocked.", |settings| &mut settings.blocked);
    view! {
        section(class="flex flex-col gap-3") {
            div(class="-mb-3") { (title) }
            (presets)
            (only)
            (never)
            div { button(r#type="button", class="btn", on:click=move |_| app.go(Page::Providers)) { "Providers" } }
        }
    }
}

/// A list of providers that the settings name, each with a button that takes it off.
fn names(
    app: App,
    (title, test): (&'static str, &'static str),
    nobody: &'static str,
    part: fn(&mut Settings) -> &mut Option<Vec<String>>,
) -> View {
    let ids = create_memo(move || {
        let mut settings = app.settings.get_clone();
        part(&mut settings).iter().flatten().map(|id| Rc::from(id.as_str())).collect::<Vec<Rc<str>>>()
    });
    let is_empty = create_selector(move || ids.with(Vec::is_empty));
    let rows = list::keyed(ids, move |id| {
        let name = untrack(|| app.provider(&id))
            .map_or_else(|| format::fours(&format::shorten(&id, 16)), |it| it.name.clone());
        let label = format!("Take {name} off the list “{title}”");
        let (tip, close) = (label.clone(), icon::icon(icon::CLOSE, 14));
        let test = format!("list-{test}");
        view! {
            li(class="flex items-center gap-1 rounded-ctl border border-line ps-2.5", data-testid=test) {
                span(class="max-w-48 truncate text-sec") { (name) }
                button(
                    r#type="button", class="icon-btn", aria-label=label, title=tip,
                    on:click=move |_| app.set(|settings| take_off(part(settings), &id))
                ) { (close) }
            }
        }
    });
    view! {
        div(class="border-t border-line pt-2") {
            h3(class="text-ctl") { (title) }
            (Redraw { by: move || if is_empty.get() { view! { p(class="text-sec text-ink3") { (nobody) } } } else { View::new() } })
            ul(class="mt-1 flex flex-wrap gap-1.5") { (rows) }
        }
    }
}

fn take_off(list: &mut Option<Vec<String>>, id: &str) {
    if let Some(ids) = list {
        ids.retain(|one| one != id);
    }
}

/// Whether this provider is on the list of the only ones.
fn is_only(settings: &Settings, id: &str) -> bool {
    settings.allowed.iter().flatten().any(|one| one == id)
}

/// Begins the list of the only ones with this provider, adds it, or takes it off.
pub fn only_button(app: App, id: String, name: &str) -> View {
    let label = format!(" {name}");
    let words = {
        let id = id.clone();
        create_selector(move || {
            app.settings.with(|settings| match () {
                () if is_only(settings, &id) => "Off the list of the only ones:",
                () if settings.allowed.as_ref().is_some_and(|ids| !ids.is_empty()) => "Also ask",
                () => "Ask nobody but",
            })
        })
    };
    view! {
        button(
            r#type="button", class="btn min-h-7! text-sec", data-testid="provider-only",
            on:click=move |_| {
                // A chosen provider that is no more among them could not be asked.
                let others = app.settings.with_untracked(|settings| settings.provider.as_ref().is_some_and(|chosen| *chosen != id));
                if others && app.settings.with_untracked(|settings| settings.allowed.iter().flatten().next().is_none()) {
                    app.choose(None, None);
                }
                let on = !app.settings.with_untracked(|settings| is_only(settings, &id));
                app.send(Command::Allow { provider: id.clone(), on });
            }
        ) { (Redraw { by: move || View::from(words.get()) }) (label) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preset_sets_the_weights_until_one_is_moved() {
        let mut settings = Settings { prefer: Some("cheapest".into()), ..Settings::default() };
        assert_eq!(weights(&settings), (10, 75, 10, 5));
        settings.weights = Some(with(weights(&settings), 2, 60));
        assert_eq!(weights(&settings), (10, 75, 60, 5));
        assert_eq!((0..5).map(|at| of(weights(&settings), at)).collect::<Vec<_>>(), [10, 75, 60, 5, 0]);
        assert_eq!(weights(&Settings::default()), (40, 20, 25, 15));
    }
}
