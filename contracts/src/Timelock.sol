// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";

/// @title What governance acts through: the owner of every voted parameter and of the treasury.
/// @notice Only the governor proposes and cancels, anyone executes, nobody administers: no vote gives or takes a role. A vote
/// can lengthen the delay and shorten it again, but never below what users were promised: the time to leave before a change
/// comes. Each contract knows its timelock from the start; what only the timelock may do at the start it does as it is made.
contract Timelock is TimelockController {
    /// A call that is made in the constructor.
    struct Call {
        address target;
        bytes data;
    }

    /// No vote can make the delay shorter.
    uint256 public immutable MIN_DELAY;
    /// Nor longer than twice that, or stakes would be out before it is over.
    uint256 public immutable MAX_DELAY;
    uint256 private constant MAX_FIRST = 15 days;

    error DelayOutOfBounds(uint256 delay, uint256 min, uint256 max);

    constructor(uint256 delay, address governor, Call[] memory first)
        TimelockController(delay, _only(governor), _only(address(0)), address(0))
    {
        require(delay != 0 && delay <= MAX_FIRST, DelayOutOfBounds(delay, 1, MAX_FIRST));
        MIN_DELAY = delay;
        MAX_DELAY = 2 * delay;
        for (uint256 i; i < first.length; ++i) {
            Address.functionCall(first[i].target, first[i].data);
        }
        // With it a vote could name a second proposer, which keeps to none of the governor's bounds, or a lasting guardian.
        _revokeRole(DEFAULT_ADMIN_ROLE, address(this));
    }

    function updateDelay(uint256 delay) public override {
        require(MIN_DELAY <= delay && delay <= MAX_DELAY, DelayOutOfBounds(delay, MIN_DELAY, MAX_DELAY));
        super.updateDelay(delay);
    }

    function _only(address who) private pure returns (address[] memory list) {
        list = new address[](1);
        list[0] = who;
    }
}
