//! A client of a simulated market: the real machine, which shares its table of providers with all others.

use super::{Happening, Market, worker::answer_of};
use privacyai::{
    client::{self, AskId, Client, End, Event},
    effect::Millis,
    identity::ProviderId,
};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use std::collections::HashMap;

/// One client.
pub(super) struct User {
    pub(super) machine: Client,
    pub(super) wake: Option<Millis>,
    pub(super) named: HashMap<AskId, ProviderId>,
    pub(super) texts: HashMap<AskId, String>,
    pub(super) begun: HashMap<AskId, Millis>,
    pub(super) asked: HashMap<AskId, Millis>,
    pub(super) answered: u32,
    pub(super) open: usize,
}

impl Market {
    pub(super) fn user(&mut self, index: usize, input: client::Input) {
        let now = self.now;
        let mut rng = ChaCha8Rng::seed_from_u64(self.rng.next_u64());
        let user = &mut self.users[index];
        user.machine.swap_registry(&mut self.table);
        let effects = user.machine.handle(input, now, &mut rng);
        user.machine.swap_registry(&mut self.table);
        for effect in effects {
            match effect {
                client::Effect::Subscribe { content_topic, provider: Some(_), .. } => {
                    self.listeners.entry(content_topic).or_default().push(index);
                }
                client::Effect::Unsubscribe { content_topic, .. } => {
                    if let Some(listeners) = self.listeners.get_mut(&content_topic) {
                        listeners.retain(|listener| *listener != index);
                    }
                }
                client::Effect::Publish { message, .. } => {
                    let Some(worker) = self.by_topic.get(message.content_topic()).copied() else {
                        self.misrouted += 1;
                        continue;
                    };
                    self.sent += usize::from(message.payload().len() > 1_000);
                    if self.passes(worker) {
                        let delay = self.delay();
                        let (topic, payload) = (message.content_topic().to_owned(), message.payload().to_vec());
                        self.schedule(delay, Happening::ToWorker(worker, topic, payload));
                    }
                }
                client::Effect::Event(event) => self.heard(index, event),
                client::Effect::WakeAt(at) => self.users[index].wake = Some(at),
                _ => {}
            }
        }
        // A client without a question looks at nothing.
        if let (Some(wake), true) = (self.users[index].wake, self.users[index].open > 0) {
            self.schedule(wake.0.saturating_sub(now.0), Happening::WakeUser(index));
        }
    }

    fn heard(&mut self, index: usize, event: Event) {
        let user = &mut self.users[index];
        match event {
            Event::Accepted { ask, provider, .. } => drop(user.named.insert(ask, provider)),
            Event::Text { ask, text } => {
                if let Some(asked) = user.asked.remove(&ask) {
                    self.firsts.push(self.now.0 - asked.0);
                }
                user.texts.entry(ask).or_default().push_str(&text);
            }
            Event::Ended { ask, end } => {
                user.open -= 1;
                let text = user.texts.remove(&ask).unwrap_or_default();
                let named = user.named.remove(&ask);
                let word = format!("{end:?}").to_lowercase();
                *self.ends.entry(word).or_default() += 1;
                if end == End::Complete {
                    user.answered += 1;
                    let by = self.workers.iter().position(|worker| Some(worker.id) == named);
                    let right = by.is_some_and(|by| text.ends_with(&answer_of(by, ask.0)));
                    self.misrouted += usize::from(!right);
                }
            }
            _ => {}
        }
    }
}
