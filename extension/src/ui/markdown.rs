//! Markdown to nodes. Untrusted text never becomes HTML: tags are shown as text, images are not loaded, and a link
//! opens only over http, https or mail, in a tab that learns nothing of this page.

use sycamore::prelude::*;

use super::redraw::Redraw;
use super::{code, icon, raw};

pub mod block;
mod inline;
#[cfg(test)]
mod oracle;
mod target;

use block::{Align, Block};
use inline::{Inline, Style};

/// Draws a block's source.
pub fn markdown(source: &str) -> View {
    blocks(block::read(source), "0")
}

/// Draws a block that still grows: it is hidden from screen readers and drawn again each frame, so nothing in it takes
/// the focus.
pub fn growing(source: &str) -> View {
    blocks(block::read(source), "-1")
}

/// `tab` is the tabindex of what can be focused.
fn blocks(blocks: Vec<Block>, tab: &'static str) -> View {
    View::from(blocks.into_iter().map(|block| draw(block, tab)).collect::<Vec<View>>())
}

fn draw(block: Block, tab: &'static str) -> View {
    match block {
        Block::Paragraph(source) => {
            let inner = if source.len() > raw::LONGEST { pieces(&source) } else { words(&source) };
            view! { p { (inner) } }
        }
        Block::Heading(level, source) => {
            let inner = words(&source);
            // Headings of an answer stand below the page's title and the answer's own.
            let level = level.max(3).to_string();
            view! { p(role="heading", aria-level=level, class="font-semibold") { (inner) } }
        }
        Block::Quote(inner) => {
            let inner = blocks(inner, tab);
            view! { blockquote { (inner) } }
        }
        Block::Code(language, text) => code_block(language, text, tab),
        Block::List(first, close, items) => {
            let items: Vec<View> = items.into_iter().map(|inner| item(inner, close, tab)).collect();
            let items = View::from(items);
            match first {
                None => view! { ul { (items) } },
                Some(first) => {
                    let first = first.to_string();
                    view! { ol(start=first) { (items) } }
                }
            }
        }
        Block::Table(columns, head, rows) => table(&columns, &head, &rows, tab),
        Block::Rule => view! { hr() {} },
    }
}

/// An item of a list; where items lie close, their words stand in no paragraph.
fn item(inner: Vec<Block>, close: bool, tab: &'static str) -> View {
    let mut nodes: Vec<View> = Vec::new();
    for (at, block) in inner.into_iter().enumerate() {
        nodes.push(match block {
            Block::Paragraph(mut source) => {
                let task = [("[ ] ", "☐ "), ("[x] ", "☑ "), ("[X] ", "☑ ")]
                    .into_iter()
                    .find(|(mark, _)| source.starts_with(mark));
                if let Some((mark, sign)) = task.filter(|_| at == 0) {
                    source.replace_range(..mark.len(), sign);
                }
                if close { words(&source) } else { draw(Block::Paragraph(source), tab) }
            }
            block => draw(block, tab),
        });
    }
    let inner = View::from(nodes);
    view! { li { (inner) } }
}

fn words(source: &str) -> View {
    parts(inline::read(source))
}

/// A paragraph so long that the browser lays out only the pieces of it that are near.
fn pieces(source: &str) -> View {
    let pieces = piecewise(inline::read(source)).into_iter().map(|piece| {
        let inner = parts(piece);
        view! { span(class="piece") { (inner) } }
    });
    View::from(pieces.collect::<Vec<View>>())
}

/// The same parts in pieces, with long words cut as [`raw::pieces`] does; a styled part stays whole.
fn piecewise(parts: Vec<Inline>) -> Vec<Vec<Inline>> {
    let mut pieces: Vec<Vec<Inline>> = vec![Vec::new()];
    let mut length = 0_usize;
    for part in parts {
        let cut: Vec<Inline> = match part {
            Inline::Text(text) => {
                let mut cut: Vec<&str> = raw::pieces(&text).into_iter().filter_map(|piece| text.get(piece)).collect();
                cut.push(text.get(cut.iter().map(|piece| piece.len()).sum()..).unwrap_or_default());
                cut.into_iter().map(|piece| Inline::Text(piece.to_owned())).collect()
            }
            part => vec![part],
        };
        for part in cut {
            let more = match &part {
                Inline::Text(text) | Inline::Code(text) => text.len(),
                _ => 1,
            };
            if length > 0 && length.saturating_add(more) > raw::PIECE {
                pieces.push(Vec::new());
                length = 0;
            }
            length = length.saturating_add(more);
            if let Some(piece) = pieces.last_mut() {
                piece.push(part);
            }
        }
    }
    pieces
}

fn parts(parts: Vec<Inline>) -> View {
    View::from(parts.into_iter().map(part).collect::<Vec<View>>())
}

fn part(part: Inline) -> View {
    match part {
        Inline::Text(text) => View::from(text),
        Inline::Code(text) => view! { code { (text) } },
        Inline::SoftBreak => View::from("\n"),
        Inline::HardBreak => view! { br() {} },
        Inline::Within(Style::Image(target), inner) => {
            let inner = inline::plain(&inner);
            let name =
                if inner.is_empty() { "Image, not loaded".into() } else { format!("Image, not loaded: {inner}") };
            link(target, View::from(name))
        }
        Inline::Within(style, inner) => {
            let inner = parts(inner);
            match style {
                Style::Emphasis => view! { em { (inner) } },
                Style::Strong => view! { strong { (inner) } },
                Style::Struck => view! { s { (inner) } },
                Style::Link(target) | Style::Image(target) => link(target, inner),
            }
        }
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

fn table(columns: &[Align], head: &[String], rows: &[Vec<String>], tab: &'static str) -> View {
    let head = cells(columns, head, true);
    let rows: Vec<View> = rows
        .iter()
        .map(|row| {
            let row = cells(columns, row, false);
            view! { tr { (row) } }
        })
        .collect();
    let rows = View::from(rows);
    view! {
        div(class="table", tabindex=tab) { table { thead { tr { (head) } } tbody { (rows) } } }
    }
}

fn cells(columns: &[Align], row: &[String], head: bool) -> View {
    let cell = |(align, source): (&Align, &String)| {
        let class = match align {
            Align::End => "text-end!",
            Align::Center => "text-center!",
            Align::Start => "",
        };
        let inner = words(source);
        if head {
            view! { th(scope="col", class=class) { (inner) } }
        } else {
            view! { td(class=class) { (inner) } }
        }
    };
    View::from(columns.iter().zip(row).map(cell).collect::<Vec<View>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_a_long_paragraph_leave_nothing_out() {
        let source = "word é🌍 *and* `code`\n".repeat(300) + &"long ".repeat(9_000);
        let whole = inline::read(&source);
        let pieces = piecewise(whole.clone());
        assert!(pieces.len() >= 10 && pieces.iter().all(|piece| !piece.is_empty()));
        let lengths = pieces.iter().map(|piece| inline::plain(piece).len());
        assert!(lengths.max() <= Some(2 * raw::PIECE));
        assert_eq!(inline::plain(&pieces.concat()), inline::plain(&whole));
        assert_eq!(piecewise(Vec::new()), [Vec::new()]);
    }
}
