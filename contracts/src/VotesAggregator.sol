// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC5805} from "@openzeppelin/contracts/interfaces/IERC5805.sol";

/// @title Votes of held and of staked tokens as one.
/// @notice A staked token left its holder's balance and votes at the registry; it is never counted at both. The supply is
/// the token's alone: staked tokens are part of it. Nothing can be delegated here.
contract VotesAggregator is IERC5805 {
    /// Held tokens.
    IERC5805 public immutable TOKEN;
    /// Staked tokens.
    IERC5805 public immutable REGISTRY;

    /// Delegate at the token, or at the registry.
    error DelegateAtTheSource();
    /// Both must count seconds, or their votes are not of one moment.
    error WrongClock(address source);

    constructor(IERC5805 token, IERC5805 registry) {
        TOKEN = token;
        REGISTRY = registry;
        _checkClock(token);
        _checkClock(registry);
    }

    /// @notice What an account may vote with now.
    function getVotes(address account) external view returns (uint256) {
        return TOKEN.getVotes(account) + REGISTRY.getVotes(account);
    }

    /// @notice What it could vote with at a time in the past.
    function getPastVotes(address account, uint256 time) external view returns (uint256) {
        return TOKEN.getPastVotes(account, time) + REGISTRY.getPastVotes(account, time);
    }

    /// @notice All tokens at a time in the past, staked ones among them.
    function getPastTotalSupply(uint256 time) external view returns (uint256) {
        return TOKEN.getPastTotalSupply(time);
    }

    /// @notice To whom an account delegated the tokens that it holds.
    function delegates(address account) external view returns (address) {
        return TOKEN.delegates(account);
    }

    function delegate(address) external pure {
        revert DelegateAtTheSource();
    }

    function delegateBySig(address, uint256, uint256, uint8, bytes32, bytes32) external pure {
        revert DelegateAtTheSource();
    }

    /// @notice ERC-6372: the clock is the time.
    function clock() external view returns (uint48) {
        return uint48(block.timestamp);
    }

    /// @notice ERC-6372: what the clock counts.
    // solhint-disable-next-line func-name-mixedcase
    function CLOCK_MODE() external pure returns (string memory) {
        return "mode=timestamp";
    }

    function _checkClock(IERC5805 source) private view {
        require(keccak256(bytes(source.CLOCK_MODE())) == keccak256("mode=timestamp"), WrongClock(address(source)));
    }
}
