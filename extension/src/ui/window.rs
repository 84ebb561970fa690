//! Which messages of a long conversation, or rows of a long list, stand in the page: those within two screens of what is seen, and never more
//! than sixty. The others are room of their height, measured when they were last drawn, or a guess.

use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

/// The most messages in the page.
pub const MOST: usize = 60;
/// Screens kept above and below what is seen.
const SCREENS: f64 = 2.0;
/// Room between two messages, in px; `gap-4` of the transcript.
pub const GAP: f64 = 16.0;
/// Height of a message before any was measured, in px.
const GUESS: f64 = 120.0;

/// Heights of messages by id. One measured at another width is a better guess than none.
pub struct Heights {
    /// Room between two.
    gap: f64,
    /// Height of one before any was measured.
    first_guess: f64,
    known: HashMap<Rc<str>, f64>,
    /// Height of those that were never measured: the mean of the first that were. It stays, as all that is scrolled
    /// away would change its height with it.
    guess: Option<f64>,
}

/// What stands in the page, and the room above and below it in px.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Window {
    /// Which messages.
    pub range: Range<usize>,
    /// Room above.
    pub above: f64,
    /// Room below.
    pub below: f64,
}

impl Default for Heights {
    fn default() -> Self {
        Self::new(GAP, GUESS)
    }
}

impl Heights {
    /// Of things with such a gap between them, and so high before any was measured.
    pub fn new(gap: f64, first_guess: f64) -> Self {
        Self { gap, first_guess, known: HashMap::new(), guess: None }
    }

    /// Keeps a measured height.
    pub fn measured(&mut self, id: &str, height: f64) {
        match self.known.get_mut(id) {
            Some(known) => *known = height,
            None => drop(self.known.insert(id.into(), height)),
        }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        *self = Self::new(self.gap, self.first_guess);
    }

    /// A message with the room behind it.
    fn of(&self, id: &str) -> f64 {
        self.known.get(id).or(self.guess.as_ref()).copied().unwrap_or(self.first_guess) + self.gap
    }

    /// Where this message begins, as far as that is known.
    pub fn top(&self, ids: &[Rc<str>], id: &str) -> f64 {
        ids.iter().take_while(|other| ***other != *id).map(|other| self.of(other)).sum()
    }

    /// The window on these messages; `top` px of them are scrolled away and `seen` px can be seen. With `end` the last
    /// ones are seen, wherever the scroll stands.
    pub fn window(&mut self, ids: &[Rc<str>], top: f64, seen: f64, end: bool) -> Window {
        if self.guess.is_none() && !self.known.is_empty() {
            self.guess = Some(self.known.values().sum::<f64>() / self.known.len() as f64);
        }
        let tops: Vec<f64> = std::iter::once(0.0)
            .chain(ids.iter().scan(0.0, |at, id| {
                *at += self.of(id);
                Some(*at)
            }))
            .collect();
        let whole = tops.last().copied().unwrap_or(0.0);
        let top = if end { whole - seen } else { top.min(whole - seen) }.max(0.0);
        // `tops` has one more entry than there are messages: where each begins, and the end.
        let first_behind = |at: f64| tops.partition_point(|top| *top <= at).saturating_sub(1).min(ids.len());
        let first_seen = first_behind(top);
        let mut start = first_behind((top - SCREENS * seen).max(0.0));
        let mut stop = (first_behind(top + seen + SCREENS * seen) + 1).min(ids.len());
        if end {
            stop = ids.len();
            start = start.max(stop.saturating_sub(MOST));
        }
        // Where messages are so short that too many fit, what is seen comes first.
        if stop.saturating_sub(start) > MOST {
            start = start.max(first_seen.saturating_sub(MOST / 3));
            stop = stop.min(start + MOST);
        }
        let room = |at: usize| tops.get(at).copied().unwrap_or(whole);
        Window { range: start..stop, above: room(start), below: whole - room(stop) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(count: usize) -> Vec<Rc<str>> {
        (0..count).map(|n| Rc::from(n.to_string())).collect()
    }

    #[test]
    fn holds_two_screens_around_what_is_seen() {
        let mut heights = Heights::default();
        for n in 0..1_000 {
            heights.measured(&n.to_string(), 84.0);
        }
        let ids = ids(1_000);
        // One hundred px each: the 500th begins at 50,000.
        let window = heights.window(&ids, 50_000.0, 600.0, false);
        assert_eq!(window, Window { range: 488..519, above: 48_800.0, below: 48_100.0 });
        assert_eq!(heights.window(&ids, 0.0, 600.0, false).range, 0..19);
        let last = heights.window(&ids, 0.0, 600.0, true);
        assert_eq!((last.range.end, last.below), (1_000, 0.0));
        assert!(last.range.start <= 1_000 - 18, "two screens above the last one: {last:?}");
        assert_eq!(heights.window(&ids, 1e9, 600.0, false).range.end, 1_000, "scrolled too far");
    }

    #[test]
    fn never_holds_more_than_the_most() {
        let mut heights = Heights::default();
        let ids = ids(1_000);
        for id in &ids {
            heights.measured(id, 4.0);
        }
        for top in [0.0, 300.0, 9_000.0, 20_000.0] {
            let window = heights.window(&ids, top, 800.0, false);
            assert!(window.range.len() <= MOST, "{window:?}");
            let first = (top.min(20_000.0 - 800.0) / 20.0) as usize;
            assert!(window.range.contains(&first) && window.range.end >= (first + 40).min(1_000), "{top}: {window:?}");
        }
        assert!(heights.window(&ids, 0.0, 800.0, true).range.len() <= MOST);
    }

    #[test]
    fn guesses_what_was_not_measured() {
        let mut heights = Heights::default();
        assert_eq!(heights.window(&ids(3), 0.0, 600.0, true), Window { range: 0..3, above: 0.0, below: 0.0 });
        heights.measured("0", 84.0);
        heights.measured("0", 184.0);
        let window = heights.window(&ids(100), 0.0, 600.0, true);
        assert_eq!(window.above, window.range.start as f64 * 200.0, "all as tall as the one that was measured");
        heights.measured("1", 4.0);
        let above = heights.window(&ids(100), 0.0, 600.0, true).above;
        assert_eq!(above, window.above - 180.0, "one is shorter, the guess stays");
        assert_eq!(heights.window(&[], 10.0, 600.0, false), Window::default());
    }
}
