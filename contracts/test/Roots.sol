// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {P256} from "@openzeppelin/contracts/utils/cryptography/P256.sol";
import {CommonBase} from "forge-std/Base.sol";

/// @title P-256 keys, which providers sign with.
abstract contract Roots is CommonBase {
    /// A signature with a low s, which is the only kind that counts.
    function signedBy(uint256 secret, bytes32 hash) internal pure returns (bytes32 r, bytes32 s) {
        (r, s) = vm.signP256(secret, hash);
        if (uint256(s) > P256.N / 2) s = bytes32(P256.N - uint256(s));
    }

    function rootOf(uint256 secret) internal pure returns (bytes32 qx, bytes32 qy) {
        (uint256 x, uint256 y) = vm.publicKeyP256(secret);
        return (bytes32(x), bytes32(y));
    }
}
