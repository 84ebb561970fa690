//! A provider shows another key than before: nothing is sent until its user has compared the two and decided.

use sycamore::prelude::*;
use wasm_bindgen::JsCast;

use super::invite::value_of;
use super::redraw::{Redraw, create_selector};
use super::state::{App, Page};
use super::{answer, app, format, glyph, icon};
use crate::port::{Command, ProviderView};

/// The page for one provider.
pub fn key_change(app: App, id: &str) -> View {
    let Some(provider) = app.providers.with_untracked(|all| all.iter().find(|provider| provider.id == id).cloned())
    else {
        let header = app::header(app, "Key changed", View::new());
        return view! {
            (header)
            p(class="p-4 text-ctl text-ink2") { "This provider is not known any more. Nothing was sent." }
        };
    };
    let old = provider.key_changed_from.as_deref().map(old_key);
    let header = app::header(app, "Key changed", View::new());
    let title = format!("{} shows a key you have not seen before", provider.name);
    let (danger, same) = (icon::icon(icon::OCTAGON, 22), evidence(&provider));
    let (keys, ways) = (keys(app, &provider, old), ways(app, &provider));
    let warning = format!(
        "A careless reinstall looks like this. So does someone posing as {}, who would then read your question.",
        provider.name
    );
    let heading = create_node_ref();
    on_mount(move || {
        if let Some(heading) = heading.try_get().and_then(|node| node.dyn_into::<web_sys::HtmlElement>().ok()) {
            let _ = heading.focus();
        }
    });
    view! {
        section(
            class="flex min-h-0 flex-1 flex-col", role="alertdialog", aria-labelledby="key-title", aria-describedby="key-what",
            data-testid="key-changed", data-provider-id=provider.id.clone()
        ) {
            (header)
            div(class="min-h-0 flex-1 overflow-y-auto px-4 py-4") {
                div(class="mx-auto flex w-full max-w-[520px] flex-col gap-4") {
                    div(class="flex gap-3") {
                        span(class="pt-0.5 text-stop") { (danger) }
                        div {
                            h2(class="text-title font-semibold", id="key-title", tabindex="-1", r#ref=heading) { (title) }
                            p(class="text-ctl text-ink2", id="key-what") { "Nothing was sent and nothing was charged. Your question is kept." }
                        }
                    }
                    (keys)
                    (same)
                    p(class="text-ctl text-ink2") { (warning) }
                    (ways)
                }
            }
        }
    }
}

/// The id text in what is known of the key before.
fn old_key(known: &str) -> String {
    let id = known.split_whitespace().last().filter(|id| id.len() >= 40);
    id.unwrap_or(known).to_owned()
}

fn keys(app: App, provider: &ProviderView, old: Option<String>) -> View {
    let known = old
        .as_deref()
        .and_then(|old| app.providers.with_untracked(|all| all.iter().find(|one| one.id == old).map(|one| one.glyph)));
    let before = key("Known before", old.unwrap_or_else(|| "Not kept".into()), known, "card min-w-0 p-3");
    let now = key(
        "Offered now",
        provider.id.clone(),
        Some(provider.glyph),
        "min-w-0 rounded-card border border-stop-line bg-stop-soft p-3",
    );
    view! { div(class="grid grid-cols-2 gap-2") { (before) (now) } }
}

fn key(name: &'static str, id: String, bits: Option<u16>, class: &'static str) -> View {
    let picture = bits.map(|bits| glyph::glyph(bits, 20));
    let id = format::fours(&id);
    view! {
        div(class=class) {
            div(class="flex items-center gap-2 text-ctl font-semibold") { (picture) (name) }
            p(class="mt-2 font-mono text-sec [word-spacing:0.25em]", dir="ltr") { (id) }
        }
    }
}

fn evidence(provider: &ProviderView) -> View {
    let lines = [
        (icon::CLOSE, "text-stop", format!("The new key is not signed by {}'s old one.", provider.name)),
        (icon::DASH, "text-ink3", "No registry was asked: this version has none.".to_owned()),
    ];
    let lines: Vec<View> = lines
        .into_iter()
        .map(|(path, class, words)| {
            let picture = icon::icon(path, 15);
            let class = format!("pt-0.5 {class}");
            view! { li(class="flex gap-2.5 text-ctl") { span(class=class) { (picture) } span { (words) } } }
        })
        .collect();
    let lines = View::from(lines);
    view! { ul(class="flex flex-col gap-1.5") { (lines) } }
}

fn ways(app: App, provider: &ProviderView) -> View {
    let typed = create_signal(String::new());
    let wanted = format::last_four(&provider.id);
    let id = provider.id.clone();
    let avoided = id.clone();
    let other =
        create_selector(move || app.other_than(Some(&avoided)).map(|other| (other.id.clone(), other.name.clone())));
    let matches = create_selector(move || typed.with(|typed| typed.trim().eq_ignore_ascii_case(&wanted)));
    let trust = move || {
        if matches.get_untracked() {
            app.send(Command::Trust { provider: id.clone() });
            app.go(Page::Chat);
            super::keyboard::focus_composer();
        }
    };
    let enter = trust.clone();
    view! {
        div(class="flex flex-col gap-2") {
            (Redraw { by: move || match other.get_clone() {
                None => View::new(),
                Some((other, name)) => view! {
                    button(
                        r#type="button", class="btn btn-solid btn-big", data-testid="key-changed-other",
                        on:click=move |_| ask_other(app, &other)
                    ) { (Redraw { by: move || View::from(format!("Ask {name} instead")) }) }
                },
            } })
            button(
                r#type="button", class="btn btn-big", data-testid="key-changed-wait", on:click=move |_| app.go(Page::Chat)
            ) { "Wait for the old key" }
        }
        div(class="border-t border-line pt-4") {
            label(class="block text-ctl font-semibold", r#for="trust") { "Trust the new key anyway" }
            p(class="mb-2 text-sec text-ink2") { "Ask the operator by another way, then type the last four characters of the new key." }
            div(class="flex gap-2") {
                input(
                    id="trust", class="field font-mono", maxlength="4", autocomplete="off", "spellcheck"="false", dir="ltr",
                    data-testid="key-changed-input", on:input=move |event: web_sys::Event| typed.set(value_of(&event)),
                    on:keydown=move |event: web_sys::KeyboardEvent| if event.key() == "Enter" { enter() }
                )
                button(
                    r#type="button", class="btn", data-testid="key-changed-trust", disabled=!matches.get(),
                    on:click=move |_| trust()
                ) { "Trust" }
            }
        }
    }
}

/// Sends what waits, the draft or the blocked question, to another provider.
fn ask_other(app: App, other: &str) {
    let blocked = app.rows.with_untracked(|rows| rows.last().cloned());
    let blocked = blocked.filter(|row| row.view.with_untracked(|view| view.phase == "key_changed"));
    app.go(Page::Chat);
    match blocked {
        Some(row) => answer::retry(app, &row.id, Some(other.to_owned())),
        None => {
            app.choose(Some(other.to_owned()), None);
            app.ask();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::old_key;

    #[test]
    fn finds_the_old_id() {
        let id = "q7ma3kxdw2nevh5ctz4r6oybn2wsdk6eyq3ic5tu7gvaj3pu5fla";
        assert_eq!(old_key(&format!("q7ma 3kxd w2ne vh5c {id}")), id);
        assert_eq!(old_key(id), id);
        assert_eq!(old_key("q7ma 3kxd"), "q7ma 3kxd");
    }
}
