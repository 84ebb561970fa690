//! What the operator is told of this worker's work since its start: totals, the last day by quarter hours, and the last
//! few answers. It is filled by the serve loop, lives in memory alone, and holds no word, key or mark of any user.

use crate::{
    inference::{Source, Usage, code},
    metrics::{self, Metrics, Stage},
};
use privacyai::{
    effect::Millis,
    provider::{Input, Job, Note, SessionId},
    quantile::Sketch,
};
use serde::Serialize;
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// A column of the chart.
const QUARTER_MS: u64 = 15 * 60 * 1_000;
/// Columns of the chart: a day.
const QUARTERS: usize = 96;
/// Answers that are listed.
const LATEST: usize = 20;
/// Below so many tokens an answer says little about the speed.
const MIN_TOKENS_FOR_RATE: u64 = 16;

/// Counts what the serve loop sees.
pub struct Tally {
    metrics: Arc<Metrics>,
    book: Mutex<Book>,
    started: Instant,
}

#[derive(Default)]
struct Book {
    counts: Counts,
    errors: BTreeMap<u16, u64>,
    running: HashMap<SessionId, Running>,
    latest: VecDeque<Line>,
    quarters: VecDeque<Quarter>,
    first_ms: Sketch,
    tokens_per_s: Sketch,
    announced: Option<Millis>,
    draining: bool,
}

/// Totals since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Questions accepted.
    pub accepted: u64,
    /// Questions refused before a model saw them.
    pub refused: u64,
    /// Answers that ended by themselves, also at a limit of length.
    pub answered: u64,
    /// Answers stopped by their users.
    pub cancelled: u64,
    /// Answers that ended with an error.
    pub failed: u64,
    /// Messages that opened as nothing.
    pub dropped: u64,
    /// Questions that came a second time.
    pub replayed: u64,
    /// Receipts signed.
    pub receipts: u64,
    /// Tokens read.
    pub prompt_tokens: u64,
    /// Tokens written.
    pub completion_tokens: u64,
}

struct Running {
    model: String,
    at: Millis,
    began: Instant,
    first: Option<Instant>,
    usage: Option<Usage>,
}

struct Quarter {
    number: u64,
    requests: u64,
    first_ms: Sketch,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// When the question was accepted, ms since 1970.
    pub at_ms: u64,
    /// The model's id.
    pub model: String,
    /// Tokens read, none while unknown.
    pub prompt_tokens: Option<u64>,
    /// Tokens written, none while unknown.
    pub completion_tokens: Option<u64>,
    /// Until the first word, none before it.
    pub first_ms: Option<u64>,
    /// Speed after the first word, where there were enough tokens to tell.
    pub tokens_per_s: Option<u64>,
    /// `running`, `complete`, `truncated` or the name of the error.
    pub end: &'static str,
}

/// Errors of one code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Errors {
    /// As in protocol section 5.8.
    pub code: u16,
    /// Its name.
    pub name: &'static str,
    /// So many.
    pub count: u64,
}

/// A quarter of an hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Its start, ms since 1970.
    pub at_ms: u64,
    /// Questions accepted and refused.
    pub requests: u64,
    /// Half of the answers began within so long.
    pub first_p50_ms: Option<u32>,
    /// 95 of 100 answers began within so long.
    pub first_p95_ms: Option<u32>,
}

/// The whole of it at one time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Told {
    /// Seconds since the start.
    pub uptime_s: u64,
    /// ms since 1970 of the last announcement.
    pub announced_ms: Option<u64>,
    /// Whether new questions are refused because the worker stops.
    pub draining: bool,
    /// Totals since the start.
    #[serde(flatten)]
    pub counts: Counts,
    /// Until the first word, ms; recent answers weigh more.
    pub first_p50_ms: Option<u32>,
    /// Likewise.
    pub first_p95_ms: Option<u32>,
    /// Tokens a second of one answer; the median, recent answers weigh more.
    pub tokens_per_s: Option<u32>,
    /// By code; an answer that its user stopped is no error.
    pub errors: Vec<Errors>,
    /// The last day, oldest first; quarters without a question are left out.
    pub quarters: Vec<Column>,
    /// Newest first.
    pub latest: Vec<Line>,
}

impl Tally {
    /// An empty one that counts into `metrics` too.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, book: Mutex::default(), started: Instant::now() }
    }

    /// What the machine noted.
    pub fn note(&self, note: &Note, now: Millis) {
        let mut book = self.book();
        match note {
            Note::Accepted => {
                book.counts.accepted += 1;
                book.quarter(now).requests += 1;
            }
            Note::Refused(code) => {
                book.counts.refused += 1;
                book.quarter(now).requests += 1;
                *book.errors.entry(*code).or_default() += 1;
                self.metrics.rejected(*code);
            }
            Note::Ended { code: 0 | code::CANCELLED, .. } => {}
            Note::Ended { code, .. } => *book.errors.entry(*code).or_default() += 1,
            Note::Dropped => book.counts.dropped += 1,
            Note::Replayed => book.counts.replayed += 1,
            Note::Receipt => {
                book.counts.receipts += 1;
                self.metrics.receipt();
            }
            Note::Probed => self.metrics.probe(),
            Note::Announced => book.announced = Some(now),
            Note::Renewed => {}
        }
    }

    /// A job begins.
    pub fn infer(&self, job: &Job, now: Millis) {
        let model = job.model.clone();
        let running = Running { model, at: now, began: Instant::now(), first: None, usage: None };
        self.book().running.insert(job.session, running);
    }

    /// What comes of a job, seen before the machine takes it.
    pub fn input(&self, input: &Input, now: Millis) {
        match input {
            Input::Text(session, _) | Input::Json(session, _) => self.word(*session, now),
            Input::Usage { session, prompt, completion, source } => {
                let source = match source {
                    0 => Source::Backend,
                    1 => Source::Counted,
                    _ => Source::Estimated,
                };
                if let Some(running) = self.book().running.get_mut(session) {
                    running.usage = Some(Usage { prompt: *prompt, completion: *completion, source });
                }
            }
            Input::Finished(session, reason) if reason == "length" => self.end(*session, metrics::TRUNCATED),
            Input::Finished(session, _) => self.end(*session, metrics::COMPLETE),
            Input::Failed(session, code, _) => self.end(*session, metrics::outcome(*code)),
            Input::Drain => {
                self.book().draining = true;
                self.metrics.drains();
            }
            _ => {}
        }
    }

    /// The worker itself took so long.
    pub fn overhead(&self, stage: Stage, took: Duration) {
        self.metrics.overhead(stage, took);
    }

    fn word(&self, session: SessionId, now: Millis) {
        let mut book = self.book();
        let Some(running) = book.running.get_mut(&session) else { return };
        if running.first.is_some() {
            return;
        }
        running.first = Some(Instant::now());
        let after = running.began.elapsed();
        self.metrics.first_token(&running.model, after);
        let ms = u32::try_from(after.as_millis()).unwrap_or(u32::MAX);
        book.first_ms.add(ms, now);
        book.quarter(now).first_ms.add(ms, now);
    }

    fn end(&self, session: SessionId, end: &'static str) {
        let mut book = self.book();
        let Some(running) = book.running.remove(&session) else { return };
        self.metrics.ended(&running.model, end, running.began.elapsed());
        if let Some(usage) = running.usage {
            book.counts.prompt_tokens = book.counts.prompt_tokens.saturating_add(usage.prompt);
            book.counts.completion_tokens = book.counts.completion_tokens.saturating_add(usage.completion);
            self.metrics.used(&running.model, usage);
            if let Some(first) = running.first {
                self.metrics.streamed(&running.model, usage.completion, first.elapsed());
            }
        }
        let counts = &mut book.counts;
        let count = match end {
            metrics::COMPLETE | metrics::TRUNCATED => &mut counts.answered,
            _ if end == metrics::outcome(code::CANCELLED) => &mut counts.cancelled,
            _ => &mut counts.failed,
        };
        *count += 1;
        let line = running.line(end);
        if let Some(rate) = line.tokens_per_s {
            book.tokens_per_s.add(u32::try_from(rate).unwrap_or(u32::MAX), running.at);
        }
        book.latest.push_front(line);
        book.latest.truncate(LATEST);
    }

    /// What there is to tell now.
    pub fn told(&self) -> Told {
        let book = self.book();
        let mut latest: Vec<Line> = book.running.values().map(|running| running.line("running")).collect();
        latest.extend(book.latest.iter().cloned());
        latest.sort_by_key(|line| std::cmp::Reverse(line.at_ms));
        latest.truncate(LATEST);
        Told {
            uptime_s: self.started.elapsed().as_secs(),
            announced_ms: book.announced.map(|at| at.0),
            draining: book.draining,
            counts: book.counts.clone(),
            first_p50_ms: book.first_ms.quantile(500),
            first_p95_ms: book.first_ms.quantile(950),
            tokens_per_s: book.tokens_per_s.quantile(500),
            errors: book
                .errors
                .iter()
                .map(|(code, count)| Errors { code: *code, name: metrics::outcome(*code), count: *count })
                .collect(),
            quarters: book
                .quarters
                .iter()
                .map(|quarter| Column {
                    at_ms: quarter.number.saturating_mul(QUARTER_MS),
                    requests: quarter.requests,
                    first_p50_ms: quarter.first_ms.quantile(500),
                    first_p95_ms: quarter.first_ms.quantile(950),
                })
                .collect(),
            latest,
        }
    }

    /// A panicking holder leaves the numbers whole enough to be told.
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    /// The quarter of an hour that `now` is in; one that is over stays as it is, also when the clock is set back.
    fn quarter(&mut self, now: Millis) -> &mut Quarter {
        let number = now.0 / QUARTER_MS;
        let newest = self.quarters.back().map(|quarter| quarter.number);
        if newest.is_none_or(|newest| newest < number) {
            let oldest = number.saturating_sub(QUARTERS as u64 - 1);
            self.quarters.retain(|quarter| quarter.number >= oldest);
            self.quarters.push_back(Quarter { number, requests: 0, first_ms: Sketch::default() });
        }
        let last = self.quarters.len().saturating_sub(1);
        &mut self.quarters[last]
    }
}

impl Running {
    fn line(&self, end: &'static str) -> Line {
        let first = self.first.map(|first| first.duration_since(self.began));
        let rate = self.first.zip(self.usage).and_then(|(first, usage)| {
            let seconds = first.elapsed().as_secs_f64();
            // The first token is there when the clock starts.
            let rate = usage.completion.saturating_sub(1) as f64 / seconds;
            (usage.completion >= MIN_TOKENS_FOR_RATE && rate.is_finite()).then_some(rate.round() as u64)
        });
        Line {
            at_ms: self.at.0,
            model: self.model.clone(),
            prompt_tokens: self.usage.map(|usage| usage.prompt),
            completion_tokens: self.usage.map(|usage| usage.completion),
            first_ms: first.map(|first| u64::try_from(first.as_millis()).unwrap_or(u64::MAX)),
            tokens_per_s: rate,
            end,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally() -> Tally {
        Tally::new(Arc::new(Metrics::default()))
    }

    fn job(session: u64) -> Job {
        Job {
            session: SessionId(session),
            model: "m".to_owned(),
            content: b"a planted secret".to_vec(),
            prefix: String::new(),
            deadline: Millis(0),
        }
    }

    #[test]
    fn an_answer_is_told_from_begin_to_end() {
        let (tally, now) = (tally(), Millis(1_000 * QUARTER_MS));
        tally.note(&Note::Accepted, now);
        tally.infer(&job(1), now);
        assert_eq!(tally.told().latest[0].end, "running");
        tally.input(&Input::Text(SessionId(1), "a planted secret".into()), now);
        tally.input(&Input::Usage { session: SessionId(1), prompt: 4, completion: 20, source: 0 }, now);
        tally.note(&Note::Receipt, now);
        tally.input(&Input::Finished(SessionId(1), "stop".into()), now);
        tally.note(&Note::Accepted, now);
        tally.infer(&job(2), now);
        tally.input(&Input::Failed(SessionId(2), 10, 0), now);
        tally.note(&Note::Ended { code: 10, first_ms: 0, total_ms: 9 }, now);
        tally.note(&Note::Accepted, now);
        tally.infer(&job(3), now);
        tally.input(&Input::Failed(SessionId(3), 11, 0), now);
        tally.note(&Note::Ended { code: 11, first_ms: 0, total_ms: 9 }, now);
        tally.note(&Note::Refused(5), now);
        // Jobs that nobody began, and an answer that ends twice, change nothing.
        tally.input(&Input::Finished(SessionId(1), "stop".into()), now);
        tally.input(&Input::Text(SessionId(9), "x".into()), now);

        let told = tally.told();
        let counts = &told.counts;
        assert_eq!((counts.accepted, counts.refused, counts.answered), (3, 1, 1), "{told:?}");
        assert_eq!((counts.cancelled, counts.failed, counts.receipts), (1, 1, 1), "{told:?}");
        assert_eq!((counts.prompt_tokens, counts.completion_tokens), (4, 20));
        let errors: Vec<_> = told.errors.iter().map(|error| (error.code, error.name, error.count)).collect();
        assert_eq!(errors, [(5, "overloaded", 1), (10, "internal", 1)]);
        assert_eq!(told.quarters.len(), 1);
        assert_eq!((told.quarters[0].at_ms, told.quarters[0].requests), (now.0, 4));
        assert!(told.first_p50_ms.is_some() && told.quarters[0].first_p95_ms.is_some(), "{told:?}");
        let ends: Vec<_> = told.latest.iter().map(|line| line.end).collect();
        assert_eq!(ends, ["cancelled", "internal", "complete"]);
        assert!(!serde_json::to_string(&told).unwrap().contains("planted"));
        assert!(!tally.metrics.encode().contains("planted"));
    }

    #[test]
    fn a_day_and_a_few_answers_are_kept() {
        let tally = tally();
        let times = (0..300).map(|n| Millis(n * QUARTER_MS));
        for (session, now) in times.chain([Millis(5)]).enumerate() {
            tally.note(&Note::Accepted, now);
            tally.infer(&job(session as u64), now);
            tally.input(&Input::Finished(SessionId(session as u64), "length".into()), now);
        }
        let told = tally.told();
        assert_eq!((told.counts.answered, told.latest.len()), (301, LATEST));
        assert_eq!((told.quarters.len(), told.quarters[0].at_ms), (QUARTERS, 204 * QUARTER_MS));
        assert_eq!(told.quarters[QUARTERS - 1].requests, 2, "the clock set back counts in the newest");
    }
}
