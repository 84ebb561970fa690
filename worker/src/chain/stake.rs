//! The provider in the registry: its root key bound to the account, and what it stakes.

use super::{Failure, amount::Tokens, deployment::Contract, node::Node, send::Sender, settings::Settings};
use crate::run::existing_root_key;
use alloy::{
    primitives::{Address, B256, U256},
    signers::SignerSync as _,
};
use getrandom::SysRng;
use privacyai::identity::{ProviderId, RootKey};
use privacyai_contracts::{
    Binding, InferenceToken, ProviderRegistry as Registry, RevenueSplitter, SplitterRoot, StakePermit, TokenPermit,
};
use rand_core::UnwrapErr;

/// What these commands need on the chain.
pub const NEEDED: [Contract; 2] = [Contract::Registry, Contract::Token];
/// How long the permit of a stake holds, in seconds: a person reads, confirms, and a block comes.
const PERMITTED: u64 = 20 * 60;

/// The own root key.
fn own_key(settings: &Settings) -> Result<RootKey, Failure> {
    let key = existing_root_key(&settings.base, &settings.provider_id)?;
    Ok(key.ok_or_else(|| format!("provider {} has no root key yet\n  to fix: `worker init`", settings.provider_id))?)
}

/// Binds the root key to the account, both ways: the root key signs for the account, which sends it; or to a splitter that
/// the account is the operator of.
///
/// # Errors
/// In words.
pub async fn register(
    sender: &mut Sender<'_>,
    uri: String,
    owner: Option<Address>,
    splitter: Option<Address>,
    rebind: bool,
) -> Result<(), Failure> {
    let (node, account) = (sender.node, sender.account.address);
    if let Some(splitter) = splitter {
        let operator = node.ask(Contract::Splitter, RevenueSplitter::OPERATORCall {}).await?;
        if operator != account {
            return Err(format!("{operator} is the operator of the splitter {splitter}, and not the account").into());
        }
    }
    let payee = splitter.unwrap_or(account);
    let key = own_key(sender.settings)?;
    let provider = key.provider_id();
    let provider_id = B256::from(provider.0);
    let nonce = node.ask(Contract::Registry, Registry::nonceOfCall { providerId: provider_id }).await?;
    let bound = match nonce {
        0 => None,
        _ => Some(node.ask(Contract::Registry, Registry::payeeOfCall { providerId: provider_id }).await?),
    };
    if let Some(bound) = bound {
        if !rebind && bound == payee && owner.is_none() && uri.is_empty() {
            println!("provider {provider} is registered already, and {payee} is its payee");
            return Ok(());
        }
        if !rebind && bound == payee {
            return Err(
                format!("provider {provider} is registered already\n  to fix: add --rebind to change it").into()
            );
        }
        if !rebind {
            return Err(format!(
                "provider {provider} is registered, and {bound} is its payee\n  to fix: add --rebind to make {payee} the \
                 payee"
            )
            .into());
        }
    }
    let binding = Binding {
        chain_id: node.deployment.chain_id,
        registry: node.at(Contract::Registry)?,
        payee,
        provider_id,
        nonce,
    };
    let signature = key.sign(Binding::LABEL, &binding.body(), &mut UnwrapErr(SysRng));
    let (r, s) = signature.split_at(32);
    let (qx, qy) = key.coordinates();
    let root = Registry::Root { qx: qx.into(), qy: qy.into(), r: B256::from_slice(r), s: B256::from_slice(s) };
    let owner = match (owner, bound) {
        (Some(owner), _) => owner,
        (None, Some(_)) => node.ask(Contract::Registry, Registry::ownerOfCall { providerId: provider_id }).await?,
        (None, None) => account,
    };
    if bound.is_some() && !uri.is_empty() && owner != account && payee != account {
        return Err(format!(
            "only the owner {owner} or the payee {payee} may say where the description stands\n  to fix: leave out --uri"
        )
        .into());
    }
    let what = format!("Bind provider {provider} to {payee}; its stake is owned by {owner}");
    let described = format!("Say that the description of provider {provider} stands at {uri:?}");
    let what = if bound.is_some() || uri.is_empty() { what } else { format!("{what}\n{described}") };
    let done = match (splitter, bound) {
        (Some(_), _) => {
            let Registry::Root { qx, qy, r, s } = root;
            let (registry, root) = (binding.registry, SplitterRoot { qx, qy, r, s });
            let call = RevenueSplitter::bindCall { registry, root, owner, uri: uri.clone() };
            sender.send(&what, Contract::Splitter, &call).await?
        }
        (None, None) => {
            let call = Registry::registerCall { root, owner, uri: uri.clone() };
            sender.send(&what, Contract::Registry, &call).await?
        }
        (None, Some(_)) => sender.send(&what, Contract::Registry, &Registry::rebindCall { root, owner }).await?,
    };
    // What a dry run did not change would refuse it.
    if bound.is_some() && done.is_some() && !uri.is_empty() {
        let call = Registry::setUriCall { providerId: provider_id, uri };
        sender.send(&described, Contract::Registry, &call).await?;
    }
    Ok(())
}

/// Stakes in one transaction: the account permits the amount by a signature.
///
/// # Errors
/// In words.
pub async fn stake(sender: &mut Sender<'_>, amount: Tokens) -> Result<(), Failure> {
    let (node, owner) = (sender.node, sender.account.address);
    let provider = registered(sender.settings, node).await?;
    let has = Tokens::of(node.ask(Contract::Token, InferenceToken::balanceOfCall { account: owner }).await?);
    if has < amount {
        return Err(format!("the account has {has}, and the stake is {amount}").into());
    }
    let deadline = U256::from(node.now().await?.saturating_add(PERMITTED));
    let permit = TokenPermit {
        chain_id: node.deployment.chain_id,
        token: node.at(Contract::Token)?,
        owner,
        spender: node.at(Contract::Registry)?,
        value: U256::from(amount.0),
        nonce: node.ask(Contract::Token, InferenceToken::noncesCall { owner }).await?,
        deadline,
    };
    let signer = sender.account.unlock(sender.settings)?;
    let signature = signer.sign_hash_sync(&permit.digest())?;
    sender.signer = Some(signer);
    let p = StakePermit {
        deadline,
        v: 27 + u8::from(signature.v()),
        r: B256::from(signature.r()),
        s: B256::from(signature.s()),
    };
    let call = Registry::stakeWithPermitCall { providerId: B256::from(provider.0), amount: amount.0, p };
    sender.send(&format!("Stake {amount} for provider {provider}"), Contract::Registry, &call).await?;
    Ok(())
}

/// Begins to take a part of the stake out.
///
/// # Errors
/// In words.
pub async fn unstake(sender: &mut Sender<'_>, amount: Tokens) -> Result<(), Failure> {
    let node = sender.node;
    let provider = registered(sender.settings, node).await?;
    let provider_id = B256::from(provider.0);
    let wait = span(node.ask(Contract::Registry, Registry::unbondingCall {}).await?.to());
    let mut what = format!("Unstake {amount} of provider {provider}");
    let leaving = node.ask(Contract::Registry, Registry::leavingOfCall { providerId: provider_id }).await?;
    if !leaving.amount.is_zero() {
        let left = match leaving.leavesAt.to::<u64>().saturating_sub(node.now().await?) {
            0 => "is out, and would be paid by `worker chain withdraw`".to_owned(),
            left => format!("would be out in {}", span(left)),
        };
        what = format!("{what}\n  {} {left}: it waits anew with this, {wait}", Tokens(leaving.amount));
    }
    let call = Registry::unstakeCall { providerId: provider_id, amount: amount.0 };
    if sender.send(&what, Contract::Registry, &call).await?.is_some() {
        println!("`worker chain withdraw` pays it in {wait}");
    }
    Ok(())
}

/// Pays out what has left.
///
/// # Errors
/// In words.
pub async fn withdraw(sender: &mut Sender<'_>) -> Result<(), Failure> {
    let provider = registered(sender.settings, sender.node).await?;
    let call = Registry::withdrawCall { providerId: B256::from(provider.0) };
    sender.send(&format!("Withdraw what provider {provider} unstaked"), Contract::Registry, &call).await?;
    Ok(())
}

async fn registered(settings: &Settings, node: &Node) -> Result<ProviderId, Failure> {
    let provider = own_key(settings)?.provider_id();
    let call = Registry::nonceOfCall { providerId: B256::from(provider.0) };
    if node.ask(Contract::Registry, call).await? == 0 {
        return Err(format!("provider {provider} is not registered\n  to fix: `worker chain register`").into());
    }
    Ok(provider)
}

/// A time span for people.
#[must_use]
pub fn span(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_said_in_two_units() {
        for (seconds, said) in [
            (0, "0 s"),
            (59, "59 s"),
            (61, "1 min 1 s"),
            (3_660, "1 h 1 min"),
            (90_000, "1 d 1 h"),
            (604_800, "7 d 0 h"),
        ] {
            assert_eq!(span(seconds), said);
        }
    }
}
