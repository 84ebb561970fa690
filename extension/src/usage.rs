//! What was asked and of whom, day by day, counted from the kept conversations. Nothing of it leaves this browser.

use crate::port::{MessageView, Update, UsageRow};
use privacyai::map::Map;

/// A UTC day in ms.
const DAY_MS: u64 = 86_400_000;

/// Days that are counted, today included.
pub const DAYS: u64 = 84;

/// Counts answers.
#[derive(Debug, Default)]
pub struct Usage {
    rows: Vec<UsageRow>,
    firsts: Map<u32, Vec<u32>>,
}

impl Usage {
    /// One message more; only answers of the last [`DAYS`] count.
    pub fn add(&mut self, message: &MessageView, now_ms: u64) {
        let (day, today) = (message.asked_ms / DAY_MS, now_ms / DAY_MS);
        // A clock that was set back leaves answers of a later day: they count as today's.
        let day = day.min(today);
        if message.role != "assistant" || day + DAYS <= today {
            return;
        }
        let day = u32::try_from(day).unwrap_or(u32::MAX);
        if let Some(ms) = message.first_ms {
            self.firsts.get_or_insert_with(day, Vec::new).push(ms);
        }
        let provider = message.provider.clone().unwrap_or_default();
        let at = self.rows.iter().position(|row| row.day == day && row.provider == provider);
        let at = at.unwrap_or_else(|| {
            self.rows.push(UsageRow { day, provider, ..UsageRow::default() });
            self.rows.len() - 1
        });
        let Some(row) = self.rows.get_mut(at) else { return };
        if let Some(name) = &message.provider_name {
            row.name.clone_from(name);
        }
        row.questions = row.questions.saturating_add(1);
        row.answered = row.answered.saturating_add(u32::from(message.phase == "complete"));
        let (prompt, completion) = message.tokens.unwrap_or_default();
        row.tokens = (row.tokens.0.saturating_add(prompt), row.tokens.1.saturating_add(completion));
    }

    /// A row for each day and provider, and each day's times to the first word.
    pub fn told(self) -> Update {
        Update::Usage { rows: self.rows, firsts: self.firsts.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 100 * DAY_MS + 5;

    fn answer(day: u64, provider: Option<&str>, phase: &str) -> MessageView {
        MessageView {
            role: "assistant".into(),
            phase: phase.into(),
            provider: provider.map(Into::into),
            provider_name: provider.map(str::to_uppercase),
            asked_ms: day * DAY_MS + 1,
            tokens: Some((3, 10)),
            first_ms: Some(400),
            ..MessageView::default()
        }
    }

    #[test]
    fn counts_by_day_and_provider() {
        let mut usage = Usage::default();
        for message in [
            answer(100, Some("a"), "complete"),
            answer(100, Some("a"), "truncated"),
            answer(100, Some("b"), "complete"),
            answer(99, Some("a"), "complete"),
            answer(101, Some("a"), "complete"),
            answer(100, None, "no_provider"),
            answer(100 - DAYS, Some("a"), "complete"),
            MessageView { role: "user".into(), ..answer(100, None, "") },
        ] {
            usage.add(&message, NOW);
        }
        let row = |day, provider: &str, questions, answered| UsageRow {
            day,
            provider: provider.into(),
            name: provider.to_uppercase(),
            questions,
            answered,
            tokens: (3 * u64::from(questions), 10 * u64::from(questions)),
        };
        let rows = vec![row(100, "a", 3, 2), row(100, "b", 1, 1), row(99, "a", 1, 1), row(100, "", 1, 0)];
        let firsts = vec![(99, vec![400]), (100, vec![400; 5])];
        assert_eq!(usage.told(), Update::Usage { rows, firsts });
    }
}
