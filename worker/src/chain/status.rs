//! `worker chain status`: the account, the provider, its stake and its earnings.

use super::{
    Failure,
    account::Account,
    amount::{Ether, Tokens},
    deployment::Contract,
    earnings::fee_of,
    node::{Node, shown},
    report::Report,
    settings::Settings,
    stake::span,
};
use crate::run::existing_root_key;
use alloy::primitives::{Address, B256, U256};
use privacyai_contracts::{InferenceChannels, InferenceToken, ProviderRegistry as Registry};
use serde_json::Value;

/// What is asked.
pub const NEEDED: [Contract; 3] = [Contract::Registry, Contract::Token, Contract::Channels];
/// The tier of a provider that a vote took off the list.
const DELISTED: u8 = u8::MAX;

/// How the account and the provider stand.
///
/// # Errors
/// In words.
pub async fn status(node: &Node, settings: &Settings) -> Result<Report, Failure> {
    let mut report = Report::default();
    report.tell("chain", node.deployment.chain_id, "chain_id", node.deployment.chain_id);
    let path = settings.keystore();
    // One that is named has to be there; who configures one may be about to make it.
    let account =
        if settings.names_keystore() || path.exists() { Some(Account::load(settings)?.address) } else { None };
    if let Some(account) = account {
        report.text("account", "account", account);
        let wei = node.balance(account).await?;
        report.tell("has", Ether(wei), "wei", wei.to_string());
        let tokens = node.ask(Contract::Token, InferenceToken::balanceOfCall { account }).await?;
        report.tokens("holds", "tokens", tokens);
        let held = node.ask(Contract::Token, InferenceToken::getVotesCall { account }).await?;
        let staked = node.ask(Contract::Registry, Registry::getVotesCall { account }).await?;
        report.tokens("votes with", "votes", held.saturating_add(staked));
        let Earnings { earned, fee, shown } = earnings(node, account).await?;
        report.tell("claimed, to be paid out", shown, "earned", earned.to_string());
        report.also("fee", fee.to_string());
    } else {
        let none = format!("none in {}; make one with `worker chain account new`", path.display());
        report.tell("account", none, "account", Value::Null);
    }
    provider(&mut report, node, settings, account).await?;
    Ok(report)
}

struct Earnings {
    earned: U256,
    fee: U256,
    shown: String,
}

async fn earnings(node: &Node, payee: Address) -> Result<Earnings, Failure> {
    let earned = node.ask(Contract::Channels, InferenceChannels::earnedCall { payee }).await?;
    let fee = fee_of(earned, node.ask(Contract::Channels, InferenceChannels::feeBpsCall {}).await?);
    let shown = format!("{}, less a fee of {}", Tokens::of(earned), Tokens::of(fee));
    Ok(Earnings { earned, fee, shown })
}

async fn provider(
    report: &mut Report,
    node: &Node,
    settings: &Settings,
    account: Option<Address>,
) -> Result<(), Failure> {
    let Some(key) = existing_root_key(&settings.base, &settings.provider_id)? else {
        report.tell("provider", "has no root key yet; `worker init` makes it", "provider", Value::Null);
        return Ok(());
    };
    let id = B256::from(key.provider_id().0);
    report.text("provider", "provider", key.provider_id());
    if node.ask(Contract::Registry, Registry::nonceOfCall { providerId: id }).await? == 0 {
        report.tell("registered", "no; `worker chain register` does it", "registered", false);
        return Ok(());
    }
    report.also("registered", true);
    let payee = node.ask(Contract::Registry, Registry::payeeOfCall { providerId: id }).await?;
    report.text("payee", "payee", payee);
    if account != Some(payee) {
        let Earnings { earned, fee, mut shown } = earnings(node, payee).await?;
        if !earned.is_zero() {
            shown = format!("{shown}; `worker chain payout --of {payee}` pays it");
        }
        report.tell("claimed for the payee", shown, "payee_earned", earned.to_string());
        report.also("payee_fee", fee.to_string());
    }
    report.text("owner", "owner", node.ask(Contract::Registry, Registry::ownerOfCall { providerId: id }).await?);
    let uri = node.ask(Contract::Registry, Registry::uriOfCall { providerId: id }).await?;
    report.tell("description", if uri.is_empty() { "none".to_owned() } else { shown(&uri) }, "uri", uri);
    let bonded = node.ask(Contract::Registry, Registry::bondedOfCall { providerId: id }).await?;
    report.tokens("stake", "stake", U256::from(bonded));
    let leaving = node.ask(Contract::Registry, Registry::leavingOfCall { providerId: id }).await?;
    if !leaving.amount.is_zero() {
        let (now, at) = (node.now().await?, leaving.leavesAt.to::<u64>());
        let when = match at.saturating_sub(now) {
            0 => "now, by `worker chain withdraw`".to_owned(),
            left => format!("in {}", span(left)),
        };
        report.tell("leaving", format!("{}, {when}", Tokens(leaving.amount)), "leaving", leaving.amount.to_string());
        report.also("leaves_at", at);
    }
    let listed = node.ask(Contract::Registry, Registry::isListedCall { providerId: id }).await?;
    report.tell("listed", if listed { "yes" } else { "no" }, "listed", listed);
    let tier = node.ask(Contract::Registry, Registry::tierOfCall { providerId: id }).await?;
    let said = if tier == DELISTED { "taken off the list by a vote".to_owned() } else { tier.to_string() };
    report.tell("tier", said, "tier", tier);
    let frozen = node.ask(Contract::Registry, Registry::isFrozenCall { providerId: id }).await?;
    if frozen {
        report.tell("frozen", "yes: a case against the provider is open", "frozen", frozen);
    } else {
        report.also("frozen", frozen);
    }
    Ok(())
}
