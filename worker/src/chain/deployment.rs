//! Where the contracts are: the JSON that their deployment wrote, or the report of a chain of this machine, which holds
//! it beside the chain's RPC.

use alloy::primitives::Address;
use serde_json::{Map, Value};
use std::{fs::File, io::Read as _, path::Path};

/// More is not a list of addresses.
const MAX_BYTES: u64 = 64 * 1024;

/// A contract of the deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contract {
    /// INFERENCE.
    Token,
    /// Voted numbers.
    Params,
    /// Payment channels.
    Channels,
    /// Providers and their stakes.
    Registry,
    /// Quality cases.
    Court,
    /// Held and staked votes as one.
    Votes,
    /// Proposals and votes.
    Governor,
    /// One provider's splitter, which no deployment's file names.
    Splitter,
}

impl Contract {
    /// Its name in the JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Params => "params",
            Self::Channels => "channels",
            Self::Registry => "registry",
            Self::Court => "court",
            Self::Votes => "votes",
            Self::Governor => "governor",
            Self::Splitter => "splitter",
        }
    }

    /// Its name in Solidity, which decides what an error means.
    #[must_use]
    pub const fn solidity(self) -> &'static str {
        match self {
            Self::Token => "InferenceToken",
            Self::Params => "Params",
            Self::Channels => "InferenceChannels",
            Self::Registry => "ProviderRegistry",
            Self::Court => "QualityCourt",
            Self::Votes => "VotesAggregator",
            Self::Governor => "InferenceGovernor",
            Self::Splitter => "RevenueSplitter",
        }
    }
}

/// A deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// EIP-155 id of the chain.
    pub chain_id: u64,
    /// Where a node of the chain answers, when the file says so.
    pub rpc: Option<String>,
    contracts: Map<String, Value>,
}

impl Deployment {
    /// Reads a file.
    ///
    /// # Errors
    /// Names the file and what is wrong with it.
    pub fn read(path: &Path) -> Result<Self, String> {
        let said = |error: &dyn std::fmt::Display| format!("contracts {}: {error}\n  to fix: {FIX}", path.display());
        let mut text = String::new();
        File::open(path)
            .and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text))
            .map_err(|error| said(&error))?;
        Self::parse(&text).map_err(|error| said(&error))
    }

    /// Reads its text.
    ///
    /// # Errors
    /// Names the field that is missing.
    pub fn parse(text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|error| format!("no JSON: {error}"))?;
        let Value::Object(mut file) = value else { return Err("no JSON object".to_owned()) };
        let rpc = file.get("rpc").and_then(Value::as_str).map(str::to_owned);
        let contracts = match file.remove("contracts") {
            Some(Value::Object(inner)) => inner,
            Some(_) => return Err("\"contracts\" is no object".to_owned()),
            None => file,
        };
        let chain_id =
            contracts.get("chainId").and_then(Value::as_u64).ok_or("there is no number \"chainId\" in it")?;
        Ok(Self { chain_id, rpc, contracts })
    }

    /// Says where a contract is that the file does not name.
    pub fn name(&mut self, contract: Contract, address: Address) {
        self.contracts.insert(contract.as_str().to_owned(), address.to_string().into());
    }

    /// The address of a contract.
    ///
    /// # Errors
    /// Names the contract that is missing.
    pub fn at(&self, contract: Contract) -> Result<Address, String> {
        let name = contract.as_str();
        let address = self.contracts.get(name).and_then(Value::as_str).and_then(|text| text.parse().ok());
        address.ok_or_else(|| format!("the contracts' file names no address for \"{name}\"\n  to fix: {FIX}"))
    }
}

const FIX: &str = "name the JSON file that the deployment of the contracts wrote";

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::primitives::address;

    #[test]
    fn both_files_are_read() {
        let inner = r#"{"chainId": 31337, "token": "0x5FbDB2315678afecb367f032d93F642f64180aa3", "params": 7}"#;
        let plain = Deployment::parse(inner).unwrap();
        assert_eq!((plain.chain_id, plain.rpc.as_deref()), (31_337, None));
        let report = format!(r#"{{"rpc": "http://127.0.0.1:8545", "chain": 31337, "contracts": {inner}}}"#);
        let report = Deployment::parse(&report).unwrap();
        assert_eq!(report.rpc.as_deref(), Some("http://127.0.0.1:8545"));
        for deployment in [plain, report] {
            let token = address!("5FbDB2315678afecb367f032d93F642f64180aa3");
            assert_eq!(deployment.at(Contract::Token), Ok(token));
            assert!(deployment.at(Contract::Params).unwrap_err().contains("\"params\""));
            assert!(deployment.at(Contract::Court).unwrap_err().contains("\"court\""));
        }
    }

    #[test]
    fn other_files_are_refused() {
        for (text, words) in [
            ("", "no JSON"),
            ("[]", "no JSON object"),
            ("{}", "chainId"),
            (r#"{"chainId": "1"}"#, "chainId"),
            (r#"{"contracts": []}"#, "no object"),
        ] {
            let error = Deployment::parse(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
