//! Code without colours: keywords bold, comments quiet. One scanner for the common languages; what it does not know
//! it leaves as it is.

use sycamore::prelude::*;

/// Longer code stays plain: a scan a frame must stay below a millisecond.
const MAX_HIGHLIGHTED: usize = 20_000;

/// What a piece of code is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plain,
    Keyword,
    Comment,
}

/// Draws code of a language.
pub fn highlight(language: &str, text: &str) -> View {
    let Some(keywords) = keywords(language).filter(|_| text.len() <= MAX_HIGHLIGHTED) else {
        return View::from(text.to_owned());
    };
    let pieces = scan(text, keywords, line_comment(language), language == "sql");
    View::from(
        pieces
            .into_iter()
            .map(|(kind, piece)| match kind {
                Kind::Plain => View::from(piece),
                Kind::Keyword => view! { span(class="kw") { (piece) } },
                Kind::Comment => view! { span(class="rem") { (piece) } },
            })
            .collect::<Vec<View>>(),
    )
}

fn keywords(language: &str) -> Option<&'static str> {
    Some(match language {
        "rust" | "rs" => {
            "as async await break const continue crate dyn else enum extern false fn for if impl in let loop match mod move mut pub ref return self Self static struct super trait true type unsafe use where while"
        }
        "python" | "py" => {
            "and as assert async await break class continue def del elif else except False finally for from global if import in is lambda None nonlocal not or pass raise return True try while with yield"
        }
        "js" | "javascript" | "ts" | "typescript" | "jsx" | "tsx" => {
            "async await break case catch class const continue default delete do else export extends false finally for from function if import in instanceof interface let new null of return static super switch this throw true try type typeof undefined var void while yield"
        }
        "sql" => {
            "all and as asc between by case create delete desc distinct drop else end exists from full group having in index inner insert into is join lateral left like limit not null offset on or order outer over partition primary key returning right select set table then union update using values when where with true false"
        }
        "go" => {
            "break case chan const continue default defer else fallthrough for func go goto if import interface map nil package range return select struct switch type var true false"
        }
        "java" | "kotlin" | "c" | "cpp" | "c++" | "cs" | "csharp" | "swift" => {
            "auto bool boolean break case catch char class const continue default delete do double else enum extends extern false final finally float for func fun guard if implements import in int interface let long namespace new null nullptr package private protected public return short signed sizeof static struct super switch template this throw true try typedef union unsigned using val var virtual void volatile when while"
        }
        "sh" | "bash" | "shell" | "zsh" => {
            "case do done elif else esac fi for function if in local return then until while export"
        }
        _ => return None,
    })
}

fn line_comment(language: &str) -> &'static str {
    match language {
        "python" | "py" | "sh" | "bash" | "shell" | "zsh" => "#",
        "sql" => "--",
        _ => "//",
    }
}

/// Splits code; strings are plain, so that a keyword or a comment mark in them is not one.
fn scan(text: &str, keywords: &str, comment: &str, any_case: bool) -> Vec<(Kind, String)> {
    let mut pieces: Vec<(Kind, String)> = Vec::new();
    let mut push = |kind: Kind, piece: &str| match pieces.last_mut() {
        Some((last, text)) if *last == kind => text.push_str(piece),
        _ => pieces.push((kind, piece.to_owned())),
    };
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = if rest.starts_with(comment) {
            let end = rest.find('\n').unwrap_or(rest.len());
            push(Kind::Comment, rest.get(..end).unwrap_or_default());
            end
        } else if matches!(first, '"' | '\'' | '`') {
            let end = string_end(rest, first);
            push(Kind::Plain, rest.get(..end).unwrap_or_default());
            end
        } else if first.is_alphanumeric() || first == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            let word = rest.get(..end).unwrap_or_default();
            let known = if any_case {
                keywords.split(' ').any(|keyword| keyword.eq_ignore_ascii_case(word))
            } else {
                keywords.split(' ').any(|keyword| keyword == word)
            };
            push(if known { Kind::Keyword } else { Kind::Plain }, word);
            end
        } else {
            let end = first.len_utf8();
            push(Kind::Plain, rest.get(..end).unwrap_or_default());
            end
        };
        rest = rest.get(end..).unwrap_or_default();
    }
    pieces
}

/// Where a string literal ends: at its quote, or at the line's end.
fn string_end(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        match letter {
            '\n' => return at,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if letter == quote => return at + letter.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_keywords_comments_and_strings() {
        let rust = keywords("rust").unwrap();
        let pieces = scan("let s = \"let // x\"; // let", rust, "//", false);
        assert_eq!(pieces[0], (Kind::Keyword, "let".into()));
        assert_eq!(pieces[1], (Kind::Plain, " s = \"let // x\"; ".into()));
        assert_eq!(pieces[2], (Kind::Comment, "// let".into()));
        let sql = scan("SELECT é FROM t", keywords("sql").unwrap(), "--", true);
        assert_eq!(sql.iter().filter(|(kind, _)| *kind == Kind::Keyword).count(), 2);
    }

    #[test]
    fn loses_no_letter() {
        for text in ["", "'open", "\"\\", "é'ü\n# x", "a--b"] {
            let joined: String = scan(text, "a", "#", false).into_iter().map(|(_, piece)| piece).collect();
            assert_eq!(joined, text);
        }
    }
}
