//! `worker chain status`: the account, the provider, its stake and its earnings.

use super::{
    Failure,
    account::Account,
    amount::{Ether, Tokens},
    deployment::Contract,
    earnings::fee_of,
    node::{Node, shown},
    settings::Settings,
    stake::span,
};
use crate::run::existing_root_key;
use alloy::primitives::{Address, B256, U256};
use privacyai_contracts::{InferenceChannels, InferenceToken, ProviderRegistry as Registry};

/// What is asked.
pub const NEEDED: [Contract; 3] = [Contract::Registry, Contract::Token, Contract::Channels];
/// The tier of a provider that a vote took off the list.
const DELISTED: u8 = u8::MAX;

/// Names and values, in the order in which they are shown.
///
/// # Errors
/// In words.
pub async fn status(node: &Node, settings: &Settings) -> Result<Vec<(&'static str, String)>, Failure> {
    let mut rows = vec![("chain", node.deployment.chain_id.to_string())];
    if settings.keystore().exists() {
        let account = Account::load(settings)?.address;
        rows.push(("account", account.to_string()));
        rows.push(("has", Ether(node.balance(account).await?).to_string()));
        let tokens = node.ask(Contract::Token, InferenceToken::balanceOfCall { account }).await?;
        rows.push(("holds", Tokens::of(tokens).to_string()));
        let held = node.ask(Contract::Token, InferenceToken::getVotesCall { account }).await?;
        let staked = node.ask(Contract::Registry, Registry::getVotesCall { account }).await?;
        rows.push(("votes with", Tokens::of(held.saturating_add(staked)).to_string()));
        rows.extend(earnings(node, account).await?);
    } else {
        rows.push(("account", "none; make one with `worker chain account new`".to_owned()));
    }
    rows.extend(provider(node, settings).await?);
    Ok(rows)
}

async fn earnings(node: &Node, payee: Address) -> Result<Vec<(&'static str, String)>, Failure> {
    let earned = node.ask(Contract::Channels, InferenceChannels::earnedCall { payee }).await?;
    let fee = fee_of(earned, node.ask(Contract::Channels, InferenceChannels::feeBpsCall {}).await?);
    let earned = format!("{}, less a fee of {}", Tokens::of(earned), Tokens::of(fee));
    Ok(vec![("claimed, to be paid out", earned)])
}

async fn provider(node: &Node, settings: &Settings) -> Result<Vec<(&'static str, String)>, Failure> {
    let Some(key) = existing_root_key(&settings.base, &settings.provider_id)? else {
        return Ok(vec![("provider", "has no root key yet; `worker init` makes it".to_owned())]);
    };
    let provider = key.provider_id();
    let id = B256::from(provider.0);
    let mut rows = vec![("provider", provider.to_string())];
    if node.ask(Contract::Registry, Registry::nonceOfCall { providerId: id }).await? == 0 {
        rows.push(("registered", "no; `worker chain register` does it".to_owned()));
        return Ok(rows);
    }
    let ask = |bonded: U256| Tokens::of(bonded).to_string();
    rows.push(("payee", node.ask(Contract::Registry, Registry::payeeOfCall { providerId: id }).await?.to_string()));
    rows.push(("owner", node.ask(Contract::Registry, Registry::ownerOfCall { providerId: id }).await?.to_string()));
    let uri = node.ask(Contract::Registry, Registry::uriOfCall { providerId: id }).await?;
    rows.push(("description", if uri.is_empty() { "none".to_owned() } else { shown(&uri) }));
    let bonded = node.ask(Contract::Registry, Registry::bondedOfCall { providerId: id }).await?;
    rows.push(("stake", ask(U256::from(bonded))));
    let leaving = node.ask(Contract::Registry, Registry::leavingOfCall { providerId: id }).await?;
    if !leaving.amount.is_zero() {
        let (now, at) = (node.now().await?, leaving.leavesAt.to::<u64>());
        let when = match at.saturating_sub(now) {
            0 => "now, by `worker chain withdraw`".to_owned(),
            left => format!("in {}", span(left)),
        };
        rows.push(("leaving", format!("{}, {when}", ask(U256::from(leaving.amount)))));
    }
    let listed = node.ask(Contract::Registry, Registry::isListedCall { providerId: id }).await?;
    rows.push(("listed", if listed { "yes" } else { "no" }.to_owned()));
    let tier = node.ask(Contract::Registry, Registry::tierOfCall { providerId: id }).await?;
    rows.push(("tier", if tier == DELISTED { "taken off the list by a vote".to_owned() } else { tier.to_string() }));
    if node.ask(Contract::Registry, Registry::isFrozenCall { providerId: id }).await? {
        rows.push(("frozen", "yes: a case against the provider is open".to_owned()));
    }
    Ok(rows)
}
