// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";
import {Poseidon} from "../../src/libraries/Poseidon.sol";

contract PoseidonTest is Test {
    /// Every vector of one input.
    function test_equals_the_vectors() public view {
        string memory json = vm.readFile("../tests/vectors/poseidon.json");
        uint256 checked;
        for (uint256 i; vm.keyExistsJson(json, at(i, "")); ++i) {
            string[] memory inputs = vm.parseJsonStringArray(json, at(i, ".inputs"));
            if (inputs.length != 1) continue;
            assertEq(Poseidon.hash1(number(inputs[0])), number(vm.parseJsonString(json, at(i, ".hash"))));
            ++checked;
        }
        assertEq(checked, 16);
    }

    function testFuzz_is_reduced_and_takes_the_input_modulo_p(uint256 input) public pure {
        uint256 digest = Poseidon.hash1(input);
        assertLt(digest, Poseidon.P);
        assertEq(digest, Poseidon.hash1(input % Poseidon.P));
    }

    function at(uint256 i, string memory field) private pure returns (string memory) {
        return string.concat(".hashes[", vm.toString(i), "]", field);
    }

    function number(string memory hex_) private pure returns (uint256) {
        return vm.parseUint(string.concat("0x", hex_));
    }
}
