//! No log at any level holds a word of a prompt or of an answer, from us or from any library below us.

mod mock;

use mock::{Mock, Pace, words};
use privacyai::effect::Millis;
use privacyai::provider::{Input, Job, SessionId};
use privacyai_worker::inference::openai::{OpenAi, Settings, Timeouts};
use privacyai_worker::inference::{Model, Route, Scheduler};
use std::io::{self, Write};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no writer panics").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_log_holds_a_word_of_a_prompt_or_an_answer() {
    const QUESTION: &str = "quetzalcoatl";
    const KEY: &str = "kumquat-key";
    const MODELS: [&str; 6] = ["known:20", "error_mid", "html_200", "429_retry_after", "refuses_options", "bad_utf8"];
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).init();
    let pace = Pace { first: Duration::ZERO, token: Duration::ZERO, tokens: 20 };
    let server = Mock::start(0, pace).await.expect("the mock listens");
    let settings = Settings {
        url: format!("http://{}/v1", server.address),
        api_key: Some(KEY.to_owned().into()),
        timeouts: Timeouts::default(),
    };
    let backend = Arc::new(OpenAi::new(&settings).expect("a client"));
    let slots = Arc::new(Semaphore::new(8));
    let models = MODELS.map(|id| Model {
        id: id.to_owned(),
        routes: vec![Route {
            name: "mock".to_owned(),
            backend: backend.clone(),
            upstream_id: id.to_owned(),
            slots: slots.clone(),
        }],
        system: None,
        temperature: None,
        top_p: None,
        concurrency: 1,
        queue: 0,
        max_output_tokens: 100,
    });
    let (scheduler, mut inputs) = Scheduler::start(models.into());
    for (session, model) in MODELS.iter().enumerate() {
        let content = serde_json::json!({ "messages": [{ "role": "user", "content": QUESTION }] }).to_string();
        let job = Job {
            session: SessionId(session as u64),
            model: (*model).to_owned(),
            content: content.into_bytes(),
            prefix: String::new(),
            deadline: Millis(60_000),
        };
        scheduler.submit(job, Millis(0));
    }
    let mut ends = 0;
    while ends < MODELS.len() {
        match inputs.recv().await.expect("the scheduler lives") {
            Input::Finished(..) | Input::Failed(..) => ends += 1,
            _ => {}
        }
    }
    assert!(server.counts.requests.load(Ordering::Relaxed) >= MODELS.len() as u64);
    assert!(server.counts.closed_early.load(Ordering::Relaxed) <= MODELS.len() as u64);
    let log = String::from_utf8_lossy(&log.0.lock().expect("no writer panics")).into_owned();
    assert!(log.contains("TRACE"), "the libraries below are heard");
    let answer = words("known:20", QUESTION, 20, 100);
    for word in answer.iter().map(|word| word.trim()).chain([QUESTION, KEY]) {
        assert!(!log.contains(word), "{word:?} is in the log");
    }
}
