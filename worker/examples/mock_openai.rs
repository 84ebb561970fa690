//! The fault mock as a program, for benchmarks and browser tests: prints `{"port":N}` and serves until Ctrl-C, then
//! says how many requests came and how many clients left early.

#[path = "../tests/mock/mod.rs"]
mod mock;

use clap::Parser;
use std::time::Duration;

#[derive(Parser)]
struct Arguments {
    /// Loopback port, 0 for a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Milliseconds from a request to its first token.
    #[arg(long, default_value_t = 20)]
    first_ms: u64,
    /// Milliseconds between tokens.
    #[arg(long, default_value_t = 10)]
    token_ms: u64,
    /// Tokens of an answer whose model does not name a number.
    #[arg(long, default_value_t = 20)]
    tokens: usize,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let arguments = Arguments::parse();
    let pace = mock::Pace {
        first: Duration::from_millis(arguments.first_ms),
        token: Duration::from_millis(arguments.token_ms),
        tokens: arguments.tokens,
    };
    let server = mock::Mock::start(arguments.port, pace).await?;
    println!("{}", serde_json::json!({ "port": server.address.port() }));
    tokio::signal::ctrl_c().await?;
    eprintln!("{:?}", server.counts);
    Ok(())
}
