//! Why a contract refused, in words: what is wrong and what to do about it.

use crate::abi::Params::ParamsErrors as P;
use crate::abi::{InferenceChannels::InferenceChannelsErrors as E, InferenceToken::InferenceTokenErrors as T};
use alloy_sol_types::SolInterface as _;

/// Words for the data that a call reverted with, or for the four bytes of a batch's skipped row.
#[must_use]
pub fn explain(data: &[u8]) -> String {
    if let Ok(error) = E::abi_decode(data) {
        return channels(&error).to_owned();
    }
    if let Ok(error) = T::abi_decode(data) {
        return token(&error);
    }
    if let Ok(error) = P::abi_decode(data) {
        return params(&error);
    }
    format!("the contract refused for a reason this version does not know (0x{})", alloy_primitives::hex::encode(data))
}

fn channels(error: &E) -> &'static str {
    match error {
        E::AlreadyClosing(_) => "the channel is being closed already; wait for its time, then finish the close",
        E::BadBounds(_) => "the delays given to the contract do not fit each other",
        E::BadSignature(_) => "the signature is not by the one it should be, or signs something else",
        E::ChannelExists(_) => "this channel was opened before; open another with a new salt",
        E::DayCapExceeded(_) => {
            "the session key moved as much as it may today; wait for midnight UTC, or raise its cap"
        }
        E::DepositNotRaised(_) => "a top-up names the new deposit in all, and it is not above the one there is",
        E::Expired(_) => "the signed message is too old; sign it again",
        E::FeeAboveAmount(_) => "the relayer's fee is more than the amount itself",
        E::InexactTransfer(_) => "the token takes a part of what is sent; only INFERENCE is taken",
        E::InsufficientBalance(_) => "the payer's balance is too small; fund it first",
        E::InvalidAccountNonce(_) => "another message of the payer was taken first; sign this one again",
        E::NotClosing(_) => "nobody asked for this close; ask for it first",
        E::NotOpen(_) => "there is no open channel of this payer, payee, key and salt",
        E::NotPayer(_) => "only the payer or its session key may do this",
        E::NothingToPay(_) => "nothing is earned that is not paid out already",
        E::PayeeCapExceeded(_) => "the session key moved as much to this payee as it may; raise its cap or set it anew",
        E::ReentrancyGuardReentrantCall(_) => "a call came back into the contract before it was done",
        E::SafeERC20FailedOperation(_) => "the token did not move; is enough of it approved?",
        E::SessionExpired(_) => "the session key has ended or was taken back; set a new one",
        E::StaleVoucher(_) => "this voucher, or a higher one, is claimed already",
        E::TooEarly(_) => "the time that the payee has to claim is not over yet",
        E::ZeroAddress(_) => "an address is missing",
        E::ZeroAmount(_) => "the amount is zero",
    }
}

fn token(error: &T) -> String {
    match error {
        T::ERC20InsufficientBalance(e) => format!("the account has {} and needs {}", e.balance, e.needed),
        T::ERC20InsufficientAllowance(e) => {
            format!("the contract may move {} and needs {}; approve more", e.allowance, e.needed)
        }
        T::ERC3009InvalidSignature(_) => {
            "the authorization is not signed by the payer, or for another fee or channel".into()
        }
        T::ERC3009InvalidAuthorizationTime(_) => "the authorization is not valid now; sign it again".into(),
        T::ERC3009UsedAuthorization(_) => "the authorization was used already".into(),
        T::ERC2612ExpiredSignature(_) => "the permit is too old; sign it again".into(),
        other => format!("the token refused: {other:?}"),
    }
}

fn params(error: &P) -> String {
    match error {
        P::NotGovernance(_) => "only a vote changes a parameter".into(),
        P::UnknownParam(e) => {
            format!("there is no parameter {}", String::from_utf8_lossy(e.key.as_slice()).trim_end_matches('\0'))
        }
        P::DuplicateParam(_) => "a parameter is listed twice".into(),
        P::OutOfBounds(e) => format!("{} is not within {} to {}", e.value, e.min, e.max),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::InferenceChannels;
    use alloy_sol_types::SolError as _;

    #[test]
    fn says_what_to_do() {
        let stale = InferenceChannels::StaleVoucher::SELECTOR;
        assert!(explain(&stale).contains("claimed already"));
        assert!(explain(&[1, 2, 3, 4]).contains("0x01020304"));
        assert!(explain(&[]).contains("does not know"));
    }
}
