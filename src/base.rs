//! Bytes as text: base32 and base64url of RFC 4648, without padding. Decoding is strict: each text stands for other
//! bytes. One function serves both; a library makes one for each width and was 16 KB of wasm.

use alloc::{string::String, vec::Vec};

/// RFC 4648 section 6, in small letters.
pub(crate) const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// RFC 4648 section 5.
pub(crate) const BASE64URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The text of these bytes.
pub(crate) fn encode(alphabet: &[u8], bytes: &[u8]) -> String {
    let width = alphabet.len().ilog2();
    let (mut text, mut rest, mut held) = (String::new(), 0u32, 0);
    let mut put =
        |symbol: u32| text.extend(alphabet.get(symbol as usize % alphabet.len()).map(|byte| char::from(*byte)));
    for byte in bytes {
        rest = rest << 8 | u32::from(*byte);
        held += 8;
        while held >= width {
            held -= width;
            put(rest >> held);
        }
    }
    if held > 0 {
        put(rest << (width - held));
    }
    text
}

/// The bytes of this text; none when it is not exactly what [`encode`] gives for them.
pub(crate) fn decode(alphabet: &[u8], text: &str) -> Option<Vec<u8>> {
    let width = alphabet.len().ilog2();
    let (mut bytes, mut rest, mut held) = (Vec::new(), 0u32, 0);
    for byte in text.bytes() {
        let symbol = alphabet.iter().position(|known| *known == byte)?;
        rest = rest << width | symbol as u32;
        held += width;
        if held >= 8 {
            held -= 8;
            bytes.push((rest >> held) as u8);
        }
    }
    // What is left over is less than a symbol, and nothing.
    (held < width && rest & ((1 << held) - 1) == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};

    #[test]
    fn both_give_and_take_what_the_reference_does() {
        let bytes: Vec<u8> = (0..200u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for len in 0..bytes.len() {
            let bytes = &bytes[..len];
            let (small, url) = (encode(BASE32, bytes), encode(BASE64URL, bytes));
            assert_eq!((small.to_uppercase(), &url), (BASE32_NOPAD.encode(bytes), &BASE64URL_NOPAD.encode(bytes)));
            assert_eq!(decode(BASE32, &small).as_deref(), Some(bytes));
            assert_eq!(decode(BASE64URL, &url).as_deref(), Some(bytes));
        }
        for symbols in
            ["", "a", "ab", "ae", "aa", "abc", "aaa", "aaaa", "aaaab", "aaaaaa", "aaaaaaa", "aaaaaaaa", "a1", "a=", "ä"]
        {
            let reference = BASE32_NOPAD.decode(symbols.to_uppercase().as_bytes()).ok();
            assert_eq!(decode(BASE32, symbols), reference, "{symbols}");
            assert_eq!(decode(BASE64URL, symbols), BASE64URL_NOPAD.decode(symbols.as_bytes()).ok(), "{symbols}");
        }
        assert_eq!(decode(BASE32, "AE"), None, "there is one text for each");
    }
}
