//! The stream of text: bytes that are no whole character yet and beginnings of stop strings are held back.

use tokenizers::Tokenizer;

/// Turns token ids into text as they come.
#[derive(Default)]
pub struct Decoder {
    ids: Vec<u32>,
    prefix: String,
    prefix_index: usize,
}

impl Decoder {
    /// The text that this token completes; empty while a character is incomplete.
    pub fn push(&mut self, tokenizer: &Tokenizer, id: u32) -> Result<String, tokenizers::Error> {
        let step = tokenizers::step_decode_stream(
            tokenizer,
            vec![id],
            true,
            &mut self.ids,
            &mut self.prefix,
            &mut self.prefix_index,
        );
        Ok(step?.unwrap_or_default())
    }
}

/// Looks for stop strings across pieces of text.
#[derive(Default)]
pub struct StopFilter {
    stops: Vec<String>,
    held: String,
}

impl StopFilter {
    /// Empty strings never stop anything.
    pub fn new(stops: Vec<String>) -> Self {
        Self { stops: stops.into_iter().filter(|stop| !stop.is_empty()).collect(), held: String::new() }
    }

    /// What may go out now, and whether a stop string was met; what precedes it still goes out.
    pub fn push(&mut self, piece: &str) -> (String, bool) {
        self.held.push_str(piece);
        if let Some(at) = self.stops.iter().filter_map(|stop| self.held.find(stop.as_str())).min() {
            self.held.truncate(at);
            return (std::mem::take(&mut self.held), true);
        }
        let keep = self.stops.iter().map(|stop| overlap(&self.held, stop)).max().unwrap_or(0);
        let rest = self.held.split_off(self.held.len() - keep);
        (std::mem::replace(&mut self.held, rest), false)
    }

    /// What was held back when the answer ended without a stop string.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

/// Bytes of the longest end of `text` with which `stop` begins.
fn overlap(text: &str, stop: &str) -> usize {
    (1..stop.len())
        .rev()
        .filter(|n| stop.is_char_boundary(*n))
        .find(|n| stop.get(..*n).is_some_and(|head| text.ends_with(head)))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stops: &[&str], pieces: &[&str], expected: &str, stopped: bool) {
        let mut filter = StopFilter::new(stops.iter().map(|s| (*s).to_owned()).collect());
        let mut out = String::new();
        let mut met = false;
        for piece in pieces {
            let (text, hit) = filter.push(piece);
            out.push_str(&text);
            if hit {
                met = true;
                break;
            }
        }
        if !met {
            out.push_str(&filter.finish());
        }
        assert_eq!((out.as_str(), met), (expected, stopped), "{stops:?} {pieces:?}");
    }

    #[test]
    fn stop_strings_across_pieces() {
        check(&[], &["a", "b"], "ab", false);
        check(&["END"], &["one E", "ND two"], "one ", true);
        check(&["END"], &["one E", "Nd"], "one ENd", false);
        check(&["END"], &["E", "E", "N", "D"], "E", true);
        check(&["b", "abc"], &["xa", "bc"], "x", true);
        check(&["é!"], &["caf", "é", "!"], "caf", true);
        check(&["\n\n"], &["a\n", "b\n", "\nc"], "a\nb", true);
        check(&[""], &["a"], "a", false);
    }
}
