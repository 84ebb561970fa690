//! How often something may happen: once every so many ms, with some saved up (the generic cell rate algorithm). It
//! remembers one time, whatever comes.

use crate::effect::Millis;

/// What a rate allows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// One in so many ms.
    pub(super) every_ms: u64,
    /// So many at once after a pause.
    pub(super) saved: u64,
}

/// What has happened.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rate {
    /// All that happened is worked off by then.
    due: Millis,
}

impl Rate {
    /// Takes one.
    ///
    /// # Errors
    /// Not yet: after so many ms.
    pub(super) fn take(&mut self, pace: Pace, now: Millis) -> Result<(), u64> {
        let most = pace.every_ms.saturating_mul(pace.saved);
        // After a clock was set back nobody waits for longer than a whole burst takes.
        let due = self.due.0.max(now.0).min(now.0.saturating_add(most));
        let next = due.saturating_add(pace.every_ms);
        let early = next.saturating_sub(now.0).saturating_sub(most);
        if early > 0 {
            self.due = Millis(due);
            return Err(early);
        }
        self.due = Millis(next);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_followed_by_the_pace_and_a_clock_set_back_stops_nothing() {
        let pace = Pace { every_ms: 100, saved: 3 };
        let mut rate = Rate::default();
        let mut taken = |now| rate.take(pace, Millis(now));
        assert_eq!([(); 4].map(|()| taken(1_000)), [Ok(()), Ok(()), Ok(()), Err(100)]);
        assert_eq!([taken(1_099), taken(1_100), taken(1_100)], [Err(1), Ok(()), Err(100)]);
        assert_eq!(taken(0), Err(100), "set back");
        assert_eq!(taken(100), Ok(()));
        let many = (10_000..20_000).filter(|now| taken(*now).is_ok()).count();
        assert_eq!(many, 3 + 99);
    }
}
