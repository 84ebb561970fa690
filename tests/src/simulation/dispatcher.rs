//! What a market is measured by: a dispatcher that knows every queue, and blind chance.

use super::{DELAY_MS, Scenario, exponential, outcome::permille};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// The same arrivals, services and slots under a dispatcher that knows every queue at each moment, and under blind
/// chance: the 95th percentile of the time from asking until a model begins, in ms, with one way over the network.
pub fn compare(scenario: Scenario) -> (u64, u64) {
    let play = |knows: bool| {
        let mut rng = ChaCha8Rng::seed_from_u64(scenario.seed);
        let mut arrivals: Vec<u64> = (0..scenario.requests).map(|_| rng.next_u64() % scenario.span_ms).collect();
        arrivals.sort_unstable();
        // When each slot of each provider is free again.
        let mut free = vec![vec![0u64; scenario.slots as usize]; scenario.providers];
        let mut waits = Vec::with_capacity(arrivals.len());
        for at in arrivals {
            let there = at + DELAY_MS.0 + rng.next_u64() % (DELAY_MS.1 - DELAY_MS.0);
            let soonest = |slots: &Vec<u64>| slots.iter().copied().min().unwrap_or(0);
            let which = match knows {
                true => (0..free.len()).min_by_key(|index| soonest(&free[*index])).unwrap_or(0),
                false => rng.next_u64() as usize % free.len(),
            };
            let Some(slot) = free[which].iter_mut().min() else { continue };
            let begin = there.max(*slot);
            *slot = begin + exponential(scenario.service_ms, &mut rng);
            waits.push(begin - at);
        }
        permille(&mut waits, 950)
    };
    (play(true), play(false))
}
