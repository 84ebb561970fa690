//! Nodes as their owner sees them, over real sockets.

use std::{
    net::TcpListener,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use privacyai_waku::{ErrorKind, MAX_MESSAGE_BYTES, Messages, Node, NodeConfig, WakuMessage};

const CLUSTER: u16 = 66;
const TOPIC: &str = "/test/1/node/proto";
const DEADLINE: Duration = Duration::from_secs(30);

fn message(text: &str) -> WakuMessage {
    WakuMessage { payload: text.as_bytes().to_vec(), content_topic: TOPIC.into(), ..WakuMessage::default() }
}

async fn start(config: NodeConfig) -> Node {
    Node::start(config).await.unwrap()
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < end, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn next(messages: &mut Messages) -> String {
    let message = tokio::time::timeout(DEADLINE, messages.next()).await;
    String::from_utf8(message.unwrap().unwrap().payload).unwrap()
}

/// Publishes numbered messages until the other node hears one: the mesh takes a heartbeat to form.
async fn meshed(from: &Node, heard: &mut Messages) {
    let end = Instant::now() + DEADLINE;
    loop {
        assert!(Instant::now() < end, "no mesh in time");
        let text = format!("mesh {:?}", end.duration_since(Instant::now()));
        from.publish(0, message(&text)).await.unwrap();
        let wait = tokio::time::timeout(Duration::from_millis(200), heard.next());
        if wait.await.is_ok() {
            return;
        }
    }
}

#[tokio::test]
async fn a_publication_is_heard_here_and_by_gossip_and_stored() {
    let a = start(NodeConfig::new(CLUSTER, 2)).await;
    let b = start(NodeConfig::new(CLUSTER, 2)).await;
    let mut on_a = a.subscribe(0, TOPIC.into());
    let mut on_b = b.subscribe(0, TOPIC.into());
    let mut elsewhere = b.subscribe(1, TOPIC.into());
    // Both dial at once: nothing may be heard twice for it.
    a.dial(&b.addresses()[0]).unwrap();
    b.dial(&a.addresses()[0]).unwrap();
    until("both relay", || [&a, &b].iter().all(|node| node.peers().iter().any(|peer| peer.relay))).await;
    meshed(&a, &mut on_b).await;
    a.publish(0, message("one")).await.unwrap();
    a.publish(0, message("two")).await.unwrap();
    for heard in [&mut on_a, &mut on_b] {
        // With two connections between them the order may change; the number may not.
        let mut texts = Vec::new();
        while !(texts.contains(&"one".into()) && texts.contains(&"two".into())) {
            texts.push(next(heard).await);
        }
        texts.retain(|text: &String| !text.starts_with("mesh"));
        texts.sort();
        assert_eq!(texts, ["one", "two"]);
        assert_eq!(heard.missed(), 0);
    }
    a.publish(1, message("other shard")).await.unwrap();
    assert_eq!(next(&mut elsewhere).await, "other shard");
    for node in [&a, &b] {
        let stored = node.query(0, TOPIC.into(), 2).await.unwrap();
        let texts: Vec<_> = stored.iter().map(|message| &message.payload[..]).collect();
        assert_eq!(texts, [b"one", b"two"], "the store's order is that of time");
    }
    let mut ephemeral = message("ephemeral");
    ephemeral.ephemeral = true;
    a.publish(0, ephemeral).await.unwrap();
    assert_eq!(next(&mut on_b).await, "ephemeral");
    let stored = b.query(0, TOPIC.into(), 1).await.unwrap();
    assert_eq!(stored[0].payload, b"two", "no store keeps an ephemeral message");
    a.shutdown().await;
    until("b has seen a leave", || b.peers().is_empty()).await;
    b.shutdown().await;
    assert!(on_b.next().await.is_none(), "subscriptions end");
}

#[tokio::test]
async fn a_lost_bootstrap_peer_is_dialled_again() {
    let identity = Some([7; 32]);
    let entry = start(NodeConfig { identity, ..NodeConfig::new(CLUSTER, 1) }).await;
    let address = entry.addresses()[0].clone();
    let tcp_port = address.split('/').nth(4).unwrap().parse().unwrap();
    let node = start(NodeConfig { bootstrap: vec![address], ..NodeConfig::new(CLUSTER, 1) }).await;
    until("connected", || node.peers().len() == 1).await;
    entry.shutdown().await;
    until("lost", || node.peers().is_empty()).await;
    let config = NodeConfig { identity, tcp_port, ..NodeConfig::new(CLUSTER, 1) };
    let entry = start(config).await;
    until("connected again", || node.peers().len() == 1).await;
    drop(entry);
}

#[tokio::test]
async fn nodes_of_another_cluster_part() {
    let a = start(NodeConfig::new(CLUSTER, 1)).await;
    let b = start(NodeConfig::new(CLUSTER + 1, 1)).await;
    let c = start(NodeConfig::new(CLUSTER, 1)).await;
    a.dial(&b.addresses()[0]).unwrap();
    c.dial(&a.addresses()[0]).unwrap();
    let (b_id, c_id) = (b.peer_id(), c.peer_id());
    let names = |node: &Node, id: &str| node.peers().iter().any(|peer| peer.peer_id == id);
    until("a has met b", || names(&a, &b_id)).await;
    until("a has left b", || !names(&a, &b_id)).await;
    until("a keeps c", || names(&a, &c_id)).await;
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for (tcp_port, ws_port) in [(port, 0), (0, port)] {
        let config = NodeConfig { tcp_port, ws_port, ..NodeConfig::new(CLUSTER, 1) };
        let error = Node::start(config).await.err().unwrap();
        assert_eq!(error.kind(), &ErrorKind::PortInUse(port), "{error}");
    }
    let node = start(NodeConfig::new(CLUSTER, 1)).await;
    let own = node.addresses()[0].split('/').nth(4).unwrap().parse().unwrap();
    let config = NodeConfig { tcp_port: own, ..NodeConfig::new(CLUSTER, 1) };
    let error = Node::start(config).await.err().unwrap();
    assert_eq!(error.kind(), &ErrorKind::PortInUse(own), "a second node");
}

#[tokio::test]
async fn messages_that_break_rules_are_refused() {
    let node = start(NodeConfig::new(CLUSTER, 1)).await;
    let kind = async |shard, message| match node.publish(shard, message).await {
        Ok(()) => None,
        Err(error) => Some(error.kind().clone()),
    };
    assert_eq!(kind(0, message("fine")).await, None);
    assert_eq!(kind(1, message("shard")).await, Some(ErrorKind::UnknownShard(1)));
    let large = WakuMessage { payload: vec![0; MAX_MESSAGE_BYTES], ..message("") };
    assert!(matches!(kind(0, large).await, Some(ErrorKind::TooLarge(_))));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let hour_ago = i64::try_from(now.as_nanos()).unwrap() - 3_600_000_000_000;
    let broken = [
        WakuMessage { content_topic: String::new(), ..message("") },
        WakuMessage { content_topic: "x".repeat(257), ..message("") },
        WakuMessage { meta: vec![0; 65], ..message("") },
        WakuMessage { timestamp_ns: Some(hour_ago), ..message("") },
    ];
    for message in broken {
        let kind = kind(0, message).await;
        assert!(matches!(kind, Some(ErrorKind::InvalidMessage(_))), "{kind:?}");
    }
}

#[tokio::test]
async fn a_slow_reader_loses_the_oldest_and_is_told() {
    let node = start(NodeConfig::new(CLUSTER, 1)).await;
    let mut slow = node.subscribe(0, TOPIC.into());
    for number in 0..600 {
        node.publish(0, message(&number.to_string())).await.unwrap();
    }
    let first: u64 = next(&mut slow).await.parse().unwrap();
    assert_eq!(slow.missed(), first, "all before the first one read");
    assert!(first > 0);
}

#[tokio::test]
async fn the_store_survives_a_restart() {
    let folder = std::env::temp_dir().join(format!("waku-store-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let store = Some(folder.join("waku.sqlite"));
    let config = || NodeConfig { store: store.clone(), ..NodeConfig::new(CLUSTER, 1) };
    let node = start(config()).await;
    node.publish(0, message("kept")).await.unwrap();
    node.shutdown().await;
    let node = start(config()).await;
    let stored = node.query(0, TOPIC.into(), 10).await.unwrap();
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].payload, b"kept");
    node.shutdown().await;
    std::fs::remove_dir_all(&folder).unwrap();
}
