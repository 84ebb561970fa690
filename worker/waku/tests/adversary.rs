//! Peers that send what no protocol allows: the node answers or hangs up, and serves the next one.

use std::time::Duration;

use futures::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _};
use libp2p::{Multiaddr, PeerId, StreamProtocol, Swarm, SwarmBuilder, noise, swarm::dial_opts::DialOpts, tcp, yamux};
use libp2p_stream::{Behaviour, Control};
use privacyai_waku::{Limits, Node, NodeConfig, WakuMessage};

const CLUSTER: u16 = 66;
const DEADLINE: Duration = Duration::from_secs(30);
const PROTOCOLS: [&str; 4] = [
    "/vac/waku/filter-subscribe/2.0.0-beta1",
    "/vac/waku/lightpush/3.0.0",
    "/vac/waku/store-query/3.0.0",
    "/vac/waku/metadata/1.0.0",
];

const RELAY: &str = "/vac/waku/relay/2.0.0";

/// A peer that opens streams and writes what it likes.
struct Peer {
    control: Control,
    node: PeerId,
    driver: tokio::task::JoinHandle<()>,
}

impl Peer {
    async fn connect(node: &Node) -> Self {
        let address: Multiaddr = node.addresses()[0].parse().unwrap();
        let mut swarm: Swarm<Behaviour> = SwarmBuilder::with_new_identity()
            .with_tokio()
            .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
            .unwrap()
            .with_behaviour(|_| Behaviour::new())
            .unwrap()
            .with_swarm_config(|config| config.with_idle_connection_timeout(DEADLINE))
            .build();
        let mut control = swarm.behaviour().new_control();
        // The node gossips with those only that let it.
        let mut relayed = control.accept(StreamProtocol::new(RELAY)).unwrap();
        let node = node.peer_id().parse().unwrap();
        swarm.dial(DialOpts::peer_id(node).addresses(vec![address]).build()).unwrap();
        let driver = tokio::spawn(async move {
            let mut open = Vec::new();
            loop {
                tokio::select! {
                    Some((_, stream)) = relayed.next() => open.push(stream),
                    _ = swarm.select_next_some() => {}
                }
            }
        });
        Self { control, node, driver }
    }

    /// Writes bytes on a new stream, closes it and returns what the node answers before it closes too.
    async fn send(&self, protocol: &'static str, bytes: &[u8]) -> Vec<u8> {
        let exchange = async {
            let mut control = self.control.clone();
            let mut stream = control.open_stream(self.node, StreamProtocol::new(protocol)).await.unwrap();
            // The node may hang up in the middle.
            let _ = stream.write_all(bytes).await;
            let _ = stream.close().await;
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            answer
        };
        tokio::time::timeout(DEADLINE, exchange).await.expect("the node answers or hangs up")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

async fn node() -> Node {
    Node::start(NodeConfig::new(CLUSTER, 1)).await.unwrap()
}

/// Field 10 of an answer of filter, lightpush and store: the status code.
fn status(answer: &[u8]) -> Option<u16> {
    let at = answer.iter().position(|&byte| byte == 0x50)?;
    Some(u16::from(answer[at + 1] & 0x7f) | u16::from(answer[at + 2]) << 7)
}

/// A hundred bodies nobody thought of, of a fixed generator.
fn noise_frames() -> Vec<Vec<u8>> {
    let mut state = 1_u32;
    let mut byte = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..100).map(|_| std::iter::once(40).chain((0..40).map(|_| byte())).collect()).collect()
}

/// A protobuf field of bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2][..], &delimited(bytes)].concat()
}

/// Bytes behind their length.
fn delimited(bytes: &[u8]) -> Vec<u8> {
    let (mut length, mut out) = (bytes.len(), Vec::new());
    while length > 0x7f {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(bytes);
    out
}

/// What a peer may say on the relay protocol, one frame each, of which an honest node says none.
fn wild_gossip() -> Vec<Vec<u8>> {
    const SHARD: &[u8] = b"/waku/2/rs/66/0";
    // content topic and a time, as a Waku message has them
    let undated = [field(1, b"junk"), field(2, b"/test/1/gossip/proto")].concat();
    let message = |topic: &[u8], data: &[u8]| [field(2, data), field(4, topic)].concat();
    let control = |inner: &[u8]| field(3, inner);
    let ids = |topic: &[u8], count: u32| {
        let ids: Vec<u8> = (0..count).flat_map(|id| field(2, &[&id.to_be_bytes()[..], &[7; 28]].concat())).collect();
        [field(1, topic), ids].concat()
    };
    let unsigned_ids: Vec<u8> = (0..2_000_u32).flat_map(|id| field(1, &id.to_be_bytes())).collect();
    let many_topics: Vec<u8> = (0..1_000_u32)
        .flat_map(|id| field(1, &[&[8, 1][..], &field(2, format!("/waku/2/rs/66/{id}").as_bytes())].concat()))
        .collect();
    let bodies = [
        field(2, &message(SHARD, b"no protobuf \xff\xff")),
        field(2, &message(SHARD, &undated)),
        field(2, &message(SHARD, &[])),
        field(2, &message(b"/waku/2/rs/1/0", &undated)),
        field(2, &message(b"", &undated)),
        field(2, &message(&[b'x'; 60_000], &undated)),
        // An author, a number and a signature, which this network's messages never have.
        field(2, &[field(1, &[0; 38]), message(SHARD, &undated), field(3, &[1; 8]), field(5, &[2; 64])].concat()),
        field(2, &message(SHARD, &vec![0; 190 * 1_024])),
        field(2, &message(SHARD, &undated)).repeat(500),
        many_topics,
        control(&field(1, &ids(SHARD, 5_000))),
        control(&field(1, &ids(b"/waku/2/rs/66/9", 10))),
        control(&field(2, &unsigned_ids)),
        control(&field(3, &field(1, b"/no/such/topic"))).repeat(100),
        control(&field(
            4,
            &[field(1, SHARD), field(2, &field(1, b"no peer id")), vec![0x18, 0xff, 0xff, 0x03]].concat(),
        )),
        control(&field(5, &unsigned_ids)),
        control(&[0x0b]),
    ];
    let mut frames: Vec<Vec<u8>> = bodies.iter().map(|body| delimited(body)).collect();
    // Longer than any message, and only begun.
    frames.push(vec![0x80, 0x80, 0x80, 0x7d, 1, 2, 3]);
    frames.push(vec![0xff; 64]);
    frames.push(vec![5, 1, 2]);
    frames.extend(noise_frames());
    frames
}

#[tokio::test]
async fn wild_gossip_reaches_no_reader_and_stops_no_relay() {
    const TOPIC: &str = "/test/1/gossip/proto";
    let node = node().await;
    let other = Node::start(NodeConfig { bootstrap: node.addresses(), ..NodeConfig::new(CLUSTER, 1) }).await.unwrap();
    let mut heard = [node.subscribe(0, TOPIC.into()), other.subscribe(0, TOPIC.into())];
    let frames = wild_gossip();
    // A connection may open a handful of relay streams only.
    for few in frames.chunks(4) {
        let peer = Peer::connect(&node).await;
        for frame in few {
            peer.send(RELAY, frame).await;
        }
    }
    let honest = WakuMessage { payload: b"honest".to_vec(), content_topic: TOPIC.into(), ..WakuMessage::default() };
    let spoken = async {
        // The mesh of the two may still be forming.
        loop {
            node.publish(0, honest.clone()).await.unwrap();
            for messages in &mut heard {
                let message = tokio::time::timeout(Duration::from_millis(200), messages.next()).await;
                if let Ok(message) = message {
                    assert_eq!(message.unwrap().payload, b"honest");
                }
            }
            let stored = other.query(0, TOPIC.into(), 10).await.unwrap();
            if let Some(first) = stored.first() {
                assert!(stored.iter().all(|message| message.payload == b"honest"), "{first:?}");
                return;
            }
        }
    };
    tokio::time::timeout(DEADLINE, spoken).await.expect("the honest two still relay");
}

#[tokio::test]
async fn malformed_frames_end_a_stream_and_nothing_else() {
    let node = node().await;
    let peer = Peer::connect(&node).await;
    let mut frames: Vec<Vec<u8>> = vec![
        vec![],
        vec![0],
        vec![0x80],
        vec![0xff; 3],
        vec![0xff; 64],
        // A length of 250 MiB and no body; one of 2^63.
        vec![0x80, 0x80, 0x80, 0x7d],
        vec![0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
        // Five bytes said, two there.
        vec![5, 1, 2],
        // Not protobuf: bad tag, group, text that is no UTF-8, a length beyond the end.
        vec![2, 0xff, 0xff],
        vec![1, 0x0b],
        vec![3, 0x0a, 1, 0xff],
        vec![2, 0x0a, 0x7f],
    ];
    frames.extend(noise_frames());
    for protocol in PROTOCOLS {
        for frame in &frames {
            peer.send(protocol, frame).await;
        }
    }
    // cluster id 66 is told to whoever asks, by the same node, on the same connection.
    let record = peer.send(PROTOCOLS[3], &[0]).await;
    assert!(record.windows(2).any(|pair| pair == [0x08, 66]) || record.is_empty());
    let late = Peer::connect(&node).await;
    assert!(late.send(PROTOCOLS[3], &[0]).await.windows(2).any(|pair| pair == [0x08, 66]));
    node.publish(0, WakuMessage { content_topic: "/a/1/b/proto".into(), ..WakuMessage::default() }).await.unwrap();
}

#[tokio::test]
async fn too_long_and_too_many_requests_are_told_so() {
    let limits = Limits { filter_per_minute: 3, ..Limits::default() };
    let node = Node::start(NodeConfig { limits, ..NodeConfig::new(CLUSTER, 1) }).await.unwrap();
    let peer = Peer::connect(&node).await;
    let mut long = vec![0x80, 0x80, 0x20];
    long.resize(3 + 512 * 1024, 0);
    assert_eq!(status(&peer.send(PROTOCOLS[1], &long).await), Some(413));
    let ping = [0];
    for _ in 0..3 {
        assert_eq!(status(&peer.send(PROTOCOLS[0], &ping).await), Some(404));
    }
    assert_eq!(status(&peer.send(PROTOCOLS[0], &ping).await), Some(429));
    // A new connection of the same machine is another peer; the first one's allowance stays spent.
    let other = Peer::connect(&node).await;
    assert_eq!(status(&other.send(PROTOCOLS[0], &ping).await), Some(404));
    assert_eq!(status(&peer.send(PROTOCOLS[0], &ping).await), Some(429));
}

#[tokio::test]
async fn peers_that_hoard_silent_streams_stop_nobody() {
    let node = node().await;
    let mut hoarders = Vec::new();
    for _ in 0..4 {
        let hoarder = Peer::connect(&node).await;
        let mut silent = Vec::new();
        for _ in 0..100 {
            let mut control = hoarder.control.clone();
            let protocol = StreamProtocol::new(PROTOCOLS[2]);
            let mut stream = control.open_stream(hoarder.node, protocol).await.unwrap();
            // The start of a frame: the node waits 20 s for the rest, or resets the stream when there are too many.
            let _ = stream.write_all(&[200, 1, 0x0a]).await;
            let _ = stream.flush().await;
            silent.push(stream);
        }
        hoarders.push((hoarder, silent));
    }
    let honest = Peer::connect(&node).await;
    let answer = tokio::time::timeout(Duration::from_secs(10), honest.send(PROTOCOLS[0], &[0])).await;
    assert_eq!(status(&answer.expect("served while the others wait")), Some(404));
}
