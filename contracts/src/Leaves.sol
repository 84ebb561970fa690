// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Poseidon} from "./libraries/Poseidon.sol";
import {SeatSlot, newSeat} from "./libraries/Seats.sol";

/// @title The leaves of the members' tree, in the order in which they came.
/// @notice The tree itself is not on the chain: clients and workers build it from `LeafSet`, and `acc` proves that they
/// have every event.
abstract contract Leaves {
    /// The next leaf, what the open door gave on `day`, and what it gave in all.
    struct Head {
        uint32 next;
        uint32 day;
        uint32 openSeats;
        uint32 openEver;
    }

    /// The leaves of a tree of depth 20. A leaf is never given anew.
    uint32 public constant MAX_SEATS = 1 << 20;
    /// Of those, the open door's: it costs nothing but work, and may not take the places of those who pay.
    uint32 public constant MAX_OPEN_SEATS = MAX_SEATS / 2;

    /// The chain of leaves: acc = keccak256(acc, commitment, index, tier, validUntil) for each `LeafSet`, a word each.
    bytes32 public acc;
    Head internal head;
    mapping(uint256 commitment => SeatSlot) internal seats;

    /// A leaf changed; tier 0 is no leaf any more.
    event LeafSet(uint256 indexed commitment, uint32 index, uint16 tier, uint32 validUntil);

    error BadCommitment();
    error CommitmentUsed();
    error TreeFull();
    error OpenDoorSpent();

    /// @notice How many leaves were ever set: the next one's index.
    function seatCount() external view returns (uint32) {
        return head.next;
    }

    /// @notice The epoch: the UTC day's number.
    function today() public view returns (uint32) {
        return uint32(block.timestamp / 1 days);
    }

    /// Takes the next place of the tree.
    function _take(uint256 commitment, Head memory h, uint96 amount, uint16 tier, uint32 until, uint8 door) internal {
        require(commitment != 0 && commitment < Poseidon.P, BadCommitment());
        require(SeatSlot.unwrap(seats[commitment]) == 0, CommitmentUsed());
        uint32 index = h.next;
        require(index < MAX_SEATS, TreeFull());
        h.next = index + 1;
        head = h;
        seats[commitment] = newSeat(amount, tier, until, index, door);
        _leaf(commitment, index, tier, until);
    }

    function _leaf(uint256 commitment, uint32 index, uint16 tier, uint32 until) internal {
        acc = keccak256(abi.encode(acc, commitment, index, tier, until));
        emit LeafSet(commitment, index, tier, until);
    }
}
