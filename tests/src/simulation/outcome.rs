//! What came of a simulated market, in figures.

use super::Market;
use serde::Serialize;
use std::collections::BTreeMap;

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// Providers.
    pub providers: usize,
    /// Clients.
    pub clients: usize,
    /// Questions asked within the quota.
    pub requests: usize,
    /// Answers by another provider than the one that was named, or of another text.
    pub misrouted: usize,
    /// Share of the questions answered whole.
    pub answered_ratio: f64,
    /// Times a provider held more jobs than it has places for while another had a free slot.
    pub over_limit: usize,
    /// Clients that were answered more often than the quota allows.
    pub over_quota: usize,
    /// Inequality of the providers' jobs, 0 equal to 1 all at one.
    pub gini: f64,
    /// Time from asking until a model began, in ms: 95 of 100 questions waited no longer.
    pub wait_p95_ms: u64,
    /// The same for half of the questions, and for 90 and 99 of 100.
    pub wait_ms: [u64; 3],
    /// How the questions ended.
    pub ends: BTreeMap<String, usize>,
    /// Time from asking to the first word, in ms: 99 of 100 questions waited no longer.
    pub first_p99_ms: u64,
    /// Requests to providers for each question.
    pub requests_per_question: f64,
}

impl Market {
    pub(super) fn outcome(mut self) -> Outcome {
        let limited = self.ends.get("limit").copied().unwrap_or(0);
        let requests = self.ends.values().sum::<usize>() - limited;
        let complete = self.ends.get("complete").copied().unwrap_or(0);
        let jobs: Vec<u64> = self.workers.iter().map(|worker| worker.jobs).collect();
        let over_quota = self.users.iter().filter(|user| user.answered > self.scenario.free_daily).count();
        Outcome {
            providers: self.scenario.providers,
            clients: self.scenario.clients,
            requests,
            misrouted: self.misrouted,
            answered_ratio: complete as f64 / requests.max(1) as f64,
            over_limit: self.over_limit,
            over_quota,
            gini: gini(jobs),
            first_p99_ms: permille(&mut self.firsts, 990),
            wait_p95_ms: permille(&mut self.waits, 950),
            wait_ms: [500, 900, 990].map(|part| permille(&mut self.waits, part)),
            ends: self.ends,
            requests_per_question: self.sent as f64 / requests.max(1) as f64,
        }
    }
}

/// The value that so many of 1,000 do not exceed.
pub(super) fn permille(values: &mut [u64], part: usize) -> u64 {
    values.sort_unstable();
    values.get((values.len() * part).div_ceil(1_000).saturating_sub(1)).copied().unwrap_or(0)
}

/// Gini coefficient of these amounts.
fn gini(mut amounts: Vec<u64>) -> f64 {
    amounts.sort_unstable();
    let sum: u64 = amounts.iter().sum();
    let count = amounts.len() as f64;
    let ranked: f64 = amounts.iter().enumerate().map(|(rank, amount)| (rank as f64 + 1.0) * *amount as f64).sum();
    if sum == 0 { 0.0 } else { 2.0 * ranked / (count * sum as f64) - (count + 1.0) / count }
}
