//! What the model of every provider in the network in memory says.

use privacyai::provider::Job;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// The pieces that the model of every provider here says to this request: they follow from its bytes alone.
/// A job with a prefix goes on behind it.
pub fn answer(job: &Job) -> Vec<String> {
    let mut behind = job.prefix.as_str();
    let mut rest = Vec::new();
    for piece in pieces(&job.content) {
        // What was thought before the prefix ended is not thought again.
        if piece.starts_with('{') && !behind.is_empty() {
            continue;
        }
        match behind.strip_prefix(piece.as_str()) {
            Some(after) => behind = after,
            // The prefix ends within this piece.
            None => rest.push(piece.strip_prefix(core::mem::take(&mut behind)).unwrap_or(&piece).to_owned()),
        }
    }
    rest
}

/// The pieces of the answer to this content; those that begin with a brace are JSON events: thoughts, or calls where the
/// content names tools.
pub fn pieces(content: &[u8]) -> Vec<String> {
    let seed = content
        .iter()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let count = 1 + rng.next_u32() % 60;
    let calls = content.windows(7).any(|window| window == b"\"tools\"");
    let pick = |_| match WORDS[rng.next_u32() as usize % WORDS.len()] {
        THOUGHT if calls => CALL.to_owned(),
        word => word.to_owned(),
    };
    (0..count).map(pick).collect()
}

const THOUGHT: &str = "{\"reasoning_content\":\"so\"}";
const CALL: &str = "{\"tool_calls\":[]}";

const WORDS: [&str; 13] = [
    " the",
    " answer",
    " ist",
    " größer",
    "\n\n",
    " 🦀",
    " 42",
    ".",
    " a rather long piece of text that came at once",
    "",
    " né",
    THOUGHT,
    "日本語",
];
