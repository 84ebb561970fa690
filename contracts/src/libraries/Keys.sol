// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title The keys of the voted parameters.
library Keys {
    /// Free requests a seat of tier 1 has in a UTC day.
    bytes32 internal constant FREE_DAILY = "freeDaily";
    /// Protocol fee taken at payout, in basis points.
    bytes32 internal constant FEE_BPS = "feeBps";
    /// Stake that lists a provider, in whole tokens.
    bytes32 internal constant MIN_STAKE = "minStake";
    /// Seconds a payee has to claim after the payer asks to close.
    bytes32 internal constant CHALLENGE_DELAY = "challengeDelay";
    /// Reply topics of the network, protocol section 6.2.
    bytes32 internal constant REPLY_BUCKETS = "replyBuckets";
    /// Seats the open door gives in a UTC day.
    bytes32 internal constant OPEN_SEATS_DAILY = "openSeatsDaily";
    /// Leading zero bits of the open door's puzzle.
    bytes32 internal constant PUZZLE_BITS = "puzzleBits";
    /// Deposit of a membership of tier 2, in whole tokens.
    bytes32 internal constant SEAT_DEPOSIT = "seatDeposit";
    /// Balance or stake that opens token-gated access, in whole tokens.
    bytes32 internal constant ACCESS_MINIMUM = "accessMinimum";
    /// Deposit left in a channel that opens token-gated access, in whole tokens.
    bytes32 internal constant ACCESS_CHANNEL = "accessChannel";
    /// Bond of a quality challenge, in whole tokens.
    bytes32 internal constant CASE_BOND = "caseBond";
    /// Seconds a challenged provider has to answer.
    bytes32 internal constant RESPONSE_WINDOW = "responseWindow";
    /// Seconds governance has to decide a case after the response window; then the provider is let go.
    bytes32 internal constant DECISION_WINDOW = "decisionWindow";
    /// Share of the stake that an upheld case or a proven fault takes, in basis points.
    bytes32 internal constant SLASH_BPS = "slashBps";
    /// Seconds of an epoch of ratings, read by clients.
    bytes32 internal constant EPOCH = "epoch";
}
