//! Channels: many people without ether, one claim, one payout, and payees that vanish or dispute.

use crate::chain::{Chain, compact, forever, long, person, tokens};
use alloy::primitives::{B256, U256, keccak256};
use alloy::sol_types::SolEvent as _;
use privacyai_contracts::InferenceChannels as C;
use privacyai_contracts::{Channel, Funding, InferenceToken, Terms};

/// Users of the first test.
const USERS: usize = 100;

#[tokio::test]
async fn a_hundred_people_without_ether_are_claimed_at_once() {
    let chain = Chain::start();
    let channels = chain.channels();
    let (rich, provider) = (chain.account(0), chain.account(1));
    let mut keys = Vec::new();
    for index in 0..USERS {
        let (payer, session) = (person(&format!("payer {index}")), person(&format!("session {index}")));
        chain
            .send(&rich, channels.token, InferenceToken::transferCall { to: payer.address(), value: tokens(10_000) })
            .await;
        // One signature of the wallet funds the balance and lets the session key open channels.
        let terms =
            Terms { signer: session.address(), cap_payee: tokens(5_000), cap_day: tokens(5_000), expiry: forever() };
        let funding = Funding { fee: tokens(1), terms, salt: keccak256("first") };
        let call = C::fundWithAuthorizationCall {
            amount: tokens(10_000),
            fee: funding.fee,
            terms: privacyai_contracts::SessionTerms {
                signer: terms.signer,
                capPayee: terms.cap_payee,
                capDay: terms.cap_day,
                expiry: terms.expiry,
            },
            salt: funding.salt,
            a: chain.authorize(&payer, tokens(10_000), funding.nonce()),
        };
        chain.send(&provider, channels.contract, call).await;
        keys.push((payer, session));
    }

    let channel = |index: usize| Channel {
        payer: keys[index].0.address(),
        payee: provider.address(),
        signer: keys[index].1.address(),
        salt: B256::ZERO,
    };
    let openings: Vec<C::Opening> = (0..USERS)
        .map(|index| {
            let (key, amount, fee) = (channel(index), tokens(1_000), tokens(1));
            let (r, vs) = compact(&keys[index].1, channels.open(channels.id(&key), amount, fee, forever()));
            C::Opening { key: named(&key), amount, fee, deadline: forever(), r, vs }
        })
        .collect();
    for ten in openings.chunks(10) {
        chain.send(&provider, channels.contract, C::openManyFromLedgerCall { openings: ten.to_vec() }).await;
    }

    let rows: Vec<C::Claim> = (0..USERS)
        .map(|index| {
            let (key, owed) = (channel(index), 1_000_000_000_000_000_000 + index as u128);
            let (r, vs) = compact(&keys[index].1, channels.voucher(channels.id(&key), owed));
            C::Claim { payer: key.payer, signer: key.signer, salt: key.salt, cumulative: owed, r, vs }
        })
        .collect();
    let claim = C::claimManyCall { payee: provider.address(), rows: rows.clone() };
    let receipt = chain.send(&provider, channels.contract, claim.clone()).await;
    println!("claim of {USERS}: {} gas a channel", receipt.gas_used / USERS as u64);
    let owed = U256::from(USERS) * U256::from(1_000_000_000_000_000_000_u64) + U256::from(USERS * (USERS - 1) / 2);
    assert_eq!(chain.ask(channels.contract, C::earnedCall { payee: provider.address() }).await, owed);

    // The same vouchers once more: every row is passed over, and says why.
    let receipt = chain.send(&provider, channels.contract, claim).await;
    let skipped: Vec<_> = receipt.logs().iter().filter_map(|log| C::Skipped::decode_log(&log.inner).ok()).collect();
    assert_eq!(skipped.len(), USERS);
    assert!(privacyai_contracts::explain(skipped[0].refusal.as_slice()).contains("claimed already"));

    // Paid out to an address of its choice, less three percent.
    let till = person("till").address();
    chain.send(&provider, channels.contract, C::payoutCall { to: till }).await;
    let balance = chain.ask(channels.token, InferenceToken::balanceOfCall { account: till }).await;
    assert_eq!(balance, owed - owed * U256::from(3) / U256::from(100));
    // What it earned for relaying stands in its own balance.
    let account = chain.ask(channels.contract, C::accountCall { payer: provider.address() }).await;
    assert_eq!(account.balance, tokens(2 * USERS as u64));
    let none = chain.try_send(&provider, channels.contract, C::payoutCall { to: till }).await.unwrap_err();
    assert!(none.contains("nothing is earned"), "{none}");
}

#[tokio::test]
async fn a_payer_leaves_a_vanished_provider_and_a_dispute_is_heard() {
    let chain = Chain::start();
    let channels = chain.channels();
    let (payer, vanished, disputing, relayer) =
        (chain.account(2), chain.account(3), chain.account(4), chain.account(5));
    let session = person("session");
    let approve = InferenceToken::approveCall { spender: channels.contract, value: U256::MAX };
    chain.send(&payer, channels.token, approve).await;
    chain.send(&payer, channels.contract, C::fundCall { payer: payer.address(), amount: tokens(10_000) }).await;
    let key = |payee| Channel { payer: payer.address(), payee, signer: session.address(), salt: B256::ZERO };
    for payee in [&vanished, &disputing] {
        let call = C::openFromBalanceCall {
            payee: payee.address(),
            signer: session.address(),
            salt: B256::ZERO,
            amount: tokens(1_000),
        };
        chain.send(&payer, channels.contract, call).await;
    }

    // The session key, which has no ether, asks for both closes by somebody else's transaction, for fees within its caps.
    let terms = privacyai_contracts::SessionTerms {
        signer: session.address(),
        capPayee: tokens(10),
        capDay: tokens(20),
        expiry: forever(),
    };
    chain.send(&payer, channels.contract, C::setSessionCall { terms }).await;
    for payee in [&vanished, &disputing] {
        let id = channels.id(&key(payee.address()));
        let call = C::requestCloseForCall {
            key: named(&key(payee.address())),
            by: session.address(),
            fee: tokens(10),
            deadline: forever(),
            signature: long(&session, channels.request_close(id, tokens(10), forever())),
        };
        chain.send(&relayer, channels.contract, call).await;
    }
    let finish =
        |payee: &alloy::signers::local::PrivateKeySigner| C::finishCloseCall { key: named(&key(payee.address())) };
    let early = chain.try_send(&payer, channels.contract, finish(&vanished)).await.unwrap_err();
    assert!(early.contains("not over yet"), "{early}");

    // One of the two has a voucher that the payer did not mention, and claims within the delay.
    let id = channels.id(&key(disputing.address()));
    let owed = 4_000_000_000_000_000_000;
    let (r, vs) = compact(&session, channels.voucher(id, owed));
    let row = C::Claim { payer: payer.address(), signer: session.address(), salt: B256::ZERO, cumulative: owed, r, vs };
    chain.send(&disputing, channels.contract, C::claimCall { payee: disputing.address(), row }).await;

    chain.pass(6).await;
    chain.send(&payer, channels.contract, finish(&vanished)).await;
    chain.send(&relayer, channels.contract, finish(&disputing)).await;
    let account = chain.ask(channels.contract, C::accountCall { payer: payer.address() }).await;
    assert_eq!(account.balance, tokens(10_000 - 400 - 20));
    let before = chain.ask(channels.token, InferenceToken::balanceOfCall { account: payer.address() }).await;
    chain.send(&payer, channels.contract, C::withdrawCall { to: payer.address(), amount: account.balance }).await;
    let after = chain.ask(channels.token, InferenceToken::balanceOfCall { account: payer.address() }).await;
    assert_eq!(after - before, tokens(10_000 - 400 - 20));
}

fn named(channel: &Channel) -> C::Key {
    let Channel { payer, payee, signer, salt } = *channel;
    C::Key { payer, payee, signer, salt }
}
