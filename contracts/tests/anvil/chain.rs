//! A chain of a test's own, loaded from the saved state.

use alloy::network::{EthereumWallet, TransactionBuilder as _};
use alloy::node_bindings::{Anvil, AnvilInstance};
use alloy::primitives::{Address, B256, U256, Uint, aliases::U40, keccak256};
use alloy::providers::{DynProvider, Provider as _, ProviderBuilder, ext::AnvilApi as _};
use alloy::rpc::types::{TransactionReceipt, TransactionRequest};
use alloy::signers::{SignerSync as _, local::PrivateKeySigner};
use alloy::sol_types::{SolCall, SolValue as _};
use privacyai_contracts::{Channels, TokenAuthorization, explain};
use std::env;

/// Accounts of anvil's mnemonic that hold ether and tokens; the state's maker is the first.
const ACCOUNTS: usize = 10;

/// Ends with the value.
pub struct Chain {
    anvil: AnvilInstance,
    /// Speaks for any of the accounts.
    pub provider: DynProvider,
    contracts: serde_json::Value,
}

impl Chain {
    /// Starts one.
    pub fn start() -> Self {
        let need = |name: &str| {
            env::var(name).unwrap_or_else(|_| panic!("{name} is not set; run this by `cargo xtask test contracts`"))
        };
        let anvil =
            Anvil::new().path(need("ANVIL")).args(["--load-state", &need("CHAIN_STATE")]).chain_id(31_337).spawn();
        let mut wallet = EthereumWallet::from(PrivateKeySigner::from(anvil.keys()[0].clone()));
        for key in &anvil.keys()[1..] {
            wallet.register_signer(PrivateKeySigner::from(key.clone()));
        }
        // A call that is refused before it is sent must not use a nonce up: the chain is asked for each.
        let builder = ProviderBuilder::new().disable_recommended_fillers().with_gas_estimation();
        let builder = builder.with_simple_nonce_management().fetch_chain_id().wallet(wallet);
        let provider = builder.connect_http(anvil.endpoint_url()).erased();
        // Every transaction is mined as it comes.
        provider.client().set_poll_interval(std::time::Duration::from_millis(5));
        let contracts = std::fs::read_to_string(need("CHAIN_CONTRACTS")).unwrap();
        Self { anvil, provider, contracts: serde_json::from_str(&contracts).unwrap() }
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        self.anvil.endpoint()
    }

    /// An account with ether and 50,000,000 INFERENCE.
    pub fn account(&self, index: usize) -> PrivateKeySigner {
        assert!(index < ACCOUNTS);
        PrivateKeySigner::from(self.anvil.keys()[index].clone())
    }

    /// A contract's address.
    pub fn at(&self, name: &str) -> Address {
        self.contracts[name].as_str().unwrap_or_else(|| panic!("no contract {name}")).parse().unwrap()
    }

    /// The channels' contract as what is signed for.
    pub fn channels(&self) -> Channels {
        Channels { chain_id: 31_337, contract: self.at("channels"), token: self.at("token") }
    }

    /// Sends a call and waits for it; panics with the contract's reason in words.
    pub async fn send<C: SolCall>(&self, from: &PrivateKeySigner, to: Address, call: C) -> TransactionReceipt {
        self.try_send(from, to, call).await.unwrap_or_else(|reason| panic!("{}: {reason}", C::SIGNATURE))
    }

    /// Sends a call and waits for it; the contract's reason in words when it refuses.
    pub async fn try_send<C: SolCall>(
        &self,
        from: &PrivateKeySigner,
        to: Address,
        call: C,
    ) -> Result<TransactionReceipt, String> {
        let request = TransactionRequest::default().with_from(from.address()).with_to(to).with_input(call.abi_encode());
        let reason =
            |error: alloy::transports::TransportError| match error.as_error_resp().and_then(|e| e.as_revert_data()) {
                Some(data) => explain(&data),
                None => error.to_string(),
            };
        let pending = self.provider.send_transaction(request).await.map_err(reason)?;
        let receipt = pending.get_receipt().await.map_err(|error| error.to_string())?;
        assert!(receipt.status(), "estimated, but reverted");
        Ok(receipt)
    }

    /// Asks a contract.
    pub async fn ask<C: SolCall>(&self, to: Address, call: C) -> C::Return {
        let request = TransactionRequest::default().with_to(to).with_input(call.abi_encode());
        let answer = self.provider.call(request).await.unwrap();
        C::abi_decode_returns(&answer).unwrap()
    }

    /// Lets time pass.
    pub async fn pass(&self, seconds: u64) {
        self.provider.anvil_increase_time(seconds).await.unwrap();
        self.provider.evm_mine(None).await.unwrap();
    }

    /// An ERC-3009 authorization to the channels: the compact signature's two words.
    pub fn authorize(&self, by: &PrivateKeySigner, value: U256, nonce: B256) -> privacyai_contracts::Authorization {
        let (from, to, valid_before) = (by.address(), self.at("channels"), U256::MAX >> 1);
        let token = self.at("token");
        let authorization = TokenAuthorization { chain_id: 31_337, token, from, to, value, valid_before, nonce };
        let (r, vs) = compact(by, authorization.digest());
        privacyai_contracts::Authorization { from, validBefore: valid_before, r, vs }
    }
}

/// Hundredths of tokens, in their smallest unit.
pub fn tokens<const BITS: usize, const LIMBS: usize>(hundredths: u64) -> Uint<BITS, LIMBS> {
    Uint::from(hundredths) * Uint::from(10_000_000_000_000_000_u64)
}

/// Never.
pub fn forever() -> U40 {
    U40::MAX
}

/// A key of its own for each name.
pub fn person(name: &str) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&keccak256(name.abi_encode())).unwrap()
}

/// The compact signature of ERC-2098.
pub fn compact(by: &PrivateKeySigner, digest: B256) -> (B256, B256) {
    let signature = by.sign_hash_sync(&digest).unwrap();
    let parity = U256::from(u8::from(signature.v())) << 255;
    (B256::from(signature.r()), B256::from(signature.s() | parity))
}

/// The signature as 65 bytes.
pub fn long(by: &PrivateKeySigner, digest: B256) -> alloy::primitives::Bytes {
    by.sign_hash_sync(&digest).unwrap().as_bytes().into()
}
