//! `[chain]`: which chain, which contracts and whose account `worker chain` uses.

use super::{ConfigError, check::Source, file};
use crate::chain::settings::parse_rpc;
use std::path::PathBuf;

/// What the file says of the chain; the command line stands above it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// Where a node of the chain answers.
    pub rpc: Option<String>,
    /// The JSON that the deployment of the contracts wrote.
    pub contracts: Option<PathBuf>,
    /// The account's keystore; none lies in the state folder.
    pub keystore: Option<PathBuf>,
    /// The file with the keystore's passphrase.
    pub passphrase_file: Option<PathBuf>,
}

pub(super) fn check_chain(source: &Source<'_>, chain: &file::Chain) -> Result<Chain, ConfigError> {
    if let Some(rpc) = &chain.rpc
        && parse_rpc(rpc.get_ref()).is_none()
    {
        // It may hold a key, so it is not repeated.
        return Err(source.at(rpc, "rpc is no http or https address", "write one such as \"http://127.0.0.1:8545\""));
    }
    let resolve = |path: &Option<PathBuf>| path.as_deref().map(|path| source.resolve(path));
    Ok(Chain {
        rpc: chain.rpc.as_ref().map(|rpc| rpc.get_ref().clone()),
        contracts: resolve(&chain.contracts),
        keystore: resolve(&chain.keystore),
        passphrase_file: resolve(&chain.passphrase_file),
    })
}
