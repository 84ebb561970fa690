//! The scheduler over backends that misbehave in ways no server can: each job ends exactly once, and its slot is free.

use async_trait::async_trait;
use privacyai::effect::Millis;
use privacyai::provider::{Input, Job, SessionId};
use privacyai_worker::inference::{
    Backend, ChatRequest, Failure, Health, Limits, Model, Route, Scheduler, Token, code,
};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Far above what anything here takes; only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a double does with each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Answers,
    Panics,
    PanicsMidway,
    IgnoresCancel,
    IsGone,
    IsFull,
    FailsMidway,
    /// Fails so often before it answers.
    RecoversAfter(u32),
}

struct Double {
    manner: Manner,
    asked: AtomicU32,
    running: AtomicU32,
    most: AtomicU32,
}

impl Double {
    fn new(manner: Manner) -> Arc<Self> {
        Arc::new(Self { manner, asked: AtomicU32::new(0), running: AtomicU32::new(0), most: AtomicU32::new(0) })
    }
}

#[async_trait]
impl Backend for Double {
    async fn models(&self) -> Result<Vec<String>, Failure> {
        Ok(Vec::new())
    }

    async fn health(&self) -> Health {
        Health::Up
    }

    async fn infer(
        &self,
        _: ChatRequest,
        out: mpsc::Sender<Token>,
        cancel: CancellationToken,
    ) -> Result<String, Failure> {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst);
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        let say = async || drop(out.send(Token::Text("word ".to_owned())).await);
        let end = match self.manner {
            Manner::Panics => panic!("a double's panic"),
            Manner::PanicsMidway => {
                say().await;
                panic!("a double's panic")
            }
            Manner::IgnoresCancel => std::future::pending().await,
            Manner::IsGone => Err(Failure::new(code::MODEL_UNAVAILABLE)),
            Manner::IsFull => Err(Failure { code: code::OVERLOADED, retry_after: 33 }),
            Manner::FailsMidway => {
                say().await;
                Err(Failure::new(code::MODEL_UNAVAILABLE))
            }
            Manner::RecoversAfter(times) if asked < times => Err(Failure::new(code::MODEL_UNAVAILABLE)),
            Manner::Answers | Manner::RecoversAfter(_) => {
                for _ in 0..200 {
                    if cancel.is_cancelled() {
                        break;
                    }
                    say().await;
                    tokio::task::yield_now().await;
                }
                if cancel.is_cancelled() { Err(Failure::new(code::CANCELLED)) } else { Ok("stop".to_owned()) }
            }
        };
        self.running.fetch_sub(1, Ordering::SeqCst);
        end
    }
}

struct Bench {
    scheduler: Scheduler,
    inputs: mpsc::Receiver<Input>,
    slots: Vec<Arc<Semaphore>>,
}

impl Bench {
    fn start(backends: &[&Arc<Double>], concurrency: u32, queue: u32) -> Self {
        let slots: Vec<_> = backends.iter().map(|_| Arc::new(Semaphore::new(concurrency as usize))).collect();
        let routes = backends.iter().zip(&slots).map(|(backend, slots)| Route {
            name: "double".to_owned(),
            backend: (*backend).clone(),
            upstream_id: "upstream".to_owned(),
            slots: slots.clone(),
        });
        let model = Model {
            id: "model".to_owned(),
            routes: routes.collect(),
            system: Some("Help.".to_owned()),
            temperature: None,
            top_p: None,
            concurrency,
            queue,
            max_output_tokens: 1_000,
        };
        let (scheduler, inputs) = Scheduler::start(vec![model]);
        Self { scheduler, inputs, slots }
    }

    fn submit(&self, session: u64, content: &str, deadline: u64) {
        let job = Job {
            session: SessionId(session),
            model: "model".to_owned(),
            content: content.as_bytes().to_vec(),
            prefix: String::new(),
            deadline: Millis(deadline),
        };
        self.scheduler.submit(job, Millis(0));
    }

    fn ask(&self, session: u64) {
        self.submit(session, r#"{"messages":[{"role":"user","content":"x"}]}"#, 120_000);
    }

    /// Pieces of text and the end of so many sessions, in the order of their ends.
    async fn ends(&mut self, sessions: usize) -> Vec<End> {
        let mut pieces: HashMap<u64, usize> = HashMap::new();
        let mut ends: Vec<End> = Vec::new();
        while ends.len() < sessions {
            let input = timeout(PATIENCE, self.inputs.recv()).await.expect("an input in time").expect("it lives");
            let (session, end) = match input {
                Input::Text(session, _) => {
                    *pieces.entry(session.0).or_default() += 1;
                    (session.0, None)
                }
                Input::Finished(session, reason) => (session.0, Some(Ok(reason))),
                Input::Failed(session, code, retry_after) => (session.0, Some(Err((code, retry_after)))),
                other => panic!("unexpected {other:?}"),
            };
            assert!(ends.iter().all(|(ended, ..)| *ended != session), "session {session} speaks after its end");
            if let Some(end) = end {
                ends.push((session, pieces.get(&session).copied().unwrap_or(0), end));
            }
        }
        let freed = async {
            while self.scheduler.live() > 0 || self.slots.iter().any(|s| s.available_permits() == 0) {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, freed).await.expect("slots are free again");
        ends
    }
}

/// Session, pieces of text, and how it ended.
type End = (u64, usize, Result<String, (u16, u16)>);

fn stop() -> Result<String, (u16, u16)> {
    Ok("stop".to_owned())
}

#[tokio::test]
async fn each_manner_ends_once() {
    for (manner, pieces, end) in [
        (Manner::Answers, 200, stop()),
        (Manner::Panics, 0, Err((10, 0))),
        (Manner::PanicsMidway, 1, Err((10, 0))),
        (Manner::IsGone, 0, Err((4, 0))),
        (Manner::IsFull, 0, Err((5, 33))),
        (Manner::FailsMidway, 1, Err((4, 0))),
        (Manner::RecoversAfter(2), 200, stop()),
        (Manner::RecoversAfter(3), 0, Err((4, 0))),
    ] {
        let mut bench = Bench::start(&[&Double::new(manner)], 1, 1);
        bench.ask(1);
        assert_eq!(bench.ends(1).await, [(1, pieces, end)], "{manner:?}");
    }
}

#[tokio::test]
async fn another_backend_takes_over_before_the_first_token_only() {
    for (first, answered) in [(Manner::IsGone, true), (Manner::IsFull, true), (Manner::FailsMidway, false)] {
        let (first, second) = (Double::new(first), Double::new(Manner::Answers));
        let mut bench = Bench::start(&[&first, &second], 1, 1);
        bench.ask(1);
        let end = bench.ends(1).await.remove(0).2;
        assert_eq!(end.is_ok(), answered, "{:?}", first.manner);
        assert_eq!(second.asked.load(Ordering::SeqCst), u32::from(answered));
    }
}

#[tokio::test]
async fn the_cap_holds_and_the_queue_is_in_order() {
    let double = Double::new(Manner::Answers);
    let mut bench = Bench::start(&[&double], 2, 18);
    for session in 0..20 {
        bench.ask(session);
    }
    let ends = bench.ends(20).await;
    assert!(ends.iter().all(|(_, pieces, end)| *pieces == 200 && *end == stop()), "{ends:?}");
    assert!(double.most.load(Ordering::SeqCst) <= 2);
    for (place, (session, ..)) in ends.iter().enumerate() {
        assert!(session.abs_diff(place as u64) <= 2, "{ends:?}");
    }
}

#[tokio::test]
async fn waiting_ends_at_the_deadline_and_malformed_requests_at_once() {
    let double = Double::new(Manner::IgnoresCancel);
    let mut bench = Bench::start(&[&double], 1, 4);
    bench.ask(1);
    bench.submit(2, r#"{"messages":[{"role":"user","content":"x"}]}"#, 20);
    bench.submit(3, "no JSON", 120_000);
    bench.submit(4, r#"{"messages":[{"role":"user","content":"x"}],"n":3}"#, 120_000);
    while double.asked.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    bench.scheduler.cancel(SessionId(99));
    let mut seen = Vec::new();
    for _ in 0..3 {
        match timeout(PATIENCE, bench.inputs.recv()).await.expect("an input in time") {
            Some(Input::Failed(session, code, _)) => seen.push((session.0, code)),
            other => panic!("unexpected {other:?}"),
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, [(2, 5), (3, 1), (4, 9)]);
    // A backend that ignores its cancel is dropped after a grace.
    bench.scheduler.cancel(SessionId(1));
    assert_eq!(bench.ends(1).await, [(1, 0, Err((11, 0)))]);
}

#[tokio::test]
async fn limits_change_while_jobs_run() {
    let double = Double::new(Manner::IgnoresCancel);
    let mut bench = Bench::start(&[&double], 1, 0);
    bench.slots[0].add_permits(3);
    let limit = |bench: &Bench, concurrency, queue| {
        bench.scheduler.limit("model", Limits { concurrency, queue, max_output_tokens: 9 });
    };
    let asked = async |count| {
        while double.asked.load(Ordering::SeqCst) < count {
            tokio::task::yield_now().await;
        }
    };
    let refused = async |bench: &mut Bench, session| {
        bench.ask(session);
        match timeout(PATIENCE, bench.inputs.recv()).await.expect("an input in time") {
            Some(Input::Failed(ended, 5, _)) => assert_eq!(ended, SessionId(session)),
            other => panic!("unexpected {other:?}"),
        }
    };
    bench.ask(1);
    asked(1).await;
    refused(&mut bench, 2).await;
    limit(&bench, 2, 1);
    bench.ask(3);
    asked(2).await;
    bench.ask(4);
    while bench.scheduler.live() < 3 {
        tokio::task::yield_now().await;
    }
    refused(&mut bench, 5).await;
    // Fewer slots: one that runs may end without making room for the one that waits.
    limit(&bench, 1, 1);
    bench.scheduler.cancel(SessionId(1));
    let ended = bench.inputs.recv().await;
    assert!(matches!(ended, Some(Input::Failed(SessionId(1), 11, _))), "{ended:?}");
    refused(&mut bench, 6).await;
    assert_eq!(double.asked.load(Ordering::SeqCst), 2, "the fourth still waits");
    bench.scheduler.cancel(SessionId(3));
    asked(3).await;
    bench.scheduler.cancel_all();
    assert_eq!(bench.ends(2).await.len(), 2);
}
