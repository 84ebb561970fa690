//! What the account earned: vouchers are claimed, and what was claimed is paid out.

use super::{
    Failure,
    amount::Tokens,
    deployment::Contract,
    node::{LATEST, Node},
    send::Sender,
    vouchers::{self, Claims},
};
use alloy::{
    network::TransactionBuilder as _,
    primitives::{Address, U256},
    providers::Provider as _,
    rpc::types::{TransactionReceipt, TransactionRequest},
    sol_types::{SolCall as _, SolEvent as _},
};
use privacyai_contracts::{Channels, InferenceChannels as Contracts};
use std::{fs::File, io::Read as _, path::Path};

/// What these commands need on the chain.
pub const NEEDED: [Contract; 2] = [Contract::Channels, Contract::Token];
/// Vouchers claimed in one transaction: 1.4 million gas, far below what any chain's block takes.
const BATCH: usize = 100;
/// A file of the most vouchers, and some air.
const MAX_FILE: u64 = 64 << 20;
/// Rows whose refusal is told where a whole batch cannot be claimed.
const MAX_TOLD: usize = 5;
/// Hundredths of percent in one.
const BPS: u64 = 10_000;

/// Claims a file of vouchers, batch by batch. What cannot be claimed is told, and holds nothing else up.
///
/// # Errors
/// In words; also when nothing at all could be claimed.
pub async fn claim(sender: &mut Sender<'_>, file: &Path) -> Result<(), Failure> {
    let node = sender.node;
    let said = |error: &dyn std::fmt::Display| format!("vouchers {}: {error}", file.display());
    let mut text = String::new();
    File::open(file).and_then(|file| file.take(MAX_FILE).read_to_string(&mut text)).map_err(|error| said(&error))?;
    let channels = Channels {
        chain_id: node.deployment.chain_id,
        contract: node.at(Contract::Channels)?,
        token: node.at(Contract::Token)?,
    };
    let vouchers = vouchers::parse(&text).map_err(|error| said(&error))?;
    let (claims, wrong) = vouchers::claims(&vouchers, &channels);
    for wrong in &wrong {
        eprintln!("passed over: {wrong}");
    }
    let mut any = false;
    for Claims { payee, rows } in claims {
        for batch in rows.chunks(BATCH) {
            let rows: Vec<Contracts::Claim> = batch.iter().map(|(_, row)| row.clone()).collect();
            let call = Contracts::claimManyCall { payee, rows: rows.clone() };
            let amount = node.ask(Contract::Channels, call.clone()).await?;
            if amount.is_zero() {
                eprintln!("nothing to claim for {payee} in {} vouchers:", rows.len());
                eprintln!("{}", refusals(node, payee, &rows).await?);
                continue;
            }
            any = true;
            let amount = Tokens::of(amount);
            let what = format!("Claim {amount} by {} vouchers for {payee}", rows.len());
            if let Some(receipt) = sender.send(&what, Contract::Channels, &call).await? {
                let payout = if payee == sender.account.address { String::new() } else { format!(" --of {payee}") };
                tell(&receipt, &payout);
            }
        }
    }
    if !wrong.is_empty() {
        eprintln!("{} of {} vouchers were passed over; the lines above say why", wrong.len(), vouchers.len());
    }
    if any { Ok(()) } else { Err("nothing can be claimed".into()) }
}

fn tell(receipt: &TransactionReceipt, payout: &str) {
    for log in receipt.logs() {
        if let Ok(claimed) = Contracts::Claimed::decode_log(&log.inner) {
            println!(
                "claimed {} by {} vouchers; `worker chain payout{payout}` pays it",
                Tokens::of(claimed.amount.to()),
                claimed.vouchers
            );
        }
        if let Ok(skipped) = Contracts::Skipped::decode_log(&log.inner) {
            let why = privacyai_contracts::explain_of(Contract::Channels.solidity(), skipped.refusal.as_slice());
            println!("channel {} was passed over: {why}", skipped.id);
        }
    }
}

/// Why the first rows are refused, a line each.
async fn refusals(node: &Node, payee: Address, rows: &[Contracts::Claim]) -> Result<String, Failure> {
    let mut lines = Vec::new();
    for row in rows.iter().take(MAX_TOLD) {
        let call = Contracts::claimCall { payee, row: row.clone() };
        let request = TransactionRequest::default().with_to(node.at(Contract::Channels)?).with_input(call.abi_encode());
        if let Err(error) = node.provider.call(request).block(LATEST.into()).await {
            lines.push(format!("  payer {}: {}", row.payer, node.refusal(Contract::Channels, &error)));
        }
    }
    if rows.len() > MAX_TOLD {
        lines.push(format!("  and {} more", rows.len() - MAX_TOLD));
    }
    Ok(lines.join("\n"))
}

/// Pays out what the account earned, or pays another payee what it did.
///
/// # Errors
/// In words.
pub async fn payout(sender: &mut Sender<'_>, to: Option<Address>, of: Option<Address>) -> Result<(), Failure> {
    let (node, payee) = (sender.node, of.unwrap_or(sender.account.address));
    let to = to.unwrap_or(payee);
    let earned = node.ask(Contract::Channels, Contracts::earnedCall { payee }).await?;
    let fee = fee_of(earned, node.ask(Contract::Channels, Contracts::feeBpsCall {}).await?);
    let what = format!(
        "Pay {} to {to}: {} earned, less the fee of {}",
        Tokens::of(earned.saturating_sub(fee)),
        Tokens::of(earned),
        Tokens::of(fee)
    );
    match of {
        Some(payee) => sender.send(&what, Contract::Channels, &Contracts::payoutOfCall { payee }).await?,
        None => sender.send(&what, Contract::Channels, &Contracts::payoutCall { to }).await?,
    };
    Ok(())
}

/// The protocol's part of what was earned.
#[must_use]
pub fn fee_of(earned: U256, bps: U256) -> U256 {
    earned.saturating_mul(bps) / U256::from(BPS)
}
