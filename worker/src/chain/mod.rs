//! `worker chain ..`: the operator's side of the contracts. The account's key lies in a keystore and is opened only to
//! sign; every transaction is tried first, and its gas shown, before it is sent.

pub mod account;
pub mod amount;
pub mod command;
pub mod deployment;
pub mod earnings;
pub mod keystore;
pub mod node;
pub mod passphrase;
pub mod report;
pub mod send;
pub mod settings;
pub mod stake;
pub mod status;
pub mod votes;
pub mod vouchers;

use account::Account;
use command::{Command, Proposal, Sending};
use deployment::Contract;
use node::Node;
use send::Sender;
use settings::Settings;

/// What went wrong and what to do about it, in words.
type Failure = Box<dyn std::error::Error>;

/// Carries out one of the commands.
///
/// # Errors
/// In words, with what to do.
pub async fn execute(command: Command, settings: &Settings) -> Result<(), Failure> {
    let (needed, sending): (&[Contract], Sending) = match &command {
        Command::Account(command) => return account::execute(command, settings),
        Command::Status { proposal, json } => return show(settings, *proposal, *json).await,
        Command::Register { sending, .. }
        | Command::Stake { sending, .. }
        | Command::Unstake { sending, .. }
        | Command::Withdraw { sending } => (&stake::NEEDED, *sending),
        Command::Claim { sending, .. } | Command::Payout { sending, .. } => (&earnings::NEEDED, *sending),
        Command::Delegate { sending, .. }
        | Command::Vote { sending, .. }
        | Command::Queue { sending, .. }
        | Command::Execute { sending, .. } => (&votes::NEEDED, *sending),
        Command::Propose { proposal } => match proposal {
            Proposal::Param { proposing, .. } => (&[Contract::Governor, Contract::Params], proposing.sending),
            Proposal::Tier { proposing, .. } => (&[Contract::Governor, Contract::Registry], proposing.sending),
            Proposal::Case { proposing, .. } => (&[Contract::Governor, Contract::Court], proposing.sending),
            Proposal::Call { proposing, .. } => (&[Contract::Governor], proposing.sending),
        },
    };
    let account = Account::load(settings)?;
    let mut node = Node::connect(settings, needed).await?;
    if let Command::Register { splitter: Some(address), .. } = &command {
        node.deployment.name(Contract::Splitter, *address);
    }
    let sender = &mut Sender { node: &node, settings, account: &account, signer: None, sending };
    match command {
        Command::Register { uri, owner, splitter, rebind, .. } => {
            stake::register(sender, uri, owner, splitter, rebind).await
        }
        Command::Stake { amount, .. } => stake::stake(sender, amount).await,
        Command::Unstake { amount, .. } => stake::unstake(sender, amount).await,
        Command::Withdraw { .. } => stake::withdraw(sender).await,
        Command::Claim { vouchers, .. } => earnings::claim(sender, &vouchers).await,
        Command::Payout { to, of, .. } => earnings::payout(sender, to, of).await,
        Command::Delegate { to, .. } => votes::delegate(sender, to).await,
        Command::Propose { proposal } => votes::propose(sender, &proposal).await,
        Command::Vote { proposal, support, reason, .. } => votes::vote(sender, proposal, support, &reason).await,
        Command::Queue { proposal, .. } => votes::queue(sender, proposal).await,
        Command::Execute { proposal, .. } => votes::execute(sender, proposal).await,
        Command::Account(_) | Command::Status { .. } => Ok(()),
    }
}

async fn show(settings: &Settings, proposal: Option<alloy::primitives::U256>, json: bool) -> Result<(), Failure> {
    let report = match proposal {
        Some(id) => votes::status(&Node::connect(settings, &votes::NEEDED).await?, id).await?,
        None => status::status(&Node::connect(settings, &status::NEEDED).await?, settings).await?,
    };
    if json {
        println!("{}", serde_json::to_string_pretty(&report.json())?);
    } else {
        print!("{report}");
    }
    Ok(())
}
