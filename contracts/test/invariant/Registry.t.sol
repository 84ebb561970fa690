// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ProviderRegistry} from "../../src/ProviderRegistry.sol";
import {Providers} from "../Providers.sol";

/// @title Three owners, their providers and a court do at random what can be done; no call of theirs may fail.
contract RegistryHandler is Providers {
    uint256 private constant PEOPLE = 3;

    Person[PEOPLE] internal owners;
    bytes32[PEOPLE] internal ids;

    constructor() {
        setUp();
        for (uint256 i; i < PEOPLE; ++i) {
            owners[i] = person(string.concat("owner", vm.toString(i)));
            token.transfer(owners[i].at, 1_000e18);
            vm.prank(owners[i].at);
            token.approve(address(registry), type(uint256).max);
            ids[i] = registered(11 + i, payee.at, owners[i].at);
        }
    }

    function stake(uint256 which, uint96 amount) external {
        bytes32 providerId = ids[which % PEOPLE];
        address by = registry.ownerOf(providerId);
        amount = uint96(bound(amount, 0, token.balanceOf(by)));
        if (amount == 0 || registry.isReleased(providerId)) return;
        vm.prank(by);
        registry.stake(providerId, amount);
    }

    function unstake(uint256 which, uint96 amount) external {
        bytes32 providerId = ids[which % PEOPLE];
        amount = uint96(bound(amount, 0, registry.bondedOf(providerId)));
        if (amount == 0) return;
        address by = registry.ownerOf(providerId);
        vm.prank(by);
        registry.unstake(providerId, amount);
    }

    function restake(uint256 which, uint96 amount) external {
        bytes32 providerId = ids[which % PEOPLE];
        (uint96 leaving,) = registry.leavingOf(providerId);
        amount = uint96(bound(amount, 0, leaving));
        if (amount == 0 || registry.isReleased(providerId)) return;
        address by = registry.ownerOf(providerId);
        vm.prank(by);
        registry.restake(providerId, amount);
    }

    function withdraw(uint256 which) external {
        bytes32 providerId = ids[which % PEOPLE];
        (uint96 leaving, uint40 time) = registry.leavingOf(providerId);
        if (leaving == 0 || block.timestamp < time || registry.isFrozen(providerId)) return;
        registry.withdraw(providerId);
    }

    function release(uint256 which) external {
        bytes32 providerId = ids[which % PEOPLE];
        vm.prank(payee.at);
        registry.release(providerId);
    }

    function rebind(uint256 which, uint256 whom) external {
        bytes32 providerId = ids[which % PEOPLE];
        address to = registry.stakeOf(providerId) == 0 ? owners[whom % PEOPLE].at : registry.ownerOf(providerId);
        ProviderRegistry.Root memory b = bound(11 + which % PEOPLE, payee.at);
        vm.prank(payee.at);
        registry.rebind(b, to);
    }

    function hand(uint256 which, uint256 whom) external {
        bytes32 providerId = ids[which % PEOPLE];
        address by = registry.ownerOf(providerId);
        vm.prank(by);
        registry.setOwner(providerId, owners[whom % PEOPLE].at);
    }

    function delegate(uint256 who, uint256 whom) external {
        whom %= PEOPLE + 1;
        vm.prank(owners[who % PEOPLE].at);
        registry.delegate(whom == PEOPLE ? address(0) : owners[whom].at);
    }

    function freeze(uint256 which, bool on) external {
        vm.prank(court);
        if (on) registry.freeze(ids[which % PEOPLE]);
        else registry.unfreeze(ids[which % PEOPLE]);
    }

    function slash(uint256 which, uint96 amount) external {
        bytes32 providerId = ids[which % PEOPLE];
        amount = uint96(bound(amount, 0, registry.stakeOf(providerId) / 4));
        if (amount == 0) return;
        vm.prank(court);
        registry.slash(providerId, amount, treasury);
    }

    function pass(uint32 time) external {
        vm.warp(block.timestamp + time % 5 days);
    }

    // ------------------------------------------------------------------------------------------------ what must hold

    /// Each has the votes of the stakes of those who delegate to it, and the tokens are the stakes.
    function assert_votes_are_stakes() external view {
        uint256 stakes;
        uint256[PEOPLE] memory votes;
        for (uint256 i; i < PEOPLE; ++i) {
            uint256 own;
            for (uint256 k; k < PEOPLE; ++k) {
                if (registry.ownerOf(ids[k]) == owners[i].at) own += registry.stakeOf(ids[k]);
            }
            assertEq(registry.unitsOf(owners[i].at), own);
            stakes += own;
            for (uint256 k; k < PEOPLE; ++k) {
                if (registry.delegates(owners[i].at) == owners[k].at) votes[k] += own;
            }
        }
        for (uint256 i; i < PEOPLE; ++i) {
            assertEq(registry.getVotes(owners[i].at), votes[i]);
        }
        assertEq(token.balanceOf(address(registry)), stakes);
    }

    /// Nobody's help is needed to leave, not even the court's: once the longest freeze is over each stake is its owner's, to
    /// the last unit, and before that where nothing froze it.
    function leave() external {
        for (uint256 i; i < PEOPLE; ++i) {
            uint96 bonded = registry.bondedOf(ids[i]);
            address by = registry.ownerOf(ids[i]);
            vm.prank(by);
            if (bonded != 0) registry.unstake(ids[i], bonded);
            else registry.delegate(by);
        }
        uint256 start = block.timestamp;
        vm.warp(start + UNBONDING);
        for (uint256 i; i < PEOPLE; ++i) {
            if (registry.isFrozen(ids[i])) vm.warp(start + registry.MAX_FREEZE());
        }
        for (uint256 i; i < PEOPLE; ++i) {
            uint96 all = registry.stakeOf(ids[i]);
            if (all == 0) continue;
            address by = registry.ownerOf(ids[i]);
            uint256 before = token.balanceOf(by);
            assertEq(registry.withdraw(ids[i]), all);
            assertEq(token.balanceOf(by), before + all);
        }
        assertEq(token.balanceOf(address(registry)), 0);
    }
}

contract RegistryInvariants is Providers {
    RegistryHandler private handler;

    function setUp() public override {
        handler = new RegistryHandler();
        bytes4[] memory moves = new bytes4[](11);
        moves[0] = RegistryHandler.stake.selector;
        moves[1] = RegistryHandler.unstake.selector;
        moves[2] = RegistryHandler.restake.selector;
        moves[3] = RegistryHandler.withdraw.selector;
        moves[4] = RegistryHandler.release.selector;
        moves[5] = RegistryHandler.rebind.selector;
        moves[6] = RegistryHandler.hand.selector;
        moves[7] = RegistryHandler.delegate.selector;
        moves[8] = RegistryHandler.freeze.selector;
        moves[9] = RegistryHandler.slash.selector;
        moves[10] = RegistryHandler.pass.selector;
        targetSelector(FuzzSelector(address(handler), moves));
        targetContract(address(handler));
    }

    function invariant_votes_are_stakes() public view {
        handler.assert_votes_are_stakes();
    }

    function afterInvariant() public {
        handler.leave();
    }
}
