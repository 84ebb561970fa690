//! Proposals from their first word to their effect: proposed, voted on, queued in the timelock, carried out.

use super::{
    Failure,
    amount::{Ether, Tokens},
    command::{Decision, Proposal, Proposing, Support},
    deployment::Contract,
    node::Node,
    report::Report,
    send::Sender,
    stake::span,
};
use alloy::{
    primitives::{Address, B256, Bytes, U256},
    sol_types::{SolCall as _, SolEvent as _},
};
use privacyai::identity::ProviderId;
use privacyai_contracts::{InferenceGovernor as Governor, InferenceToken, Params, ProviderRegistry, QualityCourt};

/// What these commands need on the chain.
pub const NEEDED: [Contract; 2] = [Contract::Governor, Contract::Token];

/// Lets the account's tokens vote.
///
/// # Errors
/// In words.
pub async fn delegate(sender: &mut Sender<'_>, to: Option<Address>) -> Result<(), Failure> {
    let delegatee = to.unwrap_or(sender.account.address);
    let what = format!("Let {delegatee} vote with the tokens of {}", sender.account.address);
    sender.send(&what, Contract::Token, &InferenceToken::delegateCall { delegatee }).await?;
    Ok(())
}

/// Proposes something.
///
/// # Errors
/// In words.
pub async fn propose(sender: &mut Sender<'_>, proposal: &Proposal) -> Result<(), Failure> {
    let node = sender.node;
    let (what, target, value, data, proposing) = match proposal {
        Proposal::Param { key, value, proposing } => {
            let name = param(key)?;
            let known = node.ask(Contract::Params, Params::paramCall { key: name }).await?;
            if !(known.min..=known.max).contains(value) {
                return Err(format!("{key} may be {} to {}; {value} is not between", known.min, known.max).into());
            }
            let data = Params::setCall { key: name, value: *value }.abi_encode();
            let what = format!("Propose that {key} becomes {value}; it is {}", known.value);
            (what, node.at(Contract::Params)?, U256::ZERO, data, proposing)
        }
        Proposal::Tier { provider, tier, proposing } => {
            let data = ProviderRegistry::setTierCall { providerId: B256::from(provider.0), tier: *tier }.abi_encode();
            let what = format!("Propose tier {tier} for provider {provider}");
            (what, node.at(Contract::Registry)?, U256::ZERO, data, proposing)
        }
        Proposal::Case { id, decision, proposing } => {
            let data = QualityCourt::decideCall { id: *id, upheld: *decision == Decision::Upheld }.abi_encode();
            let what = match decision {
                Decision::Upheld => format!("Propose that case {id} is upheld"),
                Decision::Dismissed => format!("Propose that case {id} is dismissed"),
            };
            (what, node.at(Contract::Court)?, U256::ZERO, data, proposing)
        }
        Proposal::Call { to, data, value, proposing } => {
            (format!("Propose a call of {to} with {value}"), *to, value.0, data.to_vec(), proposing)
        }
    };
    let Proposing { description, .. } = proposing;
    let call = Governor::proposeCall {
        targets: vec![target],
        values: vec![value],
        calldatas: vec![Bytes::from(data)],
        // The governor takes a description that ends so from this account alone: nobody can propose it first and
        // withdraw it.
        description: format!("{description}\n#proposer={:#x}", sender.account.address),
    };
    if let Some(receipt) = sender.send(&what, Contract::Governor, &call).await? {
        let made = receipt.logs().iter().find_map(|log| Governor::ProposalCreated::decode_log(&log.inner).ok());
        let made = made.ok_or("the governor told of no proposal; look at the transaction")?;
        println!("proposal {}", made.proposalId);
    }
    Ok(())
}

/// Votes on a proposal.
///
/// # Errors
/// In words.
pub async fn vote(sender: &mut Sender<'_>, id: U256, support: Support, reason: &str) -> Result<(), Failure> {
    let how = match support {
        Support::For => "Vote for",
        Support::Against => "Vote against",
        Support::Abstain => "Abstain from",
    };
    let does = effect(sender.node, id).await?;
    let weight = weight(sender.node, sender.account.address, id).await?;
    let what = format!("{how} proposal {id}{weight}: {does}");
    let support = support as u8;
    if reason.is_empty() {
        sender.send(&what, Contract::Governor, &Governor::castVoteCall { proposalId: id, support }).await?;
    } else {
        let call = Governor::castVoteWithReasonCall { proposalId: id, support, reason: reason.to_owned() };
        sender.send(&what, Contract::Governor, &call).await?;
    }
    Ok(())
}

/// With how many votes, where the vote has begun; else the governor says that it has not. It would take a vote without any,
/// and no second one.
async fn weight(node: &Node, account: Address, id: U256) -> Result<String, Failure> {
    let timepoint = node.ask(Contract::Governor, Governor::proposalSnapshotCall { proposalId: id }).await?;
    if timepoint >= U256::from(node.now().await?) {
        return Ok(String::new());
    }
    let votes = node.ask(Contract::Governor, Governor::getVotesCall { account, timepoint }).await?;
    if votes.is_zero() {
        return Err(format!(
            "the account {account} had no votes when the vote on proposal {id} began\n  to fix: `worker chain delegate` lets \
             its tokens vote on what begins afterwards"
        )
        .into());
    }
    Ok(format!(" with votes of {}", Tokens::of(votes)))
}

/// Brings a proposal to the timelock.
///
/// # Errors
/// In words.
pub async fn queue(sender: &mut Sender<'_>, id: U256) -> Result<(), Failure> {
    let node = sender.node;
    let call = Governor::queue_1Call { proposalId: id };
    let what = format!("Queue proposal {id}: {}", effect(node, id).await?);
    if sender.send(&what, Contract::Governor, &call).await?.is_some() {
        let eta = node.ask(Contract::Governor, Governor::proposalEtaCall { proposalId: id }).await?;
        println!("`worker chain execute {id}` carries it out {}", when(node.now().await?, eta));
    }
    Ok(())
}

/// Carries a proposal out.
///
/// # Errors
/// In words.
pub async fn execute(sender: &mut Sender<'_>, id: U256) -> Result<(), Failure> {
    let call = Governor::execute_1Call { proposalId: id };
    let what = format!("Execute proposal {id}: {}", effect(sender.node, id).await?);
    sender.send(&what, Contract::Governor, &call).await?;
    Ok(())
}

/// How a proposal stands.
///
/// # Errors
/// In words.
pub async fn status(node: &Node, id: U256) -> Result<Report, Failure> {
    let now = node.now().await?;
    let state = node.ask(Contract::Governor, Governor::stateCall { proposalId: id }).await?;
    let votes = node.ask(Contract::Governor, Governor::proposalVotesCall { proposalId: id }).await?;
    let begins = node.ask(Contract::Governor, Governor::proposalSnapshotCall { proposalId: id }).await?;
    let ends = node.ask(Contract::Governor, Governor::proposalDeadlineCall { proposalId: id }).await?;
    let eta = node.ask(Contract::Governor, Governor::proposalEtaCall { proposalId: id }).await?;
    let mut report = Report::default();
    report.text("proposal", "proposal", id);
    report.text("does", "does", effect(node, id).await?);
    let (name, said) = state_name(state);
    report.tell("state", said, "state", name);
    report.tokens("for", "for", votes.forVotes);
    report.tokens("against", "against", votes.againstVotes);
    report.tokens("abstain", "abstain", votes.abstainVotes);
    report.tell("voting begins", when(now, begins), "voting_begins", begins.saturating_to::<u64>());
    report.tell("voting ends", when(now, ends), "voting_ends", ends.saturating_to::<u64>());
    if !eta.is_zero() {
        report.tell("can be executed", when(now, eta), "executable_at", eta.saturating_to::<u64>());
    }
    Ok(report)
}

/// What a proposal would do, from its calls and not from what is written about them.
async fn effect(node: &Node, id: U256) -> Result<String, Failure> {
    let calls = node.ask(Contract::Governor, Governor::proposalDetailsCall { proposalId: id }).await?;
    let each = calls.targets.iter().zip(&calls.values).zip(&calls.calldatas);
    let told: Vec<String> = each.map(|((target, value), data)| one(node, *target, *value, data)).collect();
    Ok(told.join("; "))
}

/// One call in words where it is one that `propose` makes; else as it stands.
fn one(node: &Node, target: Address, value: U256, data: &Bytes) -> String {
    let to = |contract| value.is_zero() && node.deployment.at(contract).is_ok_and(|at| at == target);
    if to(Contract::Params)
        && let Ok(call) = Params::setCall::abi_decode_validate(data)
    {
        let key = call.key.iter().take_while(|byte| **byte != 0).copied().collect::<Vec<_>>();
        return format!("{} becomes {}", String::from_utf8_lossy(&key).escape_debug(), call.value);
    }
    if to(Contract::Registry)
        && let Ok(call) = ProviderRegistry::setTierCall::abi_decode_validate(data)
    {
        return format!("provider {} gets tier {}", ProviderId(call.providerId.0), call.tier);
    }
    if to(Contract::Court)
        && let Ok(call) = QualityCourt::decideCall::abi_decode_validate(data)
    {
        return format!("case {} is {}", call.id, if call.upheld { "upheld" } else { "dismissed" });
    }
    format!("calls {target} with {} and {data}", Ether(value))
}

/// OpenZeppelin's numbers of a proposal's states: its name there, and words.
fn state_name(state: u8) -> (&'static str, &'static str) {
    match state {
        0 => ("pending", "waits for its vote"),
        1 => ("active", "is voted on"),
        2 => ("canceled", "canceled"),
        3 => ("defeated", "defeated"),
        4 => ("succeeded", "succeeded; queue it"),
        5 => ("queued", "queued"),
        6 => ("expired", "expired"),
        7 => ("executed", "executed"),
        _ => ("unknown", "unknown"),
    }
}

fn when(now: u64, time: U256) -> String {
    let time: u64 = time.saturating_to();
    if time > now { format!("in {}", span(time - now)) } else { format!("{} ago", span(now - time)) }
}

/// A parameter's key as bytes.
fn param(key: &str) -> Result<B256, Failure> {
    let bytes = key.as_bytes();
    if bytes.is_empty() || bytes.len() > 32 {
        return Err(format!("there is no parameter {key:?}").into());
    }
    Ok(B256::right_padding_from(bytes))
}
