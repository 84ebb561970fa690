//! Whom the client knows: announcements from store and live ones alike go to the registry, and what changed is told
//! (protocol section 2.4).

use super::{AskId, Client, Effect, Event, ask::PREKEY_MS};
use crate::announcement::registry::Heard;
use crate::effect::{Millis, Row, Table};
use crate::health::Outcome;
use crate::identity::ProviderId;
use crate::quota::Quota;
use crate::topic::{self, COMMON_SHARD};
use alloc::vec::Vec;
use rand_core::CryptoRng;

/// Bundles are published every 600 s, so this far back the store has one of everybody who is there.
const HISTORY_S: u64 = 660;
/// The store is asked for unknown bundles at most this often.
const QUERY_MS: u64 = 15_000;

impl Client {
    /// Takes back what was stored.
    pub(super) fn restore(&mut self, rows: &[Row], resumed: &[AskId], now: Millis, out: &mut Vec<Effect>) {
        self.registry.restore(rows);
        self.standing.restore(rows);
        self.receipts.restore(rows, now);
        let resumed: Vec<u64> = resumed.iter().map(|ask| ask.0).collect();
        let open = Millis(now.0.saturating_add(PREKEY_MS));
        let quota = rows.iter().find(|row| row.table == Table::Quota);
        if let Some(Ok(quota)) = quota.map(|row| Quota::decode(&row.value, &resumed, open)) {
            self.quota = self.quota.limited_as(quota);
        }
        for seen in self.registry.all(now) {
            out.push(Effect::Event(Event::Provider(seen)));
        }
    }

    /// The network is usable: receive and fetch anew.
    pub(super) fn connect(&mut self, now: Millis, out: &mut Vec<Effect>) {
        self.connected = now;
        self.online = true;
        let content_topic = topic::discovery();
        out.push(Effect::Subscribe { content_topic: content_topic.into(), shard: COMMON_SHARD, provider: None });
        for provider in self.topics.keys() {
            let (content_topic, shard) = (topic::responses(provider), topic::shard_of(provider));
            out.push(Effect::Subscribe { content_topic, shard, provider: Some(*provider) });
        }
        self.query(now, out);
    }

    /// Takes a payload of the discovery topic.
    pub(super) fn discover(
        &mut self,
        payload: &[u8],
        source: &str,
        now: Millis,
        rng: &mut impl CryptoRng,
        out: &mut Vec<Effect>,
    ) {
        match self.registry.accept(payload, source, now) {
            Ok(Heard::Changed(id)) => self.changed(id, now, rng, out),
            Ok(Heard::UnknownBundle(_)) => {
                if now.0 >= self.queried.0.saturating_add(QUERY_MS) {
                    self.query(now, out);
                }
            }
            Ok(Heard::Known) => {}
            Err(_) => self.expire_providers(now, out),
        }
        let offset = self.registry.clock_offset(now);
        if offset != self.clock_told {
            self.clock_told = offset;
            out.push(Effect::Event(Event::ClockOff(offset.unwrap_or(0))));
        }
        self.persist(out);
    }

    /// What time alone changed about providers.
    pub(super) fn expire_providers(&mut self, now: Millis, out: &mut Vec<Effect>) {
        for id in self.registry.expired(now) {
            self.tell(id, now, out);
        }
    }

    /// The user trusts a provider.
    pub(super) fn trust(&mut self, id: ProviderId, now: Millis, out: &mut Vec<Effect>) {
        self.registry.trust(&id);
        self.persist(out);
        self.tell(id, now, out);
    }

    /// All that is known goes to a store that lost it.
    pub(super) fn store_again(&mut self, out: &mut Vec<Effect>) {
        self.registry.store_again();
        self.quota.store_again();
        self.receipts.store_again();
        out.push(Effect::Persist(self.standing.store_again()));
        self.persist(out);
    }

    /// Writes what the registry wants to keep.
    pub(super) fn persist(&mut self, out: &mut Vec<Effect>) {
        let batch = self.registry.take_batch();
        if !batch.is_empty() {
            out.push(Effect::Persist(batch));
        }
    }

    fn changed(&mut self, id: ProviderId, now: Millis, rng: &mut impl CryptoRng, out: &mut Vec<Effect>) {
        self.persist(out);
        self.tell(id, now, out);
        self.reseal(id, now, rng, out);
        let waiting: Vec<_> = self.questions.iter().filter(|(_, q)| q.is_resolving()).map(|(ask, _)| *ask).collect();
        for ask in waiting {
            self.advance(ask, now, rng, out);
        }
    }

    /// Tells what is known of a provider.
    pub(super) fn tell(&mut self, id: ProviderId, now: Millis, out: &mut Vec<Effect>) {
        if let Some(seen) = self.registry.seen(&id, now) {
            out.push(Effect::Event(Event::Provider(seen)));
        }
    }

    /// A request ended, and with it how its provider stands may be another, which is told at once.
    pub(super) fn judge(&mut self, id: ProviderId, model: &str, outcome: Outcome, now: Millis, out: &mut Vec<Effect>) {
        self.standing.ended(id, model, outcome, now);
        self.tell(id, now, out);
    }

    /// Asks the store for the announcements of everybody who is there.
    pub(super) fn query(&mut self, now: Millis, out: &mut Vec<Effect>) {
        self.queried = now;
        let content_topic = topic::discovery().into();
        out.push(Effect::Query { content_topic, shard: COMMON_SHARD, seconds: HISTORY_S });
    }
}
