// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

// A seat of the membership tree in one storage slot, as a value type like those of Slots.sol:
// cover | tier | validUntil | index | exitAt | door | state. It is never deleted: a commitment is used once.
type SeatSlot is uint256;

using {
    cover, tier, validUntil, index, exitAt, door, state, withLeaf, withCover, asLeaving, asGone, asSlashed
} for SeatSlot global;

// How a member came in.
uint8 constant OPEN_DOOR = 1;
uint8 constant DEPOSIT = 2;
uint8 constant STAKE = 3;
uint8 constant INVITATION = 4;

// A leaf of the tree.
uint8 constant ACTIVE = 1;
// No leaf any more; what covers it can still be slashed.
uint8 constant LEAVING = 2;
// Over.
uint8 constant GONE = 3;
// Its secret was revealed; the cover waits to be shared out.
uint8 constant SLASHED = 4;

function newSeat(uint96 amount, uint16 level, uint32 until, uint32 place, uint8 by) pure returns (SeatSlot) {
    return SeatSlot.wrap(
        uint256(amount) | uint256(level) << 96 | uint256(until) << 112 | uint256(place) << 144 | uint256(by) << 216
            | uint256(ACTIVE) << 224
    );
}

/// The deposit behind it, or the stake that it needs elsewhere.
function cover(SeatSlot s) pure returns (uint96) {
    return uint96(SeatSlot.unwrap(s));
}

function tier(SeatSlot s) pure returns (uint16) {
    return uint16(SeatSlot.unwrap(s) >> 96);
}

/// The last epoch (UTC day number) it is good for.
function validUntil(SeatSlot s) pure returns (uint32) {
    return uint32(SeatSlot.unwrap(s) >> 112);
}

/// The leaf's place in the tree.
function index(SeatSlot s) pure returns (uint32) {
    return uint32(SeatSlot.unwrap(s) >> 144);
}

/// When the deposit may be withdrawn; 0 while no exit is asked for.
function exitAt(SeatSlot s) pure returns (uint40) {
    return uint40(SeatSlot.unwrap(s) >> 176);
}

function door(SeatSlot s) pure returns (uint8) {
    return uint8(SeatSlot.unwrap(s) >> 216);
}

function state(SeatSlot s) pure returns (uint8) {
    return uint8(SeatSlot.unwrap(s) >> 224);
}

function withLeaf(SeatSlot s, uint16 level, uint32 until) pure returns (SeatSlot) {
    return SeatSlot.wrap(
        SeatSlot.unwrap(s) & ~(uint256(type(uint48).max) << 96) | uint256(level) << 96 | uint256(until) << 112
    );
}

function withCover(SeatSlot s, uint96 amount) pure returns (SeatSlot) {
    return SeatSlot.wrap(SeatSlot.unwrap(s) & ~uint256(type(uint96).max) | amount);
}

function asLeaving(SeatSlot s, uint40 time) pure returns (SeatSlot) {
    return withState(SeatSlot.wrap(SeatSlot.unwrap(s) & ~(uint256(type(uint40).max) << 176) | uint256(time) << 176), LEAVING);
}

function asGone(SeatSlot s) pure returns (SeatSlot) {
    return withState(withCover(s, 0), GONE);
}

function asSlashed(SeatSlot s) pure returns (SeatSlot) {
    return withState(s, SLASHED);
}

function withState(SeatSlot s, uint8 to) pure returns (SeatSlot) {
    return SeatSlot.wrap(SeatSlot.unwrap(s) & (1 << 224) - 1 | uint256(to) << 224);
}
