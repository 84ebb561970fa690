//! What the client machine tells about questions and providers, as changes of messages and updates for panels.

use super::asked::Asked;
use super::provider::{self, Known};
use super::{Background, PROVIDERS, Running};
use crate::conversation::{self, Message};
use crate::mirror;
use crate::platform;
use crate::port::{FreeView, MessageView, ProviderView, Update};
use crate::settings;
use gloo::timers::callback::Timeout;
use privacyai::client::{Ask, AskId, Choice, End, Event, Input, Seen};
use privacyai::identity::ProviderId;
use privacyai::map::Map;
use privacyai::ranking::Reason;
use privacyai::receipt::Counts;
use std::str::FromStr;

/// Times to the first word that are shown of a provider.
const RECENT: usize = 20;

/// The order of the automatic choice is made anew at most so often for what is shown, in ms.
const PLACES_MS: f64 = 500.0;

/// Providers that are told at once, some milliseconds of work.
const AT_ONCE: usize = 32;

/// ... and the ms until the next of them.
const DUE_MS: u32 = 10;

/// Providers that a new panel gets with its first word.
const FIRST: usize = 64;

impl Background {
    pub(super) async fn show(&mut self, event: Event) {
        match event {
            Event::Provider(seen) => self.see(seen),
            Event::ClockOff(seconds) => {
                self.way.set_clock_off(seconds);
                self.tell_network();
            }
            Event::Sent { ask, provider, model, why } => self.asked(ask, provider, model, why, false),
            Event::Accepted { ask, provider, model, why } => self.asked(ask, provider, model, why, true),
            Event::Hedged { ask, provider } => {
                let name = self.provider_name(&provider);
                self.change(ask, |message, _| message.also_asked = name);
            }
            Event::Continued { ask, provider, anew } => {
                let name = self.provider_name(&provider).unwrap_or_else(|| provider.fingerprint());
                self.change(ask, |message, _| {
                    let at = message.text.len() as u64;
                    if message.cuts.is_none() {
                        message.begun_by.clone_from(&message.provider_name);
                    }
                    message.cuts.get_or_insert_default().push((at, name, anew));
                });
            }
            Event::Free(left) => {
                let free = FreeView {
                    limit: left.limit,
                    used: left.used,
                    lost: left.lost,
                    open: left.open,
                    reset_ms: left.reset.0,
                };
                self.free = Some(free);
                self.panels.tell_all(&Update::Free { free });
            }
            Event::Text { ask, text } => self.text(ask, text),
            Event::Json { ask, json } => {
                if let Some(running) = self.running.get(&ask.0) {
                    self.book.append_json(&running.conversation, &running.answer, &json);
                }
            }
            Event::Usage { ask, prompt, completion, finish, .. } => self.change(ask, |message, _| {
                message.tokens = Some((prompt, completion));
                message.finish = Some(finish);
            }),
            Event::Receipt { ask, kept } => self.change(ask, |message, _| {
                let state = match kept.map(|kept| kept.counts) {
                    None => "bad",
                    Some(Counts::Implausible) => "implausible",
                    Some(Counts::Plausible) => "valid",
                };
                message.receipt = Some(state.into());
            }),
            Event::Resumed { ask, provider, text_bytes, json_events } => {
                self.resumed(ask, provider, text_bytes, json_events);
            }
            Event::Stalled(ask) => {
                // Its machine may hang, and with it the node by which we came.
                let provider = self.running.get(&ask.0).and_then(|running| running.provider);
                self.transport.avoid(&self.owner(provider).peer_ids);
                self.change(ask, |message, _| message.phase = "stalled".into());
            }
            Event::Flows(ask) => self.change(ask, |message, _| {
                message.phase = if message.first_ms.is_some() { "streaming" } else { "waiting" }.into();
            }),
            Event::Ended { ask, end } => self.end(ask, &end),
        }
    }

    fn asked(&mut self, ask: AskId, provider: ProviderId, model: String, why: Option<Reason>, accepted: bool) {
        let name = self.provider_name(&provider);
        let asked = Asked { provider, name, model, why: why.map(|why| why.to_string()) };
        let mut answers = false;
        self.change(ask, |message, ms| answers = asked.note(message, accepted.then_some(ms)));
        if let Some(running) = self.running.get_mut(&ask.0).filter(|_| answers) {
            running.provider = Some(provider);
        }
    }

    /// After a start: what was under way goes on from its mirror, or is truncated.
    pub(super) async fn resume(&mut self, mut mirrors: Map<u64, Vec<u8>>) {
        let live = self.book.live();
        for (conversation, live) in live {
            self.load(&conversation).await;
            let asked = self.asked_before(AskId(live.ask), &conversation, &live.answer);
            let running = Running {
                conversation,
                answer: live.answer,
                began: platform::monotonic_ms(),
                provider: None,
                unsent: false,
                held: None,
            };
            self.running.insert(live.ask, running);
            match mirrors.remove(&live.ask) {
                Some(bytes) => self.step(Input::Resume(asked, bytes)).await,
                None => self.end(AskId(live.ask), &End::Truncated),
            }
        }
        for (ask, _) in mirrors {
            mirror::keep(ask, None);
        }
    }

    /// A question that was under way. It gives a reason where the choice was left open.
    fn asked_before(&self, id: AskId, conversation: &str, answer: &str) -> Ask {
        let view = self.book.message(conversation, answer).map(|message| &message.view);
        let pinned = view.filter(|view| view.why.is_none()).and_then(|view| view.provider.as_deref());
        let pinned = pinned.and_then(|id| ProviderId::from_str(id).ok());
        Ask {
            id,
            choice: pinned.map_or(Choice::Automatic, Choice::Pinned),
            model: self.settings.model.clone(),
            content: self.book.content(conversation, answer),
            profile: settings::profile(&self.settings),
            last: None,
            unit: None,
        }
    }

    /// The nodes that carry a question out and its answer back.
    pub(super) fn set_route(&mut self, ask: u64, out: String, back: String) {
        let Some(running) = self.running.get_mut(&ask) else { return };
        running.unsent = false;
        let owner = running.provider;
        let own = self.owner(owner).peer_ids;
        let (out_is_own, back_is_own) = (own.contains(&out), own.contains(&back));
        self.change(AskId(ask), |message, _| {
            // Later publications of a question are repairs; who saw it first matters.
            message.route.get_or_insert((out, back, out_is_own, back_is_own));
        });
    }

    /// Ends a question with a phase of its own.
    pub(super) fn finish(&mut self, ask: u64, phase: &str, change: impl FnOnce(&mut MessageView)) {
        self.change(AskId(ask), |message, ms| {
            message.phase = phase.into();
            message.total_ms = Some(ms);
            change(message);
        });
        if let Some(running) = self.running.remove(&ask) {
            self.book.end(&running.conversation, &running.answer, platform::now().0);
            self.tell_conversations();
        }
        mirror::keep(ask, None);
    }

    pub(super) fn tell_conversations(&self) {
        self.panels.tell_all(&Update::Conversations { conversations: self.book.rows() });
    }

    /// All providers are told anew: whom the nodes hide the user from, whom the lists leave out, or the order changed.
    pub(super) fn tell_providers(&mut self) {
        self.due = self.providers.keys().map(|id| (*id, ())).collect();
        self.tell_due();
    }

    /// Tells some of those that are due, and the others soon: a thousand at once would hold up whatever else there is.
    pub(super) fn tell_due(&mut self) {
        for _ in 0..AT_ONCE {
            let Some((id, ())) = self.due.pop_first() else { return };
            if let Some(seen) = self.providers.get(&id) {
                self.panels.tell_all(&Update::Provider { provider: self.provider_view(seen) });
            }
        }
        self.tell_soon();
    }

    fn tell_soon(&self) {
        let mut ticks = self.ticks.clone();
        Timeout::new(DUE_MS, move || drop(ticks.try_send(super::Event::Due))).forget();
    }

    /// The first providers for a new panel: those that it shows without being asked. The others are due.
    pub(super) fn first_providers(&mut self) -> Vec<ProviderView> {
        let chosen = self.settings.provider.as_deref().and_then(|id| ProviderId::from_str(id).ok());
        let best = self.places.iter().map(|place| place.provider);
        let mut first: Vec<ProviderId> = Vec::new();
        for id in chosen.into_iter().chain(best).chain(self.providers.keys().copied()) {
            if first.len() < FIRST && !first.contains(&id) {
                first.push(id);
            }
        }
        let views = first.iter().filter_map(|id| Some(self.provider_view(self.providers.get(id)?))).collect();
        if self.providers.len() > first.len() {
            self.due.extend(self.providers.keys().filter(|id| !first.contains(id)).map(|id| (*id, ())));
            self.tell_soon();
        }
        views
    }

    pub(super) fn provider_view(&self, seen: &Seen) -> ProviderView {
        let model = self.settings.model.as_deref();
        let model = model.filter(|id| seen.models.iter().any(|model| model.id == *id));
        let model = model.or(seen.models.first().map(|model| model.id.as_str())).unwrap_or_default();
        let now = platform::now();
        let place = self.places.iter().position(|place| place.provider == seen.id);
        let known = Known {
            health: self.client.health(&seen.id, model),
            felt: self.client.felt(&seen.id, now),
            recent_first_ms: self.recent_first_ms.get(&seen.id).map_or(&[], Vec::as_slice),
            place: place.and_then(|at| Some((u32::try_from(at).ok()?, self.places.get(at)?))),
            blocked: settings::leaves_out(&self.settings, &seen.id.to_string()),
        };
        provider::view(seen, &self.transport.connected_peers(), &known, now)
    }

    /// The order of the automatic choice anew, and each provider with its place in it.
    pub(super) fn tell_places(&mut self) {
        self.place();
        self.tell_providers();
    }

    fn place(&mut self) {
        self.places = self.client.places(self.settings.model.as_deref(), platform::now());
        self.placed = platform::monotonic_ms();
    }

    fn see(&mut self, seen: Seen) {
        if !self.providers.contains_key(&seen.id) && self.providers.len() >= PROVIDERS {
            // The client's own table forgets the least used; here the longest unheard goes.
            let oldest = self.providers.values().min_by_key(|known| known.heard).map(|known| known.id);
            if let Some(oldest) = oldest {
                self.providers.remove(&oldest);
            }
        }
        // An order a moment old is good enough to be shown, and a market of thousands is heard often.
        if platform::monotonic_ms() - self.placed > PLACES_MS || !self.places.iter().any(|it| it.provider == seen.id) {
            self.place();
        }
        let view = self.provider_view(&seen);
        if seen.usable && self.way.is_connected() && self.way.discovered() {
            self.tell_network();
        }
        self.providers.insert(seen.id, seen);
        self.panels.tell_all(&Update::Provider { provider: view });
    }

    fn text(&mut self, ask: AskId, text: String) {
        let Some(running) = self.running.get(&ask.0) else { return };
        let (conversation, answer) = (running.conversation.clone(), running.answer.clone());
        let provider = running.provider;
        let Some(message) = self.book.message(&conversation, &answer) else { return };
        let is_first = message.view.first_ms.is_none();
        if is_first || message.view.phase != "streaming" {
            let mut measured = None;
            self.change(ask, |message, ms| {
                message.phase = "streaming".into();
                measured = Some(*message.first_ms.get_or_insert(ms));
            });
            if let (true, Some(provider), Some(ms)) = (is_first, provider, measured) {
                let recent = self.recent_first_ms.get_or_insert_with(provider, Vec::new);
                if recent.len() == RECENT {
                    recent.remove(0);
                }
                recent.push(ms);
            }
        }
        self.book.append(&conversation, &answer, &text);
        self.panels.tell_all(&Update::Delta { conversation, answer, text });
    }

    fn resumed(&mut self, ask: AskId, provider: ProviderId, text_bytes: u64, json_events: u64) {
        let Some(running) = self.running.get_mut(&ask.0) else { return };
        running.provider = Some(provider);
        let (conversation, answer) = (running.conversation.clone(), running.answer.clone());
        if self.book.cut(&conversation, &answer, text_bytes, json_events) {
            if let Some(conversation) = self.book.view(&conversation) {
                self.panels.tell_all(&Update::Conversation { conversation });
            }
        } else {
            // What lies between is not known any more, so what was kept is all that is shown.
            self.finish(ask.0, "truncated", |_| ());
            self.later.push_back(Input::Cancel(ask));
        }
    }

    fn end(&mut self, ask: AskId, end: &End) {
        let accepted = self
            .running
            .get(&ask.0)
            .and_then(|running| self.book.message(&running.conversation, &running.answer)?.view.accept_ms);
        let open = self.client.open_until(ask);
        let unit = match end {
            End::Limit => None,
            _ if open.is_some() => Some("open"),
            _ if accepted.is_some() => Some("used"),
            _ => Some("back"),
        };
        self.change(ask, |message, _| {
            message.unit = unit.map(Into::into);
            message.open_until_ms = open.map(|until| until.0);
        });
        let no_network = self.running.get(&ask.0).is_some_and(|running| running.unsent) && !self.way.is_connected();
        match end {
            End::Complete => self.finish(ask.0, "complete", |_| ()),
            End::Truncated => self.finish(ask.0, "truncated", |_| ()),
            End::Limit => self.finish(ask.0, "limit", |_| ()),
            End::Cancelled => self.finish(ask.0, "stopped", |_| ()),
            End::Silent | End::NoProvider if no_network => self.finish(ask.0, "no_network", |_| ()),
            End::Silent => self.finish(ask.0, "silent", |_| ()),
            End::NoProvider => self.finish(ask.0, "no_provider", |_| ()),
            End::Error { code, retry_after } => {
                let (code, retry_after) = (*code, *retry_after);
                self.finish(ask.0, "error", |message| {
                    message.code = Some(code);
                    message.retry_after = Some(retry_after);
                });
            }
            End::KeyChanged(provider) => {
                let (id, name) = (provider.to_string(), self.provider_name(provider));
                self.finish(ask.0, "key_changed", |message| {
                    message.provider = Some(id);
                    message.provider_name = name;
                });
            }
        }
    }

    fn provider_name(&self, provider: &ProviderId) -> Option<String> {
        let seen = self.providers.get(provider)?;
        Some(if seen.name.is_empty() { seen.handle.clone() } else { seen.name.clone() })
    }

    /// Changes an answer and tells the panels; the change is given the ms since the question.
    fn change(&mut self, ask: AskId, change: impl FnOnce(&mut MessageView, u32)) {
        let Some(running) = self.running.get(&ask.0) else { return };
        let ms = (platform::monotonic_ms() - running.began) as u32;
        let (conversation, answer) = (running.conversation.clone(), running.answer.clone());
        let changed = self.book.change(&conversation, &answer, |message: &mut Message| {
            // A late word about an answer that ended changes nothing but its facts.
            let ended = !conversation::is_live(&message.view.phase);
            let phase = message.view.phase.clone();
            change(&mut message.view, ms);
            if ended {
                message.view.phase = phase;
            }
        });
        if let Some(message) = changed {
            let message = message.view.clone();
            self.panels.tell_all(&Update::Message { conversation, message });
        }
    }
}
