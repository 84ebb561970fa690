// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

// What the channels keep, one storage slot each, as value types: a slot is read once, changed as a value and written
// once, which the compiler does not do for structs. Amounts are uint96 of the token's smallest unit, times are uint40
// unix seconds.

/// A channel: deposit | claimed | closeAt | state. Zero is a channel that never was; it is never deleted.
type ChannelSlot is uint256;

/// A payer's account: balance | moved by session keys on `day` | day.
type AccountSlot is uint256;

/// What a session key may do: cap a payee | cap a day | expiry | round, which counts how often it was set.
type SessionSlot is uint256;

/// What a session key moved to one payee in a round: amount | round.
type SpentSlot is uint256;

using {deposit, claimed, closeAt, state, withDeposit, withClaimed, withCloseAt, asClosed} for ChannelSlot global;
using {balance, movedOn, withBalance, withMoved} for AccountSlot global;
using {capPayee, capDay, expiry, round} for SessionSlot global;
using {movedIn} for SpentSlot global;

uint256 constant NONE = 0;
uint256 constant OPEN = 1;
uint256 constant CLOSED = 2;

// ---------------------------------------------------------------------------------------------------- channel

function newChannel(uint96 amount) pure returns (ChannelSlot) {
    return ChannelSlot.wrap(uint256(amount) | OPEN << 232);
}

function deposit(ChannelSlot c) pure returns (uint96) {
    return uint96(ChannelSlot.unwrap(c));
}

function claimed(ChannelSlot c) pure returns (uint96) {
    return uint96(ChannelSlot.unwrap(c) >> 96);
}

/// When a timed close may be ended; 0 while none is asked for.
function closeAt(ChannelSlot c) pure returns (uint40) {
    return uint40(ChannelSlot.unwrap(c) >> 192);
}

function state(ChannelSlot c) pure returns (uint256) {
    return ChannelSlot.unwrap(c) >> 232;
}

function withDeposit(ChannelSlot c, uint96 amount) pure returns (ChannelSlot) {
    return ChannelSlot.wrap(ChannelSlot.unwrap(c) & ~uint256(type(uint96).max) | amount);
}

function withClaimed(ChannelSlot c, uint96 amount) pure returns (ChannelSlot) {
    return ChannelSlot.wrap(ChannelSlot.unwrap(c) & ~(uint256(type(uint96).max) << 96) | uint256(amount) << 96);
}

function withCloseAt(ChannelSlot c, uint40 time) pure returns (ChannelSlot) {
    return ChannelSlot.wrap(ChannelSlot.unwrap(c) & ~(uint256(type(uint40).max) << 192) | uint256(time) << 192);
}

function asClosed(ChannelSlot c) pure returns (ChannelSlot) {
    return ChannelSlot.wrap(ChannelSlot.unwrap(c) & (1 << 232) - 1 | CLOSED << 232);
}

// ---------------------------------------------------------------------------------------------------- account

function balance(AccountSlot a) pure returns (uint96) {
    return uint96(AccountSlot.unwrap(a));
}

/// What session keys moved on UTC day `day`.
function movedOn(AccountSlot a, uint32 day) pure returns (uint96) {
    return uint32(AccountSlot.unwrap(a) >> 192) == day ? uint96(AccountSlot.unwrap(a) >> 96) : 0;
}

function withBalance(AccountSlot a, uint96 amount) pure returns (AccountSlot) {
    return AccountSlot.wrap(AccountSlot.unwrap(a) & ~uint256(type(uint96).max) | amount);
}

function withMoved(AccountSlot a, uint96 amount, uint32 day) pure returns (AccountSlot) {
    return AccountSlot.wrap(uint96(AccountSlot.unwrap(a)) | uint256(amount) << 96 | uint256(day) << 192);
}

// ---------------------------------------------------------------------------------------------------- session

function newSession(uint96 payeeCap, uint96 dayCap, uint40 until, uint24 number) pure returns (SessionSlot) {
    return SessionSlot.wrap(uint256(payeeCap) | uint256(dayCap) << 96 | uint256(until) << 192 | uint256(number) << 232);
}

function capPayee(SessionSlot s) pure returns (uint96) {
    return uint96(SessionSlot.unwrap(s));
}

function capDay(SessionSlot s) pure returns (uint96) {
    return uint96(SessionSlot.unwrap(s) >> 96);
}

function expiry(SessionSlot s) pure returns (uint40) {
    return uint40(SessionSlot.unwrap(s) >> 192);
}

function round(SessionSlot s) pure returns (uint24) {
    return uint24(SessionSlot.unwrap(s) >> 232);
}

function newSpent(uint96 amount, uint24 number) pure returns (SpentSlot) {
    return SpentSlot.wrap(uint256(amount) | uint256(number) << 96);
}

/// What was moved in round `number`.
function movedIn(SpentSlot s, uint24 number) pure returns (uint96) {
    return SpentSlot.unwrap(s) >> 96 == number ? uint96(SpentSlot.unwrap(s)) : 0;
}
