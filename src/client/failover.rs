//! A question that its provider does not answer goes to another one: beside it while the first word is late, after it
//! when it fails, and ahead of its queue when a slot is free elsewhere.

use super::{
    AskId, Choice, Client, Effect, End, Event,
    ask::{Calls, Chosen, Hedge, Question},
    exchange::ExchangeId,
    standing::Hedging,
};
use crate::announcement::heartbeat::CONTINUES;
use crate::effect::Millis;
use crate::envelope::prompt::MAX_BODY;
use crate::health::Outcome;
use crate::message::MAX_MODEL_ID;
use alloc::vec::Vec;
use rand_core::CryptoRng;

/// Queues are left for a free slot so often at most.
const MOVES: u8 = 2;
/// More than a request's body has beside the question and the beginning of its answer.
const AROUND: usize = MAX_MODEL_ID + 256;

impl Client {
    /// The first word is late: somebody else is asked as well, as far as the budget allows.
    pub(super) fn hedge(&mut self, id: AskId, now: Millis, rng: &mut impl CryptoRng, out: &mut Vec<Effect>) {
        let Some(question) = self.questions.get_mut(&id) else { return };
        question.hedge_at = None;
        if question.total > 0 || question.json_events > 0 || self.open(id).len() != 1 || !self.online {
            return;
        }
        let Some(chosen) = self.next_provider(id, now, rng) else { return };
        if self.standing.wishes.hedging == Hedging::Allowed && self.quota.spend_hedge() {
            // It is spent on disk before the request leaves.
            self.keep_known(out);
            if let Some(question) = self.questions.get_mut(&id) {
                question.hedge = Hedge::Yes;
            }
            out.push(Effect::Event(Event::Hedged { ask: id, provider: chosen.provider }));
            self.send(id, chosen, now, rng, out);
        }
    }

    /// An exchange came to nothing. Whoever else was asked may still answer; else the next provider takes over, from
    /// what was shown where it can; else the question ends.
    pub(super) fn fell(
        &mut self,
        id: ExchangeId,
        end: End,
        outcome: Outcome,
        now: Millis,
        rng: &mut impl CryptoRng,
        out: &mut Vec<Effect>,
    ) {
        let Some(exchange) = self.exchanges.get(&id) else { return };
        let (ask, provider, model) = (exchange.ask, exchange.provider, exchange.model.clone());
        self.judge(provider, &model, outcome, now, out);
        let next = self.next_provider(ask, now, rng);
        let Some(question) = self.questions.get_mut(&ask) else { return };
        let was_shown = question.winner == Some(id);
        if was_shown {
            question.winner = None;
            out.push(Effect::Mirror(ask, None));
        }
        let rivals = self.open(ask).len() > 1;
        let free = question_is_free(self.questions.get(&ask));
        match next.filter(|_| free && !rivals) {
            None if rivals => self.leave(id, now, rng, out),
            None => {
                // The text stands in the way of nobody: its end is what the user hears.
                if let Some(question) = self.questions.get_mut(&ask) {
                    question.winner = was_shown.then_some(id);
                }
                self.end(ask, end, now, rng, out);
            }
            Some(chosen) => {
                self.leave(id, now, rng, out);
                self.take_over(ask, chosen, now, rng, out);
            }
        }
    }

    /// Another provider answers from here on.
    fn take_over(&mut self, id: AskId, chosen: Chosen, now: Millis, rng: &mut impl CryptoRng, out: &mut Vec<Effect>) {
        let continues = self.continues(id, &chosen, now);
        let Some(question) = self.questions.get_mut(&id) else { return };
        if question.total > 0 {
            let anew = !continues;
            if anew {
                question.shown.clear();
            }
            out.push(Effect::Event(Event::Continued { ask: id, provider: chosen.provider, anew }));
        }
        self.send(id, chosen, now, rng, out);
    }

    /// Whether a provider's model goes on from what was shown, where that is known and a request holds it.
    pub(super) fn continues(&self, ask: AskId, chosen: &Chosen, now: Millis) -> bool {
        let Some(question) = self.questions.get(&ask) else { return false };
        let said = question.ask.content.len().saturating_add(question.shown.len());
        if question.shown.is_empty() || said.saturating_add(AROUND) > MAX_BODY {
            return false;
        }
        let seen = self.registry.seen(&chosen.provider, now);
        let model = seen.and_then(|seen| seen.models.into_iter().find(|model| model.id == chosen.model));
        model.is_some_and(|model| model.capabilities & CONTINUES != 0)
    }

    /// Whether another provider takes a stalled answer over at once: nothing of it was shown, or it can go on from what
    /// was. One that would have to begin anew comes only when the first is given up, and nobody while it is our own
    /// network that is silent.
    pub(super) fn can_move(&self, ask: AskId, silent: bool, now: Millis, rng: &mut impl CryptoRng) -> bool {
        question_is_free(self.questions.get(&ask))
            && self.online
            && self.next_provider(ask, now, rng).is_some_and(|chosen| silent || self.continues(ask, &chosen, now))
    }

    /// The question would wait in this provider's queue. Where another has a free slot it goes there instead, which
    /// costs nobody anything: what waits is not computed yet.
    pub(super) fn leave_queue(
        &mut self,
        ask: AskId,
        id: ExchangeId,
        now: Millis,
        rng: &mut impl CryptoRng,
        out: &mut Vec<Effect>,
    ) -> Left {
        if self.open(ask).len() > 1 || !self.online {
            return Left::No;
        }
        let Some(next) = self.next_provider(ask, now, rng).filter(|next| next.free) else { return Left::No };
        let Some(question) = self.questions.get_mut(&ask) else { return Left::No };
        if question.ask.choice != Choice::Automatic || question.winner.is_some() || question.moves >= MOVES {
            return Left::No;
        }
        question.moves += 1;
        self.leave(id, now, rng, out);
        self.send(ask, next, now, rng, out);
        Left::Yes
    }
}

/// Whether a question left a queue.
#[derive(PartialEq, Eq)]
pub(super) enum Left {
    /// It did.
    Yes,
    /// It stays.
    No,
}

/// Whether another provider may go on with a question: the choice was left open, and no part of a tool call was shown.
fn question_is_free(question: Option<&Question>) -> bool {
    question.is_some_and(|question| question.ask.choice == Choice::Automatic && question.calls == Calls::None)
}
