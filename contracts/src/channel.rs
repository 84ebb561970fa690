//! Payment channels: ids, and the digests of what payers, session keys and payees sign (EIP-712, the Machine Payments
//! Protocol's `evm/session`). Amounts are in the token's smallest unit and at most uint96; times are unix seconds.

use alloy_primitives::{
    Address, B256, U256,
    aliases::{U40, U96},
    keccak256,
};
use alloy_sol_types::{Eip712Domain, SolStruct, SolValue, eip712_domain, sol};

sol! {
    struct Voucher { bytes32 channelId; uint128 cumulativeAmount; }
    struct Close { bytes32 channelId; uint128 cumulativeAmount; }
    struct Open { bytes32 channelId; uint96 amount; uint96 fee; uint40 deadline; }
    struct TopUp { bytes32 channelId; uint96 deposit; uint96 fee; uint40 deadline; }
    struct RequestClose { bytes32 channelId; uint96 fee; uint40 deadline; }
    struct Withdraw { address payer; address to; uint96 amount; uint96 fee; uint40 deadline; uint256 nonce; }
    struct Session {
        address payer; address signer; uint96 capPayee; uint96 capDay; uint40 expiry; uint96 fee; uint40 deadline;
        uint256 nonce;
    }
}

/// The channels' contract on its chain: the domain of everything signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channels {
    /// EIP-155 id of the chain.
    pub chain_id: u64,
    /// The contract.
    pub contract: Address,
    /// INFERENCE.
    pub token: Address,
}

/// What names a channel, besides the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Whose money it is.
    pub payer: Address,
    /// Who earns it.
    pub payee: Address,
    /// The session key that signs vouchers.
    pub signer: Address,
    /// Tells channels of the same three apart.
    pub salt: B256,
}

/// What a payer lets a session key do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The session key.
    pub signer: Address,
    /// The most it moves to one payee.
    pub cap_payee: U96,
    /// The most it moves in a UTC day.
    pub cap_day: U96,
    /// When it ends.
    pub expiry: U40,
}

/// A payer's one signature that funds its balance and sets a session (ERC-3009): its nonce binds fee and terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Funding {
    /// What the sender of the transaction gets.
    pub fee: U96,
    /// The session it sets.
    pub terms: Terms,
    /// Makes the nonce unique.
    pub salt: B256,
}

impl Channels {
    /// The EIP-712 domain: "EVM Payment Channel", version "1".
    #[must_use]
    pub fn domain(&self) -> Eip712Domain {
        eip712_domain! {
            name: "EVM Payment Channel",
            version: "1",
            chain_id: self.chain_id,
            verifying_contract: self.contract,
        }
    }

    /// The channel's id: keccak256(abi.encode(payer, payee, token, salt, signer, contract, chain id)).
    #[must_use]
    pub fn id(&self, channel: &Channel) -> B256 {
        let Channel { payer, payee, signer, salt } = *channel;
        keccak256((payer, payee, self.token, salt, signer, self.contract, U256::from(self.chain_id)).abi_encode())
    }

    /// What a session key signs to owe `cumulative` in all.
    #[must_use]
    pub fn voucher(&self, id: B256, cumulative: u128) -> B256 {
        self.digest(&Voucher { channelId: id, cumulativeAmount: cumulative })
    }

    /// What a payee signs to close at `cumulative`.
    #[must_use]
    pub fn close(&self, id: B256, cumulative: u128) -> B256 {
        self.digest(&Close { channelId: id, cumulativeAmount: cumulative })
    }

    /// What a session key signs to open a channel from its payer's balance.
    #[must_use]
    pub fn open(&self, id: B256, amount: U96, fee: U96, deadline: U40) -> B256 {
        self.digest(&Open { channelId: id, amount, fee, deadline })
    }

    /// What a session key signs to raise a deposit to `deposit`.
    #[must_use]
    pub fn top_up(&self, id: B256, deposit: U96, fee: U96, deadline: U40) -> B256 {
        self.digest(&TopUp { channelId: id, deposit, fee, deadline })
    }

    /// What a payer or its session key signs to start a timed close.
    #[must_use]
    pub fn request_close(&self, id: B256, fee: U96, deadline: U40) -> B256 {
        self.digest(&RequestClose { channelId: id, fee, deadline })
    }

    /// What a payer signs to take `amount` of its balance to `to`; `nonce` is the contract's count of its signatures.
    #[must_use]
    pub fn withdraw(&self, payer: Address, to: Address, amount: U96, fee: U96, deadline: U40, nonce: U256) -> B256 {
        self.digest(&Withdraw { payer, to, amount, fee, deadline, nonce })
    }

    /// What a payer signs to set a session by somebody else's transaction.
    #[must_use]
    pub fn session(&self, payer: Address, terms: &Terms, fee: U96, deadline: U40, nonce: U256) -> B256 {
        let Terms { signer, cap_payee, cap_day, expiry } = *terms;
        self.digest(&Session { payer, signer, capPayee: cap_payee, capDay: cap_day, expiry, fee, deadline, nonce })
    }

    fn digest(&self, signed: &impl SolStruct) -> B256 {
        signed.eip712_signing_hash(&self.domain())
    }
}

/// The ERC-3009 nonce under which a payer signs the opening of channel `id` by a relayer that gets `fee`.
#[must_use]
fn opening_nonce(id: B256, fee: U96) -> B256 {
    keccak256(("pam1 open".to_owned(), id, fee).abi_encode_params())
}

impl Funding {
    /// Its ERC-3009 nonce.
    #[must_use]
    pub fn nonce(&self) -> B256 {
        let Terms { signer, cap_payee, cap_day, expiry } = self.terms;
        keccak256(("pam1 fund".to_owned(), self.fee, signer, cap_payee, cap_day, expiry, self.salt).abi_encode_params())
    }
}

impl Channel {
    /// The ERC-3009 nonce under which the payer signs its opening by a relayer that gets `fee`.
    #[must_use]
    pub fn opening_nonce(&self, channels: &Channels, fee: U96) -> B256 {
        opening_nonce(channels.id(self), fee)
    }
}

pub(crate) fn vectors() -> Vec<(&'static str, B256)> {
    let units = |tokens: u64| U96::from(tokens) * U96::from(10_000_000_000_000_000_u64);
    let channels =
        Channels { chain_id: 31_337, contract: Address::repeat_byte(0x11), token: Address::repeat_byte(0x22) };
    let channel = Channel {
        payer: Address::repeat_byte(0x33),
        payee: Address::repeat_byte(0x44),
        signer: Address::repeat_byte(0x55),
        salt: keccak256("salt"),
    };
    let (fee, deadline) = (units(1), U40::from(1_900_000_000_u64));
    let terms = Terms { signer: channel.signer, cap_payee: units(500), cap_day: units(700), expiry: deadline };
    let id = channels.id(&channel);
    let nonce = U256::from(7);
    vec![
        ("channelId", id),
        ("voucher", channels.voucher(id, 123_456_789)),
        ("close", channels.close(id, 123_456_789)),
        ("open", channels.open(id, units(1_000), fee, deadline)),
        ("topUp", channels.top_up(id, units(2_000), fee, deadline)),
        ("requestClose", channels.request_close(id, fee, deadline)),
        ("withdraw", channels.withdraw(channel.payer, channel.payee, units(300), fee, deadline, nonce)),
        ("session", channels.session(channel.payer, &terms, fee, deadline, nonce)),
        ("openingNonce", channel.opening_nonce(&channels, fee)),
        ("fundingNonce", Funding { fee, terms, salt: keccak256("salt") }.nonce()),
    ]
}
