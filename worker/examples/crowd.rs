//! A crowd of providers that announce themselves and answer nobody: what a user sees of a large market. Each is the
//! worker's own machine with a key of its own, so every announcement is signed and verified as any other; all of them
//! speak through one node. Says `announced COUNT` when all have.
//!
//!     cargo run -p privacyai-worker --example crowd -- COUNT CLUSTER SHARDS MULTIADDR...

use getrandom::SysRng;
use privacyai::announcement::heartbeat::Model;
use privacyai::effect::Millis;
use privacyai::identity::RootKey;
use privacyai::provider::{Config, Effect, Input, Offer, Provider};
use privacyai_waku::{Node, NodeConfig};
use privacyai_worker::{publisher::message, serve::now};
use rand_core::UnwrapErr;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::error::Error;
use std::time::Duration;

/// Between two publications; a thousand newcomers come over some seconds, not at once.
const PACE: Duration = Duration::from_millis(3);
/// Until the peers have told which topics they take.
const MEET: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let count: usize = arguments.next().ok_or("COUNT is missing")?.parse()?;
    let cluster: u16 = arguments.next().ok_or("CLUSTER is missing")?.parse()?;
    let shards: u16 = arguments.next().ok_or("SHARDS is missing")?.parse()?;
    let node = Node::start(NodeConfig { bootstrap: arguments.collect(), ..NodeConfig::new(cluster, shards) }).await?;
    tokio::time::sleep(MEET).await;

    let mut rng = UnwrapErr(SysRng);
    let mut crowd: Vec<Provider> =
        (0..count).map(|index| Provider::new(config(index), RootKey::generate(&mut rng))).collect();
    let mut waking = BinaryHeap::new();
    for (index, provider) in crowd.iter_mut().enumerate() {
        let effects = provider.handle(Input::Start(Vec::new()), now(), &mut rng);
        carry(&node, index, effects, &mut waking).await?;
    }
    println!("announced {count}");
    while let Some(Reverse((at, index))) = waking.pop() {
        tokio::time::sleep(Duration::from_millis(at.0.saturating_sub(now().0))).await;
        if let Some(provider) = crowd.get_mut(index) {
            let effects = provider.handle(Input::Tick, now(), &mut rng);
            carry(&node, index, effects, &mut waking).await?;
        }
    }
    Ok(())
}

fn config(index: usize) -> Config {
    let model = Model {
        id: format!("model-{}", index % 12),
        context: 32_768,
        price_in: 0,
        price_out: 0,
        tokens_per_s: 20 + u32::try_from(index % 80).unwrap_or(0),
        preset: String::new(),
        quantisation: "8-bit".into(),
        engine: "none".into(),
        capabilities: 0,
        weights_hash: None,
    };
    let offers = vec![Offer { model, concurrency: 4, queue: 4 }];
    Config { handle: format!("crowd-{index}"), name: format!("Crowd {index}"), offers, peer_ids: Vec::new() }
}

async fn carry(
    node: &Node,
    index: usize,
    effects: Vec<Effect>,
    waking: &mut BinaryHeap<Reverse<(Millis, usize)>>,
) -> Result<(), Box<dyn Error>> {
    for effect in effects {
        match effect {
            Effect::Publish(publication) => {
                node.publish(publication.shard(), message(&publication)).await?;
                tokio::time::sleep(PACE).await;
            }
            Effect::WakeAt(at) => waking.push(Reverse((at, index))),
            _ => {}
        }
    }
    Ok(())
}
