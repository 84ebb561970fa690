//! A vote from the proposal to its effect, and a case from the evidence to the payout.

use crate::chain::{Chain, tokens};
use alloy::primitives::{B256, Bytes, U256, keccak256};
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::{SolCall as _, SolEvent as _};
use p256::ecdsa::{Signature, SigningKey, signature::hazmat::PrehashSigner as _};
use privacyai_contracts::{InferenceGovernor as G, InferenceToken, Params, ProviderRegistry as R, QualityCourt as Q};

/// Those who vote: four of the ten accounts, a fifth of the supply.
const VOTERS: std::ops::Range<usize> = 0..4;

#[tokio::test]
async fn a_vote_changes_the_free_daily_limit() {
    let chain = Chain::start();
    let key = param("freeDaily");
    assert_eq!(chain.ask(chain.at("params"), Params::getCall { key }).await, 3);
    let set = Params::setCall { key, value: 5 };
    vote_through(&chain, chain.at("params"), set.abi_encode().into(), "Five free questions a day").await;
    assert_eq!(chain.ask(chain.at("params"), Params::getCall { key }).await, 5);
    let alone =
        chain.try_send(&chain.account(0), chain.at("params"), Params::setCall { key, value: 9 }).await.unwrap_err();
    assert!(alone.contains("only a vote"), "{alone}");
}

#[tokio::test]
async fn a_case_goes_from_evidence_to_payout() {
    let chain = Chain::start();
    let (owner, reporter) = (chain.account(6), chain.account(7));
    let id = provider(&chain, &owner).await;
    let approve = InferenceToken::approveCall { spender: chain.at("registry"), value: U256::MAX };
    chain.send(&owner, chain.at("token"), approve).await;
    chain.send(&owner, chain.at("registry"), R::stakeCall { providerId: id, amount: tokens(1_000_000) }).await;

    let approve = InferenceToken::approveCall { spender: chain.at("court"), value: U256::MAX };
    chain.send(&reporter, chain.at("token"), approve).await;
    let open = Q::openCall { providerId: id, maxBond: tokens(50_000), uri: "ipfs://evidence".into() };
    let receipt = chain.send(&reporter, chain.at("court"), open).await;
    let opened = receipt.logs().iter().find_map(|log| Q::CaseOpened::decode_log(&log.inner).ok()).unwrap();
    // The stake cannot leave under an open case, however long it waits.
    chain.send(&owner, chain.at("registry"), R::unstakeCall { providerId: id, amount: tokens(1_000_000) }).await;
    chain.send(&owner, chain.at("court"), Q::answerCall { id: opened.id, uri: "ipfs://answer".into() }).await;

    let decide = Q::decideCall { id: opened.id, upheld: true };
    vote_through(&chain, chain.at("court"), decide.abi_encode().into(), "The case is upheld").await;
    // A fifth of the stake: a tenth of that, and the bond, for the reporter.
    let stake = chain.ask(chain.at("registry"), R::stakeOfCall { providerId: id }).await;
    assert_eq!(U256::from(stake), tokens(800_000));
    let before = chain.ask(chain.at("token"), InferenceToken::balanceOfCall { account: reporter.address() }).await;
    chain.send(&reporter, chain.at("court"), Q::payoutCall { account: reporter.address() }).await;
    let after = chain.ask(chain.at("token"), InferenceToken::balanceOfCall { account: reporter.address() }).await;
    assert_eq!(after - before, tokens(50_000 + 20_000));
    // What is left goes home once its time is over.
    chain.pass(120).await;
    chain.send(&owner, chain.at("registry"), R::withdrawCall { providerId: id }).await;
    assert_eq!(U256::from(chain.ask(chain.at("registry"), R::stakeOfCall { providerId: id }).await), U256::ZERO);
}

/// Registers a root key with `owner` as owner and payee.
async fn provider(chain: &Chain, owner: &PrivateKeySigner) -> B256 {
    let root = SigningKey::from_slice(&[7; 32]).unwrap();
    let point = root.verifying_key().to_sec1_point(false);
    let (qx, qy) = (B256::from_slice(point.x().unwrap()), B256::from_slice(point.y().unwrap()));
    let registry = chain.at("registry");
    let id = chain.ask(registry, R::idOfCall { qx, qy }).await;
    let digest = chain.ask(registry, R::bindingHashCall { providerId: id, payee: owner.address(), nonce: 0 }).await;
    let signature: Signature = root.sign_prehash(digest.as_slice()).unwrap();
    let signature = signature.normalize_s();
    let (r, s) = (B256::from_slice(&signature.r().to_bytes()), B256::from_slice(&signature.s().to_bytes()));
    let root = R::Root { qx, qy, r, s };
    chain.send(owner, registry, R::registerCall { root, owner: owner.address(), uri: "ipfs://one".into() }).await;
    id
}

/// Brings one call through a vote: proposed, voted, queued, executed.
async fn vote_through(chain: &Chain, target: alloy::primitives::Address, data: Bytes, description: &str) {
    let governor = chain.at("governor");
    for index in VOTERS {
        let voter = chain.account(index);
        chain.send(&voter, chain.at("token"), InferenceToken::delegateCall { delegatee: voter.address() }).await;
    }
    chain.pass(1).await;
    let (targets, values, calldatas) = (vec![target], vec![U256::ZERO], vec![data]);
    let propose = G::proposeCall {
        targets: targets.clone(),
        values: values.clone(),
        calldatas: calldatas.clone(),
        description: description.into(),
    };
    let receipt = chain.send(&chain.account(0), governor, propose).await;
    let proposal = receipt.logs().iter().find_map(|log| G::ProposalCreated::decode_log(&log.inner).ok()).unwrap();
    chain.pass(2).await;
    for index in VOTERS {
        let vote = G::castVoteCall { proposalId: proposal.proposalId, support: 1 };
        chain.send(&chain.account(index), governor, vote).await;
    }
    chain.pass(25).await;
    let hash = keccak256(description);
    let queue = G::queue_0Call {
        targets: targets.clone(),
        values: values.clone(),
        calldatas: calldatas.clone(),
        descriptionHash: hash,
    };
    chain.send(&chain.account(9), governor, queue).await;
    let execute = G::execute_0Call { targets, values, calldatas, descriptionHash: hash };
    chain.try_send(&chain.account(9), governor, execute.clone()).await.unwrap_err();
    chain.pass(41).await;
    chain.send(&chain.account(9), governor, execute).await;
}

fn param(name: &str) -> B256 {
    let mut key = [0; 32];
    key[..name.len()].copy_from_slice(name.as_bytes());
    key.into()
}
