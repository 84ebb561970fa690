//! Plays markets in virtual time, for `cargo xtask simulate`: `simulate PROVIDERS CLIENTS REQUESTS SEED`. Prints a table
//! and, as its last line, the report as JSON.

use privacyai::client::Hedging;
use privacyai_tests::simulation::{Outcome, Scenario, compare, simulate};
use std::{thread, time::Instant};

const HOUR_MS: u64 = 3_600_000;

fn main() -> Result<(), String> {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let [providers, clients, requests, seed] = numbers[..] else {
        return Err("simulate PROVIDERS CLIENTS REQUESTS SEED".into());
    };
    let started = Instant::now();
    let hour = Scenario {
        providers: providers as usize,
        clients: clients as usize,
        requests: requests as usize,
        seed,
        span_ms: HOUR_MS,
        slots: 2,
        service_ms: 3_000,
        // All of the day's free questions are asked, and every tenth client tries one more.
        free_daily: u32::try_from(requests.div_ceil(clients.max(1))).unwrap_or(u32::MAX),
        greedy: clients as usize / 10,
        loss: 10,
        faults: true,
        stragglers: 0,
        hedging: Hedging::Allowed,
    };

    // One slot a provider and jobs of ten seconds: seven of ten slots are taken all the time. It has a thread of its own.
    let service_ms = 10_000;
    let span_ms = requests * service_ms * 10 / (7 * providers.max(1));
    let full =
        Scenario { slots: 1, service_ms, span_ms, free_daily: u32::MAX, greedy: 0, loss: 0, faults: false, ..hour };
    let full = thread::spawn(move || {
        let began = Instant::now();
        (simulate(full), began.elapsed().as_secs_f64(), compare(full))
    });

    println!("An hour with loss, churn and a regional outage, for more and more clients:");
    println!(
        "{:>8} {:>9} {:>9} {:>9} {:>9} {:>6} {:>8} {:>5}",
        "clients", "requests", "answered", "misrouted", "p95 wait", "gini", "seconds", "MiB"
    );
    let (mut last, mut costs) = (None, Vec::new());
    for parts in [100, 10, 1] {
        let clients = (hour.clients / parts).max(1);
        if parts > 1 && clients < 100 {
            continue;
        }
        let began = Instant::now();
        let (requests, greedy) = ((hour.requests / parts).max(1), hour.greedy / parts);
        let outcome = simulate(Scenario { clients, requests, greedy, ..hour });
        let seconds = began.elapsed().as_secs_f64();
        println!(
            "{:>8} {:>9} {:>8.2}% {:>9} {:>6} ms {:>6.2} {:>8.1} {:>5}",
            outcome.clients,
            outcome.requests,
            outcome.answered_ratio * 100.0,
            outcome.misrouted,
            outcome.wait_p95_ms,
            outcome.gini,
            seconds,
            peak_mib()
        );
        costs.push(serde_json::json!({
            "clients": outcome.clients, "requests": outcome.requests, "seconds": seconds, "peak_mib": peak_mib(),
        }));
        last = Some(outcome);
    }
    let outcome = last.ok_or("nothing was simulated")?;
    println!("How the questions ended: {:?}; {:.3} requests a question", outcome.ends, outcome.requests_per_question);
    let (busy, busy_seconds, (knows, chance)) = full.join().map_err(|_| "the run at 70 % of all capacity panicked")?;
    println!("\nAt 70 % of all capacity, until a model begins, 95 of 100 wait at most:");
    println!("  {:>6} ms  these clients ({:.1} s to simulate, gini {:.2})", busy.wait_p95_ms, busy_seconds, busy.gini);
    println!("  {knows:>6} ms  a dispatcher that knows every queue");
    println!("  {chance:>6} ms  blind chance");

    println!("{}", report(&outcome, started.elapsed().as_secs_f64(), costs, &busy, (knows, chance))?);
    Ok(())
}

fn report(
    outcome: &Outcome,
    seconds: f64,
    costs: Vec<serde_json::Value>,
    busy: &Outcome,
    others: (u64, u64),
) -> Result<String, String> {
    let mut report = serde_json::to_value(outcome).map_err(|error| error.to_string())?;
    report["seconds"] = seconds.into();
    report["peak_mib"] = peak_mib().into();
    report["cost"] = costs.into();
    report["at_70_percent"] = serde_json::json!({
        "wait_p95_ms": busy.wait_p95_ms,
        "dispatcher_p95_ms": others.0,
        "random_p95_ms": others.1,
        "answered_ratio": busy.answered_ratio,
        "wait_p50_p90_p99_ms": busy.wait_ms,
        "requests_per_question": busy.requests_per_question,
        "gini": busy.gini,
    });
    Ok(report.to_string())
}

/// Most memory that this process has had, in MiB; 0 where the system does not say.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).map_or(0, |kib| kib / 1_024)
}
