//! Where a link leads, and characters written by their names.

/// Longest title of a link in characters; it is not shown.
const LONGEST_TITLE: usize = 500;
/// Deepest parentheses in a link's target.
const MAX_PARENTHESES: usize = 32;
/// Names of characters that are written as `&name;`; all others are written by number or as themselves.
const NAMED: [(&str, &str); 16] = [
    ("amp", "&"),
    ("lt", "<"),
    ("gt", ">"),
    ("quot", "\""),
    ("apos", "'"),
    ("nbsp", "\u{a0}"),
    ("copy", "©"),
    ("deg", "°"),
    ("euro", "€"),
    ("hellip", "…"),
    ("larr", "←"),
    ("mdash", "—"),
    ("middot", "·"),
    ("ndash", "–"),
    ("rarr", "→"),
    ("times", "×"),
];

/// `(target "title")` right at the start: the target and how many bytes it took.
pub fn target(text: &str) -> Option<(String, usize)> {
    let inner = text.strip_prefix('(')?;
    let from = inner.trim_start_matches([' ', '\n']);
    let (url, rest) = match from.strip_prefix('<') {
        Some(angled) => {
            let end = angled.find(['>', '<', '\n']).filter(|end| angled.as_bytes().get(*end) == Some(&b'>'))?;
            (angled.get(..end)?, angled.get(end + 1..)?)
        }
        None => from.split_at_checked(bare_target(from)?)?,
    };
    let rest = rest.trim_start_matches([' ', '\n']);
    let rest = match rest.as_bytes().first()? {
        quote @ (b'"' | b'\'' | b'(') => {
            let end = if *quote == b'(' { ')' } else { char::from(*quote) };
            let title = rest.get(1..)?;
            let length = title.char_indices().take(LONGEST_TITLE).find(|(_, c)| *c == end)?.0;
            title.get(length + 1..)?.trim_start_matches([' ', '\n'])
        }
        _ => rest,
    };
    let rest = rest.strip_prefix(')')?;
    Some((unescaped(url), text.len() - rest.len()))
}

/// The length of a target without blanks, its parentheses in pairs.
fn bare_target(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if std::mem::take(&mut escaped) => {}
            '\\' => escaped = true,
            '(' if depth == MAX_PARENTHESES => return None,
            '(' => depth += 1,
            ')' if depth == 0 => return Some(at),
            ')' => depth -= 1,
            c if c.is_whitespace() || c.is_control() => return (depth == 0).then_some(at),
            _ => {}
        }
    }
    None
}

/// Without the backslashes before signs, and with characters for their names.
fn unescaped(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['\\', '&']) {
        let (before, from) = rest.split_at(at);
        plain.push_str(before);
        let next = from.chars().nth(1);
        if let Some(sign) = next.filter(|next| from.starts_with('\\') && next.is_ascii_punctuation()) {
            plain.push(sign);
            rest = from.get(2..).unwrap_or_default();
        } else if let Some((character, bytes)) = entity(from) {
            plain.push_str(&character);
            rest = from.get(bytes..).unwrap_or_default();
        } else {
            plain.push_str(from.get(..1).unwrap_or_default());
            rest = from.get(1..).unwrap_or_default();
        }
    }
    plain + rest
}

/// The character that is named right at the start, and how many bytes its name took.
pub fn entity(text: &str) -> Option<(String, usize)> {
    let name = text.strip_prefix('&')?;
    let name = name.get(..name.bytes().take(9).position(|byte| byte == b';')?)?;
    Some((named(name)?, name.len() + 2))
}

fn named(name: &str) -> Option<String> {
    let Some(number) = name.strip_prefix('#') else {
        return NAMED.iter().find(|(known, _)| *known == name).map(|(_, character)| (*character).to_owned());
    };
    let code = match number.strip_prefix(['x', 'X']) {
        Some(digits) if digits.len() <= 6 => u32::from_str_radix(digits, 16).ok()?,
        None if number.len() <= 7 => number.parse().ok()?,
        _ => return None,
    };
    Some(char::from_u32(code).filter(|c| *c != '\0').unwrap_or('\u{fffd}').to_string())
}

fn is_absolute(address: &str) -> bool {
    address.split_once(':').is_some_and(|(scheme, _)| {
        (2..=32).contains(&scheme.len())
            && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
    })
}

fn is_mail(address: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'+');
    address.split_once('@').is_some_and(|(name, host)| {
        !name.is_empty() && host.contains('.') && name.bytes().all(plain) && host.bytes().all(plain)
    })
}

/// Where an address in angle brackets leads, when it is one.
pub fn address(text: &str) -> Option<String> {
    match () {
        () if is_absolute(text) => Some(text.to_owned()),
        () if is_mail(text) => Some(format!("mailto:{text}")),
        () => None,
    }
}
