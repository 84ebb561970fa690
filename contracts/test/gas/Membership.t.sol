// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Measured} from "./Measured.sol";
import {Funding} from "../../src/Funding.sol";
import {Members} from "../Members.sol";
import {Poseidon} from "../../src/libraries/Poseidon.sol";
import {ProviderRegistry} from "../../src/ProviderRegistry.sol";

contract Hasher {
    function gasOf(uint256 input) external view returns (uint256 gas, uint256 digest) {
        gas = gasleft();
        digest = Poseidon.hash1(input);
        gas -= gasleft();
    }
}

/// @title Gas of whole transactions (profile `gas`, isolated): snapshots in snapshots/, and the most each may cost.
contract MembershipGasTest is Members, Measured {
    string private constant GROUP = "membership";

    function setUp() public override {
        super.setUp();
        // Nobody is the first member, and nobody's tokens are the first here.
        openly(commitmentOf(1_000));
        deposited(commitmentOf(1_001), 2);
    }

    function test_joins_openly() public {
        openly(commitmentOf(1));
        assertLe(measured(GROUP, "join by the open door", 1), 95_000);
    }

    function test_joins_by_deposit() public {
        deposited(commitmentOf(1), 2);
        assertLe(measured(GROUP, "join by deposit", 1), 140_000);
    }

    function test_joins_by_authorization() public {
        uint256 commitment = commitmentOf(1);
        Funding.Authorization memory a =
            authorized(payer, address(members), PRICE + 1e18, members.joiningNonce(commitment, 2, 1e18));
        vm.prank(relayer);
        members.joinByAuthorization(commitment, 2, 1e18, a);
        measured(GROUP, "join by deposit, relayed for a fee", 1);
    }

    function test_joins_by_stake() public {
        staked(1_000e18);
        byStake(commitmentOf(1), 2);
        measured(GROUP, "join by stake", 1);
    }

    function test_joins_by_invitation() public {
        sponsored(1_000e18);
        byInvitation(commitmentOf(1), invitation(2, 0));
        measured(GROUP, "join by invitation", 1);
    }

    function test_slashes_a_deposit() public {
        deposited(commitmentOf(1), 2);
        slashed(1);
        assertLe(measured(GROUP, "slash of a deposit", 1), 80_000);
        members.collect(commitmentOf(1));
        measured(GROUP, "collect of a slash", 1);
    }

    function test_slashes_an_open_seat() public {
        openly(commitmentOf(1));
        slashed(1);
        assertLe(measured(GROUP, "slash of an open seat", 1), 80_000);
    }

    function test_leaves() public {
        deposited(commitmentOf(1), 2);
        vm.prank(payer.at);
        members.requestExit(commitmentOf(1));
        measured(GROUP, "request exit", 1);
        vm.warp(block.timestamp + EXIT);
        members.withdraw(commitmentOf(1));
        measured(GROUP, "withdraw a deposit", 1);
    }

    function test_hashes() public {
        (uint256 gas,) = new Hasher().gasOf(7);
        emit log_named_uint("poseidon_gas", gas);
        assertLe(gas, 16_000);
    }

    function test_registers_and_stakes() public {
        ProviderRegistry.Root memory b = bound(77, payee.at);
        vm.prank(payee.at);
        bytes32 other = registry.register(b, owner.at, "ipfs://bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi");
        measured(GROUP, "register a provider", 1);
        vm.prank(owner.at);
        registry.stake(other, 1_000e18);
        measured(GROUP, "stake, first", 1);
        vm.prank(owner.at);
        registry.stake(other, 1_000e18);
        measured(GROUP, "stake, later", 1);
        vm.prank(owner.at);
        registry.unstake(other, 1_000e18);
        measured(GROUP, "unstake", 1);
        vm.warp(block.timestamp + UNBONDING);
        registry.withdraw(other);
        measured(GROUP, "withdraw a stake", 1);
        vm.prank(court);
        registry.slash(other, 100e18, treasury);
        measured(GROUP, "slash a stake", 1);
    }
}
