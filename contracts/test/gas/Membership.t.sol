// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

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
contract MembershipGasTest is Members {
    function setUp() public override {
        super.setUp();
        // Nobody is the first member, and nobody's tokens are the first here.
        openly(commitmentOf(1_000));
        deposited(commitmentOf(1_001), 2);
    }

    function test_joins_openly() public {
        openly(commitmentOf(1));
        assertLe(measured("join by the open door"), 95_000);
    }

    function test_joins_by_deposit() public {
        deposited(commitmentOf(1), 2);
        assertLe(measured("join by deposit"), 140_000);
    }

    function test_joins_by_authorization() public {
        uint256 commitment = commitmentOf(1);
        Funding.Authorization memory a =
            authorized(payer, address(members), PRICE + 1e18, members.joiningNonce(commitment, 2, 1e18));
        vm.prank(relayer);
        members.joinByAuthorization(commitment, 2, 1e18, a);
        measured("join by deposit, relayed for a fee");
    }

    function test_joins_by_stake() public {
        staked(1_000e18);
        byStake(commitmentOf(1), 2);
        measured("join by stake");
    }

    function test_joins_by_invitation() public {
        sponsored(1_000e18);
        byInvitation(commitmentOf(1), invitation(2, 0));
        measured("join by invitation");
    }

    function test_slashes_a_deposit() public {
        deposited(commitmentOf(1), 2);
        slashed(1);
        assertLe(measured("slash of a deposit"), 80_000);
        members.collect(commitmentOf(1));
        measured("collect of a slash");
    }

    function test_slashes_an_open_seat() public {
        openly(commitmentOf(1));
        slashed(1);
        assertLe(measured("slash of an open seat"), 80_000);
    }

    function test_leaves() public {
        deposited(commitmentOf(1), 2);
        vm.prank(payer.at);
        members.requestExit(commitmentOf(1));
        measured("request exit");
        vm.warp(block.timestamp + EXIT);
        members.withdraw(commitmentOf(1));
        measured("withdraw a deposit");
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
        measured("register a provider");
        vm.prank(owner.at);
        registry.stake(other, 1_000e18);
        measured("stake, first");
        vm.prank(owner.at);
        registry.stake(other, 1_000e18);
        measured("stake, later");
        vm.prank(owner.at);
        registry.unstake(other, 1_000e18);
        measured("unstake");
        vm.warp(block.timestamp + UNBONDING);
        registry.withdraw(other);
        measured("withdraw a stake");
        vm.prank(court);
        registry.slash(other, 100e18, treasury);
        measured("slash a stake");
    }

    function measured(string memory name) private returns (uint256 gas) {
        gas = vm.snapshotGasLastCall("membership", name);
        emit log_named_uint(name, gas);
    }
}
