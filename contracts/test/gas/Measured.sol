// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";

/// @title Gas of whole transactions, kept in snapshots/.
abstract contract Measured is Test {
    /// The gas of the last transaction for each of `count` rows. Only the profile `gas` compiles what is deployed and counts
    /// whole transactions: elsewhere nothing is measured, and 0 returned.
    function measured(string memory group, string memory name, uint256 count) internal returns (uint256 gas) {
        if (keccak256(bytes(vm.envOr("FOUNDRY_PROFILE", string("default")))) != keccak256("gas")) return 0;
        gas = vm.snapshotGasLastCall(group, name) / count;
        emit log_named_uint(name, gas);
    }
}
