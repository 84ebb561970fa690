//! The binary `worker`: from the command line to an exit code.

use clap::Parser as _;
use privacyai_worker::{
    chain,
    cli::{self, Cli, Command},
    config::{Config, ConfigError, Environment, Flags},
    doctor, dumps,
    init::{self, Force},
    log, models, network,
    run::{self, Setting},
    serve::End,
    state,
    status::{self, Format},
};
use std::{error::Error, path::PathBuf, process::ExitCode};

/// Something failed.
const FAILED: u8 = 1;
/// The command line, the environment or the configuration is wrong.
const WRONG: u8 = 2;
/// Stopped before all answers were finished, as shells name it.
const CUT: u8 = 130;

fn main() -> ExitCode {
    let cli = Cli::parse();
    log::start(cli.common.log_format);
    match execute(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("worker: {error}");
            ExitCode::from(if error.is::<ConfigError>() { WRONG } else { FAILED })
        }
    }
}

fn execute(cli: Cli) -> Result<ExitCode, Box<dyn Error>> {
    if matches!(cli.command, Command::Run(_) | Command::Node(_) | Command::Chain(_))
        && let Err(error) = dumps::forbid()
    {
        eprintln!("note: core dumps cannot be switched off ({error}): a crash may write questions or keys to the disk");
    }
    let look_up = |name: &str| std::env::var(name).ok();
    let serve = match &cli.command {
        Command::Run(serve) | Command::Node(serve) => serve.clone(),
        _ => cli::Serve::default(),
    };
    let base = state::base(look_up)?;
    match cli.command {
        Command::Model(command) => return models::execute(command).map(|()| ExitCode::SUCCESS),
        Command::Invite => {
            let environment = Environment::read(look_up)?;
            println!("{}", network::invite_of_running(&base, environment.provider_id.as_deref())?);
            return Ok(ExitCode::SUCCESS);
        }
        _ => {}
    }
    let environment = Environment::read(look_up)?;
    let flags = Flags { config: cli.common.config, network: serve.network };
    let config = Config::load(&flags, &environment, &base)?;
    match cli.command {
        Command::Init { force } => {
            init::init(&config, &base, if force { Force::Yes } else { Force::No })?;
            Ok(ExitCode::SUCCESS)
        }
        Command::CheckConfig => {
            network::load(&config)?;
            println!("{}", config.summary());
            Ok(ExitCode::SUCCESS)
        }
        Command::Doctor { json } => {
            limit_threads(&config)?;
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            let report = runtime.block_on(doctor::examine(&config, &base));
            runtime.shutdown_background();
            if json {
                println!("{}", serde_json::to_string_pretty(&report)?);
            } else {
                report.print();
            }
            Ok(if report.ok { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
        }
        Command::Status { json } => {
            let format = if json { Format::Json } else { Format::Lines };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            println!("{}", runtime.block_on(status::ask(&base, &config.provider_id, format))?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Chain(command) => {
            let settings = chain::settings::Settings::new(command.flags, &config, &base);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(chain::execute(command.command, &settings))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Run(_) => {
            limit_threads(&config)?;
            served(run::run(&setting(config, flags, environment, base, serve.ready_file))?)
        }
        Command::Node(_) => served(run::node(&setting(config, flags, environment, base, serve.ready_file))?),
        Command::Model(_) | Command::Invite => Ok(ExitCode::SUCCESS),
    }
}

fn setting(
    config: Config,
    flags: Flags,
    environment: Environment,
    base: PathBuf,
    ready_file: Option<PathBuf>,
) -> Setting {
    for notice in &config.notices {
        eprintln!("note: {notice}");
    }
    Setting { config, flags, environment, base, ready_file }
}

fn served(end: End) -> Result<ExitCode, Box<dyn Error>> {
    Ok(match end {
        End::Drained => ExitCode::SUCCESS,
        End::Cut => ExitCode::from(CUT),
    })
}

/// The engine reads its threads from the environment once: this may start the program anew with them set.
#[cfg(feature = "embedded")]
fn limit_threads(config: &Config) -> Result<(), Box<dyn Error>> {
    if let Some(threads) = config.embedded_threads() {
        privacyai_worker::inference::embedded::limit_threads(threads)?;
    }
    Ok(())
}

#[cfg(not(feature = "embedded"))]
fn limit_threads(_: &Config) -> Result<(), Box<dyn Error>> {
    Ok(())
}
