//! The composer: what is being asked, who will answer, and the line that says who will read it.

use std::rc::Rc;

use sycamore::prelude::*;
use wasm_bindgen::JsCast;

use super::redraw::{Redraw, create_selector};
use super::state::{App, Page, is_running};
use super::{cut, format, icon, keyboard, keys, quota, status};
use crate::port::{Command, ProviderView};

/// The footer's sentence holds at most this many characters.
const FOOTER_MOST: usize = 40;
/// Possible readers that are named; a large market has more than anybody reads.
const NAMED: usize = 12;

/// The context is shown once it is so full, in percent.
const CONTEXT_FROM: u64 = 70;
/// Bytes of a token, about.
const BYTES_PER_TOKEN: u64 = 4;

/// Draws it.
pub fn composer(app: App) -> View {
    let (card, limit) = (quota::card(app), create_selector(move || quota::spent(app)));
    let running = create_selector(move || app.running().map(|row| row.id.to_string()));
    let blank = create_selector(move || app.draft.with(|draft| draft.trim().is_empty()));
    let follow_up = create_selector(move || app.rows.with(|rows| !rows.is_empty()));
    let (chip, footer, editing, context) = (chip(app), footer(app), editing(app), context(app));
    view! {
        div(class="mx-auto w-full max-w-[704px] flex-none px-3 pt-1.5") {
            (card)
            (editing)
            (context)
            div(class="rounded-card border border-edge bg-bg focus-within:border-ink2") {
                textarea(
                    id="composer", rows="1", data-testid="composer-input", aria-label="Your question", dir="auto",
                    class="block w-full resize-none bg-transparent px-3 pt-2.5 pb-1 text-read max-h-40 min-h-9 [field-sizing:content] focus-visible:outline-none",
                    placeholder=if follow_up.get() { "Ask a follow-up" } else { "Ask a question" },
                    bind:value=app.draft,
                    on:keydown=move |event: web_sys::KeyboardEvent| keyboard::in_composer(app, &event)
                ) {}
                div(class="flex items-center gap-2 p-2") {
                    (chip)
                    span(class="flex-1") {}
                    (Redraw { by: move || match running.get_clone() {
                        Some(answer) => stop_button(app, answer),
                        None if app.queued.get() => queue_button(app),
                        None => limit.get().map_or_else(|| send_button(app, blank), |free| quota::send_later(app, &free, blank)),
                    } })
                }
            }
            (footer)
        }
    }
}

fn send_button(app: App, blank: ReadSignal<bool>) -> View {
    let arrow = icon::icon(icon::UP, 16);
    view! {
        button(
            r#type="button", aria-label="Send (Enter)", title="Send (Enter)", data-testid="send",
            data-ready=if app.reader().is_some_and(|reader| reader.usable) { "true" } else { "false" },
            class="btn btn-solid w-9 px-0!", disabled=blank.get() || app.beginning.with(Option::is_some), on:click=move |_| app.ask()
        ) { (arrow) }
    }
}

fn stop_button(app: App, answer: String) -> View {
    let square = icon::stop_square();
    view! {
        button(
            r#type="button", title="Stop (Esc)", data-testid="stop", class="btn btn-solid",
            on:click=move |_| app.send(Command::Stop { answer: answer.clone() })
        ) { (square) "Stop" }
    }
}

fn queue_button(app: App) -> View {
    view! {
        button(
            r#type="button", title="Do not send it (Esc)", data-testid="queue-cancel", class="btn",
            on:click=move |_| app.queued.set(false)
        ) { "Waiting, cancel" }
    }
}

fn editing(app: App) -> View {
    view! {
        (Redraw { by: move || match app.editing.get_clone() {
            None => View::new(),
            Some(_) => view! {
                div(class="mb-1.5 flex items-center gap-2 px-1 text-sec text-ink2") {
                    span(class="flex-1") { "Editing: what followed this question is replaced." }
                    button(
                        r#type="button", class="min-h-6 rounded-ctl px-1.5 hover:bg-bg3", data-testid="edit-cancel",
                        on:click=move |_| cancel_edit(app)
                    ) { "Keep it" }
                }
            },
        } })
    }
}

/// How full the context of the next reader's model is, from [`CONTEXT_FROM`] on; nothing is ever cut silently.
fn context(app: App) -> View {
    let full = create_selector(move || {
        let chosen = app.settings.with(|settings| settings.model.clone());
        let reader = app.reader()?;
        let model = reader.models.iter().find(|model| Some(&model.id) == chosen.as_ref()).or(reader.models.first())?;
        let bytes = app.rows.with(|rows| rows.iter().map(|row| row.text.with(String::len)).sum::<usize>());
        let percent = percent_full(bytes + app.draft.with(String::len), model.context);
        (percent >= CONTEXT_FROM).then(|| (percent, format::context(model.context)))
    });
    View::from(Redraw {
        by: move || {
            let Some((percent, holds)) = full.get_clone() else { return View::new() };
            let over = percent > 100;
            // Whole names, as Tailwind looks for them in the source.
            let (tone, bar) =
                if over { ("text-warn", "block h-1 bg-warn") } else { ("text-ink3", "block h-1 bg-ink3") };
            let words = if over {
                format!("About {} % of {holds} tokens: it may not fit", format::count(percent))
            } else {
                format!("About {percent} % of {holds} tokens")
            };
            let class = format!("mb-1.5 flex items-center gap-2 px-1 text-meta {tone}");
            let (now, width) = (percent.min(100).to_string(), format!("width:{}%", percent.min(100)));
            view! {
                div(class=class, data-testid="context") {
                    span(
                        class="h-1 w-16 flex-none overflow-hidden rounded-full bg-bg3", role="meter", aria-label="Context used",
                        aria-valuemin="0", aria-valuemax="100", aria-valuenow=now
                    ) { span(class=bar, style=width) {} }
                    span { (words) }
                }
            }
        },
    })
}

/// How much of a context so many bytes of text take, about, in percent.
fn percent_full(bytes: usize, context: u32) -> u64 {
    let tokens = (bytes as u64).div_ceil(BYTES_PER_TOKEN);
    tokens.saturating_mul(100) / u64::from(context.max(1))
}

/// Leaves the question as it was.
pub fn cancel_edit(app: App) {
    app.editing.set(None);
    app.draft.set(String::new());
}

/// What the chip shows: the reader of the next question.
#[derive(Clone, PartialEq)]
struct Chip {
    automatic: bool,
    ready: usize,
    provider: Option<Rc<ProviderView>>,
    mark: status::Shape,
    model: String,
}

fn chip(app: App) -> View {
    let chip = create_selector(move || {
        let provider = app.reader();
        let mark = match &provider {
            Some(provider) => status::status_of(provider, app.now_ms.get()).0,
            None => status::Shape::Unknown,
        };
        let chosen = app.settings.with(|settings| settings.model.clone());
        let model = provider.as_ref().and_then(|provider| model_of(provider, chosen.as_deref())).unwrap_or_default();
        let automatic = app.settings.with(|settings| settings.provider.is_none());
        Chip { automatic, ready: app.readers().len(), provider, mark, model }
    });
    let down = icon::icon(icon::CHEVRON, 13);
    view! {
        button(
            r#type="button", data-testid="provider-chip", title=keys::named(app, "Switch provider", "providers"),
            class="inline-flex min-h-8 min-w-0 items-center gap-1.5 rounded-ctl bg-bg3 px-2.5 text-sec hover:bg-line",
            data-provider-id=chip.with(|chip| chip.provider.as_ref().map(|provider| provider.id.clone())),
            data-status=chip.with(|chip| chip.provider.as_ref().map(|provider| provider.status.clone())),
            data-automatic=chip.with(|chip| if chip.automatic { "true" } else { "false" }),
            on:click=move |_| app.go(Page::Providers)
        ) {
            (Redraw { by: move || status::shape(chip.with(|chip| chip.mark)) })
            span(class="sr-only") { "Provider: " }
            span(class="truncate font-semibold") {
                (Redraw { by: move || View::from(chip.with(|chip| match &chip.provider {
                    Some(provider) if !chip.automatic || chip.ready == 1 => provider.name.clone(),
                    _ => "Automatic".to_owned(),
                })) })
            }
            span(class="truncate text-ink3 slim:hidden") {
                (Redraw { by: move || View::from(chip.with(|chip| match &chip.provider {
                    None if chip.automatic => "waiting".to_owned(),
                    Some(_) if chip.automatic && chip.ready > 1 => format!("{} ready", chip.ready),
                    _ => chip.model.clone(),
                })) })
            }
            (down)
        }
    }
}

/// The chosen model of a provider, or its first.
fn model_of(provider: &ProviderView, chosen: Option<&str>) -> Option<String> {
    let found = provider.models.iter().find(|model| Some(&*model.id) == chosen);
    found.or(provider.models.first()).map(|model| model.id.clone())
}

/// A sentence, its long form, and whether it warns.
type Footer = (String, String, bool);

fn footer(app: App) -> View {
    let line = create_selector(move || footer_line(app));
    let (lock, meter) = (icon::icon(icon::LOCK, 12), quota::meter(app));
    view! {
        div(class="flex h-6 items-center gap-1.5 px-1 mb-1 text-meta text-ink3") {
            (lock)
            span(
                class=if line.with(|line| line.2) { "min-w-0 flex-1 truncate text-warn" } else { "min-w-0 flex-1 truncate" },
                title=line.with(|line| line.1.clone()), data-testid="reader",
                data-warn=line.with(|line| if line.2 { "true" } else { "false" })
            ) { (Redraw { by: move || View::from(line.with(|line| line.0.clone())) }) }
            (meter)
        }
    }
}

fn footer_line(app: App) -> Footer {
    let last = app.rows.with(|rows| rows.last().cloned());
    let busy = last.and_then(|row| {
        row.view.with(|view| {
            let who = || (view.provider.clone(), view.provider_name.clone(), cut::other_readers(view));
            is_running(&view.phase).then(who)
        })
    });
    if let Some((Some(id), name, others)) = busy {
        let hides = app.provider(&id).is_none_or(|provider| provider.hides_ip);
        if !others.is_empty() {
            return read_together(&others, &name.unwrap_or_default(), hides);
        }
        return reads(&name.unwrap_or_else(|| "The provider".into()), hides);
    }
    if quota::spent(app).is_some() {
        let words = if app.queued.get() { "Sends by itself when the day ends" } else { "Nothing is sent today" };
        return (words.into(), "No free question is left today. Your draft is kept.".into(), false);
    }
    let network = app.network.get_clone();
    if network.state == "lost" {
        let next = match network.next_try_s {
            Some(s) => format!("Not sent. Next try in {}", format::duration(s.into())),
            None => "Not sent. Trying again".into(),
        };
        return (next, "There is no way to the network. Your draft is kept.".into(), false);
    }
    let readers = app.readers();
    match readers.as_slice() {
        [reader] => reads(&reader.name, reader.hides_ip),
        [_, _, ..] => one_of(&readers),
        _ if app.queued.get() => {
            ("Sends by itself when one is there".into(), "Esc cancels; the draft stays.".into(), false)
        }
        _ if network.state == "connected" => {
            ("Not sent, not counted".into(), "Nobody can answer now. Your draft is kept.".into(), false)
        }
        _ => ("Nobody reads this yet".into(), "Looking for providers.".into(), false),
    }
}

/// In automatic the choice falls when the question leaves: until then several may be the reader.
fn one_of(readers: &[Rc<ProviderView>]) -> Footer {
    let hides = readers.iter().all(|reader| reader.hides_ip);
    let mut names = readers.iter().take(NAMED).map(|reader| reader.name.as_str()).collect::<Vec<_>>().join(", ");
    if let Some(more) = readers.len().checked_sub(NAMED).filter(|more| *more > 0) {
        names.push_str(&format!(" and {}", format::plural(more as u64, "other of the list", "others of the list")));
    }
    let tail = if hides { "sees this, not your IP" } else { "sees this and maybe your IP" };
    let long = format!("Automatic chooses when the question leaves; only the one chosen can read it: {names}.");
    (format!("One of {} {tail}", readers.len()), long, !hides)
}

/// Who reads the words, and what else it learns.
fn reads(name: &str, hides_ip: bool) -> Footer {
    let tail = if hides_ip { " sees this, not your IP" } else { " sees this and maybe your IP" };
    let short = format::shorten(name, FOOTER_MOST.saturating_sub(tail.chars().count()));
    let long = if hides_ip {
        format!("Only {name} can read your words. Another node carries them, so {name} does not learn your IP address.")
    } else {
        format!(
            "Only {name} can read your words. A node that may belong to {name} carries them: it may learn your IP address."
        )
    };
    (format!("{short}{tail}"), long, !hides_ip)
}

/// Several were asked for one answer, so several read the words.
fn read_together(others: &[String], name: &str, hides_ip: bool) -> Footer {
    const TAIL: &str = " see this";
    let names = format!("{} and {name}", others.join(", "));
    let short = format::shorten(&names, FOOTER_MOST.saturating_sub(TAIL.chars().count()));
    let long = format!("{names} can read your words: they were asked for the same answer.");
    (format!("{short}{TAIL}"), long, !hides_ip)
}

/// Puts the cursor into the composer.
pub fn focus() {
    let field = document().get_element_by_id("composer");
    if let Some(field) = field.and_then(|field| field.dyn_into::<web_sys::HtmlElement>().ok()) {
        let _ = field.focus();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_all_who_read() {
        let (line, ..) = read_together(&["Fjord".into()], "Kestrel", true);
        assert_eq!(line, "Fjord and Kestrel see this");
        let (line, long, warn) = read_together(&["A name of exactly forty characters, yes.".into()], "Kestrel", false);
        assert!(line.chars().count() <= FOOTER_MOST && long.contains("Kestrel") && warn, "{line}");
    }

    #[test]
    fn says_how_full_the_context_is() {
        assert_eq!(percent_full(0, 32_768), 0);
        assert_eq!(percent_full(91_751, 32_768), 70);
        assert_eq!(percent_full(131_076, 32_768), 100);
        assert_eq!(percent_full(1_000_000, 0), 25_000_000);
    }

    #[test]
    fn names_the_reader_in_forty_characters() {
        assert_eq!(reads("Brightwater", true).0, "Brightwater sees this, not your IP");
        assert_eq!(reads("Brightwater", false).0, "Brightwater sees this and maybe your IP");
        for hides in [true, false] {
            let (line, long, warn) = reads("A name of exactly forty characters, yes.", hides);
            assert!(line.chars().count() <= FOOTER_MOST, "{line}");
            assert!(long.contains("forty characters"));
            assert_eq!(warn, !hides);
        }
    }
}
