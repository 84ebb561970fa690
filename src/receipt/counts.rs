//! Whether a receipt's token counts can be true of the text that was asked and received (protocol section 5.4). A client
//! does not have each model's tokenizer, so the bounds are wide enough for all usual ones: whoever is outside of them has
//! miscounted or lies, which is for the user to see and nobody's forgery.

/// The estimate counts in parts of a token.
const PARTS: u64 = 4;

/// A small letter behind a letter is at most so many parts of a token: the tokenizers of GPT-2, Llama 2 and all that came
/// after them cut even random letters into pieces of 1.36 and more.
const SMALL_LETTER: u64 = 3;

/// Over the estimate by one part in so many nothing is odd yet.
const MARGIN: u64 = 4;

/// Tokens that a model says and nobody sees: its end, marks of an empty thought, a call's brackets.
const UNSEEN: u64 = 64;

/// Tokens that a model's template puts around a question: the longest usual one is a page of instructions.
const TEMPLATE: u64 = 2_048;

/// Bytes of a usual token.
const USUAL_TOKEN: u64 = 4;

/// No usual token is longer: runs of 128 spaces are the longest.
const LONGEST_TOKEN: u64 = 256;

/// What a receipt's counts look like beside the text itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Counts {
    /// They can be true.
    #[default]
    Plausible,
    /// No usual tokenizer comes to them.
    Implausible,
}

/// How much text went one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// Its bytes in UTF-8.
    pub(crate) bytes: u64,
    /// The most tokens that it can be, in parts.
    pub(crate) parts: u64,
}

impl Text {
    /// Adds more of it. In how many pieces it comes matters little, and never lowers what it can be.
    pub fn add(&mut self, text: &[u8]) {
        let mut before = 0u8;
        for byte in text {
            self.parts = self.parts.saturating_add(match (before, byte) {
                // A word's space is a part of the word's first token.
                (b' ', b'a'..=b'z' | b'A'..=b'Z') => 0,
                (b'a'..=b'z' | b'A'..=b'Z', b'a'..=b'z') => SMALL_LETTER,
                // Signs, digits, and each byte of what is not ASCII can be tokens.
                _ => PARTS,
            });
            before = *byte;
        }
        self.bytes = self.bytes.saturating_add(text.len() as u64);
    }

    /// About how many tokens it is, by the bytes that a usual one has: what speeds are measured in,
    /// so that equal texts in equal times are equally quick, whoever counts them.
    pub fn estimate(&self) -> u64 {
        self.bytes.div_ceil(USUAL_TOKEN)
    }

    fn most_tokens(&self) -> u64 {
        let most = self.parts.div_ceil(PARTS);
        most.saturating_add(most / MARGIN)
    }

    fn least_tokens(&self) -> u64 {
        self.bytes / LONGEST_TOKEN
    }
}

impl Counts {
    /// Judges the counts of an answer against what was asked and what came, thoughts and calls included. A question's
    /// tokens may be fewer than it seems: some providers do not count what they had computed before.
    pub fn judge(asked: &Text, prompt: u64, received: &Text, completion: u64) -> Self {
        let most = received.most_tokens().saturating_add(UNSEEN);
        if prompt > asked.most_tokens().saturating_add(TEMPLATE)
            || !(received.least_tokens()..=most).contains(&completion)
        {
            return Self::Implausible;
        }
        Self::Plausible
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Text {
        let mut added = Text::default();
        added.add(text.as_bytes());
        added
    }

    fn odd(asked: &str, prompt: u64, received: &str, completion: u64) -> bool {
        Counts::judge(&text(asked), prompt, &text(received), completion) == Counts::Implausible
    }

    /// Texts, and the most and the fewest tokens that eight tokenizers (GPT-2, GPT-4, GPT-4o, Llama 2 and 3, Gemma 3,
    /// Qwen 3, DeepSeek 3) make of one piece of them.
    const PIECES: [(&str, u64, u64); 8] = [
        ("The client machine picks a provider that is fresh. ", 12, 10),
        ("let n = rows.iter().filter(|r| r.key == k).count();\n        ", 29, 18),
        ("人工智能市场上没有公司在中间。龘靐", 33, 10),
        ("사용자의 브라우저 확장과 제공자의 작업자가 만난다", 63, 13),
        ("🦀👩‍👩‍👧‍👦🏳️‍🌈🇩🇪🫠", 46, 15),
        ("9f86d081884c7d659a2feaa0c55ad015", 30, 19),
        ("xqzjkvwgfd bcdfgxzq ", 16, 11),
        ("QXZJKVWACG ", 10, 5),
    ];

    #[test]
    fn counts_of_every_usual_tokenizer_are_plausible() {
        for (piece, most, fewest) in PIECES {
            for times in [1, 10, 1_000] {
                let whole = piece.repeat(times);
                for tokens in [most, fewest] {
                    assert!(!odd("", 0, &whole, tokens * times as u64), "{piece} {times} times, {tokens} each");
                }
            }
        }
        assert!(!odd("", 0, &" ".repeat(100_000), 100_000 / 128), "the longest tokens");
        assert!(!odd("", 0, &"\n".repeat(10_000), 10_000), "the shortest");
        assert!(!odd("Hi", 1_000, "Yes.", 60), "a template, an empty thought");
    }

    #[test]
    fn counts_of_several_times_as_much_are_not() {
        let answer = PIECES[0].0.repeat(40);
        assert!(!odd("", 0, &answer, 12 * 40) && odd("", 0, &answer, 4 * 12 * 40));
        assert!(odd("", 0, &PIECES[2].0.repeat(40), 4 * 33 * 40));
        assert!(odd("Hi", 2_100, "Yes.", 1) && odd("Hi", u64::MAX, "Yes.", 1) && odd("Hi", 1, "Yes.", u64::MAX));
        assert!(odd("Hi", 1, "", 65) && !odd("Hi", 1, "", 0));
        assert!(
            odd("Hi", 1, &answer, 0) && !odd("Hi", 0, &answer, 12 * 40),
            "a question may have been computed before"
        );
    }
}
