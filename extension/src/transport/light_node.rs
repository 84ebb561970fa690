//! One js-waku light node that talks to one entry node. The bindings name only what is used of `@waku/sdk` 0.0.36; its
//! quirks are waku.md's and are handled here, so that nothing else knows them.

use super::within;
use crate::platform::object;
use futures::channel::oneshot;
use futures::lock::{Mutex, MutexGuard};
use js_sys::{Array, BigInt, Function, Promise, Reflect, Uint8Array};
use privacyai::effect::Publication;
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;

/// Time for a node to answer the dial and to identify itself, in milliseconds.
const CONNECT_MS: u32 = 10_000;

/// Messages asked for in one page of a store query; the node's most (waku.md section 6).
const PAGE: u32 = 100;

/// Shards with a turn of their own; those of the network are fewer.
const TURNS: usize = 8;

#[wasm_bindgen]
extern "C" {
    /// Makes light nodes: `createLightNode` of the module `./waku.js`, which is loaded by the first call.
    #[derive(Clone)]
    pub type Waku;

    #[wasm_bindgen(method, catch, js_name = createLightNode)]
    async fn create_light_node(this: &Waku, options: &JsValue) -> Result<JsValue, JsValue>;

    #[derive(Clone)]
    type WakuNode;

    #[wasm_bindgen(method, catch)]
    async fn dial(this: &WakuNode, address: &str) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, catch)]
    async fn stop(this: &WakuNode) -> Result<(), JsValue>;

    #[wasm_bindgen(method, catch, js_name = createDecoder)]
    fn create_decoder(this: &WakuNode, parameters: &JsValue) -> Result<Decoder, JsValue>;

    #[wasm_bindgen(method, catch, js_name = createEncoder)]
    fn create_encoder(this: &WakuNode, parameters: &JsValue) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, getter)]
    fn libp2p(this: &WakuNode) -> EventTarget;

    #[wasm_bindgen(method, getter)]
    fn filter(this: &WakuNode) -> Filter;

    #[wasm_bindgen(method, getter, js_name = lightPush)]
    fn light_push(this: &WakuNode) -> LightPush;

    #[wasm_bindgen(method, getter)]
    fn store(this: &WakuNode) -> Store;

    type EventTarget;

    #[wasm_bindgen(method, js_name = addEventListener)]
    fn add_event_listener(this: &EventTarget, name: &str, listener: &Function);

    type Filter;

    #[wasm_bindgen(method, catch)]
    async fn subscribe(this: &Filter, decoder: &Decoder, callback: &Function) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, catch)]
    async fn unsubscribe(this: &Filter, decoder: &Decoder) -> Result<JsValue, JsValue>;

    type LightPush;

    #[wasm_bindgen(method, catch)]
    async fn send(
        this: &LightPush,
        encoder: &JsValue,
        message: &JsValue,
        options: &JsValue,
    ) -> Result<JsValue, JsValue>;

    type Store;

    #[wasm_bindgen(method, catch, js_name = queryWithOrderedCallback)]
    async fn query(this: &Store, decoders: &Array, callback: &Function, options: &JsValue) -> Result<JsValue, JsValue>;

    /// Which topic of which shard is decoded.
    #[derive(Clone)]
    pub type Decoder;

    #[wasm_bindgen(method, getter, js_name = pubsubTopic)]
    fn pubsub_topic(this: &Decoder) -> String;

    /// A `DecodedMessage`.
    pub type DecodedMessage;

    #[wasm_bindgen(method, getter)]
    fn payload(this: &DecodedMessage) -> JsValue;
}

/// An encoder's `toProtoObj`.
type ToProto = Closure<dyn Fn() -> Promise>;

/// A connected light node. Clones share it.
#[derive(Clone)]
pub struct LightNode(Rc<Connected>);

struct Connected {
    node: WakuNode,
    /// Subscriptions of one shard are made and ended one after the other: of two at once for a shard that has none yet
    /// the SDK keeps only the later, though it confirms both.
    turns: [Mutex<()>; TURNS],
    listeners: RefCell<Vec<Closure<dyn FnMut()>>>,
}

impl LightNode {
    /// Starts a light node with a fresh peer id and dials `address`. The receiver ends when the connection is lost.
    pub async fn connect(waku: &Waku, cluster: u16, address: &str) -> Result<(Self, oneshot::Receiver<()>), JsValue> {
        let node: WakuNode = waku.create_light_node(&options(cluster)).await?.unchecked_into();
        let (identified, identify) = oneshot::channel();
        let (gone, lost) = oneshot::channel();
        let light = Self(Rc::new(Connected { node, turns: Default::default(), listeners: RefCell::new(Vec::new()) }));
        light.once("peer:identify", identified);
        light.once("peer:disconnect", gone);
        let connected = async {
            light.0.node.dial(address).await.ok()?;
            // Protocols are known, and so the node usable, only once identify came (waku.md section 2).
            identify.await.ok()
        };
        if within(CONNECT_MS, connected).await.flatten().is_some() {
            return Ok((light, lost));
        }
        light.stop().await;
        Err("no answer".into())
    }

    /// Ends it and its connection.
    pub async fn stop(&self) {
        // Nothing can be done about a node that does not stop; it is dropped all the same.
        let _ = self.0.node.stop().await;
    }

    /// A decoder for a topic of a shard.
    pub fn decoder(&self, content_topic: &str, shard: u16) -> Result<Decoder, JsValue> {
        let parameters = object(&[("contentTopic", &content_topic.into()), ("shardId", &shard.into())]);
        self.0.node.create_decoder(&parameters)
    }

    /// Subscribes; false when the node did not confirm it.
    pub async fn subscribe(&self, decoder: &Decoder, callback: &Function) -> bool {
        let _turn = self.turn(decoder).await;
        let filter = self.0.node.filter();
        if filter.subscribe(decoder, callback).await.is_ok_and(|confirmed| confirmed.is_truthy()) {
            return true;
        }
        // The SDK keeps an unconfirmed topic as known and would never ask for it again.
        let _ = filter.unsubscribe(decoder).await;
        false
    }

    /// Ends a subscription.
    pub async fn unsubscribe(&self, decoder: &Decoder) {
        let _turn = self.turn(decoder).await;
        let _ = self.0.node.filter().unsubscribe(decoder).await;
    }

    /// Waits for the turn of a decoder's shard, whose number ends its topic.
    async fn turn(&self, decoder: &Decoder) -> Option<MutexGuard<'_, ()>> {
        let last = decoder.pubsub_topic().bytes().last().unwrap_or_default();
        Some(self.0.turns.get(usize::from(last) % TURNS)?.lock().await)
    }

    /// Publishes; false when the node did not take it.
    pub async fn publish(&self, message: &Publication) -> bool {
        let Ok((encoder, _fields)) = self.encoder(message) else { return false };
        let payload = Uint8Array::from(message.payload());
        let outer = object(&[("payload", &payload)]);
        let options = object(&[("autoRetry", &false.into())]);
        let sent = self.0.node.light_push().send(&encoder, &outer, &options).await;
        let successes = sent.and_then(|result| Reflect::get(&result, &"successes".into()));
        successes.is_ok_and(|list| list.dyn_ref::<Array>().is_some_and(|list| list.length() > 0))
    }

    /// Asks the store for a topic's messages of the last `seconds`: the newest page first, each page from its oldest.
    pub async fn query(&self, decoder: &Decoder, callback: &Function, seconds: u64) -> bool {
        let start = js_sys::Date::now() - seconds as f64 * 1_000.0;
        let options = object(&[
            ("timeStart", &js_sys::Date::new(&start.into())),
            ("paginationForward", &false.into()),
            ("paginationLimit", &PAGE.into()),
        ]);
        self.0.node.store().query(&Array::of1(decoder), callback, &options).await.is_ok()
    }

    /// An encoder that writes exactly this publication: the SDK's own would cut the timestamp to milliseconds.
    /// The closure must live as long as it is used.
    fn encoder(&self, message: &Publication) -> Result<(JsValue, ToProto), JsValue> {
        let encoder = self.0.node.create_encoder(&object(&[
            ("contentTopic", &message.content_topic().into()),
            ("shardId", &message.shard().into()),
            ("ephemeral", &message.ephemeral().into()),
        ]))?;
        let fields = object(&[
            ("payload", &Uint8Array::from(message.payload())),
            ("version", &0.into()),
            ("contentTopic", &message.content_topic().into()),
            ("timestamp", &BigInt::from(message.timestamp_ns())),
            ("ephemeral", &message.ephemeral().into()),
        ]);
        let to_proto = ToProto::new(move || Promise::resolve(&fields));
        Reflect::set(&encoder, &"toProtoObj".into(), to_proto.as_ref())?;
        Ok((encoder, to_proto))
    }

    fn once(&self, event: &str, sender: oneshot::Sender<()>) {
        let mut sender = Some(sender);
        let listener = Closure::<dyn FnMut()>::new(move || {
            if let Some(sender) = sender.take() {
                // Whoever waited may have given up.
                let _ = sender.send(());
            }
        });
        self.0.node.libp2p().add_event_listener(event, listener.as_ref().unchecked_ref());
        self.0.listeners.borrow_mut().push(listener);
    }
}

/// The payload of a received message, when it is one of at most `longest` bytes.
pub fn payload(message: &JsValue, longest: u32) -> Option<Vec<u8>> {
    let message: &DecodedMessage = message.is_object().then(|| message.unchecked_ref())?;
    let payload: Uint8Array = message.payload().dyn_into().ok()?;
    (payload.length() <= longest).then(|| payload.to_vec())
}

fn options(cluster: u16) -> JsValue {
    object(&[
        ("defaultBootstrap", &false.into()),
        ("networkConfig", &object(&[("clusterId", &cluster.into())])),
        ("numPeersToUse", &1.into()),
        ("libp2p", &object(&[("filterMultiaddrs", &false.into()), ("hideWebSocketInfo", &true.into())])),
        ("filter", &object(&[("numPeersToUse", &1.into())])),
        ("lightPush", &object(&[("autoRetry", &false.into())])),
        ("connectionManager", &object(&[("failedDialCooldown", &1.into()), ("dialCooldown", &1.into())])),
    ])
}
