//! Receiving: which topic is subscribed at which node, again after a node came back, and store queries.

use super::light_node::{self, Decoder, LightNode};
use super::{Happening, LATE_MS, LONGEST_PAYLOAD, Owner, Query, Transport, within};
use crate::platform;
use crate::route;
use futures::channel::{mpsc, oneshot};
use js_sys::Function;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;

/// Tries to have a subscription confirmed by a node that is connected, and the pause between two in milliseconds.
const TRIES: (u32, u32) = (5, 200);

/// A node that is the only one has so long to confirm a subscription, in milliseconds.
const CONFIRM_MS: u32 = 10_000;

/// A node has so long to confirm the end of a subscription, in milliseconds.
const LEAVE_MS: u32 = 2_000;

/// How often a new subscription looks whether the old one of its topic has ended, in milliseconds.
const LEAVING_POLL_MS: u32 = 20;

/// How far back the newest messages reach, in seconds: a heartbeat is valid for 90 (protocol section 2.4).
const NEWEST_S: u64 = 100;

/// Most topics at once: discovery and one a provider that is being asked; a node takes 1,000.
const TOPICS: usize = 256;

/// Called with the node's peer id, once that is bound, and each message.
type Listener = Closure<dyn FnMut(JsValue, JsValue)>;

/// A node that confirmed a subscription, and what it was subscribed by.
type Bound = (usize, LightNode, Decoder);

/// One subscribed topic.
pub(super) struct Subscription {
    shard: u16,
    owner: Owner,
    callback: Rc<Listener>,
    /// The nodes that confirmed it.
    bound: Vec<Bound>,
    /// Nodes at which it is being made.
    making: Vec<usize>,
}

impl Transport {
    /// Receives a topic: discovery at every node, a provider's topic at one, not the provider's own if there is
    /// another.
    pub fn subscribe(&self, content_topic: &str, shard: u16, owner: Owner) {
        {
            let mut inner = self.0.borrow_mut();
            if inner.subscriptions.contains_key(content_topic) || inner.subscriptions.len() >= TOPICS {
                return;
            }
            let callback = Rc::new(listener(inner.happenings.clone(), content_topic.to_owned()));
            let subscription = Subscription { shard, owner, callback, bound: Vec::new(), making: Vec::new() };
            inner.subscriptions.insert(content_topic.to_owned(), subscription);
        }
        self.place(content_topic);
    }

    /// Receives it no longer.
    pub fn unsubscribe(&self, content_topic: &str) {
        let removed = self.0.borrow_mut().subscriptions.remove(content_topic);
        let Some(subscription) = removed else { return };
        let (transport, topic) = (self.clone(), content_topic.to_owned());
        *self.0.borrow_mut().leaving.get_or_insert_with(topic.clone(), || 0) += 1;
        spawn_local(async move {
            for (_, light, decoder) in &subscription.bound {
                within(LEAVE_MS, light.unsubscribe(decoder)).await;
            }
            let mut inner = transport.0.borrow_mut();
            if let Some(count) = inner.leaving.get_mut(&topic) {
                *count -= 1;
            }
            inner.leaving.retain(|_, count| *count > 0);
            drop(inner);
            // Only now no node can call it any more.
            drop(subscription);
        });
    }

    /// Asks the stores of all nodes for what a topic kept in the last `seconds`, and those of nodes that come later.
    pub fn query(&self, content_topic: &str, shard: u16, seconds: u64) {
        let query = Query { content_topic: content_topic.to_owned(), shard, seconds };
        let (run, count) = {
            let mut inner = self.0.borrow_mut();
            inner.queries.retain(|known| known.content_topic != query.content_topic);
            if inner.queries.len() < TOPICS {
                inner.queries.push(query.clone());
            }
            (inner.run, inner.nodes.len())
        };
        for index in 0..count {
            self.query_node(run, index, query.clone());
        }
    }

    /// The node that listens for this provider's answers.
    pub(super) fn listening_peer(&self, owner: &Owner) -> Option<String> {
        let inner = self.0.borrow();
        let of =
            |subscription: &&Subscription| owner.provider.is_some() && subscription.owner.provider == owner.provider;
        let subscription = inner.subscriptions.values().find(of)?;
        let index = subscription.bound.last().map(|(index, ..)| *index).or(subscription.making.first().copied())?;
        Some(inner.nodes.get(index)?.peer.clone())
    }

    /// Waits until no subscription is being made, so that an answer cannot come before anyone listens.
    pub(super) async fn all_bound(&self) {
        let receiver = {
            let mut inner = self.0.borrow_mut();
            if inner.binding == 0 {
                return;
            }
            let (sender, receiver) = oneshot::channel();
            inner.bound.push(sender);
            receiver
        };
        // A dropped sender means that nothing is being made any more either.
        let _ = receiver.await;
    }

    /// A node came: it gets its subscriptions and the queries of this configuration.
    pub(super) fn serve_node(&self, run: u64, index: usize) {
        self.place_all();
        let queries = self.0.borrow().queries.clone();
        for query in queries {
            self.query_node(run, index, query);
        }
    }

    /// A node went: what it listened for moves to another.
    pub(super) fn release_node(&self, run: u64, index: usize) {
        {
            let mut inner = self.0.borrow_mut();
            if inner.run != run {
                return;
            }
            for subscription in inner.subscriptions.values_mut() {
                subscription.bound.retain(|(at, ..)| *at != index);
            }
        }
        self.place_all();
    }

    /// Begins to subscribe each topic at every node where it should be and is not.
    pub(super) fn place_all(&self) {
        let topics: Vec<String> = self.0.borrow().subscriptions.keys().cloned().collect();
        for topic in topics {
            self.place(&topic);
        }
    }

    /// Begins to subscribe a topic at every node where it should be and is not.
    fn place(&self, content_topic: &str) {
        let run = self.0.borrow().run;
        for index in self.missing_nodes(content_topic) {
            let Some(light) = self.light(run, index) else { continue };
            {
                let mut inner = self.0.borrow_mut();
                let Some(subscription) = inner.subscriptions.get_mut(content_topic) else { return };
                subscription.making.push(index);
                inner.binding += 1;
            }
            let (transport, topic) = (self.clone(), content_topic.to_owned());
            spawn_local(async move {
                transport.bind(&topic, index, light).await;
                let mut inner = transport.0.borrow_mut();
                if let Some(subscription) = inner.subscriptions.get_mut(&topic) {
                    subscription.making.retain(|at| *at != index);
                }
                inner.binding = inner.binding.saturating_sub(1);
                if inner.binding == 0 {
                    for sender in std::mem::take(&mut inner.bound) {
                        // Whoever waited may have given up.
                        let _ = sender.send(());
                    }
                }
            });
        }
    }

    fn peer(&self, index: usize) -> Option<String> {
        self.0.borrow().nodes.get(index).map(|node| node.peer.clone())
    }

    fn missing_nodes(&self, content_topic: &str) -> Vec<usize> {
        let inner = self.0.borrow();
        let Some(subscription) = inner.subscriptions.get(content_topic) else { return Vec::new() };
        let has = |index: usize| {
            subscription.bound.iter().any(|(at, ..)| *at == index) || subscription.making.contains(&index)
        };
        if subscription.owner.provider.is_none() {
            let connected = inner.nodes.iter().enumerate().filter(|(_, node)| node.light.is_some());
            return connected.map(|(index, _)| index).filter(|index| !has(*index)).collect();
        }
        let usable = inner.answering();
        if usable.iter().any(|index| has(*index)) {
            return Vec::new();
        }
        let peers: Vec<&str> =
            usable.iter().filter_map(|index| inner.nodes.get(*index)).map(|node| node.peer.as_str()).collect();
        // Which of equal nodes is used is drawn anew each time.
        let own = &subscription.owner.peer_ids;
        let order = route::order(&peers, own, &peers, None, 0);
        let equal = order.iter().filter(|at| peers.get(**at).is_some_and(|peer| !own.iter().any(|id| id == peer)));
        let spread = equal.count().max(1);
        let drawn = usize::from(platform::random::<1>()[0]) % spread;
        order.get(drawn).and_then(|at| usable.get(*at)).copied().into_iter().collect()
    }

    async fn bind(&self, topic: &str, index: usize, light: LightNode) {
        let (tries, pause) = TRIES;
        while self.0.borrow().leaving.contains_key(topic) {
            platform::sleep(LEAVING_POLL_MS).await;
        }
        for _ in 0..tries {
            let wanted =
                self.0.borrow().subscriptions.get(topic).map(|known| (known.shard, Rc::clone(&known.callback)));
            let (Some((shard, callback)), Some(peer)) = (wanted, self.peer(index)) else { return };
            let Ok(decoder) = light.decoder(topic, shard) else { return };
            let other = self.0.borrow().answering().iter().any(|at| *at != index);
            let ms = if other { LATE_MS } else { CONFIRM_MS };
            match within(ms, light.subscribe(&decoder, &from(&callback, &peer))).await {
                Some(true) => {
                    self.keep_bound(topic, &callback, (index, light.clone(), decoder));
                    return self.catch_up(topic, index);
                }
                Some(false) => platform::sleep(pause).await,
                None => {
                    drop_bound([(index, light.clone(), decoder)].into(), callback);
                    self.avoid(&[peer]);
                    if other {
                        return;
                    }
                }
            }
        }
    }

    /// Notes a confirmed subscription, unless nobody wants it any more. A provider's topic stays at one node: at the
    /// newest, since it moved there because the other one hangs.
    fn keep_bound(&self, topic: &str, callback: &Rc<Listener>, confirmed: Bound) {
        let mut over = Vec::new();
        match self.0.borrow_mut().subscriptions.get_mut(topic) {
            Some(subscription) if Rc::ptr_eq(&subscription.callback, callback) => {
                if subscription.owner.provider.is_some() {
                    over = std::mem::take(&mut subscription.bound);
                }
                subscription.bound.push(confirmed);
            }
            _ => over.push(confirmed),
        }
        drop_bound(over, Rc::clone(callback));
    }

    /// The newest messages are asked for apart, at the same time: whoever is known already is usable with them alone.
    fn query_node(&self, run: u64, index: usize, query: Query) {
        self.read_store(run, index, query.clone(), query.seconds.min(NEWEST_S));
        let seconds = query.seconds;
        self.read_store(run, index, query, seconds);
    }

    /// A node confirmed a subscription: what it heard after its store was read and before that is read now.
    fn catch_up(&self, topic: &str, index: usize) {
        let (run, query) = {
            let inner = self.0.borrow();
            (inner.run, inner.queries.iter().find(|query| query.content_topic == topic).cloned())
        };
        if let Some(query) = query {
            self.read_store(run, index, query, NEWEST_S);
        }
    }

    fn read_store(&self, run: u64, index: usize, query: Query, seconds: u64) {
        let (Some(light), Some(peer)) = (self.light(run, index), self.peer(index)) else { return };
        let callback = listener(self.0.borrow().happenings.clone(), query.content_topic.clone());
        spawn_local(async move {
            let (tries, pause) = TRIES;
            for _ in 0..tries {
                let Ok(decoder) = light.decoder(&query.content_topic, query.shard) else { return };
                if light.query(&decoder, &from(&callback, &peer), seconds).await {
                    return;
                }
                platform::sleep(pause).await;
            }
        });
    }
}

/// Ends these subscriptions; only then no node can call `callback` any more.
fn drop_bound(over: Vec<Bound>, callback: Rc<Listener>) {
    for (_, light, decoder) in over {
        let callback = Rc::clone(&callback);
        spawn_local(async move {
            within(LEAVE_MS, light.unsubscribe(&decoder)).await;
            drop(callback);
        });
    }
}

/// Gives each message that is not too large to the loop; a full queue drops it, which the protocol repairs.
fn listener(mut happenings: mpsc::Sender<Happening>, content_topic: String) -> Listener {
    Closure::new(move |peer: JsValue, message: JsValue| {
        if let Some(payload) = light_node::payload(&message, LONGEST_PAYLOAD) {
            let (content_topic, source) = (content_topic.clone(), peer.as_string().unwrap_or_default());
            let _ = happenings.try_send(Happening::Message { content_topic, payload, source });
        }
    })
}

/// The listener for the messages of one node.
fn from(listener: &Listener, peer: &str) -> Function {
    listener.as_ref().unchecked_ref::<Function>().bind1(&JsValue::NULL, &peer.into())
}
