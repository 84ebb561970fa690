//! Asks a running worker as fast as it answers, for `cargo xtask bench`: a user without a browser, over the real network
//! node. Prints `{"requests_per_core_s":[...]}`, one number a round: whole answers over CPU seconds of the worker.

// A user who only asks needs a part of it.
#[allow(dead_code)]
#[path = "../tests/user/mod.rs"]
mod user;

use clap::Parser;
use privacyai::{
    client::{Choice, End, Status},
    identity::ProviderId,
};
use std::collections::VecDeque;

/// Clock ticks a second in `/proc/PID/stat`: fixed by Linux for programs, whatever the kernel's own.
const TICKS_PER_S: f64 = 100.0;

#[derive(Parser)]
struct Arguments {
    /// The worker's process id.
    #[arg(long)]
    pid: u32,
    /// The worker's address with its peer id.
    #[arg(long)]
    address: String,
    /// Its provider id.
    #[arg(long)]
    provider: String,
    /// Its handle.
    #[arg(long)]
    handle: String,
    /// The model to ask.
    #[arg(long)]
    model: String,
    /// Questions of a round.
    #[arg(long, default_value_t = 500)]
    requests: usize,
    /// Questions under way at once.
    #[arg(long, default_value_t = 16)]
    window: usize,
    /// Rounds that count; one more goes before them.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

#[tokio::main]
async fn main() -> Result<(), String> {
    let arguments = Arguments::parse();
    let provider: ProviderId = arguments.provider.parse().map_err(|error| format!("--provider: {error:?}"))?;
    let mut user = user::User::join(std::slice::from_ref(&arguments.address)).await;
    user.sees(&arguments.handle, Status::Online).await;
    let mut rates = Vec::new();
    for round in 0..=arguments.rounds {
        let before = cpu_s(arguments.pid)?;
        let mut whole = 0_u32;
        let mut asked = 0;
        let mut waiting = VecDeque::new();
        while asked < arguments.requests || !waiting.is_empty() {
            if asked < arguments.requests && waiting.len() < arguments.window {
                asked += 1;
                waiting.push_back(user.begin(Choice::Pinned(provider), &arguments.model, "What is a prekey?").await);
            } else if let Some(id) = waiting.pop_front() {
                let answer = user.end(id).await;
                match answer.end {
                    End::Complete => whole += 1,
                    other => eprintln!("not answered: {other:?}"),
                }
            }
        }
        let used = cpu_s(arguments.pid)? - before;
        if round > 0 {
            rates.push(f64::from(whole) / used);
        }
    }
    println!("{}", serde_json::json!({ "requests_per_core_s": rates }));
    Ok(())
}

/// CPU time that a process has used, all its threads, in user and kernel.
fn cpu_s(pid: u32) -> Result<f64, String> {
    let path = format!("/proc/{pid}/stat");
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    // The name in brackets may hold spaces.
    let rest = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = rest.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum::<f64>();
    Ok(ticks / TICKS_PER_S)
}
