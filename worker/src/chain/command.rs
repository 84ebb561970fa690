//! `worker chain`, as typed.

use super::amount::{Ether, Tokens};
use alloy::primitives::{Address, Bytes, U256};
use clap::{Args, Subcommand, ValueEnum};
use privacyai::identity::ProviderId;
use std::path::PathBuf;

/// An address; capitals in it are a checksum (EIP-55), which has to be right.
fn address(text: &str) -> Result<Address, String> {
    let mixed =
        |text: &str| text.bytes().any(|b| b.is_ascii_uppercase()) && text.bytes().any(|b| b.is_ascii_lowercase());
    if text.strip_prefix("0x").is_some_and(mixed) {
        return Address::parse_checksummed(text, None)
            .map_err(|_| "its capitals are not as they should be: is a character wrong?".to_owned());
    }
    text.parse().map_err(|_| "an address is 0x and 40 hexadecimal digits".to_owned())
}

/// `worker chain ..`
#[derive(Clone, Debug, Args)]
pub struct Chain {
    /// Which chain and whose account.
    #[command(flatten)]
    pub flags: Flags,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of every command; what they leave out stands in `[chain]` of worker.toml.
#[derive(Clone, Debug, Default, Args)]
pub struct Flags {
    /// Where a node of the chain answers
    #[arg(long, global = true, value_name = "URL")]
    pub rpc: Option<String>,
    /// Where the contracts are: the JSON that their deployment wrote
    #[arg(long, global = true, value_name = "FILE")]
    pub contracts: Option<PathBuf>,
    /// The account's keystore [default: account.json in the state folder]
    #[arg(long, global = true, value_name = "FILE")]
    pub keystore: Option<PathBuf>,
    /// A file with the keystore's passphrase [default: $CHAIN_PASSPHRASE, or it is asked for]
    #[arg(long, global = true, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

/// Flags of commands that send transactions.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct Sending {
    /// Only try it on the node and show its gas; send nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Send without asking
    #[arg(long)]
    pub yes: bool,
    /// Refuse a transaction that may cost more than this in ETH, whatever the node says gas costs; a rollup's fee for its
    /// data on the chain below comes on top
    #[arg(long, value_name = "ETH")]
    pub max_cost: Option<Ether>,
}

/// What to do on the chain.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Make, import or show the account that pays for gas, owns the stake and is paid
    #[command(subcommand)]
    Account(Account),
    /// Bind this worker's root key to the account: it becomes the provider's payee
    Register {
        /// Where the provider's description stands
        #[arg(long, default_value = "")]
        uri: String,
        /// Who stakes for the provider [default: the account]
        #[arg(long, value_name = "ADDRESS", value_parser = address)]
        owner: Option<Address>,
        /// Make this splitter the payee, whose operator the account is (contracts/README.md says how to deploy one)
        #[arg(long, value_name = "ADDRESS", value_parser = address)]
        splitter: Option<Address>,
        /// Take the place of another payee that is registered for this root key
        #[arg(long)]
        rebind: bool,
        /// How to send it
        #[command(flatten)]
        sending: Sending,
    },
    /// Stake INFERENCE of the account for the provider; it keeps its votes
    Stake {
        /// How many tokens
        amount: Tokens,
        /// How to send it
        #[command(flatten)]
        sending: Sending,
    },
    /// Begin to take a stake out; `withdraw` pays it once its time is over
    Unstake {
        /// How many tokens
        amount: Tokens,
        /// How to send it
        #[command(flatten)]
        sending: Sending,
    },
    /// Pay out what was unstaked and has waited long enough
    Withdraw {
        /// How to send it
        #[command(flatten)]
        sending: Sending,
    },
    /// Show the account, the provider, its stake and its earnings
    Status {
        /// Show this proposal instead
        #[arg(long, value_name = "ID")]
        proposal: Option<U256>,
        /// Print one JSON object: amounts in the smallest unit as decimal text, times in unix seconds
        #[arg(long)]
        json: bool,
    },
    /// Claim what vouchers promise
    Claim {
        /// JSON: a list of {payer, payee, signer, salt, cumulativeAmount, signature}, channelId where known
        vouchers: PathBuf,
        /// How to send it
        #[command(flatten)]
        sending: Sending,
    },
    /// Pay out what was claimed, less the protocol's fee
    Payout {
        /// Who gets it [default: the account]
        #[arg(long, value_name = "ADDRESS", value_parser = address)]
        to: Option<Address>,
        /// Pay this payee, such as a splitter, what it earned, instead of the account
        #[arg(long, value_name = "ADDRESS", value_parser = address, conflicts_with = "to")]
        of: Option<Address>,
        /// How to send it
        #[command(flatten)]
        sending: Sending,
    },
    /// Let tokens that an account holds vote; staked ones do by themselves
    Delegate {
        /// Who votes with them [default: the account]
        #[arg(long, value_name = "ADDRESS", value_parser = address)]
        to: Option<Address>,
        /// How to send it
        #[command(flatten)]
        sending: Sending,
    },
    /// Propose something to all who hold or stake INFERENCE
    Propose {
        /// What
        #[command(subcommand)]
        proposal: Proposal,
    },
    /// Vote on a proposal
    Vote {
        /// Its id
        proposal: U256,
        /// How
        #[arg(value_enum)]
        support: Support,
        /// Why, for all to read
        #[arg(long, default_value = "")]
        reason: String,
        /// How to send it
        #[command(flatten)]
        sending: Sending,
    },
    /// Bring a proposal that was voted through to the timelock
    Queue {
        /// Its id
        proposal: U256,
        /// How to send it
        #[command(flatten)]
        sending: Sending,
    },
    /// Carry out a proposal that has waited in the timelock
    Execute {
        /// Its id
        proposal: U256,
        /// How to send it
        #[command(flatten)]
        sending: Sending,
    },
}

/// `worker chain account ..`
#[derive(Clone, Debug, Subcommand)]
pub enum Account {
    /// Make a new key and keep it under a passphrase
    New,
    /// Keep a key of yours under its passphrase: a keystore of version 3, or a file with the key in hexadecimal
    Import {
        /// The file
        file: PathBuf,
    },
    /// Show the address
    Show,
}

/// What a proposal does.
#[derive(Clone, Debug, Subcommand)]
pub enum Proposal {
    /// Set a voted number, such as freeDaily
    Param {
        /// Its key
        key: String,
        /// Its value
        value: u64,
        /// How to propose it
        #[command(flatten)]
        proposing: Proposing,
    },
    /// Set a provider's tier; 255 takes it off the list
    Tier {
        /// The provider's id
        provider: ProviderId,
        /// The tier
        tier: u8,
        /// How to propose it
        #[command(flatten)]
        proposing: Proposing,
    },
    /// Decide a quality case
    Case {
        /// Its id
        id: U256,
        /// Whether the reporter is right
        #[arg(value_enum)]
        decision: Decision,
        /// How to propose it
        #[command(flatten)]
        proposing: Proposing,
    },
    /// Call any contract
    Call {
        /// The contract
        #[arg(value_parser = address)]
        to: Address,
        /// The call's data, in hexadecimal
        data: Bytes,
        /// ETH of the treasury to send with it
        #[arg(long, value_name = "AMOUNT", default_value = "0")]
        value: Ether,
        /// How to propose it
        #[command(flatten)]
        proposing: Proposing,
    },
}

/// What every proposal needs.
#[derive(Clone, Debug, Args)]
pub struct Proposing {
    /// What it is about and why, for all to read
    #[arg(long, value_name = "TEXT")]
    pub description: String,
    /// How to send it
    #[command(flatten)]
    pub sending: Sending,
}

/// A decision of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Decision {
    /// The provider is slashed.
    Upheld,
    /// The provider is let go.
    Dismissed,
}

/// A vote, in the governor's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[repr(u8)]
pub enum Support {
    /// No.
    Against = 0,
    /// Yes.
    For = 1,
    /// Neither, but counted for the quorum.
    Abstain = 2,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_character_in_an_address_is_found() {
        let good = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"; // EIP-55's first vector.
        assert_eq!(address(good), address(&good.to_lowercase()));
        assert!(address(good).is_ok());
        for wrong in ["0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAee", "0x5aAeb6053f3E94C9b9A09f33669435E7Ef1BeAed"] {
            assert!(address(wrong).unwrap_err().contains("capitals"), "{wrong}");
        }
        for wrong in ["", "0x", "0x5aaeb6", "me.eth"] {
            assert!(address(wrong).unwrap_err().contains("40 hexadecimal"), "{wrong}");
        }
    }
}
