//! A node of the chain: asks contracts, and says in words what it or a contract refuses. Its address may hold a key, so
//! only its host is ever shown.

use super::{
    Failure,
    deployment::{Contract, Deployment},
    settings::Settings,
};
use alloy::{
    eips::BlockNumberOrTag,
    network::TransactionBuilder as _,
    primitives::{Address, U256},
    providers::{Provider as _, ProviderBuilder, RootProvider},
    rpc::types::TransactionRequest,
    sol_types::SolCall,
    transports::{RpcError, TransportError, TransportErrorKind},
};
use privacyai_contracts::explain_of;
use std::time::Duration;

/// For a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// For an answer: a node that simulates a large batch takes seconds.
const ANSWER: Duration = Duration::from_secs(60);
/// Characters that are shown of what a node says.
const MAX_SHOWN: usize = 300;

/// A node of the right chain, with the contracts on it.
pub struct Node {
    /// Speaks to it.
    pub provider: RootProvider,
    /// Where the contracts are.
    pub deployment: Deployment,
    host: String,
}

impl Node {
    /// Connects, and checks the chain and that the `needed` contracts are there.
    ///
    /// # Errors
    /// In words, with what to do.
    pub async fn connect(settings: &Settings, needed: &[Contract]) -> Result<Self, Failure> {
        let deployment = settings.deployment()?;
        let url = settings.rpc(&deployment)?;
        let host = match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (host, _) => host.unwrap_or_default().to_owned(),
        };
        // The first one wins, and all are the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut client = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .timeout(ANSWER)
            .redirect(reqwest::redirect::Policy::none());
        if matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]")) {
            client = client.no_proxy();
        }
        let provider = ProviderBuilder::new().disable_recommended_fillers().connect_reqwest(client.build()?, url);
        let node = Self { provider, deployment, host };
        let chain = node.provider.get_chain_id().await.map_err(|error| node.words(&error))?;
        if chain != node.deployment.chain_id {
            return Err(format!(
                "{} is a node of chain {chain}, and the contracts are on chain {}\n  to fix: name a node of that chain \
                 with --rpc, or the contracts of this one with --contracts",
                node.host, node.deployment.chain_id
            )
            .into());
        }
        for contract in needed {
            let address = node.deployment.at(*contract)?;
            let code = node.provider.get_code_at(address).await.map_err(|error| node.words(&error))?;
            if code.is_empty() {
                return Err(format!(
                    "there is no contract at {address}, where \"{}\" should be on chain {chain}\n  to fix: name the file \
                     of this chain's deployment with --contracts",
                    contract.as_str()
                )
                .into());
            }
        }
        Ok(node)
    }

    /// Where a contract is.
    ///
    /// # Errors
    /// When the contracts' file does not say.
    pub fn at(&self, contract: Contract) -> Result<Address, Failure> {
        Ok(self.deployment.at(contract)?)
    }

    /// Asks a contract.
    ///
    /// # Errors
    /// In words.
    pub async fn ask<C: SolCall>(&self, contract: Contract, call: C) -> Result<C::Return, Failure> {
        let to = self.at(contract)?;
        let request = TransactionRequest::default().with_to(to).with_input(call.abi_encode());
        let answer = self.provider.call(request).block(LATEST.into()).await;
        let answer = answer.map_err(|error| self.refusal(contract, &error))?;
        C::abi_decode_returns(&answer).map_err(|_| {
            format!(
                "the contract at {to} answers {} as no {} does\n  to fix: name the file of this chain's deployment with \
                 --contracts",
                C::SIGNATURE,
                contract.as_str()
            )
            .into()
        })
    }

    /// The ETH of an account, in wei.
    ///
    /// # Errors
    /// In words.
    pub async fn balance(&self, account: Address) -> Result<U256, Failure> {
        Ok(self.provider.get_balance(account).await.map_err(|error| self.words(&error))?)
    }

    /// The time of the chain's latest block, in unix seconds: the contracts' clock.
    ///
    /// # Errors
    /// In words.
    pub async fn now(&self) -> Result<u64, Failure> {
        let block = self.provider.get_block_by_number(LATEST).await.map_err(|error| self.words(&error))?;
        Ok(block.ok_or("the node has no block yet")?.header.timestamp)
    }

    /// Why a call of this contract failed, in words.
    #[must_use]
    pub fn refusal(&self, contract: Contract, error: &TransportError) -> String {
        match error.as_error_resp().and_then(|response| response.as_revert_data()) {
            Some(data) => explain_of(contract.solidity(), &data),
            None => self.words(error),
        }
    }

    /// Why a request failed, in words.
    #[must_use]
    pub fn words(&self, error: &TransportError) -> String {
        let host = &self.host;
        match error {
            RpcError::ErrorResp(response) => format!("the node {host} refused: {}", shown(&response.message)),
            RpcError::Transport(kind) => match kind {
                TransportErrorKind::HttpError(error) => {
                    format!(
                        "the node {host} answered with HTTP status {}\n  to fix: {}",
                        error.status,
                        fix(error.status)
                    )
                }
                TransportErrorKind::Custom(error) => {
                    let cause = error.downcast_ref::<reqwest::Error>();
                    let what = if cause.is_some_and(reqwest::Error::is_timeout) {
                        "does not answer in time"
                    } else if cause.is_some_and(reqwest::Error::is_connect) {
                        "cannot be reached"
                    } else {
                        "broke off"
                    };
                    format!("the node {host} {what}\n  to fix: start it, or name another with --rpc")
                }
                _ => format!("the node {host} broke off\n  to fix: try again, or name another with --rpc"),
            },
            RpcError::DeserError { .. } | RpcError::NullResp => {
                format!("{host} does not answer as a node does\n  to fix: name the RPC of a node with --rpc")
            }
            _ => format!("the request to {host} could not be made"),
        }
    }
}

/// What helps against a status of HTTP.
const fn fix(status: u16) -> &'static str {
    match status {
        429 | 500..=599 => "wait a little, or name another with --rpc",
        _ => "check the address and its key",
    }
}

/// The block that every question is about.
pub const LATEST: BlockNumberOrTag = BlockNumberOrTag::Latest;

/// A stranger's words for a terminal: one line, not too long, no control characters.
#[must_use]
pub fn shown(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(MAX_SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_said_with_what_helps() {
        for (status, words) in [(401, "its key"), (404, "its key"), (429, "wait"), (500, "wait"), (503, "another")] {
            assert!(fix(status).contains(words), "{status}");
        }
    }

    #[test]
    fn a_nodes_words_cannot_drive_the_terminal() {
        assert_eq!(shown("a\u{1b}[2J\nb"), "a [2J b");
        assert_eq!(shown(&"x".repeat(1_000)).len(), MAX_SHOWN);
    }
}
