//! The columns of the providers' table: what each shows of a provider, and how it orders them. It knows no view.

use std::cmp::Ordering;

use super::format;
use crate::port::{ModelView, ProviderView};

/// Fewer ratings than this say little, so their figure is not shown.
const FEW: u32 = 5;

/// What stands where nothing is known.
pub const UNKNOWN: &str = "–";

/// What the rows can be ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// The automatic choice's own order.
    Best,
    /// The name.
    Provider,
    /// The first model.
    Model,
    /// The price of an answer.
    Price,
    /// The time to the first word.
    First,
    /// Tokens a second.
    Speed,
    /// The share that was answered to the end.
    Done,
    /// The user's stars.
    Stars,
    /// The measured score.
    Measured,
}

/// All of them with their names.
pub const COLUMNS: [(Column, &str); 9] = [
    (Column::Best, "Best first"),
    (Column::Provider, "Provider"),
    (Column::Model, "Model"),
    (Column::Price, "Price in / out"),
    (Column::First, "First word p50 / p95"),
    (Column::Speed, "Tok/s"),
    (Column::Done, "Done"),
    (Column::Stars, "Stars"),
    (Column::Measured, "Measured"),
];

/// An order of the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sorting {
    /// By what.
    pub column: Column,
    /// The largest first.
    pub down: bool,
}

impl Sorting {
    /// The best first by this column.
    pub fn best(column: Column) -> Self {
        Self { column, down: matches!(column, Column::Speed | Column::Done | Column::Stars | Column::Measured) }
    }

    /// What a press on this column's header makes of it.
    pub fn pressed(self, column: Column) -> Self {
        if self.column == column { Self { down: !self.down, ..self } } else { Self::best(column) }
    }

    /// The value of `aria-sort` for a column.
    pub fn aria(self, column: Column) -> &'static str {
        match (self.column == column, self.down) {
            (false, _) => "none",
            (true, true) => "descending",
            (true, false) => "ascending",
        }
    }

    /// Which of two stands first. Blocked ones are last, and those of whom nothing is known come before them, whatever
    /// the direction.
    pub fn compare(self, a: &ProviderView, b: &ProviderView) -> Ordering {
        let turn = |order: Ordering| if self.down { order.reverse() } else { order };
        let by = match self.column {
            Column::Provider => turn(a.name.to_ascii_lowercase().cmp(&b.name.to_ascii_lowercase())),
            Column::Model => turn(first_model(a).cmp(first_model(b))),
            column => match (figure(a, column), figure(b, column)) {
                (Some(a), Some(b)) => turn(a.cmp(&b)),
                (a, b) => b.is_some().cmp(&a.is_some()),
            },
        };
        a.blocked.cmp(&b.blocked).then(by).then_with(|| a.id.cmp(&b.id))
    }
}

fn first_model(provider: &ProviderView) -> &str {
    provider.models.first().map_or("", |model| &model.id)
}

fn figure(provider: &ProviderView, column: Column) -> Option<u64> {
    let of = |n: Option<u32>| n.map(u64::from);
    match column {
        Column::Best => of(provider.place),
        Column::Price => provider.models.first().map(|model| model.price.1.parse().unwrap_or(u64::MAX)),
        Column::First => of(provider.first_ms.map(|(half, _)| half)),
        Column::Speed => of(provider.tenth_tokens_per_s),
        Column::Done => of(provider.success.map(|(permille, _)| permille)),
        Column::Stars => of(provider.felt.map(|(score, _)| score)),
        Column::Measured => of(provider.measured.map(|(score, _)| score)),
        Column::Provider | Column::Model => None,
    }
}

/// The states that a list can be narrowed to, with their names.
pub const STATES: [(&str, &str); 6] = [
    ("", "Any status"),
    ("online", "Online"),
    ("busy", "Busy"),
    ("degraded", "Failed lately"),
    ("offline", "Offline or unknown"),
    ("blocked", "Left out by you"),
];

/// Whether a provider is among what is looked for: words of its name or a model, in small letters, and one of
/// [`STATES`]. `lower` makes small letters.
pub fn is_wanted(provider: &ProviderView, words: &str, state: &str, lower: &dyn Fn(&str) -> String) -> bool {
    let named = words.is_empty()
        || lower(&provider.name).contains(words)
        || provider.models.iter().any(|model| lower(&model.id).contains(words));
    named
        && match state {
            "" => true,
            "blocked" => provider.blocked,
            "offline" => !provider.blocked && !["online", "busy", "degraded"].contains(&&*provider.state),
            state => !provider.blocked && provider.state == state,
        }
}

/// What a million tokens cost, in and out.
pub fn price(model: &ModelView) -> String {
    let (of_prompt, of_answer) = &model.price;
    if of_prompt == "0" && of_answer == "0" {
        return "free".into();
    }
    format!("{} / {}", grouped(of_prompt), grouped(of_answer))
}

/// Digits in threes: "1,234,567".
fn grouped(digits: &str) -> String {
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// "0.41 / 0.86 s", measured here.
pub fn first_word(provider: &ProviderView) -> String {
    match provider.first_ms {
        None => UNKNOWN.into(),
        Some((half, most)) => {
            let seconds = |ms: u32| format::fixed(f64::from(ms) / 1_000.0, 2);
            format!("{} / {} s", seconds(half), seconds(most))
        }
    }
}

/// Tokens a second, measured here.
pub fn speed(provider: &ProviderView) -> String {
    provider.tenth_tokens_per_s.map_or_else(|| UNKNOWN.into(), |tenths| format::fixed(f64::from(tenths) / 10.0, 0))
}

/// "99.1 %" and "of 312".
pub fn done(provider: &ProviderView) -> (String, String) {
    match provider.success {
        None => (UNKNOWN.into(), String::new()),
        Some((permille, of)) => {
            (format!("{} %", format::fixed(f64::from(permille) / 10.0, 1)), format!("of {}", format::count(of.into())))
        }
    }
}

/// "4.7" and how many ratings; "new" while they are few.
pub fn stars(provider: &ProviderView) -> (String, String) {
    match provider.felt {
        None => (UNKNOWN.into(), String::new()),
        Some((_, count)) if count < FEW => ("new".into(), format!("({count})")),
        Some((score, count)) => (tenths(score), format!("({})", format::count(count.into()))),
    }
}

/// "4.9" of 5 and of how many requests.
pub fn measured(provider: &ProviderView) -> (String, String) {
    match provider.measured {
        None => (UNKNOWN.into(), String::new()),
        Some((score, count)) => (tenths(score), format!("({})", format::count(count.into()))),
    }
}

fn tenths(thousandths: u32) -> String {
    format::fixed(f64::from(thousandths) / 1_000.0, 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::sort;

    fn provider(name: &str, place: Option<u32>, first: Option<u32>) -> ProviderView {
        ProviderView {
            id: name.to_lowercase(),
            name: name.into(),
            state: "online".into(),
            place,
            first_ms: first.map(|ms| (ms, 2 * ms)),
            ..ProviderView::default()
        }
    }

    fn names(sorting: Sorting) -> Vec<String> {
        let blocked = ProviderView { blocked: true, ..provider("Able", None, Some(1)) };
        let mut all = vec![
            blocked,
            provider("marta", Some(2), Some(300)),
            provider("Fjord", Some(0), None),
            provider("Kestrel", Some(1), Some(200)),
        ];
        sort(&mut all, &|a, b| sorting.compare(a, b));
        all.into_iter().map(|provider| provider.name).collect()
    }

    #[test]
    fn orders_by_each_column_and_leaves_the_blocked_last() {
        assert_eq!(names(Sorting::best(Column::Best)), ["Fjord", "Kestrel", "marta", "Able"]);
        assert_eq!(names(Sorting::best(Column::Provider)), ["Fjord", "Kestrel", "marta", "Able"]);
        let first = Sorting::best(Column::First);
        assert_eq!(names(first), ["Kestrel", "marta", "Fjord", "Able"]);
        assert_eq!(names(first.pressed(Column::First)), ["marta", "Kestrel", "Fjord", "Able"], "unknown stays behind");
        assert_eq!(first.aria(Column::First), "ascending");
        assert_eq!(first.pressed(Column::Stars).aria(Column::Stars), "descending");
        assert_eq!(first.pressed(Column::Stars).aria(Column::First), "none");
    }

    #[test]
    fn narrows_by_words_and_state() {
        let model = ModelView {
            id: "Qwen3-14b".into(),
            context: 1,
            detail: String::new(),
            tokens_per_s: 1,
            price: ("0".into(), "0".into()),
        };
        let fjord = ProviderView { models: vec![model], ..provider("Fjord", None, None) };
        let is_wanted = |one: &ProviderView, words, state| is_wanted(one, words, state, &|text| text.to_lowercase());
        assert!(is_wanted(&fjord, "qwen", "") && is_wanted(&fjord, "fjo", "online"));
        assert!(!is_wanted(&fjord, "kestrel", "") && !is_wanted(&fjord, "", "busy"));
        let blocked = ProviderView { blocked: true, ..fjord.clone() };
        assert!(is_wanted(&blocked, "", "blocked") && !is_wanted(&blocked, "", "online"));
        let unknown = ProviderView { state: "unknown".into(), ..fjord };
        assert!(is_wanted(&unknown, "", "offline"));
    }

    #[test]
    fn says_figures_with_their_counts() {
        let model = |prices: (&str, &str)| ModelView {
            id: String::new(),
            context: 0,
            detail: String::new(),
            tokens_per_s: 0,
            price: (prices.0.into(), prices.1.into()),
        };
        assert_eq!(price(&model(("0", "0"))), "free");
        assert_eq!(price(&model(("250", "1234567"))), "250 / 1,234,567");
        let mut known = provider("Fjord", None, Some(410));
        assert_eq!(
            (first_word(&known), speed(&known), stars(&known).0),
            ("0.41 / 0.82 s".into(), UNKNOWN.into(), UNKNOWN.into())
        );
        known.tenth_tokens_per_s = Some(843);
        known.success = Some((991, 312));
        known.felt = Some((4_200, 4));
        known.measured = Some((4_960, 312));
        assert_eq!(speed(&known), "84");
        assert_eq!(done(&known), ("99.1 %".into(), "of 312".into()));
        assert_eq!(stars(&known), ("new".into(), "(4)".into()));
        known.felt = Some((4_200, 5));
        assert_eq!(stars(&known), ("4.2".into(), "(5)".into()));
        assert_eq!(measured(&known), ("5.0".into(), "(312)".into()));
    }
}
