//! Every fault of a server, through the scheduler: one terminal input of the right kind, the slot free again, and text
//! that is a prefix of what was sent.

mod mock;

use mock::{FAULTS, Mock, Pace, words};
use privacyai::effect::Millis;
use privacyai::provider::{Input, Job, SessionId};
use privacyai_worker::inference::openai::{OpenAi, Settings, Timeouts};
use privacyai_worker::inference::{Model, Route, Scheduler};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

const QUESTION: &str = "How do birds find their way?";
const TOKENS: usize = 12;
/// Far above what any of these answers takes; only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(60);

struct Bench {
    mock: Mock,
    scheduler: Scheduler,
    inputs: mpsc::Receiver<Input>,
    slots: Arc<Semaphore>,
}

impl Bench {
    async fn start(models: &[&str], concurrency: u32, queue: u32) -> Self {
        let pace = Pace { first: Duration::from_millis(2), token: Duration::from_millis(2), tokens: TOKENS };
        let mock = Mock::start(0, pace).await.expect("the mock listens");
        let settings = Settings {
            url: format!("http://{}/v1", mock.address),
            api_key: None,
            timeouts: Timeouts {
                connect: Duration::from_secs(5),
                first_token: Duration::from_millis(1_500),
                idle: Duration::from_millis(500),
            },
        };
        let backend = Arc::new(OpenAi::new(&settings).expect("a client"));
        let slots = Arc::new(Semaphore::new(8));
        let models = models
            .iter()
            .map(|id| Model {
                id: (*id).to_owned(),
                routes: vec![Route {
                    name: "mock".to_owned(),
                    backend: backend.clone(),
                    upstream_id: (*id).to_owned(),
                    slots: slots.clone(),
                }],
                system: None,
                temperature: None,
                top_p: None,
                concurrency,
                queue,
                max_output_tokens: 100_000,
            })
            .collect();
        let (scheduler, inputs) = Scheduler::start(models);
        Self { mock, scheduler, inputs, slots }
    }

    fn submit(&self, session: u64, model: &str) {
        let content = serde_json::json!({ "messages": [{ "role": "user", "content": QUESTION }] });
        self.scheduler.submit(
            Job {
                session: SessionId(session),
                model: model.to_owned(),
                content: content.to_string().into_bytes(),
                prefix: String::new(),
                deadline: Millis(120_000),
            },
            Millis(0),
        );
    }

    async fn next(&mut self) -> Input {
        timeout(PATIENCE, self.inputs.recv()).await.expect("an input in time").expect("the scheduler lives")
    }

    /// Reads until every session of `open` has ended; panics when one ends twice or speaks after its end.
    async fn collect(&mut self, open: &[u64]) -> Vec<Outcome> {
        let mut outcomes: Vec<Outcome> = open.iter().map(|session| Outcome::new(*session)).collect();
        while outcomes.iter().any(|outcome| outcome.end.is_none()) {
            let input = self.next().await;
            let session = session_of(&input);
            let outcome = outcomes.iter_mut().find(|o| o.session == session).expect("a session that was asked for");
            assert!(outcome.end.is_none(), "session {session} speaks after its end");
            match input {
                Input::Text(_, text) => outcome.text.push_str(&text),
                Input::Json(_, json) => outcome.json.push(serde_json::from_slice(&json).expect("JSON")),
                Input::Usage { completion, source, .. } => {
                    assert!(outcome.usage.replace((completion, source)).is_none(), "two counts");
                }
                Input::Finished(_, reason) => outcome.end = Some(Ok(reason)),
                Input::Failed(_, code, retry_after) => outcome.end = Some(Err((code, retry_after))),
                _ => panic!("the scheduler sent something else"),
            }
        }
        outcomes
    }

    /// Waits until the server saw so many clients go.
    async fn closed(&self, clients: u64) {
        let seen = async {
            while self.mock.counts.closed_early.load(Ordering::Relaxed) < clients {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, seen).await.expect("the server sees the client go");
    }
}

#[derive(Debug)]
struct Outcome {
    session: u64,
    text: String,
    json: Vec<serde_json::Value>,
    usage: Option<(u64, u8)>,
    end: Option<Result<String, (u16, u16)>>,
}

impl Outcome {
    fn new(session: u64) -> Self {
        Self { session, text: String::new(), json: Vec::new(), usage: None, end: None }
    }
}

fn session_of(input: &Input) -> u64 {
    match input {
        Input::Text(session, _)
        | Input::Json(session, _)
        | Input::Usage { session, .. }
        | Input::Finished(session, _)
        | Input::Failed(session, ..) => session.0,
        _ => panic!("the scheduler sent something else"),
    }
}

#[tokio::test]
async fn each_fault_ends_once_and_rightly() {
    let mut bench = Bench::start(&FAULTS, 1, 0).await;
    for (session, fault) in FAULTS.iter().enumerate() {
        let session = session as u64;
        bench.submit(session, fault);
        let outcome = bench.collect(&[session]).await.remove(0);
        let sent = words(fault, QUESTION, TOKENS, usize::MAX);
        let whole = sent.concat();
        let half = sent[..sent.len() / 2].concat();
        let ok = |reason: &str| Some(Ok(reason.to_owned()));
        let (text, end) = match *fault {
            "stall_headers" | "stall_first" | "comments_only" | "huge_line" | "bad_utf8" | "html_200" => {
                (String::new(), Some(Err((10, 0))))
            }
            "html_502" => (String::new(), Some(Err((4, 0)))),
            "429_retry_after" => (String::new(), Some(Err((5, 20)))),
            "stall_mid" | "cut_mid_char" | "error_mid" => (half, Some(Err((10, 0)))),
            "abort_then_done" => (whole.clone(), Some(Err((10, 0)))),
            "tool_index_zero" => (String::new(), ok("tool_calls")),
            "reasoning" => (sent[sent.len() / 2..].concat(), ok("stop")),
            _ => (whole.clone(), ok("stop")),
        };
        assert_eq!(outcome.text, text, "{fault}");
        assert_eq!(outcome.end, end, "{fault}");
        assert!(whole.starts_with(&outcome.text) || *fault == "reasoning", "{fault}");
        match *fault {
            "tool_index_zero" => {
                let calls = outcome.json.iter().map(|json| json["tool_calls"].as_array().map_or(0, Vec::len));
                assert_eq!(calls.sum::<usize>(), TOKENS, "{fault}");
            }
            "reasoning" => assert_eq!(outcome.json.len(), TOKENS / 2, "{fault}"),
            "wrong_usage" => {
                let (completion, source) = outcome.usage.expect("a count");
                assert!(completion <= 64 && source == 1, "{fault}: {completion} {source}");
            }
            "usage_missing" => assert_eq!(outcome.usage.map(|usage| usage.1), Some(2), "{fault}"),
            _ => assert!(outcome.json.is_empty(), "{fault}"),
        }
        assert_eq!(bench.slots.available_permits(), 8, "{fault}: its slot is free");
    }
    assert_eq!(bench.scheduler.live(), 0);
}

#[tokio::test]
async fn a_cancel_ends_a_job_wherever_it_stands() {
    let mut bench = Bench::start(&["known:10000", "stall_headers", "stall_first"], 1, 1).await;
    bench.submit(1, "stall_headers");
    bench.submit(2, "stall_first");
    bench.submit(3, "known:10000");
    let mut first = bench.next().await;
    while session_of(&first) != 3 {
        first = bench.next().await;
    }
    assert!(matches!(first, Input::Text(..)), "{first:?}");
    bench.submit(4, "known:10000");
    for session in [4, 3, 2, 1] {
        bench.scheduler.cancel(SessionId(session));
    }
    for outcome in bench.collect(&[1, 2, 3, 4]).await {
        assert_eq!(outcome.end, Some(Err((11, 0))), "session {}", outcome.session);
        assert_eq!(outcome.usage.is_some(), outcome.session == 3, "only delivered text is counted");
    }
    bench.closed(3).await;
    assert_eq!(bench.mock.counts.requests.load(Ordering::Relaxed), 3, "the queued job never reached the server");
    assert_eq!(bench.scheduler.live(), 0);
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let mut bench = Bench::start(&["stall_headers"], 1, 1).await;
    for session in 1..=2 {
        bench.submit(session, "stall_headers");
    }
    // Both hold their places once the first of them is at the server and the second is live.
    while bench.mock.counts.requests.load(Ordering::Relaxed) < 1 {
        tokio::task::yield_now().await;
    }
    bench.submit(3, "stall_headers");
    bench.submit(4, "no such model");
    let outcomes = bench.collect(&[3, 4]).await;
    assert!(matches!(outcomes[0].end, Some(Err((5, 1..)))), "{:?}", outcomes[0]);
    assert_eq!(outcomes[1].end, Some(Err((4, 0))));
    bench.scheduler.cancel_all();
    bench.collect(&[1, 2]).await;
}

#[tokio::test]
async fn a_server_that_is_gone_is_a_failure_and_withdrawn() {
    let mut bench = Bench::start(&["known:5"], 1, 0).await;
    bench.submit(1, "known:5");
    let whole = bench.collect(&[1]).await.remove(0);
    assert_eq!(whole.end, Some(Ok("stop".to_owned())));
    assert_eq!(whole.usage, Some((5, 0)));
    let settings = Settings { url: "http://127.0.0.1:9/v1".to_owned(), api_key: None, timeouts: Timeouts::default() };
    let gone = Model {
        id: "gone".to_owned(),
        routes: vec![Route {
            name: "mock".to_owned(),
            backend: Arc::new(OpenAi::new(&settings).expect("a client")),
            upstream_id: "gone".to_owned(),
            slots: Arc::new(Semaphore::new(1)),
        }],
        system: None,
        temperature: None,
        top_p: None,
        concurrency: 1,
        queue: 0,
        max_output_tokens: 16,
    };
    (bench.scheduler, bench.inputs) = Scheduler::start(vec![gone]);
    bench.submit(2, "gone");
    assert_eq!(bench.collect(&[2]).await.remove(0).end, Some(Err((4, 0))));
}
