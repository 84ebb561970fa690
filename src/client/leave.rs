//! How the client leaves: an exchange that is given up is cancelled at its provider, keys are erased, and topics are
//! received no longer than they are of use (protocol section 5.5).

use super::{
    AskId, Client, Effect,
    control::{CANCEL_MS, CANCELS},
    exchange::{ExchangeId, Leaving, Phase},
};
use crate::effect::Millis;
use crate::envelope::control::Control;
use crate::identity::ProviderId;
use crate::map;
use crate::topic;
use alloc::vec::Vec;
use rand_core::CryptoRng;

/// A cancelled request's accept may still come: so long it is awaited, to tell the provider.
const REGRET_MS: u64 = 30_000;
/// A topic is received for so long after its last answer: the next question to that provider need not wait for it.
pub(super) const KEEP_MS: u64 = 300_000;
/// Topics kept without need at once.
const KEPT: usize = 32;

impl Client {
    /// The exchanges of a question that were not given up.
    pub(super) fn open(&self, id: AskId) -> Vec<ExchangeId> {
        let open = self.exchanges.iter().filter(|(_, exchange)| exchange.ask == id && exchange.leaving.is_none());
        open.map(|(id, _)| *id).collect()
    }

    /// Gives an exchange up: a CANCEL goes out as soon as the provider can be told, and its frames count no more.
    pub(super) fn leave(&mut self, id: ExchangeId, now: Millis, rng: &mut impl CryptoRng, out: &mut Vec<Effect>) {
        let Some(exchange) = self.exchanges.get_mut(&id) else { return };
        if exchange.leaving.is_some() {
            return;
        }
        exchange.payload.clear();
        exchange.resend_at = None;
        let until = Millis(now.0.saturating_add(REGRET_MS));
        exchange.leaving = Some(Leaving { next: now, left: CANCELS, until });
        self.say_cancel(id, now, rng, out);
    }

    /// Says CANCEL again where it is due, and forgets the exchange when that was often enough.
    pub(super) fn say_cancel(&mut self, id: ExchangeId, now: Millis, rng: &mut impl CryptoRng, out: &mut Vec<Effect>) {
        let Some(exchange) = self.exchanges.get_mut(&id) else { return };
        let Some(leaving) = &mut exchange.leaving else { return };
        if now >= leaving.until {
            return self.wipe(id, Millis(0));
        }
        if !matches!(exchange.phase, Phase::Streaming(_)) || now < leaving.next {
            return;
        }
        if leaving.left == 0 {
            return self.wipe(id, Millis(0));
        }
        leaving.left -= 1;
        leaving.next = Millis(now.0.saturating_add(CANCEL_MS));
        self.say(id, &Control::Cancel, now, rng, out);
    }

    /// Receives the answers of a provider.
    pub(super) fn listen(&mut self, provider: ProviderId, out: &mut Vec<Effect>) {
        if self.topics.insert(provider, Millis(0)).is_none() {
            let (content_topic, shard) = (topic::responses(&provider), topic::shard_of(&provider));
            out.push(Effect::Subscribe { content_topic, shard, provider: Some(provider) });
        }
    }

    /// Erases an exchange's keys; its topic stays until `hold` where others shall not see the end.
    pub(super) fn wipe(&mut self, id: ExchangeId, hold: Millis) {
        let Some(mut exchange) = self.exchanges.remove(&id) else { return };
        exchange.forget_all(&mut self.tags);
        if let Some(held) = self.topics.get_mut(&exchange.provider) {
            *held = hold.max(*held);
        }
    }

    /// Leaves the topics that no exchange has needed for a while, and of too many the one needed longest ago.
    pub(super) fn tidy_topics(&mut self, now: Millis, out: &mut Vec<Effect>) {
        let mut kept = Vec::new();
        for (provider, held) in &mut self.topics {
            if self.exchanges.values().any(|exchange| exchange.provider == *provider) {
                *held = Millis(0);
                continue;
            }
            if *held == Millis(0) {
                *held = Millis(now.0.saturating_add(KEEP_MS));
            }
            kept.push((*held, *provider));
        }
        map::sort(&mut kept, &Ord::cmp);
        let many = kept.len().saturating_sub(KEPT);
        let over = kept.into_iter().enumerate().filter(|(at, (held, _))| *at < many || *held <= now);
        for (_, (_, provider)) in over {
            self.topics.remove(&provider);
            let (content_topic, shard) = (topic::responses(&provider), topic::shard_of(&provider));
            out.push(Effect::Unsubscribe { content_topic, shard });
        }
    }
}
