//! Sends one transaction: tried on the node first, its gas shown in ETH, asked about, signed here, and waited for.

use super::{
    Failure,
    account::Account,
    amount::{Ether, gwei},
    command::Sending,
    deployment::Contract,
    node::{LATEST, Node},
    settings::Settings,
};
use alloy::{
    network::{EthereumWallet, NetworkTransactionBuilder as _, TransactionBuilder as _},
    primitives::{B256, Bytes, U256},
    providers::Provider as _,
    rpc::types::{TransactionReceipt, TransactionRequest},
    signers::local::PrivateKeySigner,
    sol_types::SolCall,
};
use std::{
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// How long a transaction may take to be mined before it is left to itself.
const PATIENCE: Duration = Duration::from_secs(180);
/// Between two looks for it, at first; doubled up to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(2));
/// Gas beyond the estimate, in percent: what is sent meets another state than what was tried.
const MARGIN_PERCENT: u64 = 20;

/// Who sends, and how.
pub struct Sender<'a> {
    /// The node.
    pub node: &'a Node,
    /// Where the passphrase is.
    pub settings: &'a Settings,
    /// Who pays.
    pub account: &'a Account,
    /// The key, where it had to be opened before.
    pub signer: Option<PrivateKeySigner>,
    /// `--dry-run`, `--yes`, `--max-cost`
    pub sending: Sending,
}

impl Sender<'_> {
    /// Sends one call and waits for it; none where only a dry run was asked for.
    ///
    /// # Errors
    /// In words: why the contract refuses, what is missing, what the node says.
    pub async fn send<C: SolCall>(
        &mut self,
        what: &str,
        contract: Contract,
        call: &C,
    ) -> Result<Option<TransactionReceipt>, Failure> {
        let (node, from) = (self.node, self.account.address);
        let to = node.at(contract)?;
        let words = |error| node.words(&error);
        let refusal = |error| node.refusal(contract, &error);
        let request =
            TransactionRequest::default().with_from(from).with_to(to).with_input(Bytes::from(call.abi_encode()));
        node.provider.call(request.clone()).block(LATEST.into()).await.map_err(refusal)?;
        let estimate = node.provider.estimate_gas(request.clone()).block(LATEST.into()).await.map_err(refusal)?;
        let fees = node.provider.estimate_eip1559_fees().await.map_err(words)?;
        // A node suggests what it likes; charged is never more than what is bid.
        let price = node.provider.get_gas_price().await.map_err(words)?.min(fees.max_fee_per_gas);
        let limit = estimate.saturating_add(estimate.saturating_mul(MARGIN_PERCENT) / 100);
        let cost = |gas: u64, price: u128| Ether(U256::from(gas).saturating_mul(U256::from(price)));
        let most = cost(limit, fees.max_fee_per_gas);

        println!("{what}");
        println!("  from {from} to the {} {to}, chain {}", contract.as_str(), node.deployment.chain_id);
        println!("  {estimate} gas at {}: {}, at most {most}", gwei(price), cost(estimate, price));
        let mined = node.provider.get_transaction_count(from).await.map_err(words)?;
        let sent = node.provider.get_transaction_count(from).pending().await.map_err(words)?;
        if let waiting @ 1.. = sent.saturating_sub(mined) {
            println!("  waiting for a block before this one: {waiting} of the account's transactions");
        }
        let has = Ether(node.balance(from).await?);
        if has < most {
            let short = format!("the account has {has}, and this may cost {most}");
            if !self.sending.dry_run {
                return Err(format!("{short}\n  to fix: send ETH to {from} for gas").into());
            }
            println!("  {short}");
        }
        if let Some(bound) = self.sending.max_cost.filter(|bound| *bound < most) {
            return Err(format!("this may cost {most}, more than the {bound} of --max-cost; nothing is sent").into());
        }
        if self.sending.dry_run {
            println!("dry run: the contract accepts it; nothing is sent");
            return Ok(None);
        }
        if !self.sending.yes && !confirmed()? {
            return Err("nothing is sent".into());
        }

        let nonce = node.provider.get_transaction_count(from).pending().await.map_err(words)?;
        let request = request
            .with_chain_id(node.deployment.chain_id)
            .with_nonce(nonce)
            .with_gas_limit(limit)
            .with_max_fee_per_gas(fees.max_fee_per_gas)
            .with_max_priority_fee_per_gas(fees.max_priority_fee_per_gas);
        let signer = match self.signer.take() {
            Some(signer) => signer,
            None => self.account.unlock(self.settings)?,
        };
        let envelope = request.clone().build(&EthereumWallet::from(signer.clone())).await?;
        // A batch goes on with the key that is open.
        self.signer = Some(signer);
        let hash = *envelope.tx_hash();
        println!("  sends {hash}");
        if let Err(error) = node.provider.send_tx_envelope(envelope).await {
            // The node may have it all the same, or have had it before.
            return Err(format!("{}\n  look for transaction {hash} before you try again", words(error)).into());
        }
        let receipt = self.wait(hash).await?;
        if !receipt.status() {
            let why = match node.provider.call(request).block(LATEST.into()).await {
                Err(error) => refusal(error),
                Ok(_) => "something changed between the try and the block; try again".to_owned(),
            };
            return Err(format!("the contract refused transaction {hash}: {why}").into());
        }
        println!(
            "  done in block {}, {} gas: {}",
            receipt.block_number.unwrap_or_default(),
            receipt.gas_used,
            cost(receipt.gas_used, receipt.effective_gas_price)
        );
        Ok(Some(receipt))
    }

    async fn wait(&self, hash: B256) -> Result<TransactionReceipt, Failure> {
        let until = Instant::now() + PATIENCE;
        let (mut pause, longest) = PAUSES;
        loop {
            // A node that does not answer for once says nothing about the transaction.
            if let Ok(Some(receipt)) = self.node.provider.get_transaction_receipt(hash).await {
                return Ok(receipt);
            }
            if Instant::now() >= until {
                return Err(format!(
                    "transaction {hash} is sent, but in no block after {} s\n  look for it before you send anything anew",
                    PATIENCE.as_secs()
                )
                .into());
            }
            sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }
}

/// Asks the person at the terminal.
fn confirmed() -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        return Err("nobody is here to confirm it; nothing is sent\n  to fix: add --yes".into());
    }
    print!("Send it? [y/N] ");
    io::stdout().flush()?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}
