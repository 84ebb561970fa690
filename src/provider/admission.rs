//! Whether a request is taken that could be served: first the operator's rate for each prekey, then a rule. A provider
//! knows nothing of who asks but the prekey that they sealed to and what they prove, so no more is judged here. The rule
//! is open now; one that wants a proof of an unspent free request takes its place (proofs paper, sections 1 and 8).

use super::rate::{Pace, Rate};
use crate::effect::Millis;
use crate::envelope::prompt::Kid;
use crate::error::Code;
use alloc::{
    boxed::Box,
    collections::{BTreeMap, VecDeque},
};

/// Prekeys whose rate is kept: a provider holds two at once, or three around a restart.
const PREKEYS: usize = 4;

/// What is known of a request that asks to be taken.
#[derive(Clone, Copy, Debug)]
pub struct Applicant<'a> {
    /// The prekey that it was sealed to.
    pub kid: &'a Kid,
    /// Its channel binding: a proof speaks of this, so nobody can use it elsewhere.
    pub cb: &'a [u8; 32],
    /// Body key 10 as it came, one CBOR value that nobody has judged; empty where nothing is proven.
    pub proof: &'a [u8],
}

/// A request is not taken; nothing of it has been used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The code that the client gets.
    pub code: Code,
    /// Seconds until a new try may be taken, 0 for unknown.
    pub retry_after_s: u16,
}

/// Who is let in. It is asked last, when nothing else stands against a request, and once for each: what it marks as used
/// is used by a request that is then accepted.
pub trait Rule: Send {
    /// Judges one request.
    ///
    /// # Errors
    /// [`Denied`], with what the client is told.
    fn judge(&mut self, applicant: &Applicant<'_>, now: Millis) -> Result<(), Denied>;
}

/// Everybody is let in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Open;

impl Rule for Open {
    fn judge(&mut self, _: &Applicant<'_>, _: Millis) -> Result<(), Denied> {
        Ok(())
    }
}

/// The rate, then the rule.
pub struct Admission {
    pace: Option<Pace>,
    rates: BTreeMap<Kid, Rate>,
    /// Their prekeys in the order in which they were first met.
    met: VecDeque<Kid>,
    rule: Box<dyn Rule>,
}

impl Default for Admission {
    /// Everybody, as often as they like.
    fn default() -> Self {
        Self::new(0, Open)
    }
}

impl Admission {
    /// Takes so many requests a minute for each prekey, all of them at once where none came for a minute, and without end
    /// for 0; of these, those that the rule lets in.
    pub fn new(per_minute: u32, rule: impl Rule + 'static) -> Self {
        let pace = 60_000u64.checked_div(u64::from(per_minute));
        let pace = pace.map(|every_ms| Pace { every_ms: every_ms.max(1), saved: u64::from(per_minute) });
        Self { pace, rates: BTreeMap::new(), met: VecDeque::new(), rule: Box::new(rule) }
    }

    /// Judges one request.
    pub(super) fn judge(&mut self, applicant: &Applicant<'_>, now: Millis) -> Result<(), Denied> {
        if let Some(pace) = self.pace {
            self.rate(applicant.kid).take(pace, now).map_err(|ms| Denied {
                code: Code::Overloaded,
                retry_after_s: u16::try_from(ms.div_ceil(1_000)).unwrap_or(u16::MAX),
            })?;
        }
        self.rule.judge(applicant, now)
    }

    /// This prekey's rate; of too many the one met first goes.
    fn rate(&mut self, kid: &Kid) -> &mut Rate {
        if !self.rates.contains_key(kid) {
            if self.met.len() == PREKEYS
                && let Some(oldest) = self.met.pop_front()
            {
                self.rates.remove(&oldest);
            }
            self.met.push_back(*kid);
        }
        self.rates.entry(*kid).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(admission: &mut Admission, kid: u8, now: u64) -> Result<(), Denied> {
        admission.judge(&Applicant { kid: &[kid; 8], cb: &[0; 32], proof: &[] }, Millis(now))
    }

    #[test]
    fn each_prekey_has_its_rate_and_few_are_remembered() {
        let mut admission = Admission::new(6, Open);
        let busy = |s| Err(Denied { code: Code::Overloaded, retry_after_s: s });
        for kid in 0..200 {
            let taken = [(); 7].map(|()| judge(&mut admission, kid, 1_000_000));
            assert_eq!(taken.iter().filter(|taken| taken.is_ok()).count(), 6);
            assert_eq!(taken[6], busy(10));
            assert!(admission.rates.len() <= PREKEYS);
        }
        assert_eq!([judge(&mut admission, 199, 1_009_999), judge(&mut admission, 199, 1_010_000)], [busy(1), Ok(())]);
        let mut endless = Admission::default();
        assert!((0..10_000).all(|_| judge(&mut endless, 1, 0).is_ok()));
    }
}
