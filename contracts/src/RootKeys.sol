// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {P256} from "@openzeppelin/contracts/utils/cryptography/P256.sol";

/// @title Verifies signatures of root keys: P-256, low s only.
/// @notice By the precompile of EIP-7951 where the chain has it, else in Solidity.
/// @dev A contract of its own: beside the assembly of vote checkpoints that of P256 finds no place on the stack.
contract RootKeys {
    /// @notice Whether the key (qx, qy) signed `hash`; never so for a point off the curve or a high s.
    function verify(bytes32 hash, bytes32 r, bytes32 s, bytes32 qx, bytes32 qy) external view returns (bool) {
        return P256.verify(hash, r, s, qx, qy);
    }
}
