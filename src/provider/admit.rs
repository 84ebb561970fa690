//! From a request's bytes to a running session: the checks of protocol section 5.2 in their order. What fails before
//! the request is known to be authentic and timely is dropped, all alike.

use super::{
    Applicant, DEADLINE_MS, Drain, Effect, Job, Note, Offer, Provider, SessionId,
    load::Refusal,
    pace::Timer,
    rate::{Pace, Rate},
    session::{Phase, Session},
};
use crate::announcement::heartbeat::CONTINUES;
use crate::effect::Millis;
use crate::envelope::{
    prompt::{Kid, Opened, Request, Rid},
    response::Accept,
};
use crate::error::Code;
use crate::message::{Body, Op};
use crate::replay::{Contexts, ReplayCache};
use alloc::{collections::BTreeMap, vec::Vec};
use rand_core::CryptoRng;

/// Sessions that run at once (protocol section 5.10).
const LIVE: usize = 4_096;
/// A refusal can be sent again for so long.
const REFUSED_MS: u64 = 12_000;
/// Probes answered a second, and saved up: each costs public-key operations and nothing pays for it.
const PROBES: Pace = Pace { every_ms: 100, saved: 10 };
/// Probes above that which are told so: whoever floods a provider must not make it look silent to others. What is above
/// this too is dropped.
const REFUSED_PROBES: Pace = Pace { every_ms: 10, saved: 100 };
/// A client whose probe came among too many may try again after so many seconds.
const PROBE_RETRY_S: u16 = 60;
/// A client whose request came while the provider drains may try again after so many seconds.
const DRAIN_RETRY_S: u16 = 30;

/// What is remembered of requests.
#[derive(Default)]
pub(super) struct Requests {
    replay: ReplayCache,
    sessions: BTreeMap<Rid, SessionId>,
    contexts: Contexts,
    probes: Rate,
    refused_probes: Rate,
}

impl Requests {
    /// A prekey was erased, so what it decapsulated goes too; what newer ones did costs one more decapsulation.
    pub(super) fn erase_contexts(&mut self) {
        self.contexts = Contexts::default();
    }

    /// The session of this request is over.
    pub(super) fn done(&mut self, rid: &Rid) {
        self.sessions.remove(rid);
    }
}

/// What came of a request.
enum Outcome {
    Dropped,
    Replayed,
    Opened(Rid, Kid, Opened),
}

impl Provider {
    /// Takes a request's bytes.
    pub(super) fn request(&mut self, payload: &[u8], now: Millis, rng: &mut impl CryptoRng, out: &mut Vec<Effect>) {
        match self.open(payload, now, rng, out) {
            Outcome::Dropped => out.push(Effect::Note(Note::Dropped)),
            Outcome::Replayed => out.push(Effect::Note(Note::Replayed)),
            Outcome::Opened(rid, kid, opened) => self.admit(rid, &kid, opened, now, rng, out),
        }
    }

    /// Steps 1 to 8.
    fn open(&mut self, payload: &[u8], now: Millis, rng: &mut impl CryptoRng, out: &mut Vec<Effect>) -> Outcome {
        let Ok(request) = Request::decode(payload) else { return Outcome::Dropped };
        let id = self.id();
        if self.announcer.prekey(request.kid()).is_none() {
            self.announcer.republish(now, rng, out);
            return Outcome::Dropped;
        }
        let rid = request.rid();
        if let Some(session) = self.requests.sessions.get(&rid).and_then(|id| self.sessions.get_mut(id)) {
            self.frames.extend(session.accept_frame(rng));
            return Outcome::Replayed;
        }
        if self.requests.replay.contains(&rid) {
            return Outcome::Replayed;
        }
        let mut context = match self.requests.contexts.take(&rid, now) {
            Some(context) => context,
            None => {
                let Some((prekey, bhash)) = self.announcer.prekey(request.kid()) else { return Outcome::Dropped };
                let Ok(context) = prekey.decapsulate(&request, &id, bhash) else { return Outcome::Dropped };
                context
            }
        };
        let opened = match context.open(&request) {
            Ok(opened) => opened,
            Err(_) => {
                self.requests.contexts.keep(rid, context, now);
                return Outcome::Dropped;
            }
        };
        if opened.body.verify_time(now).is_err() {
            return Outcome::Dropped;
        }
        match self.requests.replay.insert(rid, &opened.body, now) {
            Ok(()) => Outcome::Opened(rid, *request.kid(), opened),
            Err(_) => Outcome::Replayed,
        }
    }

    /// Steps 9 and 10.
    fn admit(
        &mut self,
        rid: Rid,
        kid: &Kid,
        opened: Opened,
        now: Millis,
        rng: &mut impl CryptoRng,
        out: &mut Vec<Effect>,
    ) {
        let Opened { mut body, keys } = opened;
        if body.model.is_empty()
            && let Some(offer) = self.config.offers.first()
        {
            body.model = offer.model.id.clone();
        }
        let verdict = self.verdict(&body, kid, keys.channel_binding(), now);
        let accept = match verdict {
            Verdict::Run | Verdict::Probe => {
                Accept::Accepted { estimate_s: self.load.estimate(&self.config.offers, &body.model) }
            }
            Verdict::Refuse(code, retry_after_s) => Accept::Refused { code: code.into(), retry_after_s },
            Verdict::Silent => return out.push(Effect::Note(Note::Dropped)),
        };
        let Ok(keys) = keys.respond(rng) else { return out.push(Effect::Note(Note::Dropped)) };
        let offer = self.config.offers.iter().find(|offer| offer.model.id == body.model);
        let prices = offer.map_or((0, 0), |offer| (offer.model.price_in, offer.model.price_out));
        self.next_session += 1;
        let id = SessionId(self.next_session);
        let mut session = Session::new(rid, &body, prices, keys, accept, now);
        self.frames.extend(session.accept_frame(rng));
        self.set_timer(2 * session.tick_ms(), Timer::Accept(id), now);
        self.requests.sessions.insert(rid, id);
        if let Verdict::Refuse(code, _) = verdict {
            session.phase = Phase::Refused;
            out.push(Effect::Note(Note::Refused(code.into())));
        }
        let refused = session.phase == Phase::Refused;
        self.sessions.insert(id, session);
        if refused {
            return self.linger(id, REFUSED_MS, now);
        }
        self.live += 1;
        self.expect_controls(id, 0, None);
        self.set_timer(DEADLINE_MS, Timer::Deadline(id), now);
        self.settle(id, now, out);
        if let Verdict::Probe = verdict {
            out.push(Effect::Note(Note::Probed));
            return self.finish(id, "stop", now, rng, out);
        }
        self.load.begin(id, body.model.clone());
        out.push(Effect::Note(Note::Accepted));
        let deadline = Millis(now.0.saturating_add(DEADLINE_MS));
        out.push(Effect::Infer(Job {
            session: id,
            model: body.model,
            content: body.content,
            prefix: body.prefix,
            deadline,
        }));
    }

    fn verdict(&mut self, body: &Body, kid: &Kid, cb: &[u8; 32], now: Millis) -> Verdict {
        if body.verify_supported().is_err() {
            return Verdict::Refuse(Code::Unsupported, 0);
        }
        if body.op == Op::Probe && self.requests.probes.take(PROBES, now).is_err() {
            return match self.requests.refused_probes.take(REFUSED_PROBES, now) {
                Ok(()) => Verdict::Refuse(Code::Overloaded, PROBE_RETRY_S),
                Err(_) => Verdict::Silent,
            };
        }
        if self.drain != Drain::No {
            return Verdict::Refuse(Code::Overloaded, DRAIN_RETRY_S);
        }
        let continues = |offer: &Offer| offer.model.id == body.model && offer.model.capabilities & CONTINUES != 0;
        if !body.prefix.is_empty() && !self.config.offers.iter().any(continues) {
            return Verdict::Refuse(Code::Unsupported, 0);
        }
        match self.load.admit(&self.config.offers, &body.model) {
            Err(Refusal::Unknown) => Verdict::Refuse(Code::ModelUnavailable, 0),
            Err(Refusal::Full) => Verdict::Refuse(Code::Overloaded, self.load.retry_after()),
            Ok(()) if self.live >= LIVE => Verdict::Refuse(Code::Overloaded, self.load.retry_after()),
            Ok(()) if body.op == Op::Probe => Verdict::Probe,
            Ok(()) => match self.admission.judge(&Applicant { kid, cb, proof: &body.proof }, now) {
                Ok(()) => Verdict::Run,
                Err(denied) => Verdict::Refuse(denied.code, denied.retry_after_s),
            },
        }
    }
}

/// What is done with a request that opened.
#[derive(Clone, Copy)]
enum Verdict {
    Run,
    Probe,
    Refuse(Code, u16),
    Silent,
}
