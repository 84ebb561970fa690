//! Our reader of Markdown beside a well-kept one: both must see the same structure in what models write.

use super::block::{self, Align, Block};
use super::inline::{self, Inline, Style};
use pulldown_cmark::{Alignment, CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

fn ours(text: &str) -> String {
    let mut out = String::new();
    block::read(text).iter().for_each(|block| block_html(block, &mut out));
    out
}

fn block_html(block: &Block, out: &mut String) {
    match block {
        Block::Paragraph(source) => wrap("p", out, |out| line_html(source, out)),
        Block::Heading(level, source) => wrap(&format!("h{level}"), out, |out| line_html(source, out)),
        Block::Code(language, text) => *out += &format!("<pre {language}>{}</pre>", text.trim_end()),
        Block::Quote(inner) => wrap("quote", out, |out| inner.iter().for_each(|block| block_html(block, out))),
        Block::List(first, close, items) => wrap(&format!("list {first:?}"), out, |out| {
            for item in items {
                wrap("li", out, |out| {
                    for block in item {
                        match block {
                            Block::Paragraph(source) if *close => line_html(source, out),
                            block => block_html(block, out),
                        }
                    }
                });
            }
        }),
        Block::Table(columns, head, rows) => wrap(&format!("table {columns:?}"), out, |out| {
            for row in std::iter::once(head).chain(rows) {
                wrap("row", out, |out| row.iter().for_each(|cell| wrap("cell", out, |out| line_html(cell, out))));
            }
        }),
        Block::Rule => *out += "<hr>",
    }
}

fn line_html(source: &str, out: &mut String) {
    parts_html(&inline::read(source), out);
}

fn parts_html(parts: &[Inline], out: &mut String) {
    for part in parts {
        match part {
            Inline::Text(text) => *out += text,
            Inline::Code(text) => *out += &format!("<code>{text}</code>"),
            Inline::SoftBreak => *out += "\n",
            Inline::HardBreak => *out += "<br>",
            Inline::Within(style, inner) => {
                let name = match style {
                    Style::Emphasis => "em".into(),
                    Style::Strong => "strong".into(),
                    Style::Struck => "s".into(),
                    Style::Link(target) => format!("a {}", target.trim_start_matches("mailto:")),
                    Style::Image(target) => format!("img {target}"),
                };
                wrap(&name, out, |out| parts_html(inner, out));
            }
        }
    }
}

fn wrap(name: &str, out: &mut String, inner: impl FnOnce(&mut String)) {
    *out += &format!("<{name}>");
    inner(out);
    *out += "</>";
}

fn theirs(text: &str) -> String {
    let mut out = String::new();
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    for event in Parser::new_ext(text, options) {
        match event {
            Event::Start(tag) => out += &format!("<{}>", name_of(&tag)),
            Event::End(TagEnd::CodeBlock) => {
                out.truncate(out.trim_end().len());
                out += "</pre>";
            }
            Event::End(TagEnd::HtmlBlock) => {}
            Event::End(_) => out += "</>",
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => out += &text,
            Event::Code(text) => out += &format!("<code>{text}</code>"),
            Event::SoftBreak => out += "\n",
            Event::HardBreak => out += "<br>",
            Event::Rule => out += "<hr>",
            _ => {}
        }
    }
    out
}

fn name_of(tag: &Tag<'_>) -> String {
    match tag {
        Tag::Paragraph => "p".into(),
        Tag::Heading { level, .. } => level.to_string(),
        Tag::BlockQuote(_) => "quote".into(),
        Tag::CodeBlock(CodeBlockKind::Fenced(info)) => {
            format!("pre {}", info.split_whitespace().next().unwrap_or_default())
        }
        Tag::CodeBlock(CodeBlockKind::Indented) => "pre ".into(),
        Tag::List(first) => format!("list {:?}", first.map(|first| first as u32)),
        Tag::Item => "li".into(),
        Tag::Table(columns) => {
            let align = |column: &Alignment| match column {
                Alignment::Center => Align::Center,
                Alignment::Right => Align::End,
                _ => Align::Start,
            };
            format!("table {:?}", columns.iter().map(align).collect::<Vec<_>>())
        }
        Tag::TableHead | Tag::TableRow => "row".into(),
        Tag::TableCell => "cell".into(),
        Tag::Emphasis => "em".into(),
        Tag::Strong => "strong".into(),
        Tag::Strikethrough => "s".into(),
        Tag::Link { dest_url, .. } => format!("a {dest_url}"),
        Tag::Image { dest_url, .. } => format!("img {dest_url}"),
        _ => String::new(),
    }
}

fn check(text: &str) {
    assert_eq!(ours(text), theirs(text), "of {text:?}");
}

#[test]
fn what_models_write_reads_as_elsewhere() {
    for text in [
        "# Title #\n\nA *word*, a **strong** one, ***both***, `code`, ~~gone~~.\nNext line  \nafter a break\\\nand another.",
        "Text\n---\n\n***\n\nMore\n===\n## \n####### seven",
        "- one\n- two\n  - three\n    continued\n  - four\n- five\n\nend",
        "1. one\n2. two\n\n   second paragraph\n\n   ```rust\n   fn a() {\n\n       b();\n   }\n   ```\n3. three",
        "7) seven\n8) eight\n- other\n* another",
        "* a\n\n  b\n\n\n* c",
        "- \n- x\n-\n\n  y",
        "Before\n- item\n2. no list\n1. a list\nlazy\n\n> quote\nlazy\n> - in\n> - it\n\n> > deep\n> back",
        "```\n<b>*not*</b> &amp; \\*\n```\n~~~ js x\n```\n~~~\n\n    indented\n\n    code\ntext",
        "| a | b |\n|:--|--:|\n| `x` | *y* |\n| only one |\n| 1 | 2 | 3 |\n\n a | b\n:-:|---\nc \\| d | e\nend of table",
        "Intro:\n| a | b |\n|---|---|\n| 1 | 2 |\n\n|a|\nno table",
        "[link](https://a.example/b_c?d=(e)) [t](<x y> \"title\") ![pic *x*](p.png) [a [b](c) d](e) [no] (x) [un](closed",
        "[![badge](b.svg)](https://x) <https://auto.example> <me@mail.example> <b>tag *x*</b> a<b c>d",
        "snake_case_word _em_ *a*b **a*b*c** *a **b* c** **a*b** `a``b` ``c`d`` `un closed",
        "\\*no\\* \\a \\\\ &lt; &#65; &#x1F600; &unknown; & AT&T",
        "**Bold:** text **(x)**, „**Wort**“, **重点**是。 a * b * c, 2*3*4, **a**b**c**, *a _b* c_",
        "~one~ ~~two~~ ~~~three~~~ ~~a~b~~",
        "- [x](y)\n- **b**: `c`\n\n\n\n- last\n\nnot last",
        "1986\\. A year\n\n1. a\n   - b\n     1. c\n\n        d\n2. e",
        "a\n\n\n\nb\n   c\n      d\n\te",
        "-\tone\n-\ttwo\n\n\tthree\n10.\tten",
        "> ```\n> code\n> ```\n> after\n\n- ```sh\n  ls\n  ```",
        "* * *\n- - -\n_ _ _ x\n__\n",
        "line with trailing `code` \n\n#no heading\n\n#\theading\n",
    ] {
        check(text);
    }
}

/// Pieces that are put together at random; each is a line or the beginning of one.
const PIECES: [&str; 34] = [
    "word",
    "two words",
    "*em*",
    "**strong**",
    "`code`",
    "_x_",
    "a_b_c",
    "[l](u)",
    "![i](u)",
    "~~s~~",
    "*",
    "**",
    "_",
    "`",
    "***",
    "\\*",
    " ",
    "\n",
    "\n\n",
    "\n- ",
    "\n1. ",
    "\n2. ",
    "\n  - ",
    "\n   ",
    "\n> ",
    "\n# ",
    "\n```\n",
    "\n\n| a | b |\n|---|---|\n| c | d |\n\n",
    "  \n",
    "(",
    ")",
    "!",
    "é",
    "\n***\n",
];

fn random_text(seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) as usize % below
    };
    (0..3 + next(14)).map(|_| PIECES[next(PIECES.len())]).collect()
}

/// Where we read something else by intent: a lone dash under words is no heading.
fn is_ours_alone(text: &str) -> bool {
    text.lines().any(|line| line.trim() == "-")
}

#[test]
fn random_pieces_read_as_elsewhere() {
    let differing: Vec<String> =
        (0..20_000).map(random_text).filter(|text| !is_ours_alone(text) && ours(text) != theirs(text)).collect();
    let shown: Vec<_> = differing.iter().take(12).map(|text| (text, ours(text), theirs(text))).collect();
    assert!(differing.len() <= 100, "{} of 20,000 differ: {shown:#?}", differing.len());
}

#[test]
fn hostile_texts_end_soon_and_lose_no_word() {
    for piece in [
        "*a ", "**a *b ", "[", "![", "[a](", "[a](b ", "`", "``a` ", "~~", "_a*", "<a", "&#", "\\", "> ", "- ", "|-",
        "a\n", "> a\nb\n",
    ] {
        let text = piece.repeat(100_000 / piece.len());
        assert!(!ours(&text).is_empty(), "{piece}");
    }
    let text = "*".repeat(50_000) + "word" + &"*".repeat(50_000);
    assert!(ours(&text).contains("word"));
}
