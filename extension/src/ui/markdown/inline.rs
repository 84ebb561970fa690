//! What stands in a line of Markdown: emphasis, code, links, breaks. The delimiter rules are those of CommonMark; a
//! reference or a tag is text. Every loop here is bounded by the length of the text, whatever a model writes.

use super::target;

/// How deep emphasis and links nest; what lies deeper keeps its words and loses its look.
const MAX_DEPTH: usize = 12;
/// Longest run of backticks that begins code.
const LONGEST_RUN: usize = 32;
/// How words look or what they do.
#[derive(Clone, Debug, PartialEq)]
pub enum Style {
    /// `*x*`
    Emphasis,
    /// `**x**`
    Strong,
    /// `~~x~~`
    Struck,
    /// `[x](target)`
    Link(String),
    /// `![x](target)`
    Image(String),
}

/// A part of a line.
#[derive(Clone, Debug, PartialEq)]
pub enum Inline {
    /// Words.
    Text(String),
    /// Code.
    Code(String),
    /// A line ends in the source.
    SoftBreak,
    /// A line ends.
    HardBreak,
    /// Parts in a style.
    Within(Style, Vec<Inline>),
}

/// What the first pass finds.
enum Token {
    Part(Inline),
    /// A run of `*`, `_` or `~`, by its place in [`Scan::runs`].
    Run(usize),
    Open(Style),
    Close,
}

/// A run of `*`, `_` or `~`.
struct Run {
    sign: u8,
    length: usize,
    opens: bool,
    closes: bool,
    /// Signs that neither begin nor end anything.
    left: usize,
    /// What it ends, innermost first, and what it begins, innermost first.
    ended: Vec<Style>,
    begun: Vec<Style>,
}

/// An `[` that may begin a link.
struct Bracket {
    token: usize,
    image: bool,
    /// How many runs stand before it.
    runs: usize,
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
    words: String,
    tokens: Vec<Token>,
    runs: Vec<Run>,
    /// Runs that are not matched yet.
    waiting: Vec<usize>,
    brackets: Vec<Bracket>,
    /// Before this place no tag ends.
    untagged: usize,
    /// Lengths of backtick runs that do not occur again.
    unclosed: [bool; LONGEST_RUN + 1],
}

/// Reads the lines of one block.
pub fn read(text: &str) -> Vec<Inline> {
    let mut scan = Scan {
        text,
        at: 0,
        words: String::new(),
        tokens: Vec::new(),
        runs: Vec::new(),
        waiting: Vec::new(),
        brackets: Vec::new(),
        untagged: 0,
        unclosed: [false; LONGEST_RUN + 1],
    };
    scan.all();
    scan.tree()
}

/// The bare words.
pub fn plain(parts: &[Inline]) -> String {
    let mut words = String::new();
    for part in parts {
        match part {
            Inline::Text(text) | Inline::Code(text) => words.push_str(text),
            Inline::SoftBreak | Inline::HardBreak => words.push(' '),
            Inline::Within(_, inner) => words.push_str(&plain(inner)),
        }
    }
    words
}

impl<'a> Scan<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn all(&mut self) {
        while let Some(&sign) = self.rest().as_bytes().first() {
            match sign {
                b'\\' => self.escape(),
                b'`' => self.code(),
                b'*' | b'_' | b'~' => self.run(sign),
                b'!' if self.rest().starts_with("![") => self.open(true),
                b'[' => self.open(false),
                b']' => self.close(),
                b'<' => self.angle(),
                b'&' => self.entity(),
                b'\n' => self.line_end(),
                _ => {
                    let rest = self.rest();
                    let special =
                        |c: char| matches!(c, '\\' | '`' | '*' | '_' | '~' | '!' | '[' | ']' | '<' | '&' | '\n');
                    // The first one was looked at above and is none here.
                    let first = rest.chars().next().map_or(1, char::len_utf8);
                    let more = rest.get(first..).unwrap_or_default();
                    self.take(first + more.find(special).unwrap_or(more.len()));
                }
            }
        }
        self.flush();
        let waiting = std::mem::take(&mut self.waiting);
        self.join(&waiting);
    }

    /// So many bytes are words.
    fn take(&mut self, bytes: usize) {
        self.words.push_str(self.rest().get(..bytes).unwrap_or_default());
        self.at += bytes;
    }

    fn flush(&mut self) {
        if !self.words.is_empty() {
            let words = std::mem::take(&mut self.words);
            self.tokens.push(Token::Part(Inline::Text(words)));
        }
    }

    fn push(&mut self, token: Token, bytes: usize) {
        self.flush();
        self.tokens.push(token);
        self.at += bytes;
    }

    fn escape(&mut self) {
        match self.rest().as_bytes().get(1) {
            Some(b'\n') => {
                self.push(Token::Part(Inline::HardBreak), 2);
                self.skip_indent();
            }
            Some(sign) if sign.is_ascii_punctuation() => {
                self.at += 1;
                self.take(1);
            }
            _ => self.take(1),
        }
    }

    fn line_end(&mut self) {
        let words = self.words.trim_end_matches(' ').len();
        let hard = self.words.len() - words >= 2;
        self.words.truncate(words);
        self.push(Token::Part(if hard { Inline::HardBreak } else { Inline::SoftBreak }), 1);
        self.skip_indent();
    }

    fn skip_indent(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t']).len();
    }

    fn code(&mut self) {
        let rest = self.rest();
        let length = run_of(rest, b'`');
        let unclosed = self.unclosed.get(length).copied().unwrap_or(true);
        let body = rest.get(length..).unwrap_or_default();
        let Some(end) = (!unclosed).then(|| closing(body, length)).flatten() else {
            if let Some(unclosed) = self.unclosed.get_mut(length) {
                *unclosed = true;
            }
            return self.take(length);
        };
        let code = body.get(..end).unwrap_or_default().replace('\n', " ");
        // One blank on each side parts the code from its backticks.
        let bare = code.strip_prefix(' ').and_then(|code| code.strip_suffix(' '));
        let bare = bare.filter(|bare| bare.bytes().any(|sign| sign != b' ')).map(str::to_owned);
        self.push(Token::Part(Inline::Code(bare.unwrap_or(code))), length + end + length);
    }

    fn run(&mut self, sign: u8) {
        let length = run_of(self.rest(), sign);
        let before = self.text.get(..self.at).and_then(|text| text.chars().next_back()).unwrap_or(' ');
        let after = self.rest().get(length..).and_then(|text| text.chars().next()).unwrap_or(' ');
        let blank = |c: char| c.is_whitespace();
        let left = !blank(after) && (!is_punctuation(after) || blank(before) || is_punctuation(before));
        let right = !blank(before) && (!is_punctuation(before) || blank(after) || is_punctuation(after));
        let (opens, closes) = match sign {
            b'_' => (left && (!right || is_punctuation(before)), right && (!left || is_punctuation(after))),
            b'~' if length > 2 => (false, false),
            _ => (left, right),
        };
        let at = self.runs.len();
        self.runs.push(Run { sign, length, opens, closes, left: length, ended: Vec::new(), begun: Vec::new() });
        self.waiting.push(at);
        self.push(Token::Run(at), length);
    }

    fn open(&mut self, image: bool) {
        self.flush();
        self.brackets.push(Bracket { token: self.tokens.len(), image, runs: self.runs.len() });
        let sign = if image { "![" } else { "[" };
        self.push(Token::Part(Inline::Text(sign.into())), sign.len());
    }

    fn close(&mut self) {
        let target = self.rest().get(1..).and_then(target::target);
        let Some((bracket, (url, bytes))) = self.brackets.pop().zip(target) else { return self.take(1) };
        // What stands in the link is matched there and nowhere else.
        let first = self.waiting.partition_point(|run| *run < bracket.runs);
        let inner = self.waiting.split_off(first);
        self.join(&inner);
        if let Some(token) = self.tokens.get_mut(bracket.token) {
            *token = Token::Open(if bracket.image { Style::Image(url) } else { Style::Link(url) });
        }
        self.push(Token::Close, 1 + bytes);
        if !bracket.image {
            // No link in a link.
            self.brackets.clear();
        }
    }

    /// An address in angle brackets is a link; anything else there is text, tags too.
    fn angle(&mut self) {
        let rest = self.rest();
        let inner = rest.get(1..).unwrap_or_default();
        let end = inner
            .find(|c: char| c == '<' || c == '>' || c.is_whitespace())
            .filter(|end| inner.get(*end..).is_some_and(|rest| rest.starts_with('>')));
        let address = end.and_then(|end| inner.get(..end)).unwrap_or_default();
        let Some(url) = target::address(address) else { return self.tag() };
        let (words, bytes) = (Inline::Text(address.to_owned()), address.len() + 2);
        self.push(Token::Open(Style::Link(url)), 0);
        self.push(Token::Part(words), 0);
        self.push(Token::Close, bytes);
    }

    /// A tag is one piece of text, so that nothing in it is taken for emphasis.
    fn tag(&mut self) {
        let rest = self.rest();
        let begins = rest
            .get(1..)
            .is_some_and(|name| name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '!'));
        if !begins || self.at < self.untagged {
            return self.take(1);
        }
        let end = rest.find(['>', '\n']).unwrap_or(rest.len());
        if rest.as_bytes().get(end) == Some(&b'>') {
            return self.take(end + 1);
        }
        self.untagged = self.at + end;
        self.take(1);
    }

    fn entity(&mut self) {
        let Some((character, bytes)) = target::entity(self.rest()) else { return self.take(1) };
        self.words.push_str(&character);
        self.at += bytes;
    }

    /// Matches runs that begin with runs that end, by the rules of CommonMark.
    fn join(&mut self, runs: &[usize]) {
        let mut openers: Vec<usize> = Vec::new();
        // Below these heights nothing matches: by sign, length modulo 3 and whether the run opens too.
        let mut bottoms = [[0usize; 6]; 3];
        for &closer in runs {
            let Some(run) = self.runs.get(closer) else { continue };
            let (sign, length, closes, opens) = (run.sign, run.length, run.closes, run.opens);
            let row = match sign {
                b'*' => 0,
                b'_' => 1,
                _ => 2,
            };
            let column = length % 3 + if opens { 3 } else { 0 };
            while closes && self.runs.get(closer).is_some_and(|run| run.left > 0) {
                let bottom = bottoms.get(row).and_then(|row| row.get(column)).copied().unwrap_or(0).min(openers.len());
                let fits = |opener: &usize| {
                    self.runs.get(*opener).is_some_and(|run| {
                        let odd = (run.closes || opens)
                            && (run.length + length) % 3 == 0
                            && !(run.length % 3 == 0 && length % 3 == 0);
                        run.sign == sign && run.left > 0 && if sign == b'~' { run.length == length } else { !odd }
                    })
                };
                let found = openers.get(bottom..).and_then(|above| above.iter().rposition(fits)).map(|at| at + bottom);
                let Some(at) = found else {
                    if let Some(bottom) = bottoms.get_mut(row).and_then(|row| row.get_mut(column)) {
                        *bottom = openers.len();
                    }
                    break;
                };
                let Some(&opener) = openers.get(at) else { break };
                openers.truncate(at + 1);
                let left = |runs: &[Run], at: usize| runs.get(at).map_or(0, |run| run.left);
                let both = left(&self.runs, opener).min(left(&self.runs, closer));
                let (style, signs) = match (sign, both) {
                    (b'~', _) => (Style::Struck, both),
                    (_, 1) => (Style::Emphasis, 1),
                    _ => (Style::Strong, 2),
                };
                if let Some(run) = self.runs.get_mut(opener) {
                    run.left -= signs;
                    run.begun.push(style.clone());
                    if run.left == 0 {
                        openers.pop();
                    }
                }
                if let Some(run) = self.runs.get_mut(closer) {
                    run.left -= signs;
                    run.ended.push(style);
                }
            }
            if opens && self.runs.get(closer).is_some_and(|run| run.left > 0) {
                openers.push(closer);
            }
        }
    }

    /// The second pass: tokens as a tree.
    fn tree(self) -> Vec<Inline> {
        let mut tree = Tree { levels: vec![Vec::new()], styles: Vec::new(), beyond: 0 };
        let mut runs = self.runs;
        for token in self.tokens {
            match token {
                Token::Part(part) => tree.push(part),
                Token::Open(style) => tree.open(style),
                Token::Close => tree.close(),
                Token::Run(at) => {
                    let Some(run) = runs.get_mut(at) else { continue };
                    run.ended.iter().for_each(|_| tree.close());
                    if run.left > 0 {
                        tree.push(Inline::Text(char::from(run.sign).to_string().repeat(run.left)));
                    }
                    std::mem::take(&mut run.begun).into_iter().rev().for_each(|style| tree.open(style));
                }
            }
        }
        while tree.levels.len() > 1 {
            tree.close();
        }
        tree.levels.pop().unwrap_or_default()
    }
}

struct Tree {
    levels: Vec<Vec<Inline>>,
    styles: Vec<Style>,
    /// How many of the open ones lie too deep.
    beyond: usize,
}

impl Tree {
    fn push(&mut self, part: Inline) {
        let Some(level) = self.levels.last_mut() else { return };
        match (level.last_mut(), part) {
            (Some(Inline::Text(words)), Inline::Text(more)) => words.push_str(&more),
            (_, part) => level.push(part),
        }
    }

    fn open(&mut self, style: Style) {
        if self.beyond > 0 || self.styles.len() >= MAX_DEPTH {
            self.beyond += 1;
            return;
        }
        self.styles.push(style);
        self.levels.push(Vec::new());
    }

    fn close(&mut self) {
        if self.beyond > 0 {
            self.beyond -= 1;
            return;
        }
        if let Some((style, parts)) = self.styles.pop().zip(self.levels.pop()) {
            self.push(Inline::Within(style, parts));
        }
    }
}

fn run_of(text: &str, sign: u8) -> usize {
    text.bytes().take_while(|byte| *byte == sign).count()
}

/// Where a run of exactly so many backticks begins.
fn closing(text: &str, length: usize) -> Option<usize> {
    let mut at = 0;
    while let Some(next) = text.get(at..)?.find('`') {
        at += next;
        let run = run_of(text.get(at..)?, b'`');
        if run == length {
            return Some(at);
        }
        at += run;
    }
    None
}

/// Signs, and the blocks of Unicode that hold no letters of running text.
fn is_punctuation(c: char) -> bool {
    c.is_ascii_punctuation()
        || matches!(c, '\u{a1}'..='\u{a9}' | '\u{ab}'..='\u{b1}' | '\u{b4}' | '\u{b6}'..='\u{b8}' | '\u{bb}' | '\u{bf}' | '×' | '÷')
        || matches!(c, '\u{2010}'..='\u{2bff}' | '\u{3001}'..='\u{3020}' | '\u{ff01}'..='\u{ff0f}' | '\u{ff1a}'..='\u{ff20}' | '\u{1f000}'..='\u{1faff}')
}
