//! Prints how long the worker takes to open a request, in ms, as a JSON array.

use privacyai_tests::timing::Timing;
use std::time::Instant;

const ROUNDS: usize = 300;

fn main() -> Result<(), String> {
    let timing = Timing::prepare()?;
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let began = Instant::now();
        timing.open()?;
        times.push(began.elapsed().as_secs_f64() * 1_000.0);
    }
    println!("{}", serde_json::json!(times));
    Ok(())
}
