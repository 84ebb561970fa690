//! The words for an answer that is not as it should be: what failed, whether it was charged, what was done, and one next
//! step. It knows no view.

use super::format;
use super::status::Shape;
use crate::port::MessageView;

/// Letters of a token, about: what a question of this size is, before any model has counted it.
const LETTERS_PER_TOKEN: u64 = 4;

/// A provider, by id and name.
pub type Named = (String, String);

/// One next step.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// Ask again.
    Retry,
    /// Ask this one instead.
    Other(Named),
    /// Let this one, or the same, go on below what came.
    Continue(Option<Named>),
    /// Stop waiting and let this one go on.
    Switch(Named),
    /// Ask again by itself after so many seconds.
    Wait(u32),
    /// Ask again by itself when the next day begins, in so many seconds.
    Later(u32),
    /// Do not ask again by itself.
    Leave,
    /// Ask this one's model, which holds more.
    Larger(Named, String),
    /// Change the question.
    Edit,
    /// Decide about a new key.
    KeyChange(String),
    /// Connect now.
    TryNow,
    /// See the providers.
    Providers,
    /// See the facts.
    Details,
}

impl Act {
    /// Whether it asks this question again or goes on below its answer, which only the newest allows: what follows an
    /// older one would be lost.
    pub fn asks(&self) -> bool {
        !matches!(self, Self::KeyChange(_) | Self::TryNow | Self::Providers | Self::Details)
    }

    /// Its name for tests.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Other(_) => "other",
            Self::Continue(_) => "continue",
            Self::Switch(_) => "switch",
            Self::Wait(_) => "wait",
            Self::Later(_) => "later",
            Self::Leave => "leave",
            Self::Larger(..) => "larger",
            Self::Edit => "edit",
            Self::KeyChange(_) => "key-change",
            Self::TryNow => "try-now",
            Self::Providers => "providers",
            Self::Details => "details",
        }
    }

    /// What stands on its button.
    pub fn label(&self) -> String {
        let short = |name: &str| format::shorten(name, 24);
        match self {
            Self::Retry => "Retry".into(),
            Self::Other((_, name)) => format!("Ask {}", short(name)),
            Self::Continue(Some((_, name))) => format!("Continue with {}", short(name)),
            Self::Continue(None) => "Continue".into(),
            Self::Switch(_) => "Switch now".into(),
            Self::Wait(_) => "Wait in line".into(),
            Self::Later(_) => "Ask then".into(),
            Self::Leave => "Do not wait".into(),
            Self::Larger((_, name), _) => format!("Larger model, at {}", short(name)),
            Self::Edit => "Shorten it".into(),
            Self::KeyChange(_) => "Compare the keys".into(),
            Self::TryNow => "Try now".into(),
            Self::Providers => "All providers".into(),
            Self::Details => "Details".into(),
        }
    }
}

/// What a notice says.
#[derive(Clone, Debug, PartialEq)]
pub struct Words {
    /// Its mark.
    pub mark: Shape,
    /// What failed.
    pub title: String,
    /// Charged or not, and what was done.
    pub body: String,
    /// Next steps, the first one filled.
    pub acts: Vec<Act>,
}

/// What else there is, for the next step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Market {
    /// A usable provider other than the answer's own.
    pub other: Option<Named>,
    /// A provider and its model that hold more than the answer's own.
    pub larger: Option<(Named, String)>,
    /// The context of the answer's model in tokens.
    pub holds: Option<u32>,
    /// How many providers there are, when all of them are busy.
    pub all_busy: Option<usize>,
    /// Seconds until this is asked again by itself.
    pub asks_in: Option<u32>,
    /// Seconds until the next day begins, when no free question is left.
    pub opens_in: Option<u32>,
    /// Letters of the conversation up to the answer.
    pub letters: u64,
}

/// The words for an answer and its text; none for one that is as it should be.
pub fn words(view: &MessageView, text: &str, market: &Market) -> Option<Words> {
    let name = view.provider_name.clone().unwrap_or_else(|| "The provider".into());
    let ask = || market.other.clone().map_or(Act::Retry, Act::Other);
    let words = |mark, title: String, body: String, acts: Vec<Act>| Some(Words { mark, title, body, acts });
    if let Some(seconds) = market.asks_in {
        let title = if view.code == Some(5) { busy(&name, market) } else { "Waiting in line.".into() };
        let body = format!("Not charged. Asked again in {}.", format::duration(seconds.into()));
        return words(Shape::Busy, title, body, vec![Act::Leave]);
    }
    match view.phase.as_str() {
        "stalled" => words(
            Shape::Warn,
            "No new words for a while.".into(),
            "Nothing is charged while we wait.".into(),
            market.other.clone().map(Act::Switch).into_iter().collect(),
        ),
        "truncated" if text.is_empty() => words(
            Shape::Warn,
            "Cut off before the first word.".into(),
            format!("{name} went silent. Not charged; your question is kept."),
            vec![ask(), Act::Details],
        ),
        "truncated" => words(
            Shape::Warn,
            format!("Cut off after {}.", format::plural(format::words(text), "word", "words")),
            format!("{name} went silent before the end. Not charged; what came is kept."),
            vec![Act::Continue(market.other.clone()), Act::Retry, Act::Details],
        ),
        "silent" => words(
            Shape::Warn,
            format!("{name} did not answer."),
            "Not charged; your question is kept.".into(),
            vec![ask(), Act::Details],
        ),
        "no_provider" => words(
            Shape::Offline,
            match &view.model {
                Some(model) => format!("No provider offers {model} now."),
                None => "No provider can answer now.".into(),
            },
            "Not sent, not counted.".into(),
            vec![ask(), Act::Providers],
        ),
        "uncounted" => words(
            Shape::Warn,
            "There was no room to count it.".into(),
            "Not sent; your question is kept. Free some space first.".into(),
            vec![Act::Retry],
        ),
        "limit" => words(
            Shape::Warn,
            "No free question was left.".into(),
            match market.opens_in {
                Some(seconds) => {
                    format!("Not sent, not counted. The next day begins in {}.", format::duration(seconds.into()))
                }
                None => "Not sent, not counted. A new day has begun.".into(),
            },
            vec![market.opens_in.map_or(Act::Retry, Act::Later)],
        ),
        "no_network" => words(
            Shape::Offline,
            "No way to the network.".into(),
            "Not sent; your question is kept.".into(),
            vec![Act::TryNow, Act::Retry],
        ),
        "key_changed" => {
            let compare = view.provider.clone().map(Act::KeyChange);
            words(
                Shape::Blocked,
                format!("{name} shows a key you have not seen before."),
                "Nothing sent or charged.".into(),
                compare.into_iter().chain(market.other.clone().map(Act::Other)).collect(),
            )
        }
        "complete" if view.receipt.as_deref() == Some("bad") => words(
            Shape::Blocked,
            format!("{name}'s receipt does not fit this answer."),
            "Nothing is charged. The words came under its key; its count of them cannot be trusted.".into(),
            vec![Act::Details],
        ),
        "damaged" => words(
            Shape::Warn,
            "This message is damaged.".into(),
            "Its row in this browser's store cannot be read any more. The others of the chat are fine.".into(),
            Vec::new(),
        ),
        "error" => Some(error_words(view, text, &name, market)),
        _ => None,
    }
}

fn busy(name: &str, market: &Market) -> String {
    match market.all_busy {
        Some(count) if count > 1 => format!("All {count} are busy."),
        _ => format!("{name} is busy."),
    }
}

/// Errors of the protocol, by their number; the number itself stands in the details.
fn error_words(view: &MessageView, text: &str, name: &str, market: &Market) -> Words {
    let ask = market.other.clone().map_or(Act::Retry, Act::Other);
    let words = |title: String, body: String, mut acts: Vec<Act>| {
        acts.dedup();
        Words { mark: Shape::Warn, title, body, acts }
    };
    let wait = u32::from(view.retry_after.unwrap_or(0));
    let free =
        if wait > 0 { format!(" First free in about {}.", format::duration(wait.into())) } else { String::new() };
    match view.code {
        Some(4) => {
            words(format!("{name} does not offer this model now."), "Not counted.".into(), vec![ask, Act::Providers])
        }
        Some(5) => {
            // Where another one is free it goes first; standing in line is for when there is none.
            let line = Act::Wait(wait.max(1));
            let acts = if market.all_busy.is_some() { vec![line, ask] } else { vec![ask, line] };
            words(busy(name, market), format!("Not charged.{free}"), acts)
        }
        Some(8) => {
            let tokens = market.letters.div_ceil(LETTERS_PER_TOKEN);
            let title = match market.holds {
                Some(holds) if tokens > u64::from(holds) => {
                    format!("About {} tokens do not fit {}.", format::count(tokens), format::context(holds))
                }
                _ => "This question is too large for the model.".into(),
            };
            let body = if view.accept_ms.is_none() { "Not sent." } else { "Not charged." };
            let larger = market.larger.clone().map(|(named, model)| Act::Larger(named, model));
            words(title, body.into(), larger.into_iter().chain([Act::Edit]).collect())
        }
        Some(9) => words(format!("{name} declined this."), "Not charged.".into(), vec![ask, Act::Details]),
        Some(11) => words(
            "Stopped.".into(),
            format!("{} came; nothing is charged.", format::plural(format::words(text), "word", "words")),
            vec![Act::Continue(None), Act::Details],
        ),
        _ => words(
            format!("{name} could not process this."),
            format!("Not charged.{free}"),
            vec![Act::Retry, ask, Act::Details],
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port;

    fn view(phase: &str, code: Option<u16>) -> MessageView {
        let text = r#"{"id":"m","role":"assistant","text":"","phase":"","asked_ms":0}"#;
        let view: MessageView = port::decode(text).unwrap();
        let model = (phase != "no_provider").then(|| "qwen3-14b".into());
        MessageView {
            phase: phase.into(),
            code,
            provider: Some("f".into()),
            provider_name: Some("Fjord".into()),
            model,
            ..view
        }
    }

    fn kestrel() -> Named {
        ("k".into(), "Kestrel".into())
    }

    /// Title, body and the labels of the buttons in one line.
    fn said(view: &MessageView, text: &str, market: &Market) -> String {
        let Some(words) = words(view, text, market) else { return "nothing".into() };
        let labels: Vec<String> = words.acts.iter().map(Act::label).collect();
        format!("{} {} [{}]", words.title, words.body, labels.join(", "))
    }

    #[test]
    fn says_what_failed_and_one_next_step() {
        let alone = Market::default();
        let with_other = Market { other: Some(kestrel()), ..Market::default() };
        for (phase, code, text, alone_said, other_said) in [
            (
                "stalled",
                None,
                "a b",
                "No new words for a while. Nothing is charged while we wait. []",
                "No new words for a while. Nothing is charged while we wait. [Switch now]",
            ),
            (
                "truncated",
                None,
                "a b",
                "Cut off after 2 words. Fjord went silent before the end. Not charged; what came is kept. [Continue, Retry, Details]",
                "Cut off after 2 words. Fjord went silent before the end. Not charged; what came is kept. [Continue with Kestrel, Retry, Details]",
            ),
            (
                "truncated",
                None,
                "",
                "Cut off before the first word. Fjord went silent. Not charged; your question is kept. [Retry, Details]",
                "Cut off before the first word. Fjord went silent. Not charged; your question is kept. [Ask Kestrel, Details]",
            ),
            (
                "silent",
                None,
                "",
                "Fjord did not answer. Not charged; your question is kept. [Retry, Details]",
                "Fjord did not answer. Not charged; your question is kept. [Ask Kestrel, Details]",
            ),
            (
                "no_provider",
                None,
                "",
                "No provider can answer now. Not sent, not counted. [Retry, All providers]",
                "No provider can answer now. Not sent, not counted. [Ask Kestrel, All providers]",
            ),
            (
                "no_network",
                None,
                "",
                "No way to the network. Not sent; your question is kept. [Try now, Retry]",
                "No way to the network. Not sent; your question is kept. [Try now, Retry]",
            ),
            (
                "key_changed",
                None,
                "",
                "Fjord shows a key you have not seen before. Nothing sent or charged. [Compare the keys]",
                "Fjord shows a key you have not seen before. Nothing sent or charged. [Compare the keys, Ask Kestrel]",
            ),
            (
                "error",
                Some(4),
                "",
                "Fjord does not offer this model now. Not counted. [Retry, All providers]",
                "Fjord does not offer this model now. Not counted. [Ask Kestrel, All providers]",
            ),
            (
                "error",
                Some(5),
                "",
                "Fjord is busy. Not charged. [Retry, Wait in line]",
                "Fjord is busy. Not charged. [Ask Kestrel, Wait in line]",
            ),
            (
                "error",
                Some(8),
                "",
                "This question is too large for the model. Not sent. [Shorten it]",
                "This question is too large for the model. Not sent. [Shorten it]",
            ),
            (
                "error",
                Some(9),
                "",
                "Fjord declined this. Not charged. [Retry, Details]",
                "Fjord declined this. Not charged. [Ask Kestrel, Details]",
            ),
            (
                "error",
                Some(11),
                "a",
                "Stopped. 1 word came; nothing is charged. [Continue, Details]",
                "Stopped. 1 word came; nothing is charged. [Continue, Details]",
            ),
            (
                "error",
                Some(1),
                "",
                "Fjord could not process this. Not charged. [Retry, Details]",
                "Fjord could not process this. Not charged. [Retry, Ask Kestrel, Details]",
            ),
            (
                "error",
                Some(10),
                "",
                "Fjord could not process this. Not charged. [Retry, Details]",
                "Fjord could not process this. Not charged. [Retry, Ask Kestrel, Details]",
            ),
            (
                "error",
                Some(12),
                "",
                "Fjord could not process this. Not charged. [Retry, Details]",
                "Fjord could not process this. Not charged. [Retry, Ask Kestrel, Details]",
            ),
            ("complete", None, "a", "nothing", "nothing"),
            ("stopped", None, "a", "nothing", "nothing"),
            ("streaming", None, "a", "nothing", "nothing"),
        ] {
            assert_eq!(said(&view(phase, code), text, &alone), alone_said);
            assert_eq!(said(&view(phase, code), text, &with_other), other_said);
        }
    }

    #[test]
    fn says_until_when_none_is_free() {
        let spent = Market { opens_in: Some(22_320), ..Market::default() };
        assert_eq!(
            said(&view("limit", None), "", &spent),
            "No free question was left. Not sent, not counted. The next day begins in 6 h 12 min. [Ask then]"
        );
        assert_eq!(
            said(&view("limit", None), "", &Market::default()),
            "No free question was left. Not sent, not counted. A new day has begun. [Retry]"
        );
        assert_eq!(
            said(&view("uncounted", None), "", &Market::default()),
            "There was no room to count it. Not sent; your question is kept. Free some space first. [Retry]"
        );
    }

    #[test]
    fn an_older_answer_offers_nothing_that_asks() {
        let kestrel = || ("k".to_owned(), "Kestrel".to_owned());
        let asks = [
            Act::Retry,
            Act::Other(kestrel()),
            Act::Continue(None),
            Act::Switch(kestrel()),
            Act::Wait(1),
            Act::Later(1),
            Act::Larger(kestrel(), "big".into()),
            Act::Edit,
        ];
        assert!(asks.iter().all(Act::asks));
        let others = [Act::KeyChange("k".into()), Act::TryNow, Act::Providers, Act::Details];
        assert!(!others.iter().any(Act::asks));
    }

    #[test]
    fn says_how_long_and_how_much() {
        let market = Market { all_busy: Some(6), ..Market::default() };
        let busy = MessageView { retry_after: Some(20), ..view("error", Some(5)) };
        assert_eq!(
            said(&busy, "", &market),
            "All 6 are busy. Not charged. First free in about 20 s. [Wait in line, Retry]"
        );
        let waiting = Market { asks_in: Some(12), ..market };
        assert_eq!(said(&busy, "", &waiting), "All 6 are busy. Not charged. Asked again in 12 s. [Do not wait]");

        let large = Market {
            holds: Some(32_768),
            letters: 164_000,
            larger: Some((kestrel(), "big".into())),
            ..Market::default()
        };
        assert_eq!(
            said(&view("error", Some(8)), "", &large),
            "About 41 k tokens do not fit 32 k. Not sent. [Larger model, at Kestrel, Shorten it]"
        );
        let bad = MessageView { receipt: Some("bad".into()), ..view("complete", None) };
        assert!(
            said(&bad, "a", &Market::default())
                .starts_with("Fjord's receipt does not fit this answer. Nothing is charged.")
        );
    }
}
