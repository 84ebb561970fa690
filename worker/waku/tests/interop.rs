//! The unmodified npm SDK against two meshed nodes: runs `tests/waku/interop.mjs` and does what it asks for.

use std::{
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use privacyai_waku::{Node, NodeConfig, WakuMessage};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
};

const CLUSTER: u16 = 66;
const ECHO: &str = "/interop/v1/providers/echo/requests";
const ANSWERS: &str = "/interop/v1/providers/answers/requests";
/// Of the whole script; its own deadlines are shorter.
const DEADLINE: Duration = Duration::from_secs(300);

fn message(content_topic: &str, payload: Vec<u8>) -> WakuMessage {
    WakuMessage { payload, content_topic: content_topic.into(), ..WakuMessage::default() }
}

fn websocket(node: &Node) -> String {
    node.addresses().into_iter().find(|address| address.contains("/ws/")).unwrap()
}

/// Two nodes that relay to each other.
async fn mesh() -> (Node, Node) {
    let first = Node::start(NodeConfig::new(CLUSTER, 1)).await.unwrap();
    let second = Node::start(NodeConfig { bootstrap: first.addresses(), ..NodeConfig::new(CLUSTER, 1) }).await.unwrap();
    let mut heard = second.subscribe(0, "/interop/v1/mesh/probe".into());
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        assert!(Instant::now() < end, "the nodes do not relay");
        first.publish(0, message("/interop/v1/mesh/probe", b"probe".to_vec())).await.unwrap();
        if tokio::time::timeout(Duration::from_millis(200), heard.next()).await.is_ok() {
            return (first, second);
        }
    }
}

#[tokio::test]
async fn the_npm_sdk_is_served() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    assert!(
        root.join("node_modules/@waku/sdk").exists(),
        "js-waku is not installed: run `npm ci` at the root of the repository"
    );
    let (first, second) = mesh().await;
    let mut script = Command::new("node")
        .arg(root.join("tests/waku/interop.mjs"))
        .args([CLUSTER.to_string(), websocket(&first), websocket(&second)])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("`node` runs the script: install Node.js 20 or newer");
    let mut lines = BufReader::new(script.stdout.take().unwrap()).lines();
    let mut requests = second.subscribe(0, ECHO.into());
    let (mut passed, mut failed) = (0, Vec::new());
    let conversation = async {
        loop {
            tokio::select! {
                Some(request) = requests.next() => {
                    let answer = WakuMessage { ephemeral: true, ..message(ANSWERS, request.payload) };
                    second.publish(0, answer).await.unwrap();
                }
                line = lines.next_line() => {
                    let Some(line) = line.unwrap() else { break };
                    println!("{line}");
                    if let Some(order) = line.strip_prefix("do publish ") {
                        let (count, topic) = order.split_once(' ').unwrap();
                        for number in 0..count.parse::<u32>().unwrap() {
                            first.publish(0, message(topic, number.to_string().into_bytes())).await.unwrap();
                        }
                    } else if line.starts_with("ok ") {
                        passed += 1;
                    } else if line.starts_with("not ok ") {
                        failed.push(line);
                    }
                }
            }
        }
    };
    tokio::time::timeout(DEADLINE, conversation).await.expect("the script ends in time");
    let status = script.wait().await.unwrap();
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(status.success() && passed > 0, "{status} after {passed} checks");
    first.shutdown().await;
    second.shutdown().await;
}
