//! A question from its asking to its end: whom to ask, when to ask again, whom next (protocol section 5.5).

use super::{
    Ask, AskId, Choice, Client, Effect, End, Event, Status,
    exchange::{Exchange, ExchangeId},
    standing::{self, Standing},
};
use crate::effect::{Millis, Publication};
use crate::envelope::prompt::seal_request;
use crate::error::ErrorKind;
use crate::health::Outcome;
use crate::identity::ProviderId;
use crate::message::Body;
use crate::ranking::{Place, Reason};
use crate::topic::Topic;
use alloc::{string::String, vec::Vec};
use rand_core::CryptoRng;

/// Questions under way at once: more than a person has, few enough to hold all their frames.
const QUESTIONS: usize = 256;
/// Exchanges at once, those being cancelled included; the oldest of these goes first.
const EXCHANGES: usize = 1_024;
/// Providers asked at the same time for one question.
const RIVALS: usize = 3;
/// An accept is awaited at least and at most so long before the request is sent again.
const PATIENCE_MS: (u64, u64) = (1_000, 4_000);
/// A provider that has not accepted by then is given up.
const ACCEPT_MS: u64 = 10_000;
/// Sends of one request: the first and two more.
const SENDS: u8 = 3;
/// When no service node took a request, it is tried again after so long.
const UNSENT_MS: u64 = 2_000;
/// Right after connecting, a question waits so long for the first announcements.
const RESOLVE_MS: u64 = 5_000;
/// A question ends after so long, or twice the provider's estimate (protocol section 5.5).
const DEADLINE_MS: u64 = 600_000;
/// A provider that accepted has so long at least to say its first word before another one takes over.
pub(super) const SILENCE_MS: u64 = 10_000;
/// Nobody is hedged before so long: a person does not feel it.
const HEDGE_MS: u64 = 300;
/// A provider holds a prekey for so long at most; a question that it accepted can be asked of it again until then.
pub(super) const PREKEY_MS: u64 = 4_440_000;

/// A question under way.
pub(super) struct Question {
    pub(super) ask: Ask,
    pub(super) asked: Millis,
    pub(super) deadline: Millis,
    pub(super) tried: Vec<ProviderId>,
    /// The exchange that was accepted.
    pub(super) winner: Option<ExchangeId>,
    /// Its last refusal.
    refusal: Option<(u16, u16)>,
    /// Only these may be asked: they accepted it before, and its unit of the day is open to them alone.
    only: Option<Vec<ProviderId>>,
    /// When a second provider is asked unless the first has spoken.
    pub(super) hedge_at: Option<Millis>,
    /// A second one was asked.
    pub(super) hedge: Hedge,
    /// How often it left a queue for a provider with a free slot.
    pub(super) moves: u8,
    /// The text since the answer began or began anew, for another provider to go on from.
    pub(super) shown: String,
    /// UTF-8 bytes of all text that was shown.
    pub(super) total: u64,
    /// Tool calls and reasoning that came.
    pub(super) json_events: u64,
    /// Nobody else can go on from a part of a tool call.
    pub(super) calls: Calls,
    /// It waits for the first announcements until then.
    resolve_until: Option<Millis>,
}

impl Question {
    /// A question that begins or comes back.
    pub(super) fn new(ask: Ask, now: Millis) -> Self {
        let deadline = Millis(now.0.saturating_add(DEADLINE_MS));
        Self {
            ask,
            asked: now,
            deadline,
            tried: Vec::new(),
            winner: None,
            refusal: None,
            only: None,
            hedge_at: None,
            hedge: Hedge::No,
            moves: 0,
            shown: String::new(),
            total: 0,
            json_events: 0,
            calls: Calls::None,
            resolve_until: None,
        }
    }

    /// The provider expects to need so long.
    pub(super) fn estimate(&mut self, estimate_s: u16) {
        let ms = u64::from(estimate_s).saturating_mul(2_000).max(DEADLINE_MS);
        self.deadline = Millis(self.asked.0.saturating_add(ms));
    }

    /// True while it waits for the first announcements.
    pub(super) fn is_resolving(&self) -> bool {
        self.resolve_until.is_some()
    }

    /// The clock jumped.
    pub(super) fn shift(&mut self, by: i64) {
        (self.asked, self.deadline) = (self.asked.shifted(by), self.deadline.shifted(by));
        self.hedge_at = self.hedge_at.map(|at| at.shifted(by));
        self.resolve_until = self.resolve_until.map(|at| at.shifted(by));
    }

    /// When it next needs the time.
    pub(super) fn wake_at(&self) -> Millis {
        self.resolve_until.into_iter().chain(self.hedge_at).fold(self.deadline, Ord::min)
    }
}

/// Whether a question was hedged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hedge {
    /// Not yet.
    No,
    /// Two are asked, the first to speak answers.
    Yes,
}

/// Whether an answer calls tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Calls {
    /// No call came.
    None,
    /// A call came, or may have.
    Begun,
}

/// Whom to ask.
pub(super) struct Chosen {
    pub(super) provider: ProviderId,
    pub(super) model: String,
    /// A slot is free there.
    pub(super) free: bool,
    /// Why, where the choice was ours.
    why: Option<Reason>,
}

impl Chosen {
    fn of(place: &Place) -> Self {
        Self { provider: place.provider, model: place.model.clone(), free: place.free, why: Some(place.reason) }
    }
}

/// What came of looking for a provider.
enum Found {
    Somebody(Chosen),
    Nobody(End),
}

impl Client {
    /// The user asks.
    pub(super) fn ask(&mut self, ask: Ask, now: Millis, rng: &mut impl CryptoRng, out: &mut Vec<Effect>) {
        let id = ask.id;
        if self.questions.contains_key(&id) || id == AskId::PROBE {
            return;
        }
        if self.questions.len() >= QUESTIONS {
            let end = End::Error { code: 5, retry_after: 1 };
            return out.push(Effect::Event(Event::Ended { ask: id, end }));
        }
        let mut question = Question::new(ask, now);
        let until = Millis(self.connected.0.saturating_add(RESOLVE_MS));
        question.resolve_until = (now < until).then_some(until);
        self.take_up(&mut question, now, rng);
        if question.only.is_none() && self.quota.take(id.0, now).is_err() {
            return out.push(Effect::Event(Event::Ended { ask: id, end: End::Limit }));
        }
        self.quota.earn_hedge();
        self.probes.model.clone_from(&question.ask.model);
        // The unit is on disk before the request leaves.
        self.keep_known(out);
        self.questions.insert(id, question);
        self.advance(id, now, rng, out);
    }

    /// Takes up the open unit that a question names, where one of those that it is open to may answer now, or where
    /// there is no other unit. Else the question takes a new one, and that one stays open.
    fn take_up(&mut self, question: &mut Question, now: Millis, rng: &mut impl CryptoRng) {
        let Some(unit) = question.ask.unit else { return };
        question.only = self.quota.open_to(unit.0, now).filter(|by| match question.ask.choice {
            Choice::Automatic => true,
            Choice::Pinned(provider) => by.contains(&provider),
        });
        let last = self.quota.left(now).free() == 0;
        if question.only.is_some() && (last || matches!(self.find(question, now, rng), Found::Somebody(_))) {
            self.quota.again(unit.0, question.ask.id.0);
        } else {
            question.only = None;
        }
    }

    /// The user stops a question.
    pub(super) fn cancel(&mut self, id: AskId, now: Millis, rng: &mut impl CryptoRng, out: &mut Vec<Effect>) {
        self.end(id, End::Cancelled, now, rng, out);
    }

    /// Asks the next provider, and ends the question when there is none and nothing is awaited.
    pub(super) fn advance(&mut self, id: AskId, now: Millis, rng: &mut impl CryptoRng, out: &mut Vec<Effect>) {
        let open = self.open(id).len();
        if open >= RIVALS {
            return;
        }
        let Some(question) = self.questions.get(&id) else { return };
        match self.find(question, now, rng) {
            Found::Somebody(chosen) => self.send(id, chosen, now, rng, out),
            Found::Nobody(_) if open > 0 || question.resolve_until.is_some() => {}
            Found::Nobody(end) => self.end(id, end, now, rng, out),
        }
    }

    fn find(&self, question: &Question, now: Millis, rng: &mut impl CryptoRng) -> Found {
        let wish = question.ask.model.as_deref();
        let exhausted = || match question.refusal {
            Some((code, retry_after)) => End::Error { code, retry_after },
            None if question.tried.is_empty() => End::NoProvider,
            None => End::Silent,
        };
        let may = |id: &ProviderId| question.only.as_ref().is_none_or(|only| only.contains(id));
        match question.ask.choice {
            Choice::Automatic => {
                let mut places = self.places(wish, now);
                places.retain(|place| may(&place.provider) && !question.tried.contains(&place.provider));
                match standing::choose(&places, question.ask.last, rng) {
                    Some(place) => Found::Somebody(Chosen::of(place)),
                    None => Found::Nobody(exhausted()),
                }
            }
            Choice::Pinned(provider) if question.tried.contains(&provider) || !may(&provider) => {
                Found::Nobody(exhausted())
            }
            Choice::Pinned(provider) => match self.registry.seen(&provider, now) {
                Some(seen) if seen.key_changed_from.is_some() => Found::Nobody(End::KeyChanged(provider)),
                Some(seen) if seen.usable && !seen.equivocated => match standing::model_of(&seen, wish) {
                    Some(model) => {
                        Found::Somebody(Chosen { provider, model, free: seen.status == Status::Online, why: None })
                    }
                    None => Found::Nobody(End::NoProvider),
                },
                _ => Found::Nobody(End::NoProvider),
            },
        }
    }

    /// Whom to ask next for this question.
    pub(super) fn next_provider(&self, id: AskId, now: Millis, rng: &mut impl CryptoRng) -> Option<Chosen> {
        match self.find(self.questions.get(&id)?, now, rng) {
            Found::Somebody(chosen) => Some(chosen),
            Found::Nobody(_) => None,
        }
    }

    /// This user's requests under way at a provider.
    pub(super) fn under_way(&self, provider: &ProviderId) -> u32 {
        let there = self.exchanges.values().filter(|it| it.provider == *provider && it.leaving.is_none());
        u32::try_from(there.count()).unwrap_or(u32::MAX)
    }

    /// Seals the question to this provider and publishes it.
    pub(super) fn send(
        &mut self,
        id: AskId,
        Chosen { provider, model, why, .. }: Chosen,
        now: Millis,
        rng: &mut impl CryptoRng,
        out: &mut Vec<Effect>,
    ) {
        let Some(question) = self.questions.get_mut(&id) else { return };
        question.resolve_until = None;
        if !question.tried.contains(&provider) {
            question.tried.push(provider);
        }
        let Some(target) = self.registry.target(&provider, now) else {
            return self.advance(id, now, rng, out);
        };
        let mut body = Body::infer(now, model.clone(), question.ask.content.clone(), question.ask.profile);
        body.prefix.clone_from(&question.shown);
        let sealed = match seal_request(&target, &body, rng) {
            Ok(sealed) => sealed,
            Err(error) => {
                let code = if error.kind() == ErrorKind::TooLarge { 8 } else { 10 };
                return self.end(id, End::Error { code, retry_after: 0 }, now, rng, out);
            }
        };
        self.next_exchange += 1;
        let exchange_id = ExchangeId(self.next_exchange);
        let profile = question.ask.profile;
        let mut exchange = Exchange::new(id, model.clone(), profile, target.bhash, sealed.payload, sealed.keys, now);
        (exchange.base, exchange.why) = (question.total, why);
        exchange.asked.add(&body.content);
        exchange.asked.add(body.prefix.as_bytes());
        let late = u64::from(self.standing.first_p95(provider, &model, now)).saturating_mul(4).max(SILENCE_MS);
        exchange.first_by = Millis(now.0.saturating_add(late));
        exchange.resend_at = Some(Millis(now.0.saturating_add(patience(&self.standing))));
        if question.ask.choice == Choice::Automatic && question.hedge == Hedge::No && question.total == 0 {
            let late = u64::from(self.standing.first_p95(provider, &model, now)).max(HEDGE_MS);
            question.hedge_at = Some(Millis(now.0.saturating_add(late)));
        }
        self.standing.health(provider, &model).begin(now);
        exchange.expect(exchange_id, &mut self.tags);
        self.registry.mark_used(&provider);
        self.persist(out);
        self.listen(provider, out);
        // It is named before it can read anything.
        out.push(Effect::Event(Event::Sent { ask: id, provider, model, why }));
        out.push(Effect::Publish { ask: id, provider, message: request(&exchange, now, rng), attempt: 0 });
        self.exchanges.insert(exchange_id, exchange);
        let left = self.exchanges.iter().find(|(_, exchange)| exchange.leaving.is_some()).map(|(id, _)| *id);
        if self.exchanges.len() > EXCHANGES
            && let Some(oldest) = left
        {
            self.wipe(oldest, Millis(0));
        }
    }

    /// An awaited accept does not come: send again, ask somebody else, or give up.
    pub(super) fn impatient(&mut self, id: ExchangeId, now: Millis, rng: &mut impl CryptoRng, out: &mut Vec<Effect>) {
        let patience = patience(&self.standing);
        let Some(exchange) = self.exchanges.get_mut(&id) else { return };
        let (ask, provider) = (exchange.ask, exchange.provider);
        if now.0 >= exchange.sent.0.saturating_add(ACCEPT_MS) {
            if ask == AskId::PROBE {
                return self.missed(id, now, out);
            }
            let model = exchange.model.clone();
            self.judge(provider, &model, Outcome::Silent, now, out);
            self.leave(id, now, rng, out);
            return self.advance(ask, now, rng, out);
        }
        let give_up = Millis(exchange.sent.0.saturating_add(ACCEPT_MS));
        exchange.resend_at = Some(give_up);
        if exchange.sends < SENDS && !exchange.payload.is_empty() {
            let again = Millis(now.0.saturating_add(patience.saturating_mul(2)));
            exchange.resend_at = Some(again.min(give_up));
            let attempt = exchange.sends;
            exchange.sends += 1;
            out.push(Effect::Publish { ask, provider, message: request(exchange, now, rng), attempt });
        }
        let automatic = self.questions.get(&ask).is_some_and(|question| question.ask.choice == Choice::Automatic);
        if automatic {
            self.advance(ask, now, rng, out);
        }
    }

    /// No service node took what was published for this question.
    pub(super) fn unsent(&mut self, id: AskId, now: Millis) {
        for exchange in self.exchanges.values_mut() {
            if exchange.ask == id && exchange.is_waiting() && exchange.leaving.is_none() {
                exchange.sends = exchange.sends.min(SENDS - 1);
                exchange.resend_at = Some(Millis(now.0.saturating_add(UNSENT_MS)));
            }
        }
    }

    /// A provider announced another bundle: requests to it that were not accepted yet are sealed anew at once. The old
    /// ones may still win.
    pub(super) fn reseal(
        &mut self,
        provider: ProviderId,
        now: Millis,
        rng: &mut impl CryptoRng,
        out: &mut Vec<Effect>,
    ) {
        let Some(target) = self.registry.target(&provider, now) else { return };
        let mut again = Vec::new();
        let current: Vec<AskId> = self
            .exchanges
            .values()
            .filter(|exchange| exchange.provider == provider && exchange.bhash == target.bhash)
            .map(|exchange| exchange.ask)
            .collect();
        for exchange in self.exchanges.values_mut() {
            let stale = exchange.provider == provider && exchange.bhash != target.bhash && exchange.is_waiting();
            if stale && exchange.leaving.is_none() && !current.contains(&exchange.ask) {
                // The provider may no longer hold its prekey: sending it again helps nobody.
                exchange.payload.clear();
                let (model, why) = (exchange.model.clone(), exchange.why);
                again.push((exchange.ask, Chosen { provider, model, free: true, why }));
            }
        }
        for (ask, chosen) in again {
            if self.questions.get(&ask).is_some_and(|question| question.winner.is_none()) {
                self.send(ask, chosen, now, rng, out);
            }
        }
    }

    /// A provider refused before anything came.
    pub(super) fn refused(
        &mut self,
        id: ExchangeId,
        refusal: (u16, u16),
        now: Millis,
        rng: &mut impl CryptoRng,
        out: &mut Vec<Effect>,
    ) {
        let Some(exchange) = self.exchanges.get(&id) else { return };
        let (ask, left) = (exchange.ask, exchange.leaving.is_some());
        if ask == AskId::PROBE {
            return self.reached(id, now, out);
        }
        let (provider, model) = (exchange.provider, exchange.model.clone());
        self.wipe(id, Millis(0));
        let outcome = if refusal.0 == 5 { Outcome::Overloaded } else { Outcome::Refused };
        self.judge(provider, &model, outcome, now, out);
        if left {
            return;
        }
        let Some(question) = self.questions.get_mut(&ask) else { return };
        question.refusal = Some(refusal);
        // Another provider would find a bad request as bad.
        if refusal.0 == 1 {
            let end = End::Error { code: refusal.0, retry_after: refusal.1 };
            return self.end(ask, end, now, rng, out);
        }
        self.advance(ask, now, rng, out);
    }

    /// Ends a question for the user; what is still under way is cancelled.
    pub(super) fn end(&mut self, id: AskId, end: End, now: Millis, rng: &mut impl CryptoRng, out: &mut Vec<Effect>) {
        let Some(question) = self.questions.remove(&id) else { return };
        match end {
            End::Complete | End::Cancelled if question.total > 0 || question.json_events > 0 => {
                self.quota.answered(id.0)
            }
            End::Complete => self.quota.answered(id.0),
            _ => self.quota.failed(id.0, Millis(now.0.saturating_add(PREKEY_MS))),
        }
        if question.winner.is_some() {
            out.push(Effect::Mirror(id, None));
        }
        out.push(Effect::Event(Event::Ended { ask: id, end }));
        for exchange in self.open(id) {
            self.leave(exchange, now, rng, out);
        }
    }

    /// What time alone brings to questions.
    pub(super) fn expire_questions(&mut self, now: Millis, rng: &mut impl CryptoRng, out: &mut Vec<Effect>) {
        let due: Vec<AskId> = self.questions.iter().filter(|(_, q)| q.wake_at() <= now).map(|(id, _)| *id).collect();
        for id in due {
            let Some(question) = self.questions.get_mut(&id) else { continue };
            if now >= question.deadline {
                let end = if question.winner.is_some() { End::Truncated } else { End::Silent };
                self.end(id, end, now, rng, out);
            } else if question.hedge_at.is_some_and(|at| at <= now) {
                self.hedge(id, now, rng, out);
            } else {
                question.resolve_until = None;
                self.advance(id, now, rng, out);
            }
        }
    }
}

/// How long an accept is awaited before the request is sent again.
pub(super) fn patience(standing: &Standing) -> u64 {
    let twice = standing.accept_p95().map_or(0, |ms| u64::from(ms).saturating_mul(2));
    twice.clamp(PATIENCE_MS.0, PATIENCE_MS.1)
}

/// The same bytes under a new timestamp.
fn request(exchange: &Exchange, now: Millis, rng: &mut impl CryptoRng) -> Publication {
    Publication::new(Topic::Requests(exchange.provider), exchange.payload.clone(), now, rng)
}
