//! Prints how long the worker takes to open a request, and a native user to seal one, as JSON: `{"open":[ms],"seal":[ms]}`.

use privacyai_tests::timing::Timing;
use std::time::Instant;

const ROUNDS: usize = 300;

fn main() -> Result<(), String> {
    let timing = Timing::prepare()?;
    let open = times(|| timing.open())?;
    let seal = times(|| timing.seal().map(drop))?;
    println!("{}", serde_json::json!({ "open": open, "seal": seal }));
    Ok(())
}

/// Milliseconds of each call.
fn times(mut step: impl FnMut() -> Result<(), String>) -> Result<Vec<f64>, String> {
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let began = Instant::now();
        step()?;
        times.push(began.elapsed().as_secs_f64() * 1_000.0);
    }
    Ok(times)
}
