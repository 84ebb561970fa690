// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC3009} from "@openzeppelin/contracts/token/ERC20/extensions/draft-ERC3009.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {ERC20Votes} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Votes.sol";
import {Nonces} from "@openzeppelin/contracts/utils/Nonces.sol";

/// @title INFERENCE, the token that pays for answers and votes on the protocol's parameters.
/// @notice ERC-20 with permit (ERC-2612), transfers by authorization (ERC-3009) and votes on a clock of seconds
/// (ERC-6372). The supply is fixed: all of it is minted once, to the distributor, and nobody can mint or pause.
contract InferenceToken is ERC20Permit, ERC3009, ERC20Votes {
    /// One billion tokens of 18 decimals: every balance, and the sum of all, fits uint96.
    uint256 public constant SUPPLY = 1_000_000_000e18;

    /// @param distributor gets the whole supply; a script hands it on.
    constructor(address distributor) ERC20("Inference", "INFERENCE") ERC20Permit("Inference") {
        _mint(distributor, SUPPLY);
    }

    /// @notice ERC-6372: the clock is the time.
    function clock() public view override returns (uint48) {
        return uint48(block.timestamp);
    }

    /// @notice ERC-6372: what the clock counts.
    // solhint-disable-next-line func-name-mixedcase
    function CLOCK_MODE() public pure override returns (string memory) {
        return "mode=timestamp";
    }

    function _update(address from, address to, uint256 value) internal override(ERC20, ERC20Votes) {
        super._update(from, to, value);
    }

    function nonces(address owner) public view override(ERC20Permit, Nonces) returns (uint256) {
        return super.nonces(owner);
    }
}
