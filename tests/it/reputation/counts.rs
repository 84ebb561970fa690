//! What tokens a text can be: no text of any language makes an honest count look wrong, and more text never allows less.

use privacyai::receipt::{Counts, Text};
use proptest::prelude::*;

fn text(said: &str) -> Text {
    let mut text = Text::default();
    text.add(said.as_bytes());
    text
}

fn odd(received: &Text, completion: u64) -> bool {
    Counts::judge(&Text::default(), 0, received, completion) == Counts::Implausible
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(privacyai_tests::rounds(256)) })]

    #[test]
    fn from_a_token_for_two_bytes_to_one_for_a_hundred_all_is_plausible(said in ".{0,2000}", of in 2u64..=100) {
        let count = (said.len() as u64).div_ceil(of);
        prop_assert!(!odd(&text(&said), count), "{count} tokens of {said:?}");
    }

    #[test]
    fn a_token_for_each_byte_of_what_are_no_words_is_plausible(said in "[^a-zA-Z]{0,2000}") {
        prop_assert!(!odd(&text(&said), said.len() as u64), "{said:?}");
    }

    #[test]
    fn neither_pieces_nor_more_text_allow_less(pieces in proptest::collection::vec(".{0,40}", 0..20), count in 0u64..2_000) {
        let (mut apart, whole) = (Text::default(), text(&pieces.concat()));
        for piece in &pieces {
            apart.add(piece.as_bytes());
        }
        // The fewest tokens are a matter of the bytes alone: so short a text is never too long for so many.
        let count = count.max(16);
        prop_assert!(odd(&whole, count) || !odd(&apart, count));
        let before = apart;
        apart.add(b" and so on");
        prop_assert!(odd(&before, count) || !odd(&apart, count));
    }

    #[test]
    fn what_is_too_much_stays_too_much(said in ".{0,200}", count in 4u64.., more: u64) {
        let said = text(&said);
        prop_assert!(!odd(&said, count) || odd(&said, count.saturating_add(more)));
    }

    #[test]
    fn more_tokens_than_letters_of_words_are_flagged(words in proptest::collection::vec("[a-z]{3,8}", 100..300)) {
        let said = words.join(" ");
        prop_assert!(odd(&text(&said), said.len() as u64 * 6 / 5 + 64));
    }
}
