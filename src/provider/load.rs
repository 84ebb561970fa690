//! How busy the worker is: running jobs a model, the status that follows, and the median response time (protocol
//! section 2.4, heartbeat keys 6 to 8, 12 and 13).

use super::{Offer, SessionId};
use crate::announcement::heartbeat::Status;
use crate::effect::Millis;
use alloc::{
    collections::{BTreeMap, VecDeque},
    string::String,
    vec::Vec,
};

/// Back to online only after so long without waiting jobs, so that the status does not flutter.
const HYSTERESIS_MS: u64 = 250;
/// Sessions that the announced response time is the median of.
const RECENT: usize = 32;
/// `retry_after` of a refusal when nothing was measured yet, and its largest value, in seconds.
const RETRY_S: (u64, u64) = (5, 60);

/// Why a request cannot run.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No such model.
    Unknown,
    /// All slots and places are taken.
    Full,
}

/// Jobs and their times.
#[derive(Debug, Default)]
pub(super) struct Load {
    running: BTreeMap<SessionId, String>,
    first_ms: VecDeque<u32>,
    total_ms: VecDeque<u32>,
    waited: Option<Millis>,
}

impl Load {
    /// Whether a job for this model may start or wait now.
    pub(super) fn admit(&self, offers: &[Offer], model: &str) -> Result<(), Refusal> {
        let offer = offers.iter().find(|offer| offer.model.id == model).ok_or(Refusal::Unknown)?;
        let places = offer.concurrency.saturating_add(offer.queue);
        if self.jobs(model) < places { Ok(()) } else { Err(Refusal::Full) }
    }

    /// A job was handed to the model.
    pub(super) fn begin(&mut self, session: SessionId, model: String) {
        self.running.insert(session, model);
    }

    /// The backend is done with it; false when it never ran or was done before.
    pub(super) fn end(&mut self, session: SessionId) -> bool {
        self.running.remove(&session).is_some()
    }

    /// An answer came whole: first-token and total time.
    pub(super) fn measure(&mut self, first_ms: u32, total_ms: u32) {
        for (times, ms) in [(&mut self.first_ms, first_ms), (&mut self.total_ms, total_ms)] {
            if times.len() == RECENT {
                times.pop_front();
            }
            times.push_back(ms);
        }
    }

    /// Median time from accept to the first token, 0 before the first answer.
    pub(super) fn response_ms(&self) -> u32 {
        median(&self.first_ms).unwrap_or(0)
    }

    /// Seconds after which a refused request may be tried again.
    pub(super) fn retry_after(&self) -> u16 {
        let s = median(&self.total_ms).map_or(RETRY_S.0, |ms| u64::from(ms).div_ceil(1_000));
        s.clamp(1, RETRY_S.1) as u16
    }

    /// Seconds until a job of this model that is accepted now begins, 0 when it begins at once.
    pub(super) fn estimate(&self, offers: &[Offer], model: &str) -> u16 {
        let Some(offer) = offers.iter().find(|offer| offer.model.id == model) else { return 0 };
        let ahead = self.jobs(model).saturating_sub(offer.concurrency.saturating_sub(1));
        let rounds = u64::from(ahead.div_ceil(offer.concurrency.max(1)));
        let usual_ms = median(&self.total_ms).map_or(RETRY_S.0 * 1_000, u64::from);
        let ms = rounds.saturating_mul(usual_ms);
        u16::try_from(ms.div_ceil(1_000)).unwrap_or(u16::MAX)
    }

    /// Jobs that wait for a slot.
    pub(super) fn queue(&self, offers: &[Offer]) -> u32 {
        offers.iter().map(|o| self.jobs(&o.model.id).saturating_sub(o.concurrency)).fold(0, u32::saturating_add)
    }

    /// Slots that are free.
    pub(super) fn free(&self, offers: &[Offer]) -> u32 {
        offers.iter().map(|o| o.concurrency.saturating_sub(self.jobs(&o.model.id))).fold(0, u32::saturating_add)
    }

    /// Jobs that run, of 1,000 that could.
    pub(super) fn permille(&self, offers: &[Offer]) -> u32 {
        let slots = slots(offers);
        if slots == 0 { 1_000 } else { ((u64::from(slots - self.free(offers)) * 1_000) / u64::from(slots)) as u32 }
    }

    /// The status to announce, and when it may change by time alone.
    pub(super) fn status(&mut self, offers: &[Offer], draining: bool, now: Millis) -> (Status, Option<Millis>) {
        if draining || slots(offers) == 0 {
            return (Status::Offline, None);
        }
        if self.free(offers) == 0 {
            self.waited = Some(now);
            return (Status::Busy, None);
        }
        match self.waited.map(|at| Millis(at.0.saturating_add(HYSTERESIS_MS))) {
            Some(until) if now < until => (Status::Busy, Some(until)),
            _ => {
                self.waited = None;
                (Status::Online, None)
            }
        }
    }

    fn jobs(&self, model: &str) -> u32 {
        self.running.values().filter(|m| m.as_str() == model).count() as u32
    }
}

/// Jobs that all offers run at once.
pub(super) fn slots(offers: &[Offer]) -> u32 {
    offers.iter().map(|offer| offer.concurrency).fold(0, u32::saturating_add)
}

fn median(times: &VecDeque<u32>) -> Option<u32> {
    let mut sorted: Vec<u32> = times.iter().copied().collect();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::announcement::heartbeat::Model;

    fn offer(id: &str, concurrency: u32, queue: u32) -> Offer {
        Offer { model: Model { id: id.into(), ..Model::default() }, concurrency, queue }
    }

    #[test]
    fn admission_is_bounded_per_model_and_status_follows() {
        let offers = [offer("a", 1, 1), offer("b", 1, 0)];
        let mut load = Load::default();
        assert_eq!(load.status(&offers, false, Millis(0)).0, Status::Online);
        load.begin(SessionId(1), "a".into());
        assert_eq!(load.admit(&offers, "a"), Ok(()));
        load.begin(SessionId(2), "a".into());
        assert_eq!(load.admit(&offers, "a"), Err(Refusal::Full));
        assert_eq!(load.admit(&offers, "b"), Ok(()));
        assert_eq!(load.admit(&offers, "c"), Err(Refusal::Unknown));
        assert_eq!((load.queue(&offers), load.free(&offers), load.permille(&offers)), (1, 1, 500));
        load.begin(SessionId(3), "b".into());
        assert_eq!(load.status(&offers, false, Millis(100)), (Status::Busy, None));
        assert!(load.end(SessionId(3)) && !load.end(SessionId(3)));
        assert_eq!(load.status(&offers, false, Millis(200)), (Status::Busy, Some(Millis(350))));
        assert_eq!(load.status(&offers, false, Millis(350)), (Status::Online, None));
        assert_eq!(load.status(&offers, true, Millis(5_100)).0, Status::Offline);
        assert_eq!(load.status(&[], false, Millis(5_100)).0, Status::Offline);
    }
}
