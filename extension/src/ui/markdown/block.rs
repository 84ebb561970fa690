//! The blocks of Markdown: paragraphs, headings, lists, quotes, code, tables and rules. A block is known by its lines
//! and the one behind it, so what was read stays as it is while more text comes. No HTML and no references: an answer's
//! tags are text.

use std::ops::Range;

/// How deep lists and quotes nest; what lies deeper is a paragraph.
const MAX_DEPTH: usize = 24;
/// Most columns of a table.
const MAX_COLUMNS: usize = 64;

/// How a column stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// At the start.
    Start,
    /// In the middle.
    Center,
    /// At the end.
    End,
}

/// A block. Texts are the source of what stands in a line, for [`super::inline::read`].
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// A paragraph.
    Paragraph(String),
    /// A heading of this level, 1 to 6.
    Heading(usize, String),
    /// Code, and the language that it names.
    Code(String, String),
    /// A quote.
    Quote(Vec<Block>),
    /// A list: its first number, whether its items lie close, and they.
    List(Option<u32>, bool, Vec<Vec<Block>>),
    /// A table: columns, head, rows of as many cells.
    Table(Vec<Align>, Vec<String>, Vec<Vec<String>>),
    /// A line across.
    Rule,
}

/// Reads a text.
pub fn read(text: &str) -> Vec<Block> {
    let lines: Vec<&str> = text.lines().collect();
    read_lines(&lines, 0).0
}

/// Where each outermost block lies.
pub fn ranges(text: &str) -> Vec<Range<usize>> {
    let (mut lines, mut ends, mut end) = (Vec::new(), Vec::new(), 0usize);
    for line in text.split_inclusive('\n') {
        end += line.len();
        lines.push(line.trim_end_matches(['\r', '\n']));
        ends.push(end);
    }
    let start_of = |line: usize| line.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
    let (mut at, mut found) = (0, Vec::new());
    while let Some(rest) = lines.get(at..).filter(|rest| !rest.is_empty()) {
        if is_blank(rest) {
            at += 1;
            continue;
        }
        let (_, used) = next(rest, 0);
        found.push(start_of(at)..start_of(at + used));
        at += used;
    }
    found
}

/// The blocks of these lines, and whether a blank line lies between two of them.
fn read_lines(lines: &[&str], depth: usize) -> (Vec<Block>, bool) {
    let (mut blocks, mut at, mut blank, mut parted) = (Vec::new(), 0, false, false);
    while let Some(rest) = lines.get(at..).filter(|rest| !rest.is_empty()) {
        if is_blank(rest) {
            (at, blank) = (at + 1, true);
            continue;
        }
        let (block, used) = next(rest, depth);
        parted |= std::mem::take(&mut blank) && !blocks.is_empty();
        // A block that took the blank lines behind it parts as well.
        blank = at.checked_add(used).and_then(|end| lines.get(end - 1)).is_some_and(|line| line.trim().is_empty());
        blocks.push(block);
        at += used;
    }
    (blocks, parted)
}

fn is_blank(lines: &[&str]) -> bool {
    lines.first().is_none_or(|line| line.trim().is_empty())
}

/// The block that begins with the first of these lines, which is not blank, and how many lines it takes, at least one.
fn next(lines: &[&str], depth: usize) -> (Block, usize) {
    let first = lines.first().copied().unwrap_or_default();
    if indent_of(first) >= 4 {
        return indented(lines);
    }
    let line = first.trim_start();
    if let Some(fence) = Fence::opened_by(first) {
        return fence.code(lines);
    }
    if let Some((level, text)) = heading(line) {
        return (Block::Heading(level, text.to_owned()), 1);
    }
    if is_rule(line) {
        return (Block::Rule, 1);
    }
    if depth < MAX_DEPTH {
        if line.starts_with('>') {
            return quote(lines, depth);
        }
        if let Some(marker) = Marker::of(first) {
            return list(lines, &marker, depth);
        }
    }
    table(lines).unwrap_or_else(|| paragraph(lines))
}

/// Columns of blanks before the first sign.
fn indent_of(line: &str) -> usize {
    blanks_at(line, 0)
}

/// As [`indent_of`], for a part of a line that begins at this column.
fn blanks_at(line: &str, start: usize) -> usize {
    let mut columns = start;
    for byte in line.bytes() {
        match byte {
            b' ' => columns += 1,
            b'\t' => columns += 4 - columns % 4,
            _ => break,
        }
    }
    columns - start
}

/// Without so many columns of blanks, as far as there are any.
fn without_indent(line: &str, columns: usize) -> &str {
    let (mut seen, mut bytes) = (0, 0);
    for byte in line.bytes() {
        match byte {
            _ if seen >= columns => break,
            b' ' => seen += 1,
            b'\t' => seen += 4 - seen % 4,
            _ => break,
        }
        bytes += 1;
    }
    line.get(bytes..).unwrap_or_default()
}

fn indented(lines: &[&str]) -> (Block, usize) {
    let of = |line: &&&str| line.trim().is_empty() || indent_of(line) >= 4;
    let used = lines.iter().take_while(of).count();
    let used = lines.iter().take(used).rposition(|line| !line.trim().is_empty()).map_or(1, |last| last + 1);
    let code: String = lines.iter().take(used).flat_map(|line| [without_indent(line, 4), "\n"]).collect();
    (Block::Code(String::new(), code), used)
}

/// Three or more backticks or tildes.
struct Fence<'a> {
    sign: u8,
    length: usize,
    indent: usize,
    info: &'a str,
}

impl<'a> Fence<'a> {
    fn opened_by(line: &'a str) -> Option<Self> {
        let indent = indent_of(line);
        let rest = line.trim_start();
        let sign = *rest.as_bytes().first().filter(|sign| matches!(sign, b'`' | b'~'))?;
        let length = rest.bytes().take_while(|byte| *byte == sign).count();
        let info = rest.get(length..)?.trim();
        let fits = indent < 4 && length >= 3 && !(sign == b'`' && info.contains('`'));
        fits.then_some(Self { sign, length, indent, info })
    }

    fn is_closed_by(&self, line: &str) -> bool {
        let rest = line.trim();
        indent_of(line) < 4 && rest.len() >= self.length && rest.bytes().all(|byte| byte == self.sign)
    }

    fn code(&self, lines: &[&str]) -> (Block, usize) {
        let inside = lines.iter().skip(1).take_while(|line| !self.is_closed_by(line)).count();
        let body = lines.iter().skip(1).take(inside);
        let code: String = body.flat_map(|line| [without_indent(line, self.indent), "\n"]).collect();
        let language = self.info.split_whitespace().next().unwrap_or_default();
        (Block::Code(language.to_owned(), code), (inside + 2).min(lines.len()))
    }
}

fn heading(line: &str) -> Option<(usize, &str)> {
    let level = line.bytes().take_while(|byte| *byte == b'#').count();
    let text = line.get(level..)?;
    if !(1..=6).contains(&level) || !(text.is_empty() || text.starts_with([' ', '\t'])) {
        return None;
    }
    let text = text.trim();
    let bare = text.trim_end_matches('#');
    Some((level, if bare.is_empty() || bare.ends_with([' ', '\t']) { bare.trim_end() } else { text }))
}

fn is_rule(line: &str) -> bool {
    let signs = || line.bytes().filter(|byte| !matches!(byte, b' ' | b'\t'));
    let first = signs().next();
    matches!(first, Some(b'*' | b'-' | b'_')) && signs().count() >= 3 && signs().all(|sign| Some(sign) == first)
}

/// The lines of a container without its marks.
#[derive(Default)]
struct Inner<'a> {
    lines: Vec<&'a str>,
    /// The code that is open at their end.
    fence: Option<Fence<'a>>,
}

impl<'a> Inner<'a> {
    fn push(&mut self, line: &'a str) {
        self.fence = match self.fence.take() {
            Some(open) if open.is_closed_by(line) => None,
            Some(open) => Some(open),
            None => Fence::opened_by(line),
        };
        self.lines.push(line);
    }

    /// Whether a line that lacks the container's marks goes on with the paragraph that stands in it.
    fn goes_on(&self, rest: &[&str]) -> bool {
        let is_words = |last: &&str| {
            let bare = last.trim();
            !bare.is_empty()
                && Fence::opened_by(last).is_none()
                && heading(bare).is_none()
                && !is_rule(bare)
                && Marker::of(last).is_none_or(|marker| !marker.empty)
        };
        let ends = |line: &&str| Marker::of(line).is_some() || columns(rest).is_some();
        self.fence.is_none()
            && self.lines.last().is_some_and(is_words)
            && !is_blank(rest)
            && !interrupts(rest)
            && !rest.first().is_some_and(ends)
    }
}

fn quote(lines: &[&str], depth: usize) -> (Block, usize) {
    let mut inner = Inner::default();
    for (at, line) in lines.iter().enumerate() {
        let bare = line.trim_start();
        match bare.strip_prefix('>').filter(|_| indent_of(line) < 4) {
            Some(rest) => inner.push(rest.strip_prefix([' ', '\t']).unwrap_or(rest)),
            None if inner.goes_on(lines.get(at..).unwrap_or_default()) => inner.push(bare),
            None => break,
        }
    }
    (Block::Quote(read_lines(&inner.lines, depth + 1).0), inner.lines.len())
}

/// Begins an item of a list.
#[derive(Clone, Copy)]
struct Marker {
    /// `-`, `*`, `+`, `.` or `)`.
    sign: u8,
    number: Option<u32>,
    /// Columns before the item's text.
    columns: usize,
    /// Bytes before it.
    bytes: usize,
    empty: bool,
}

impl Marker {
    fn of(line: &str) -> Option<Self> {
        let indent = indent_of(line);
        let rest = line.trim_start();
        if indent >= 4 || is_rule(rest) {
            return None;
        }
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let sign = *rest.as_bytes().get(digits)?;
        let number = match (digits, sign) {
            (0, b'-' | b'*' | b'+') => None,
            (1..=9, b'.' | b')') => Some(rest.get(..digits)?.parse().ok()?),
            _ => return None,
        };
        let after = rest.get(digits + 1..)?;
        let empty = after.trim().is_empty();
        if !empty && !after.starts_with([' ', '\t']) {
            return None;
        }
        // Code may begin behind the first of five blanks.
        let blanks = if empty { 1 } else { blanks_at(after, indent + digits + 1) };
        let blanks = if blanks > 4 { 1 } else { blanks };
        let skipped = if empty { after.len() } else { after.len() - without_indent(after, blanks).len() };
        let before = line.len() - rest.len() + digits + 1;
        Some(Self { sign, number, columns: indent + digits + 1 + blanks, bytes: before + skipped, empty })
    }
}

fn list(lines: &[&str], first: &Marker, depth: usize) -> (Block, usize) {
    let (mut items, mut close, mut at, mut used) = (Vec::new(), true, 0, 0);
    while let Some(line) = lines.get(at).copied() {
        let Some(marker) = Marker::of(line).filter(|marker| marker.sign == first.sign) else { break };
        // A blank line between two items parts all of them.
        close &= used == at;
        let mut inner = Inner::default();
        inner.push(line.get(marker.bytes..).unwrap_or_default());
        at += 1;
        while let Some(line) = lines.get(at).copied() {
            let rest = lines.get(at..).unwrap_or_default();
            if line.trim().is_empty() {
                // An item that begins empty ends with the next empty line.
                if marker.empty && inner.lines.len() == 1 {
                    break;
                }
                inner.push("");
            } else if indent_of(line) >= marker.columns {
                inner.push(without_indent(line, marker.columns));
            } else if inner.goes_on(rest) {
                inner.push(line.trim_start());
            } else {
                break;
            }
            at += 1;
        }
        let mut inner = inner.lines;
        let filled = inner.iter().rposition(|line| !line.trim().is_empty()).map_or(1, |last| last + 1);
        used = at - (inner.len() - filled);
        inner.truncate(filled);
        let (blocks, parted) = read_lines(&inner, depth + 1);
        close &= !parted;
        items.push(blocks);
        while lines.get(at).is_some_and(|line| line.trim().is_empty()) {
            at += 1;
        }
    }
    (Block::List(first.number, close, items), used.max(1))
}

/// The cells of a row.
fn cells(line: &str) -> Vec<String> {
    let line = line.trim();
    let line = line.strip_prefix('|').unwrap_or(line);
    let (mut cells, mut cell, mut escaped) = (Vec::new(), String::new(), false);
    for c in line.chars() {
        if c == '|' && !escaped {
            cells.push(cell.trim().to_owned());
            cell.clear();
        } else {
            if c == '|' {
                cell.pop();
            }
            cell.push(c);
        }
        escaped = c == '\\' && !escaped;
    }
    if !cell.trim().is_empty() {
        cells.push(cell.trim().to_owned());
    }
    cells
}

/// The columns, when these two lines begin a table.
fn columns(lines: &[&str]) -> Option<Vec<Align>> {
    let (head, rule) = (lines.first()?, lines.get(1)?);
    let ruled = rule.bytes().all(|byte| matches!(byte, b'|' | b'-' | b':' | b' ' | b'\t')) && rule.contains('-');
    if !head.contains('|') || !ruled || indent_of(rule) >= 4 {
        return None;
    }
    let align = |cell: &String| {
        let dashes = cell.trim_start_matches(':').trim_end_matches(':');
        let sound = !dashes.is_empty() && dashes.bytes().all(|byte| byte == b'-');
        sound.then(|| match (cell.starts_with(':'), cell.ends_with(':')) {
            (true, true) => Align::Center,
            (false, true) => Align::End,
            _ => Align::Start,
        })
    };
    let columns = cells(rule).iter().map(align).collect::<Option<Vec<Align>>>()?;
    (columns.len() <= MAX_COLUMNS && columns.len() == cells(head).len()).then_some(columns)
}

fn table(lines: &[&str]) -> Option<(Block, usize)> {
    let columns = columns(lines)?;
    let head = cells(lines.first()?);
    let mut rows = Vec::new();
    for (at, line) in lines.iter().enumerate().skip(2) {
        if line.trim().is_empty() || interrupts(lines.get(at..)?) {
            break;
        }
        let mut row = cells(line);
        row.resize(columns.len(), String::new());
        rows.push(row);
    }
    let used = rows.len() + 2;
    Some((Block::Table(columns, head, rows), used))
}

/// Whether the first of these lines ends a paragraph before it.
fn interrupts(lines: &[&str]) -> bool {
    let Some(line) = lines.first().copied() else { return true };
    let bare = line.trim_start();
    let item =
        || Marker::of(line).is_some_and(|marker| !marker.empty && marker.number.is_none_or(|number| number == 1));
    indent_of(line) < 4
        && (bare.starts_with('>')
            || Fence::opened_by(line).is_some()
            || heading(bare).is_some()
            || is_rule(bare)
            || item())
}

fn paragraph(lines: &[&str]) -> (Block, usize) {
    let mut text = String::new();
    for (at, line) in lines.iter().enumerate() {
        let rest = lines.get(at..).unwrap_or_default();
        let bare = line.trim();
        if at > 0 {
            // A single dash is a list that begins, far more often than it is a line under a heading.
            let under = |sign: u8| !bare.is_empty() && indent_of(line) < 4 && bare.bytes().all(|byte| byte == sign);
            if under(b'=') || (under(b'-') && bare.len() > 1) {
                let level = if under(b'=') { 1 } else { 2 };
                return (Block::Heading(level, text.trim_end().to_owned()), at + 1);
            }
            if bare.is_empty() || interrupts(rest) || columns(rest).is_some() {
                return (Block::Paragraph(text.trim_end().to_owned()), at);
            }
            text.push('\n');
        }
        text.push_str(line.trim_start());
    }
    (Block::Paragraph(text.trim_end().to_owned()), lines.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_lies_where_its_lines_are() {
        let text = "# A\n\nb\nc\n- d\n\n  e\n```\nf\n\ng\n```\n\n\nh\n|a|\n|-|\n|b|";
        let of = |range: Range<usize>| text.get(range).unwrap();
        let found: Vec<&str> = ranges(text).into_iter().map(of).collect();
        assert_eq!(found, ["# A\n", "b\nc\n", "- d\n\n  e\n", "```\nf\n\ng\n```\n", "h\n", "|a|\n|-|\n|b|"]);
        assert_eq!(read(text).len(), found.len());
        assert!(ranges("").is_empty() && ranges("\n \n").is_empty());
    }

    #[test]
    fn deep_nesting_ends() {
        for sign in ["> ", "- ", "1. ", "* > "] {
            let blocks = read(&(sign.repeat(10_000) + "x"));
            assert_eq!(blocks.len(), 1, "{sign}");
        }
        let table = "|".repeat(10_000) + "\n" + &"-|".repeat(10_000);
        assert!(matches!(read(&table).first(), Some(Block::Paragraph(_) | Block::Heading(..))));
    }
}
