//! Numbers, times and keys as words: one way for each on every screen.

/// Seconds from ms: "0.41 s", from 10 s "12 s", from a minute "6 min 12 s".
pub fn seconds(ms: f64) -> String {
    let s = ms / 1000.0;
    if s < 9.995 { format!("{} s", fixed(s, 2)) } else { duration(s) }
}

/// A number with so many digits after the point. The formatter of floats would be 3 KiB of what is downloaded.
pub fn fixed(n: f64, digits: u32) -> String {
    let scale = 10u64.pow(digits);
    let whole = (n * scale as f64).round() as u64;
    if digits == 0 {
        return whole.to_string();
    }
    format!("{}.{:0width$}", whole / scale, whole % scale, width = digits as usize)
}

/// A span of seconds: "8 s", "4 min", "6 h 12 min", "3 d".
pub fn duration(s: f64) -> String {
    let s = s.max(0.0).round() as u64;
    match s {
        0..60 => format!("{s} s"),
        60..3_600 if s.is_multiple_of(60) || s >= 600 => format!("{} min", s / 60),
        60..3_600 => format!("{} min {} s", s / 60, s % 60),
        3_600..86_400 if s % 3_600 < 60 => format!("{} h", s / 3_600),
        3_600..86_400 => format!("{} h {} min", s / 3_600, s % 3_600 / 60),
        _ => format!("{} d", s / 86_400),
    }
}

/// A count: "3,412", from 10,000 on "12 k".
pub fn count(n: u64) -> String {
    if n >= 10_000 {
        return format!("{} k", count(n / 1_000));
    }
    if n >= 1_000 { format!("{},{:03}", n / 1_000, n % 1_000) } else { n.to_string() }
}

/// A context length in tokens: "32 k", "8 k", "512".
pub fn context(n: u32) -> String {
    if n >= 1_024 { format!("{} k", n / 1_024) } else { n.to_string() }
}

/// "1 token", "264 tokens".
pub fn plural(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { many })
}

/// A key in groups of four.
pub fn fours(key: &str) -> String {
    let letters: Vec<char> = key.chars().filter(|c| !c.is_whitespace()).collect();
    letters.chunks(4).map(|four| four.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
}

/// The last four characters of a key.
pub fn last_four(key: &str) -> String {
    let letters: Vec<char> = key.chars().filter(|c| !c.is_whitespace()).collect();
    letters.iter().skip(letters.len().saturating_sub(4)).collect()
}

/// Small letters of any script, as the browser writes them: the library's tables would be 10 KiB of what is downloaded.
pub fn lower(text: &str) -> String {
    js_sys::JsString::from(text).to_lower_case().into()
}

/// The count of words in a text.
pub fn words(text: &str) -> u64 {
    text.split_whitespace().count() as u64
}

/// At most `most` characters, the last an ellipsis when it was cut.
pub fn shorten(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// Local time of a Unix ms, "18:41".
pub fn clock(unix_ms: f64) -> String {
    let date = js_sys::Date::new(&unix_ms.into());
    format!("{:02}:{:02}", date.get_hours(), date.get_minutes())
}

/// Local day of a Unix ms as the browser writes it, "23 Nov".
pub fn day(unix_ms: f64) -> String {
    let options = js_sys::Object::new();
    let _ = js_sys::Reflect::set(&options, &"day".into(), &"numeric".into());
    let _ = js_sys::Reflect::set(&options, &"month".into(), &"short".into());
    js_sys::Date::new(&unix_ms.into()).to_locale_date_string("en-GB", &options).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_times_and_counts() {
        assert_eq!(seconds(412.0), "0.41 s");
        assert_eq!(seconds(12_400.0), "12 s");
        assert_eq!(seconds(9_996.0), "10 s");
        assert_eq!(seconds(7.0), "0.01 s");
        assert_eq!(fixed(2.04, 1), "2.0");
        assert_eq!(fixed(80.6, 0), "81");
        assert_eq!(fixed(-1.0, 1), "0.0");
        assert_eq!(duration(8.0), "8 s");
        assert_eq!(duration(372.0), "6 min 12 s");
        assert_eq!(duration(22_320.0), "6 h 12 min");
        assert_eq!(duration(200_000.0), "2 d");
        assert_eq!(count(264), "264");
        assert_eq!(count(3_412), "3,412");
        assert_eq!(count(12_900), "12 k");
        assert_eq!(count(1_234_567), "1,234 k");
        assert_eq!(context(32_768), "32 k");
        assert_eq!(plural(1, "token", "tokens"), "1 token");
    }

    #[test]
    fn writes_keys_in_fours() {
        assert_eq!(fours("q7ma3kxdw2"), "q7ma 3kxd w2");
        assert_eq!(fours("q7ma 3kxd w2"), "q7ma 3kxd w2");
        assert_eq!(last_four("q7ma3kxd 5fla"), "5fla");
        assert_eq!(last_four("ab"), "ab");
        assert_eq!(shorten("Brightwater", 7), "Bright…");
    }
}
