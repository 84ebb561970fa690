//! Which chain, which contracts and whose account: what is typed, over the configuration file, over what the contracts'
//! file says.

use super::{command::Flags, deployment::Deployment};
use crate::config::{Chain, Config, ConfigError};
use reqwest::Url;
use std::path::{Path, PathBuf};

/// The keystore's name in the state folder.
pub const KEYSTORE: &str = "account.json";
/// The variable of the passphrase.
pub const PASSPHRASE: &str = "CHAIN_PASSPHRASE";

/// Everything that `worker chain` runs by.
#[derive(Clone, Debug)]
pub struct Settings {
    /// As typed.
    flags: Flags,
    /// As configured.
    chain: Chain,
    /// PROVIDER_ID.
    pub provider_id: String,
    /// The folder of all state folders.
    pub base: PathBuf,
}

impl Settings {
    /// Puts them together.
    #[must_use]
    pub fn new(flags: Flags, config: &Config, base: &Path) -> Self {
        let (chain, provider_id) = (config.chain.clone(), config.provider_id.clone());
        Self { flags, chain, provider_id, base: base.to_owned() }
    }

    /// Where the keystore lies.
    #[must_use]
    pub fn keystore(&self) -> PathBuf {
        let set = self.flags.keystore.as_ref().or(self.chain.keystore.as_ref());
        set.cloned().unwrap_or_else(|| self.base.join(&self.provider_id).join(KEYSTORE))
    }

    /// Whether the keystore is named on the command line.
    #[must_use]
    pub const fn names_keystore(&self) -> bool {
        self.flags.keystore.is_some()
    }

    /// Where the passphrase lies, if in a file.
    #[must_use]
    pub fn passphrase_file(&self) -> Option<&Path> {
        self.flags.passphrase_file.as_deref().or(self.chain.passphrase_file.as_deref())
    }

    /// Where the contracts are.
    ///
    /// # Errors
    /// When nothing names them, or their file is wrong.
    pub fn deployment(&self) -> Result<Deployment, Box<dyn std::error::Error>> {
        let Some(path) = self.flags.contracts.as_ref().or(self.chain.contracts.as_ref()) else {
            return Err(ConfigError::command_line(
                "nothing says where the contracts are",
                "name the JSON file that their deployment wrote: --contracts FILE, or contracts = \"FILE\" in [chain] \
                 of worker.toml",
            )
            .into());
        };
        Ok(Deployment::read(path)?)
    }

    /// Where a node of the chain answers.
    ///
    /// # Errors
    /// When nothing says it, or what is typed is no such address.
    pub fn rpc(&self, deployment: &Deployment) -> Result<Url, ConfigError> {
        let set = self.flags.rpc.as_ref().or(self.chain.rpc.as_ref()).or(deployment.rpc.as_ref());
        let Some(text) = set else {
            return Err(ConfigError::command_line(
                "nothing says where a node of the chain answers",
                "name its RPC: --rpc URL, or rpc = \"URL\" in [chain] of worker.toml",
            ));
        };
        parse_rpc(text).ok_or_else(|| {
            ConfigError::command_line(
                "the RPC of the chain is no http or https address",
                "write one such as http://127.0.0.1:8545",
            )
        })
    }
}

/// An address of a node. It may hold a key in its path, so it is never shown whole.
#[must_use]
pub fn parse_rpc(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}
