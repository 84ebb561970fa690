//! Markdown to nodes. Untrusted text never becomes HTML: tags are shown as text, images are not loaded, and a link
//! opens only over http, https or mail, in a tab that learns nothing of this page.

use pulldown_cmark::{Alignment, CodeBlockKind, Event, Parser, Tag, TagEnd};
use sycamore::prelude::*;

use super::blocks::options;
use super::redraw::Redraw;
use super::{code, icon};

/// Nesting followed so far; what lies deeper is shown flat. Deep nesting would exhaust the stack.
const MAX_DEPTH: usize = 24;

/// Where in a block something is drawn.
#[derive(Clone, Copy)]
struct Place {
    depth: usize,
    /// The tabindex of what can be focused.
    tab: &'static str,
}

impl Place {
    fn deeper(self) -> Self {
        Self { depth: self.depth.saturating_add(1), ..self }
    }
}

/// Draws a block's source.
pub fn markdown(source: &str) -> View {
    children(&mut Parser::new_ext(source, options()), Place { depth: 0, tab: "0" })
}

/// Draws a block that still grows: it is hidden from screen readers and drawn again each frame, so nothing in it takes
/// the focus.
pub fn growing(source: &str) -> View {
    children(&mut Parser::new_ext(source, options()), Place { depth: 0, tab: "-1" })
}

/// Draws everything up to the end of the tag that encloses it.
fn children(events: &mut Parser<'_>, place: Place) -> View {
    let mut nodes: Vec<View> = Vec::new();
    while let Some(event) = events.next() {
        nodes.push(match event {
            Event::Start(tag) if place.depth < MAX_DEPTH => element(tag, events, place.deeper()),
            Event::Start(_) => children(events, place),
            Event::End(_) => break,
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => View::from(text.into_string()),
            Event::Code(text) => {
                let text = text.into_string();
                view! { code { (text) } }
            }
            Event::SoftBreak => View::from("\n"),
            Event::HardBreak => view! { br() {} },
            Event::Rule => view! { hr() {} },
            Event::TaskListMarker(done) => View::from(if done { "☑ " } else { "☐ " }),
            Event::FootnoteReference(text) | Event::InlineMath(text) | Event::DisplayMath(text) => {
                View::from(text.into_string())
            }
        });
    }
    View::from(nodes)
}

fn element(tag: Tag<'_>, events: &mut Parser<'_>, place: Place) -> View {
    match tag {
        Tag::Paragraph | Tag::HtmlBlock => {
            let inner = children(events, place);
            view! { p { (inner) } }
        }
        Tag::Heading { level, .. } => {
            let inner = children(events, place);
            // Headings of an answer stand below the page's title and the answer's own.
            let level = (level as usize).max(3).to_string();
            view! { p(role="heading", aria-level=level, class="font-semibold") { (inner) } }
        }
        Tag::BlockQuote(_) => {
            let inner = children(events, place);
            view! { blockquote { (inner) } }
        }
        Tag::CodeBlock(kind) => {
            let language = match kind {
                CodeBlockKind::Fenced(info) => info.split_whitespace().next().unwrap_or_default().to_owned(),
                CodeBlockKind::Indented => String::new(),
            };
            code_block(language, text_of(events), place.tab)
        }
        Tag::List(None) => {
            let inner = children(events, place);
            view! { ul { (inner) } }
        }
        Tag::List(Some(first)) => {
            let inner = children(events, place);
            let first = first.to_string();
            view! { ol(start=first) { (inner) } }
        }
        Tag::Item => {
            let inner = children(events, place);
            view! { li { (inner) } }
        }
        Tag::Table(columns) => table(&columns, events, place),
        Tag::Emphasis => {
            let inner = children(events, place);
            view! { em { (inner) } }
        }
        Tag::Strong => {
            let inner = children(events, place);
            view! { strong { (inner) } }
        }
        Tag::Strikethrough => {
            let inner = children(events, place);
            view! { s { (inner) } }
        }
        Tag::Link { dest_url, .. } => link(dest_url.into_string(), children(events, place)),
        Tag::Image { dest_url, .. } => {
            let inner = text_of(events);
            let name =
                if inner.is_empty() { "Image, not loaded".into() } else { format!("Image, not loaded: {inner}") };
            link(dest_url.into_string(), View::from(name))
        }
        _ => children(events, place),
    }
}

fn link(target: String, inner: View) -> View {
    let lower = target.trim().to_ascii_lowercase();
    if !["http://", "https://", "mailto:"].iter().any(|scheme| lower.starts_with(scheme)) {
        return view! { span { (inner) } };
    }
    let title = target.clone();
    view! {
        a(href=target, title=title, target="_blank", rel="noopener noreferrer") { (inner) }
    }
}

fn code_block(language: String, text: String, tab: &'static str) -> View {
    let name = if language.is_empty() { "text".to_owned() } else { language.clone() };
    let copied = create_signal(false);
    let source = text.clone();
    let body = code::highlight(&language, text.strip_suffix('\n').unwrap_or(&text));
    let picture = icon::icon(icon::COPY, 13);
    view! {
        div(class="code", data-testid="code-block") {
            div(class="flex items-center justify-between border-b border-line ps-3 pe-1.5 py-1") {
                span(class="font-mono text-meta text-ink3") { (name) }
                button(
                    r#type="button", class="inline-flex items-center gap-1.5 rounded-ctl px-1.5 min-h-6 text-sec text-ink2 hover:bg-bg3",
                    data-testid="code-copy", tabindex=tab,
                    on:click=move |_| super::clipboard::copy(&source, copied)
                ) {
                    (picture)
                    (Redraw { by: move || View::from(if copied.get() { "Copied" } else { "Copy" }) })
                }
            }
            pre(tabindex=tab) { code { (body) } }
        }
    }
}

fn table(columns: &[Alignment], events: &mut Parser<'_>, place: Place) -> View {
    let mut head = View::new();
    let mut rows: Vec<View> = Vec::new();
    while let Some(event) = events.next() {
        match event {
            Event::Start(Tag::TableHead) => head = cells(columns, events, place, true),
            Event::Start(Tag::TableRow) => {
                let row = cells(columns, events, place, false);
                rows.push(view! { tr { (row) } });
            }
            Event::End(TagEnd::Table) => break,
            _ => {}
        }
    }
    let (rows, tab) = (View::from(rows), place.tab);
    view! {
        div(class="table", tabindex=tab) { table { thead { tr { (head) } } tbody { (rows) } } }
    }
}

fn cells(columns: &[Alignment], events: &mut Parser<'_>, place: Place, head: bool) -> View {
    let mut cells: Vec<View> = Vec::new();
    while let Some(event) = events.next() {
        match event {
            Event::Start(Tag::TableCell) => {
                let class = match columns.get(cells.len()) {
                    Some(Alignment::Right) => "text-end!",
                    Some(Alignment::Center) => "text-center!",
                    _ => "",
                };
                let inner = children(events, place);
                cells.push(if head {
                    view! { th(scope="col", class=class) { (inner) } }
                } else {
                    view! { td(class=class) { (inner) } }
                });
            }
            Event::End(TagEnd::TableHead | TagEnd::TableRow) => break,
            _ => {}
        }
    }
    View::from(cells)
}

/// The bare text up to the end of the enclosing tag.
fn text_of(events: &mut Parser<'_>) -> String {
    let mut text = String::new();
    let mut depth = 0usize;
    for event in events.by_ref() {
        match event {
            Event::Start(_) => depth = depth.saturating_add(1),
            Event::End(_) if depth == 0 => break,
            Event::End(_) => depth = depth.saturating_sub(1),
            Event::Text(piece) | Event::Code(piece) => text.push_str(&piece),
            Event::SoftBreak | Event::HardBreak => text.push(' '),
            _ => {}
        }
    }
    text
}
