//! A provider that lies about its speed: it announces ten thousand tokens a second and signs fifty times the tokens
//! that it gave, while its words come slowly. Its announcements, envelopes and receipts are the worker's own machine's,
//! so all of them verify. Says `{"provider_id":"…"}` when it has announced itself.
//!
//!     cargo run -p privacyai-worker --example liar -- MODEL WORDS CLUSTER SHARDS MULTIADDR...

#[path = "../tests/mock/mod.rs"]
#[allow(dead_code, reason = "only the words are used")]
mod mock;

use getrandom::SysRng;
use privacyai::announcement::heartbeat::Model;
use privacyai::identity::RootKey;
use privacyai::provider::{Config, Effect, Input, Job, Offer, Provider};
use privacyai_waku::{Node, NodeConfig};
use privacyai_worker::{publisher::message, serve::now};
use rand_core::UnwrapErr;
use std::error::Error;
use std::time::Duration;
use tokio::sync::mpsc;

/// What it says of its speed.
const BOAST: u32 = 10_000;
/// What it signs for each token.
const COUNTS: u64 = 50;
/// Before a word, in truth.
const WORD: Duration = Duration::from_millis(60);
/// Until the peers have told which topics they take.
const MEET: Duration = Duration::from_secs(1);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let model = arguments.next().ok_or("MODEL is missing")?;
    let words: usize = arguments.next().ok_or("WORDS is missing")?.parse()?;
    let cluster: u16 = arguments.next().ok_or("CLUSTER is missing")?.parse()?;
    let shards: u16 = arguments.next().ok_or("SHARDS is missing")?.parse()?;
    let node = Node::start(NodeConfig { bootstrap: arguments.collect(), ..NodeConfig::new(cluster, shards) }).await?;
    tokio::time::sleep(MEET).await;

    let mut rng = UnwrapErr(SysRng);
    let mut provider = Provider::new(config(model), RootKey::generate(&mut rng));
    let (inputs, mut happened) = mpsc::channel(64);
    let mut effects = provider.handle(Input::Start(Vec::new()), now(), &mut rng);
    println!("{}", serde_json::json!({ "provider_id": provider.id().to_string() }));
    let mut wake = now();
    loop {
        for effect in effects {
            match effect {
                Effect::Publish(publication) => node.publish(publication.shard(), message(&publication)).await?,
                Effect::Subscribe { content_topic, shard } => {
                    let (mut messages, inputs) = (node.subscribe(shard, content_topic), inputs.clone());
                    tokio::spawn(async move {
                        while let Some(message) = messages.next().await {
                            let (content_topic, payload) = (message.content_topic, message.payload);
                            if inputs.send(Input::Message { content_topic, payload }).await.is_err() {
                                return;
                            }
                        }
                    });
                }
                // A cancelled one says the rest to nobody.
                Effect::Infer(job) => drop(tokio::spawn(answer(job, words, inputs.clone()))),
                Effect::WakeAt(at) => wake = at,
                _ => {}
            }
        }
        let pause = Duration::from_millis(wake.0.saturating_sub(now().0));
        let input = tokio::select! {
            Some(input) = happened.recv() => input,
            () = tokio::time::sleep(pause) => Input::Tick,
        };
        effects = provider.handle(input, now(), &mut rng);
    }
}

async fn answer(job: Job, words: usize, inputs: mpsc::Sender<Input>) {
    let request: serde_json::Value = serde_json::from_slice(&job.content).unwrap_or_default();
    let said = mock::words("", &mock::question_of(&request), words, usize::MAX);
    let completion = COUNTS.saturating_mul(said.len() as u64);
    for word in said {
        tokio::time::sleep(WORD).await;
        if inputs.send(Input::Text(job.session, word)).await.is_err() {
            return;
        }
    }
    let usage = Input::Usage { session: job.session, prompt: 1, completion, source: 0 };
    for input in [usage, Input::Finished(job.session, "stop".into())] {
        // The loop that reads these ends with the program.
        let _ = inputs.send(input).await;
    }
}

fn config(id: String) -> Config {
    let model = Model {
        id,
        context: 32_768,
        price_in: 0,
        price_out: 0,
        tokens_per_s: BOAST,
        preset: String::new(),
        quantisation: "8-bit".into(),
        engine: "openai".into(),
        capabilities: 0,
        weights_hash: None,
    };
    let offers = vec![Offer { model, concurrency: 16, queue: 64 }];
    Config { handle: "boasts".into(), name: "boasts".into(), offers, peer_ids: Vec::new() }
}
