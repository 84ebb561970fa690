//! Prints, as JSON, the 99th percentile of the time to the first word with and without hedging in ms, and how many
//! requests hedging makes of one: one seeded market in which one job of fifty is late.

use privacyai::client::Hedging;
use privacyai_tests::simulation::{Scenario, simulate};

fn main() {
    let late = Scenario {
        providers: 40,
        clients: 5,
        requests: 2_000,
        seed: 7,
        span_ms: 7_200_000,
        slots: 2,
        service_ms: 3_000,
        free_daily: u32::MAX,
        greedy: 0,
        loss: 0,
        faults: false,
        stragglers: 20,
        hedging: Hedging::Allowed,
    };
    let with = simulate(late);
    let without = simulate(Scenario { hedging: Hedging::Never, ..late });
    println!(
        "{}",
        serde_json::json!({
            "with_ms": with.first_p99_ms,
            "without_ms": without.first_p99_ms,
            "requests": with.requests_per_question / without.requests_per_question,
        })
    );
}
