//! A light sealed probe of a provider that matters and was not heard for long (protocol section 4, op 1): it is answered
//! without a model. It tells before the next question whether somebody is there. At most one leaves within a few minutes,
//! and only while a window is open.

use super::{
    AskId, Client, Effect,
    exchange::{Exchange, ExchangeId},
};
use crate::effect::{Millis, Publication};
use crate::envelope::prompt::seal_request;
use crate::health::Passage;
use crate::message::{Body, Profile};
use crate::topic::Topic;
use alloc::{string::String, vec::Vec};
use rand_core::{CryptoRng, Rng};

/// After a window opens the first probe leaves no sooner and no later, in ms: a question that comes at once tells more.
const FIRST_MS: (u64, u64) = (60_000, 120_000);
/// From one probe to the next, in ms: by chance, so that no rhythm shows which probes are one client's.
const NEXT_MS: (u64, u64) = (240_000, 480_000);
/// Whoever may be chosen next: so many from the first place on.
const FIRST_PLACES: usize = 3;

/// Whether anybody looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Window {
    /// At least one window shows the market.
    Open,
    /// None does.
    #[default]
    Closed,
}

/// When to probe whom.
#[derive(Default)]
pub(super) struct Probes {
    window: Window,
    /// The next one leaves no sooner, even when windows close and open.
    next: Millis,
    /// The model last asked for.
    pub(super) model: Option<String>,
}

impl Probes {
    /// When to look whether a probe is due.
    pub(super) fn wake_at(&self) -> Option<Millis> {
        (self.window == Window::Open).then_some(self.next)
    }

    /// The clock jumped.
    pub(super) fn shift(&mut self, by: i64) {
        self.next = self.next.shifted(by);
    }

    fn wait(&mut self, (least, most): (u64, u64), now: Millis, rng: &mut impl Rng) {
        let wait = least + rng.next_u64() % (most - least);
        self.next = self.next.max(Millis(now.0.saturating_add(wait)));
    }
}

impl Client {
    /// The first window opened or the last one closed.
    pub(super) fn look(&mut self, window: Window, now: Millis, rng: &mut impl CryptoRng) {
        if window != self.probes.window {
            self.probes.wait(FIRST_MS, now, rng);
        }
        self.probes.window = window;
    }

    /// Probes one provider if it is time, one needs it, and nothing under way tells more.
    pub(super) fn probe(&mut self, now: Millis, rng: &mut impl CryptoRng, out: &mut Vec<Effect>) {
        if self.probes.wake_at().is_none_or(|at| at > now) {
            return;
        }
        self.probes.wait(NEXT_MS, now, rng);
        if !self.online || !self.questions.is_empty() {
            return;
        }
        let places = self.places(self.probes.model.as_deref(), now);
        let due = places.into_iter().enumerate().find(|(at, place)| {
            let matters = *at < FIRST_PLACES || place.passage == Passage::Lost;
            matters && self.health(&place.provider, &place.model).is_none_or(|health| health.wants_probe(now))
        });
        let Some((_, place)) = due else { return };
        let (provider, model) = (place.provider, place.model);
        let Some(target) = self.registry.target(&provider, now) else { return };
        let Ok(sealed) = seal_request(&target, &Body::probe(now, model.clone()), rng) else { return };
        self.next_exchange += 1;
        let id = ExchangeId(self.next_exchange);
        let mut exchange =
            Exchange::new(AskId::PROBE, model, Profile::Balanced, target.bhash, sealed.payload, sealed.keys, now);
        exchange.resend_at = Some(Millis(now.0.saturating_add(super::ask::patience(&self.standing))));
        exchange.expect(id, &mut self.tags);
        self.listen(provider, out);
        let message = Publication::new(Topic::Requests(provider), exchange.payload.clone(), now, rng);
        out.push(Effect::Publish { ask: AskId::PROBE, provider, message, attempt: 0 });
        self.exchanges.insert(id, exchange);
    }

    /// A probe came back, whatever it says: somebody is there.
    pub(super) fn reached(&mut self, id: ExchangeId, now: Millis, out: &mut Vec<Effect>) {
        let Some(exchange) = self.exchanges.get(&id) else { return };
        let (provider, ms) = (exchange.provider, now.0.saturating_sub(exchange.sent.0));
        let model = exchange.model.clone();
        self.standing.reached(provider, &model, ms, now);
        self.wipe(id, Millis(0));
        self.tell(provider, now, out);
    }

    /// A probe was awaited long enough. It says nothing when it may never have left, or was sealed to a key that the
    /// provider no longer holds.
    pub(super) fn missed(&mut self, id: ExchangeId, now: Millis, out: &mut Vec<Effect>) {
        let Some(exchange) = self.exchanges.get(&id) else { return };
        let (provider, model) = (exchange.provider, exchange.model.clone());
        if self.online && !exchange.payload.is_empty() {
            self.standing.health(provider, &model).missed(now);
        }
        self.wipe(id, Millis(0));
        self.tell(provider, now, out);
    }

    /// No node took a probe: it tells nothing.
    pub(super) fn forget_probe(&mut self) {
        let probe = self.exchanges.iter().find(|(_, exchange)| exchange.ask == AskId::PROBE && exchange.is_waiting());
        if let Some(id) = probe.map(|(id, _)| *id) {
            self.wipe(id, Millis(0));
        }
    }
}
