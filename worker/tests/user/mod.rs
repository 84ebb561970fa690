//! A user without a browser: the core's client over a Waku node of its own.

use privacyai::{
    client::{Ask, AskId, Choice, Client, Effect, End, Event, Input, Profile, Seen, Status},
    effect::Millis,
    identity::ProviderId,
    network::Network,
};
use privacyai_waku::{Node, NodeConfig, WakuMessage};
use rand_core::UnwrapErr;
use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

/// Longer than anything takes on a busy machine; reached only by what hangs.
const PATIENCE: Duration = Duration::from_secs(60);
/// Stored messages taken at once, as a light client does.
const STORED: usize = 100;

/// What came of a question.
#[derive(Clone, Debug)]
pub struct Answer {
    pub text: String,
    pub end: End,
    pub provider: ProviderId,
}

pub struct User {
    client: Client,
    node: Node,
    messages: mpsc::Receiver<(String, Vec<u8>)>,
    forward: mpsc::Sender<(String, Vec<u8>)>,
    subscriptions: BTreeMap<String, JoinHandle<()>>,
    wake: Option<Millis>,
    seen: BTreeMap<String, Seen>,
    texts: BTreeMap<AskId, String>,
    ends: BTreeMap<AskId, End>,
    providers: BTreeMap<AskId, ProviderId>,
    requests: Vec<(u16, WakuMessage)>,
    next: u64,
}

impl User {
    pub async fn join(addresses: &[String]) -> Self {
        let network = Network::shipped().unwrap();
        let mut config = NodeConfig::new(network.cluster, network.shards);
        config.bootstrap = addresses.to_vec();
        let node = Node::start(config).await.unwrap();
        let deadline = Instant::now() + PATIENCE;
        while node.peers().iter().filter(|peer| peer.relay).count() < addresses.len() {
            assert!(Instant::now() < deadline, "no connection: {:?}", node.peers());
            sleep(Duration::from_millis(10)).await;
        }
        let (forward, messages) = mpsc::channel(1_024);
        let mut user = Self {
            client: Client::new(),
            node,
            messages,
            forward,
            subscriptions: BTreeMap::new(),
            wake: None,
            seen: BTreeMap::new(),
            texts: BTreeMap::new(),
            ends: BTreeMap::new(),
            providers: BTreeMap::new(),
            requests: Vec::new(),
            next: 0,
        };
        user.step(Input::Restored(Vec::new(), Vec::new())).await;
        user.step(Input::Connected).await;
        user
    }

    pub fn dial(&self, address: &str) {
        self.node.dial(address).unwrap();
    }

    /// Waits until the provider of this handle has this status; online and busy ones must be usable.
    pub async fn sees(&mut self, handle: &str, status: Status) {
        let awaited = async {
            loop {
                if let Some(seen) = self.seen.get(handle)
                    && seen.status == status
                    && seen.usable == (status != Status::Offline)
                {
                    return;
                }
                self.live().await;
            }
        };
        if timeout(PATIENCE, awaited).await.is_err() {
            panic!("{handle} is never {status:?}: {:?}", self.seen);
        }
    }

    /// Waits until the provider of this handle offers these models, in any order.
    pub async fn sees_models(&mut self, handle: &str, models: &[&str]) {
        let awaited = async {
            loop {
                if let Some(seen) = self.seen.get(handle) {
                    let mut offered: Vec<&str> = seen.models.iter().map(|model| model.id.as_str()).collect();
                    offered.sort_unstable();
                    let mut expected = models.to_vec();
                    expected.sort_unstable();
                    if offered == expected {
                        return;
                    }
                }
                self.live().await;
            }
        };
        if timeout(PATIENCE, awaited).await.is_err() {
            panic!("{handle} never offers {models:?}: {:?}", self.seen);
        }
    }

    /// Waits until the provider of this handle asks this price for prompts of each of its models.
    pub async fn sees_price(&mut self, handle: &str, price_in: u128) {
        let awaited = async {
            while self.seen.get(handle).is_none_or(|seen| seen.models.iter().any(|model| model.price_in != price_in)) {
                self.live().await;
            }
        };
        if timeout(PATIENCE, awaited).await.is_err() {
            panic!("{handle} never asks {price_in}: {:?}", self.seen);
        }
    }

    pub async fn ask(&mut self, choice: Choice, model: &str, question: &str) -> Answer {
        let id = self.begin(choice, model, question).await;
        self.end(id).await
    }

    pub async fn begin(&mut self, choice: Choice, model: &str, question: &str) -> AskId {
        self.next += 1;
        let id = AskId(self.next);
        let content = serde_json::json!({ "messages": [{ "role": "user", "content": question }] }).to_string();
        self.step(Input::Ask(Ask {
            id,
            choice,
            model: Some(model.to_owned()),
            content: content.into_bytes(),
            profile: Profile::Fast,
            last: None,
            unit: None,
        }))
        .await;
        id
    }

    pub async fn cancel(&mut self, id: AskId) {
        self.step(Input::Cancel(id)).await;
    }

    pub async fn first_text(&mut self, id: AskId) {
        let awaited = async {
            while !self.texts.contains_key(&id) {
                assert_eq!(self.ends.get(&id), None, "it ended before it began");
                self.live().await;
            }
        };
        timeout(PATIENCE, awaited).await.expect("no text comes");
    }

    pub async fn end(&mut self, id: AskId) -> Answer {
        let awaited = async {
            while !self.ends.contains_key(&id) {
                self.live().await;
            }
        };
        timeout(PATIENCE, awaited).await.expect("the answer does not end");
        let end = self.ends.remove(&id).unwrap();
        let text = self.texts.remove(&id).unwrap_or_default();
        let provider = self.providers.get(&id).copied().unwrap_or_else(|| panic!("nobody was asked: {end:?}"));
        Answer { text, end, provider }
    }

    /// Sends every request once more, each as a new Waku message with the same bytes inside.
    pub async fn replay_requests(&mut self) {
        assert!(!self.requests.is_empty());
        for (shard, message) in &self.requests {
            let timestamp_ns = message.timestamp_ns.map(|timestamp| timestamp + 1);
            self.node.publish(*shard, WakuMessage { timestamp_ns, ..message.clone() }).await.unwrap();
        }
    }

    /// Waits for one thing to happen, and lives through it.
    async fn live(&mut self) {
        let pause = match self.wake {
            Some(at) => Duration::from_millis(at.0.saturating_sub(now().0)),
            None => Duration::from_secs(1),
        };
        let input = tokio::select! {
            message = self.messages.recv() => {
                let (content_topic, payload) = message.unwrap();
                Input::Message { content_topic, payload, source: String::new() }
            }
            () = sleep(pause) => Input::Tick,
        };
        self.step(input).await;
    }

    async fn step(&mut self, input: Input) {
        for effect in self.client.handle(input, now(), &mut UnwrapErr(getrandom::SysRng)) {
            match effect {
                Effect::Persist(_) | Effect::Mirror(..) => {}
                Effect::Subscribe { content_topic, shard, .. } => self.subscribe(shard, content_topic),
                Effect::Unsubscribe { content_topic, .. } => {
                    if let Some(task) = self.subscriptions.remove(&content_topic) {
                        task.abort();
                    }
                }
                Effect::Query { content_topic, shard, .. } => {
                    for message in self.node.query(shard, content_topic.clone(), STORED).await.unwrap() {
                        let _ = self.forward.try_send((content_topic.clone(), message.payload));
                    }
                }
                Effect::Publish { message, .. } => {
                    let sent = WakuMessage {
                        payload: message.payload().to_vec(),
                        content_topic: message.content_topic().to_owned(),
                        timestamp_ns: Some(message.timestamp_ns().try_into().unwrap()),
                        ephemeral: message.ephemeral(),
                        ..WakuMessage::default()
                    };
                    self.node.publish(message.shard(), sent.clone()).await.unwrap();
                    if sent.payload.first() == Some(&1) {
                        self.requests.push((message.shard(), sent));
                    }
                }
                Effect::Event(event) => self.note(event),
                Effect::WakeAt(at) => self.wake = Some(at),
            }
        }
    }

    fn subscribe(&mut self, shard: u16, content_topic: String) {
        let mut messages = self.node.subscribe(shard, content_topic.clone());
        let forward = self.forward.clone();
        let task = tokio::spawn(async move {
            while let Some(message) = messages.next().await {
                if forward.send((message.content_topic, message.payload)).await.is_err() {
                    return;
                }
            }
        });
        if let Some(old) = self.subscriptions.insert(content_topic, task) {
            old.abort();
        }
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::Provider(seen) => drop(self.seen.insert(seen.handle.clone(), seen)),
            Event::Sent { ask, provider, .. } => drop(self.providers.insert(ask, provider)),
            Event::Text { ask, text } => self.texts.entry(ask).or_default().push_str(&text),
            Event::Ended { ask, end } => drop(self.ends.insert(ask, end)),
            _ => {}
        }
    }
}

fn now() -> Millis {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Millis(elapsed.as_millis().try_into().unwrap())
}
