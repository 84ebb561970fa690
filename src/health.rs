//! How a provider serves one user with one model, from that user's own requests only: nothing here is anybody's word.

use crate::{
    announcement::heartbeat::Status,
    cbor,
    effect::Millis,
    error::Error,
    quantile::{HALF_LIFE_MS, Sketch, UNIT},
};
use alloc::vec::Vec;

/// A breaker's first pause after a failure, and its longest, in ms; each failure in a row doubles it.
const PAUSES_MS: (u64, u64) = (15_000, 600_000);

/// Who was neither asked nor probed for so long may have gone without a word, in ms.
const UNUSED_MS: u64 = 6 * 3_600_000;

/// A trial that has not come to an end by then is given up, in ms.
const TRIAL_MS: u64 = 30_000;

/// Below this share of successes, in permille, over at least [`DEGRADED_REQUESTS`] requests, a provider is degraded.
const DEGRADED_PERMILLE: u32 = 800;

/// See [`DEGRADED_PERMILLE`].
const DEGRADED_REQUESTS: u32 = 3;

/// What requests came to weighs half after so many ms: a day. Times change within an hour; whether a provider keeps its
/// word is known from few requests, and is not forgotten before the next ones.
const OUTCOMES_HALF_LIFE_MS: u64 = 86_400_000;

/// What a request came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Outcome {
    /// Answered to its end.
    Answered = 0,
    /// No accept came.
    Silent = 1,
    /// Refused as overloaded (error 5).
    Overloaded = 2,
    /// Refused otherwise.
    Refused = 3,
    /// It accepted and then said that it failed.
    Failed = 4,
    /// It accepted and fell silent in mid-stream.
    Died = 5,
    /// It answered, with a wrong receipt or none.
    BadReceipt = 6,
}

impl Outcome {
    /// Whether more requests would meet the same: a full provider and one that declines a question are sound.
    fn breaks(self) -> bool {
        matches!(self, Self::Silent | Self::Failed | Self::Died)
    }

    /// Whether it says nothing of how a question is answered there.
    fn is_refusal(self) -> bool {
        matches!(self, Self::Overloaded | Self::Refused)
    }
}

/// Whether a request may go to a provider now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Passage {
    /// It may.
    Closed,
    /// It failed lately, and not by silence: one request may try whether it is well again.
    HalfOpen,
    /// It was silent: a probe finds whether it is there, and a request tries only where nobody else is left.
    Lost,
    /// It failed just now.
    Open,
}

impl Passage {
    /// Whether requests go there as to any other: of who failed once, the score says whether it is worth a trial.
    pub fn may(self) -> bool {
        matches!(self, Self::Closed | Self::HalfOpen)
    }
}

/// How a provider stands, as a user sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Answers.
    Online,
    /// Answers, after a wait.
    Busy,
    /// Announces itself, but lately failed this user.
    Degraded,
    /// Said so, or cannot be asked.
    Offline,
    /// Not heard of lately.
    Unknown,
}

/// One provider's record with one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    accepts_ms: Sketch,
    first_ms: Sketch,
    tenth_tokens_per_s: Sketch,
    outcomes: Sketch,
    /// Failures in a row.
    failures: u8,
    open_until: Millis,
    trial_until: Millis,
    reach: Reach,
    /// When it was last probed.
    probed: Millis,
    /// Its last request.
    pub used: Millis,
}

/// Whether a provider that failed can be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Reach {
    /// It failed otherwise than by silence, if at all.
    #[default]
    Heard,
    /// It was silent.
    Lost,
    /// It was silent, and a probe found it again.
    Found,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            accepts_ms: Sketch::default(),
            first_ms: Sketch::default(),
            tenth_tokens_per_s: Sketch::default(),
            outcomes: Sketch::new(OUTCOMES_HALF_LIFE_MS),
            failures: 0,
            open_until: Millis(0),
            trial_until: Millis(0),
            reach: Reach::default(),
            probed: Millis(0),
            used: Millis(0),
        }
    }
}

impl Health {
    /// It accepted after so many ms.
    pub fn accepted(&mut self, ms: u64, now: Millis) {
        self.accepts_ms.add(clamp(ms), now);
    }

    /// The first text came so many ms after the request was sent.
    pub fn first_text(&mut self, ms: u64, now: Millis) {
        self.first_ms.add(clamp(ms), now);
    }

    /// So many tokens came within so many ms after the first one.
    pub fn streamed(&mut self, tokens: u64, ms: u64, now: Millis) {
        if let Some(rate) = tokens.saturating_mul(10_000).checked_div(ms) {
            self.tenth_tokens_per_s.add(clamp(rate), now);
        }
    }

    /// A request begins; after a failure it is the trial.
    pub fn begin(&mut self, now: Millis) {
        self.used = now;
        if matches!(self.passage(now), Passage::HalfOpen | Passage::Lost) {
            self.trial_until = Millis(now.0.saturating_add(TRIAL_MS));
        }
    }

    /// A request ended.
    pub fn end(&mut self, outcome: Outcome, now: Millis) {
        self.outcomes.add(outcome as u32, now);
        self.trial_until = Millis(0);
        if outcome.breaks() {
            self.open(if outcome == Outcome::Silent { Reach::Lost } else { Reach::Heard }, now);
        } else if !outcome.is_refusal() {
            self.failures = 0;
            self.open_until = Millis(0);
        }
    }

    /// A probe was answered after so many ms. It shows that a provider can be reached, not that it answers questions: it
    /// ends the pause of one that was silent, and the failures in a row count on until a request succeeds.
    pub fn reached(&mut self, ms: u64, now: Millis) {
        self.accepted(ms, now);
        self.probed = now;
        if self.reach == Reach::Lost {
            self.reach = Reach::Found;
            self.open_until = Millis(0);
        }
    }

    /// A probe was not answered. It was no request, so the share of successes stays.
    pub fn missed(&mut self, now: Millis) {
        self.probed = now;
        self.open(Reach::Lost, now);
    }

    /// Whether a probe would tell something: nothing was heard of it for long, or it was silent and may be back.
    pub fn wants_probe(&self, now: Millis) -> bool {
        match self.passage(now) {
            Passage::Closed => now.0.saturating_sub(self.used.max(self.probed).0) >= UNUSED_MS,
            Passage::Lost => true,
            Passage::HalfOpen | Passage::Open => false,
        }
    }

    fn open(&mut self, reach: Reach, now: Millis) {
        let pause = PAUSES_MS.0.checked_shl(u32::from(self.failures)).unwrap_or(PAUSES_MS.1).min(PAUSES_MS.1);
        self.failures = self.failures.saturating_add(1).min(32);
        self.open_until = Millis(now.0.saturating_add(pause));
        self.reach = reach;
    }

    /// Whether a request may go there now.
    pub fn passage(&self, now: Millis) -> Passage {
        // A clock that was set back does not keep a provider out for longer than its pause or its trial.
        let runs = |until: Millis, most| until > now && until.0 - now.0 <= most;
        match self.failures {
            0 => Passage::Closed,
            _ if runs(self.open_until, PAUSES_MS.1) || runs(self.trial_until, TRIAL_MS) => Passage::Open,
            _ => match self.reach {
                Reach::Heard => Passage::HalfOpen,
                Reach::Lost => Passage::Lost,
                Reach::Found => Passage::Closed,
            },
        }
    }

    /// How it stands, given what it announces.
    pub fn state(&self, announced: Status, usable: bool, now: Millis) -> State {
        let failing = self.outcomes.count(now) >= DEGRADED_REQUESTS
            && self.success_permille().is_some_and(|share| share < DEGRADED_PERMILLE);
        match announced {
            Status::Unknown => State::Unknown,
            Status::Offline => State::Offline,
            _ if !usable => State::Offline,
            _ if failing || self.passage(now) != Passage::Closed => State::Degraded,
            Status::Busy => State::Busy,
            Status::Online => State::Online,
        }
    }

    /// Share of requests that were answered to the end with a right receipt, in permille of those that were not refused:
    /// a full provider says so at once, and that is its load, not its reliability.
    pub fn success_permille(&self) -> Option<u32> {
        let weight = |outcome: Outcome| self.outcomes.weight(outcome as u32);
        let refused = weight(Outcome::Overloaded) + weight(Outcome::Refused);
        let rest = self.outcomes.all().saturating_sub(refused);
        u32::try_from((weight(Outcome::Answered) * 1_000).checked_div(rest)?).ok()
    }

    /// Share of requests that came to this, in permille.
    pub fn share(&self, outcome: Outcome) -> Option<u32> {
        self.outcomes.share(outcome as u32)
    }

    /// The same with a `prior` share that weighs as much as so many requests: what to expect of the next one.
    pub fn expected_permille(&self, (prior, requests): (u32, u32), now: Millis) -> u32 {
        let worth = self.outcomes.worth(now);
        let weight = u64::from(requests) * u64::from(UNIT);
        let sum = u64::from(self.success_permille().unwrap_or(prior)) * worth + u64::from(prior) * weight;
        sum.checked_div(worth + weight).and_then(|share| u32::try_from(share).ok()).unwrap_or(prior)
    }

    /// Requests that this is drawn from, the older counting less.
    pub fn requests(&self, now: Millis) -> u32 {
        self.outcomes.count(now)
    }

    /// Time to accept in ms that so many permille of the requests do not exceed.
    pub fn accept_ms(&self, permille: u32) -> Option<u32> {
        self.accepts_ms.quantile(permille)
    }

    /// Time to the first text in ms that so many permille of the requests do not exceed.
    pub fn first_ms(&self, permille: u32) -> Option<u32> {
        self.first_ms.quantile(permille)
    }

    /// Median of tokens a second, times ten.
    pub fn tenth_tokens_per_s(&self) -> Option<u32> {
        self.tenth_tokens_per_s.quantile(500)
    }

    /// The stored row.
    pub fn encode(&self) -> Vec<u8> {
        let mut map = cbor::Map::new();
        map.uint(0, 1u8).bytes(1, &self.accepts_ms.encode()).bytes(2, &self.first_ms.encode());
        map.bytes(3, &self.tenth_tokens_per_s.encode()).bytes(4, &self.outcomes.encode());
        map.uint(5, self.failures).uint(6, self.open_until.0).uint(7, self.used.0);
        map.uint(8, self.reach as u8).uint(9, self.probed.0);
        map.finish()
    }

    /// Reads a stored row.
    ///
    /// # Errors
    /// `Malformed` when it is none.
    pub fn decode(row: &[u8]) -> Result<Self, Error> {
        const LONGEST: usize = 4_096;
        let mut health = Self::default();
        let mut reader = cbor::Reader::new(row);
        reader.map(|key, r| {
            match key {
                0 if r.uint()? == 1 => {}
                1 => health.accepts_ms = Sketch::decode(r.bytes(LONGEST)?, HALF_LIFE_MS)?,
                2 => health.first_ms = Sketch::decode(r.bytes(LONGEST)?, HALF_LIFE_MS)?,
                3 => health.tenth_tokens_per_s = Sketch::decode(r.bytes(LONGEST)?, HALF_LIFE_MS)?,
                4 => health.outcomes = Sketch::decode(r.bytes(LONGEST)?, OUTCOMES_HALF_LIFE_MS)?,
                5 => health.failures = r.u8()?,
                6 => health.open_until = Millis(r.uint()?),
                7 => health.used = Millis(r.uint()?),
                8 => {
                    health.reach = match r.u8()? {
                        1 => Reach::Lost,
                        2 => Reach::Found,
                        _ => Reach::Heard,
                    }
                }
                9 => health.probed = Millis(r.uint()?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        reader.finish()?;
        Ok(health)
    }
}

fn clamp(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONLINE: (Status, bool) = (Status::Online, true);

    fn state(health: &Health, (status, usable): (Status, bool), now: u64) -> State {
        health.state(status, usable, Millis(now))
    }

    #[test]
    fn a_breaker_opens_tries_once_and_closes() {
        let mut health = Health::default();
        assert_eq!(health.passage(Millis(0)), Passage::Closed);
        health.end(Outcome::Silent, Millis(1_000));
        assert_eq!(health.passage(Millis(1_001)), Passage::Open);
        assert_eq!(health.passage(Millis(16_000)), Passage::Lost);
        health.begin(Millis(16_000));
        assert_eq!(health.passage(Millis(16_001)), Passage::Open, "one trial at a time");
        health.end(Outcome::Died, Millis(17_000));
        assert_eq!(health.passage(Millis(17_000 + 29_999)), Passage::Open, "twice as long");
        health.begin(Millis(47_000));
        assert_eq!(health.passage(Millis(47_000 + TRIAL_MS)), Passage::HalfOpen, "a lost trial is no end");
        health.end(Outcome::Answered, Millis(48_000));
        assert_eq!(health.passage(Millis(48_000)), Passage::Closed);
        for _ in 0..100 {
            health.end(Outcome::Failed, Millis(50_000));
        }
        assert_eq!(health.passage(Millis(50_000 + PAUSES_MS.1)), Passage::HalfOpen, "the pause is bounded");
        health.open_until = Millis(u64::MAX);
        assert_eq!(health.passage(Millis(0)), Passage::HalfOpen, "a clock that was wrong keeps nobody out");
    }

    #[test]
    fn a_probe_finds_who_was_silent_and_forgives_nothing_else() {
        let mut health = Health::default();
        assert!(!health.wants_probe(Millis(UNUSED_MS - 1)) && health.wants_probe(Millis(UNUSED_MS)));
        health.end(Outcome::Silent, Millis(UNUSED_MS));
        let lost = |health: &Health, now| health.passage(Millis(now)) == Passage::Lost;
        let back = UNUSED_MS + PAUSES_MS.0;
        assert!(!health.wants_probe(Millis(back - 1)), "it failed just now");
        assert!(lost(&health, back) && health.wants_probe(Millis(back)));
        health.reached(80, Millis(back));
        assert_eq!((health.passage(Millis(back)), health.accept_ms(500).is_some()), (Passage::Closed, true));
        assert_eq!(health.success_permille(), Some(0), "a probe is no answer");
        assert!(!health.wants_probe(Millis(back)));
        // A provider that answers probes and no questions waits longer each time all the same.
        health.end(Outcome::Silent, Millis(back));
        assert!(!lost(&health, back + 2 * PAUSES_MS.0 - 1) && lost(&health, back + 2 * PAUSES_MS.0));
        health.missed(Millis(back + 2 * PAUSES_MS.0));
        assert_eq!(health.passage(Millis(back + 6 * PAUSES_MS.0 - 1)), Passage::Open);
        health.end(Outcome::Died, Millis(back));
        health.reached(80, Millis(back));
        let later = back + PAUSES_MS.1;
        assert_eq!(health.passage(Millis(later)), Passage::HalfOpen, "it is heard, but breaks off");
        assert!(!health.wants_probe(Millis(later)));
    }

    #[test]
    fn refusals_of_a_sound_provider_open_nothing() {
        let mut health = Health::default();
        health.end(Outcome::Overloaded, Millis(0));
        health.end(Outcome::Refused, Millis(0));
        let answered = |mut health: Health| {
            health.end(Outcome::Answered, Millis(0));
            health.success_permille()
        };
        assert_eq!(answered(health.clone()), Some(1_000), "whatever thirds come to");
        assert_eq!(health.success_permille(), None, "nothing can be said of its reliability");
        health.end(Outcome::BadReceipt, Millis(0));
        assert_eq!(health.passage(Millis(0)), Passage::Closed);
        assert_eq!(health.success_permille(), Some(0));
        assert_eq!(state(&health, ONLINE, 0), State::Degraded);
        // Nor do they close a breaker: who alternates between dying and refusing waits longer each time.
        health.end(Outcome::Died, Millis(0));
        health.end(Outcome::Overloaded, Millis(0));
        assert_eq!(health.passage(Millis(0)), Passage::Open);
    }

    #[test]
    fn how_requests_went_is_not_forgotten_within_hours_and_ages_over_days() {
        let mut health = Health::default();
        for _ in 0..3 {
            health.end(Outcome::BadReceipt, Millis(0));
        }
        let (noon, prior) = (Millis(OUTCOMES_HALF_LIFE_MS / 2), (900, 2));
        assert_eq!((health.requests(noon), health.success_permille()), (3, Some(0)));
        assert_eq!(health.expected_permille(prior, noon), 360);
        let days = |days| Millis(days * OUTCOMES_HALF_LIFE_MS);
        let expected: Vec<_> = (1..8).map(|n| health.expected_permille(prior, days(n))).collect();
        assert!(expected.is_sorted() && expected[0] > 360 && expected[6] > 880, "{expected:?}");
        assert_eq!(health.requests(days(7)), 1, "what is told of is never told of as none");
        assert_eq!(Health::default().expected_permille(prior, noon), 900);
    }

    #[test]
    fn states_say_what_a_user_can_expect() {
        let mut health = Health::default();
        assert_eq!(state(&health, ONLINE, 0), State::Online);
        assert_eq!(state(&health, (Status::Busy, true), 0), State::Busy);
        assert_eq!(state(&health, (Status::Offline, false), 0), State::Offline);
        assert_eq!(state(&health, (Status::Online, false), 0), State::Offline);
        assert_eq!(state(&health, (Status::Unknown, false), 0), State::Unknown);
        health.end(Outcome::Silent, Millis(0));
        assert_eq!(state(&health, ONLINE, 0), State::Degraded);
        health.end(Outcome::Answered, Millis(0));
        assert_eq!(state(&health, ONLINE, 0), State::Online, "two requests say little");
    }

    #[test]
    fn a_row_reads_back() {
        let mut health = Health::default();
        health.begin(Millis(5));
        health.accepted(120, Millis(10));
        health.first_text(400, Millis(20));
        health.streamed(100, 2_000, Millis(30));
        health.streamed(1, 0, Millis(30));
        health.end(Outcome::Died, Millis(40));
        health.missed(Millis(50));
        health.reached(90, Millis(60));
        assert_eq!(Health::decode(&health.encode()), Ok(health.clone()));
        assert!(health.tenth_tokens_per_s().is_some_and(|rate| rate.abs_diff(500) <= 31));
        assert!(Health::decode(b"junk").is_err());
    }
}
