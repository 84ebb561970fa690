//! The real `worker chain` against a chain: `cargo xtask test contracts` names the program with `WORKER`.

use crate::chain::{Chain, compact, person, tokens};
use alloy::network::TransactionBuilder as _;
use alloy::primitives::{Address, B256, hex, keccak256};
use alloy::providers::{Provider as _, ext::AnvilApi as _};
use alloy::rpc::types::TransactionRequest;
use privacyai_contracts::{Channel, InferenceChannels, InferenceToken, Params, RevenueSplitter};
use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

/// Anvil's first account under the passphrase "anvil", with the cheapest scrypt there is: its key is public.
const FIRST: &str = include_str!("first.json");

/// A machine of an operator: a state folder, and the files that it names.
struct Operator {
    folder: PathBuf,
    url: String,
}

impl Operator {
    fn new(name: &str, chain: &Chain) -> Self {
        let folder = std::env::temp_dir().join(format!("privacyai-chain-{}-{name}", std::process::id()));
        let state = folder.join("privacyai/provider");
        fs::create_dir_all(&state).unwrap();
        fs::write(folder.join("first.json"), FIRST).unwrap();
        fs::write(folder.join("passphrase"), "anvil\n").unwrap();
        let operator = Self { folder, url: chain.url() };
        operator.configure(&std::env::var("CHAIN_CONTRACTS").unwrap());
        operator
    }

    /// The configuration names the contracts and the account; the flags name the node.
    fn configure(&self, contracts: &str) {
        let path = |name: &str| self.folder.join(name).display().to_string();
        let text = format!(
            "[chain]\nrpc = {:?}\ncontracts = {contracts:?}\nkeystore = {:?}\npassphrase_file = {:?}\n",
            self.url,
            path("first.json"),
            path("passphrase")
        );
        fs::write(self.folder.join("w.toml"), text).unwrap();
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// Runs it; what it said, and whether it did what it was asked to.
    fn run(&self, arguments: &[&str]) -> (bool, String) {
        let program = std::env::var("WORKER").expect("WORKER is not set; run this by `cargo xtask test contracts`");
        let mut command = Command::new(program);
        command.env("XDG_STATE_HOME", &self.folder).stdin(Stdio::null());
        command.env_remove("CHAIN_PASSPHRASE").env_remove("PROVIDER_ID");
        command.arg("--config").arg(self.folder.join("w.toml")).args(arguments);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        (output.status.success(), said.into_owned())
    }

    fn done(&self, arguments: &str, words: &[&str]) -> String {
        self.check(arguments, words, true)
    }

    fn refused(&self, arguments: &str, words: &[&str]) {
        self.check(arguments, words, false);
    }

    fn check(&self, arguments: &str, words: &[&str], expected: bool) -> String {
        let (succeeded, said) = self.run(&arguments.split(' ').collect::<Vec<_>>());
        assert_eq!(succeeded, expected, "{arguments}: {said}");
        for word in words {
            assert!(said.contains(word), "{arguments}: {word:?} is not in: {said}");
        }
        said
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[tokio::test]
async fn an_operator_registers_stakes_and_leaves() {
    let chain = Chain::start();
    let first = chain.account(0).address();
    let operator = Operator::new("stakes", &chain);
    operator.refused("chain register --yes", &["no root key yet", "worker init"]);
    operator.done("init", &["provider provider"]);
    operator.done("chain status", &["no; `worker chain register`", "holds", "50000000 INFERENCE", "ETH"]);
    operator.refused("chain stake 1 --yes", &["not registered"]);

    // Tried, and nothing sent.
    let height = chain.provider.get_block_number().await.unwrap();
    let said = operator.done("chain register --dry-run", &["gas at", "gwei", "ETH, at most", "nothing is sent"]);
    let costs: Vec<f64> = said.split(" ETH").filter_map(|before| before.rsplit(' ').next()?.parse().ok()).collect();
    assert!(costs.len() == 2 && costs[0] <= costs[1], "{costs:?} of: {said}");
    operator.refused("chain register", &["nobody is here to confirm", "--yes"]);
    operator
        .refused("chain register --yes --max-cost 0.000000001", &["more than the 0.000000001 ETH", "nothing is sent"]);
    assert_eq!(chain.provider.get_block_number().await.unwrap(), height);

    operator.done("chain register --uri ipfs://me --yes", &["Bind provider", "done in block"]);
    operator.done("chain register --yes", &["registered already"]);
    operator.done("chain status", &[&first.to_string(), "ipfs://me", "0 INFERENCE"]);
    operator.done("chain stake 1500.5 --dry-run", &["the contract accepts it"]);
    operator.done("chain stake 1500.5 --yes", &["Stake 1500.5 INFERENCE", "done in block"]);
    operator.refused("chain stake 60000000 --yes", &["the account has 49998499.5 INFERENCE"]);
    let json = operator.done("chain status --json", &[]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let expected = serde_json::json!({
        "chain_id": 31_337, "account": first.to_string(), "wei": json["wei"], "tokens": "49998499500000000000000000",
        "votes": "1500500000000000000000", "earned": "0", "fee": "0", "provider": json["provider"], "registered": true,
        "payee": first.to_string(), "owner": first.to_string(), "uri": "ipfs://me", "stake": "1500500000000000000000", "listed": true, "tier": 0,
        "frozen": false,
    });
    assert_eq!(json, expected);

    // Refusals of the contract, in words.
    operator.refused("chain unstake 2000 --yes", &["there is not as much stake as that"]);
    operator.refused("chain withdraw --yes", &["nothing is on its way out"]);
    operator.done("chain unstake 1000 --yes", &["withdraw` pays it in 2 min"]);
    let anew = ": it waits anew with this, 2 min 0 s";
    operator.done("chain unstake 500.5 --dry-run", &["1000 INFERENCE would be out in 2 min 0 s", anew]);
    chain.pass(121).await;
    operator.done("chain unstake 500.5 --yes", &["1000 INFERENCE is out", anew]);
    operator.refused("chain withdraw --yes", &["has not waited long enough"]);
    operator.done("chain status", &["1500.5 INFERENCE, in 2 min"]);
    let said = operator.done("chain status --json", &[]);
    let json: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&json["stake"], &json["leaving"]), (&"0".into(), &"1500500000000000000000".into()), "{json}");
    assert!(json["leaves_at"].is_u64(), "{json}");
    chain.pass(121).await;
    operator.done("chain withdraw --yes", &["done in block"]);
    let call = InferenceToken::balanceOfCall { account: first };
    assert_eq!(chain.ask(chain.at("token"), call).await, tokens(5_000_000_000));
}

#[tokio::test]
async fn an_operator_brings_a_vote_through() {
    let chain = Chain::start();
    let operator = Operator::new("votes", &chain);
    // Held tokens vote once they are delegated.
    let propose = "chain propose param freeDaily 5 --description Five --yes";
    operator.refused(propose, &["has votes of 0 INFERENCE, and a proposal needs 1000000 INFERENCE", "delegate"]);
    operator.done("chain delegate --yes", &["done in block"]);
    chain.pass(1).await;
    operator.refused("chain propose param freeDaily 5000 --description Many --yes", &["freeDaily may be 1 to 1000"]);
    operator.refused("chain propose param nonsense 5 --description What --yes", &["there is no parameter nonsense"]);
    let said = operator.done(propose, &["Propose that freeDaily becomes 5; it is 3"]);
    let id = said.lines().find_map(|line| line.strip_prefix("proposal ")).unwrap().to_owned();
    operator.refused(propose, &["a proposal that is not decided yet"]);
    operator.refused(&format!("chain vote {id} for --yes"), &["waits for its vote"]);
    chain.pass(2).await;
    operator.done(&format!("chain status --proposal {id}"), &["freeDaily becomes 5", "is voted on", "voting ends"]);
    // Held tokens that nobody let vote, and a vote that cannot be taken back.
    let raw = operator.file("second", &format!("{}\n", chain.account(1).to_bytes()));
    let second = operator.folder.join("second.json").display().to_string();
    operator.done(&format!("chain account import {raw} --keystore {second}"), &["account 0x"]);
    let vote = format!("chain vote {id} for --yes --keystore {second}");
    operator.refused(&vote, &["had no votes when the vote on proposal", "worker chain delegate"]);
    let with = "with votes of 50000000 INFERENCE: freeDaily becomes 5";
    operator.done(&format!("chain vote {id} for --reason good --yes"), &["Vote for proposal", with]);
    operator.refused(&format!("chain vote {id} against --yes"), &["voted on this already"]);
    operator.refused(&format!("chain queue {id} --yes"), &["the proposal is still voted on"]);
    chain.pass(25).await;
    operator.done(&format!("chain queue {id} --yes"), &["carries it out in"]);
    operator.refused(&format!("chain execute {id} --yes"), &["has not waited in the timelock"]);
    chain.pass(41).await;
    operator.done(&format!("chain execute {id} --yes"), &["done in block"]);
    operator.done(&format!("chain status --proposal {id}"), &["executed", "50000000 INFERENCE"]);
    let said = operator.done(&format!("chain status --json --proposal {id}"), &[]);
    let json: serde_json::Value = serde_json::from_str(&said).unwrap();
    let expected = serde_json::json!({
        "proposal": id, "does": "freeDaily becomes 5", "state": "executed", "for": "50000000000000000000000000",
        "against": "0", "abstain": "0", "voting_begins": json["voting_begins"], "voting_ends": json["voting_ends"],
        "executable_at": json["executable_at"],
    });
    assert_eq!(json, expected);
    assert!(json["voting_begins"].as_u64() < json["voting_ends"].as_u64(), "{json}");
    let mut key = [0; 32];
    key[..9].copy_from_slice(b"freeDaily");
    assert_eq!(chain.ask(chain.at("params"), Params::getCall { key: key.into() }).await, 5);
    operator.refused("chain vote 7 for --yes", &["there is no proposal 7"]);
}

#[tokio::test]
async fn an_operator_claims_and_is_paid() {
    let chain = Chain::start();
    let operator = Operator::new("claims", &chain);
    let (channels, payee, payer) = (chain.channels(), chain.account(0).address(), chain.account(1));
    let approve = InferenceToken::approveCall { spender: channels.contract, value: tokens(1_000_000) };
    chain.send(&payer, channels.token, approve).await;
    let mut vouchers = Vec::new();
    for (name, owed) in [("one", 3_u64), ("two", 4), ("closed", 0)] {
        let session = person(name);
        let channel = Channel { payer: payer.address(), payee, signer: session.address(), salt: keccak256(name) };
        let Channel { signer, salt, .. } = channel;
        if owed != 0 {
            let open = InferenceChannels::openCall { payee, signer, salt, amount: tokens(1_000) };
            chain.send(&payer, channels.contract, open).await;
        }
        // A lower one and the last; a channel that was never opened is passed over.
        for owed in [owed + 1, owed + 2] {
            let amount = u128::from(owed) * 1_000_000_000_000_000_000;
            let id = channels.id(&channel);
            let (r, vs) = compact(&session, channels.voucher(id, amount));
            vouchers.push(serde_json::json!({
                "payer": payer.address(), "payee": payee, "signer": signer, "salt": salt, "channelId": id,
                "cumulativeAmount": amount.to_string(), "signature": hex::encode_prefixed([r, vs].concat()),
            }));
        }
    }
    let file = operator.file("vouchers.json", &serde_json::to_string(&vouchers).unwrap());
    operator.refused("chain payout --yes", &["nothing is earned that is not paid out"]);
    operator.done(&format!("chain claim {file} --dry-run"), &["Claim 11 INFERENCE by 3 vouchers", "nothing is sent"]);
    assert!(chain.ask(channels.contract, InferenceChannels::earnedCall { payee }).await.is_zero());
    operator.done(
        &format!("chain claim {file} --yes"),
        &["claimed 11 INFERENCE by 2 vouchers", "was passed over: there is no open channel"],
    );
    operator.refused(&format!("chain claim {file} --yes"), &["nothing can be claimed", "claimed already"]);
    operator.done("chain status", &["11 INFERENCE, less a fee of 0.33 INFERENCE"]);
    let till = Address::repeat_byte(0x77);
    operator.done(&format!("chain payout --to {till} --yes"), &["Pay 10.67 INFERENCE", "done in block"]);
    let call = InferenceToken::balanceOfCall { account: till };
    assert_eq!(chain.ask(channels.token, call).await, tokens(1_067));
    vouchers[0]["cumulativeAmount"] = "9".into();
    let file = operator.file("vouchers.json", &serde_json::to_string(&vouchers).unwrap());
    operator.refused(
        &format!("chain claim {file} --yes"),
        &["passed over: voucher 1: it is not signed by", "nothing can be claimed"],
    );
    // One bad signature, one that is no voucher, and what is claimed already hold nothing else up.
    let session = person("one");
    let salt = keccak256("one");
    let id = channels.id(&Channel { payer: payer.address(), payee, signer: session.address(), salt });
    let amount = 7_000_000_000_000_000_000;
    let (r, vs) = compact(&session, channels.voucher(id, amount));
    vouchers.push(serde_json::json!({ "payer": payer.address() }));
    vouchers.push(serde_json::json!({
        "payer": payer.address(), "payee": payee, "signer": session.address(), "salt": salt,
        "cumulativeAmount": amount.to_string(), "signature": hex::encode_prefixed([r, vs].concat()),
    }));
    let file = operator.file("vouchers.json", &serde_json::to_string(&vouchers).unwrap());
    let over =
        ["passed over: voucher 1: it is not", "passed over: voucher 7: missing field", "2 of 8 vouchers were passed"];
    let said = operator.done(&format!("chain claim {file} --yes"), &over);
    assert!(said.contains("claimed 2 INFERENCE"), "{said}");
}

/// Deploys a splitter as contracts/README.md says; what forge said, and whether it did.
fn split(chain: &Chain, holders: &[Address], bps: &str) -> (bool, String) {
    let program = std::env::var("FORGE").expect("FORGE is not set; run this by `cargo xtask test contracts`");
    let mut forge = Command::new(program);
    forge.current_dir(env!("CARGO_MANIFEST_DIR")).env("FOUNDRY_PROFILE", "gas").stdin(Stdio::null());
    forge.args(["script", "script/Split.s.sol", "--rpc-url", &chain.url(), "--broadcast", "--unlocked", "--sender"]);
    forge.arg(chain.account(0).address().to_string());
    let holders: Vec<String> = holders.iter().map(Address::to_string).collect();
    let output = forge.env("HOLDERS", holders.join(",")).env("BPS", bps).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said.into_owned())
}

#[tokio::test]
async fn an_operator_shares_its_income() {
    let chain = Chain::start();
    let operator = Operator::new("splitter", &chain);
    operator.done("init", &[]);
    let (first, payer, owner) = (chain.account(0).address(), chain.account(1), Address::repeat_byte(0x78));
    for (bps, why) in [("7000,2999", "BadSum"), ("7000", "Unequal")] {
        let (made, said) = split(&chain, &[first, owner], bps);
        assert!(!made && said.contains(why), "{said}");
    }
    let (made, said) = split(&chain, &[first, owner], "7000,3000");
    assert!(made, "{said}");
    let line = said.lines().find(|line| line.starts_with("splitter: ")).unwrap();
    let splitter: Address = line.rsplit(' ').next().unwrap().parse().unwrap();

    operator.refused(&format!("chain register --splitter {owner} --yes"), &["as no splitter does"]);
    let register = format!("chain register --splitter {splitter} --yes");
    operator.done(&register, &[&format!("to {splitter}; its stake is owned by {first}"), "done in block"]);
    operator.done(&register, &["registered already"]);
    operator.done("chain status", &[&format!("payee                    {splitter}")]);
    operator.refused("chain register --yes", &["is its payee", "--rebind"]);
    operator.done("chain register --rebind --yes", &["done in block"]);
    // Half of it would be sent, and the other half refused.
    let height = chain.provider.get_block_number().await.unwrap();
    let others = format!("{register} --rebind --uri ipfs://them --owner {owner}");
    operator.refused(&others, &["only the owner", "leave out --uri"]);
    assert_eq!(chain.provider.get_block_number().await.unwrap(), height);
    operator.done(&format!("{register} --rebind --uri ipfs://us"), &["done in block", "ipfs://us"]);

    // What a channel brings is the splitter's, and each takes its part out.
    let channels = chain.channels();
    let approve = InferenceToken::approveCall { spender: channels.contract, value: tokens(1_000) };
    chain.send(&payer, channels.token, approve).await;
    let (session, salt) = (person("split"), keccak256("split"));
    let channel = Channel { payer: payer.address(), payee: splitter, signer: session.address(), salt };
    let open = InferenceChannels::openCall { payee: splitter, signer: channel.signer, salt, amount: tokens(1_000) };
    chain.send(&payer, channels.contract, open).await;
    let amount = 10_000_000_000_000_000_000;
    let (r, vs) = compact(&session, channels.voucher(channels.id(&channel), amount));
    let voucher = serde_json::json!([{
        "payer": channel.payer, "payee": splitter, "signer": channel.signer, "salt": salt,
        "cumulativeAmount": amount.to_string(), "signature": hex::encode_prefixed([r, vs].concat()),
    }]);
    let file = operator.file("vouchers.json", &voucher.to_string());
    let payout = format!("`worker chain payout --of {splitter}` pays it");
    operator.done(&format!("chain claim {file} --yes"), &["claimed 10 INFERENCE", &payout]);
    operator.done("chain status", &[&format!("10 INFERENCE, less a fee of 0.3 INFERENCE; {payout}")]);
    operator.done(&format!("chain payout --of {splitter} --yes"), &["Pay 9.7 INFERENCE", "done in block"]);
    let release = RevenueSplitter::releaseOfCall { token: channels.token, holder: owner };
    chain.send(&payer, splitter, release).await;
    let call = InferenceToken::balanceOfCall { account: owner };
    assert_eq!(chain.ask(channels.token, call).await, tokens(291));
}

#[tokio::test]
async fn what_becomes_of_a_transaction_is_said() {
    let chain = Chain::start();
    let operator = Operator::new("sends", &chain);
    operator.done("init", &[]);
    let key = operator.folder.join("poor.json").display().to_string();
    operator.done(&format!("chain account new --keystore {key}"), &["account 0x"]);
    let poor = format!("chain register --dry-run --keystore {key}");
    operator.done(&poor, &["the account has 0 ETH, and this may cost", "the contract accepts it"]);

    // An earlier one that no block takes.
    chain.provider.anvil_set_auto_mine(false).await.unwrap();
    let first = chain.account(0).address();
    let earlier = TransactionRequest::default().with_from(first).with_to(first);
    let _ = chain.provider.send_transaction(earlier).await.unwrap();
    operator.done("chain register --dry-run", &["waiting for a block before this one: 1 of"]);
    chain.provider.evm_mine(None).await.unwrap();
    chain.provider.anvil_set_auto_mine(true).await.unwrap();
    let said = operator.done("chain register --dry-run", &[]);
    assert!(!said.contains("waiting for a block"), "{said}");

    // One that the node does not take: its hash is known all the same.
    let gas: u64 = said.split_once(" gas at").unwrap().0.rsplit(' ').next().unwrap().parse().unwrap();
    assert!(chain.provider.anvil_set_block_gas_limit(gas + gas / 10).await.unwrap());
    operator.refused("chain register --yes", &["refused: ", "look for transaction 0x"]);
}

#[tokio::test]
async fn what_an_operator_gets_wrong_is_said() {
    let chain = Chain::start();
    let operator = Operator::new("wrong", &chain);
    operator.done("init", &[]);
    let contracts = std::env::var("CHAIN_CONTRACTS").unwrap();
    let text = fs::read_to_string(&contracts).unwrap();

    let other = operator.file("other.json", &text.replace("31337", "1"));
    operator.refused(&format!("chain status --contracts {other}"), &["a node of chain 31337", "on chain 1"]);
    let registry = chain.at("registry");
    let nobody = Address::repeat_byte(0x99);
    let empty = operator.file("empty.json", &text.replace(&registry.to_string(), &nobody.to_string()));
    operator.refused(&format!("chain register --yes --contracts {empty}"), &["no contract at", "\"registry\""]);
    let swapped = operator.file("swapped.json", &text.replace(&registry.to_string(), &chain.at("token").to_string()));
    operator.refused(&format!("chain register --yes --contracts {swapped}"), &["refused without a reason"]);
    operator.refused("chain status --rpc http://127.0.0.1:1", &["127.0.0.1:1 cannot be reached"]);
    operator.refused("chain status --rpc http://secret@127.0.0.1:1/key", &["cannot be reached"]);
    let (_, said) = operator.run(&["chain", "status", "--rpc", "http://127.0.0.1:1/key"]);
    assert!(!said.contains("key"), "an RPC's path may be a secret: {said}");
    operator.refused("chain status --contracts nowhere.json", &["nowhere.json", "to fix"]);

    // The keystore: a wrong passphrase, a new account without ether, one that is never replaced.
    let wrong = operator.file("wrong", "guess\n");
    operator.refused(&format!("chain register --yes --passphrase-file {wrong}"), &["the passphrase is wrong"]);
    let key = operator.folder.join("new/account.json").display().to_string();
    let said = operator.done(&format!("chain account new --keystore {key}"), &["account 0x", "keep a copy"]);
    let account = said.lines().find_map(|line| line.strip_prefix("account ")).unwrap();
    operator.refused(&format!("chain account new --keystore {key}"), &["never replaced"]);
    operator.done(&format!("chain account show --keystore {key}"), &[account]);
    operator.refused(&format!("chain register --yes --keystore {key}"), &["has 0 ETH", "send ETH to"]);
    operator.refused("chain status --keystore nowhere.json", &["nowhere.json cannot be read", "account new"]);
    let secret = B256::repeat_byte(7);
    let raw = operator.file("raw", &format!("{secret}\n"));
    let imported = operator.folder.join("imported.json").display().to_string();
    operator.done(&format!("chain account import {raw} --keystore {imported}"), &["account 0x", "erase it"]);
    assert!(!fs::read_to_string(&imported).unwrap().contains(&hex::encode(secret)));
    operator.refused("chain account import nowhere", &["never replaced"]);
}
