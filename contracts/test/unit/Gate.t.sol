// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {AccessGate} from "../../src/AccessGate.sol";
import {IParams} from "../../src/interfaces/IParams.sol";
import {IProviderRegistry} from "../../src/interfaces/IProviderRegistry.sol";
import {InferenceChannels} from "../../src/InferenceChannels.sol";
import {Keys} from "../../src/libraries/Keys.sol";
import {Providers} from "../Providers.sol";

contract GateTest is Providers {
    AccessGate private gate;
    InferenceChannels.Key private none;

    function setUp() public override {
        super.setUp();
        gate = new AccessGate(token, registry, channels, rules);
    }

    function testFuzz_holders_pass(uint96 amount) public {
        amount = uint96(bound(amount, 0, 1_000e18));
        token.transfer(stranger.at, amount);
        assertEq(gate.holds(stranger.at), amount >= 500e18);
        assertEq(gate.allowed(stranger.at, 0, none), amount >= 500e18);
    }

    function test_the_threshold_is_voted() public {
        token.transfer(stranger.at, 500e18);
        assertTrue(gate.holds(stranger.at));
        rule(Keys.ACCESS_MINIMUM, 501);
        assertFalse(gate.holds(stranger.at));
    }

    /// Tokens that came a moment ago count now, not for the past.
    function test_the_past_is_of_votes() public {
        token.transfer(stranger.at, 500e18);
        vm.prank(stranger.at);
        token.delegate(stranger.at);
        uint256 then = block.timestamp;
        vm.warp(then + 10);
        assertFalse(gate.heldAt(stranger.at, then - 1));
        assertTrue(gate.heldAt(stranger.at, then));
        vm.prank(stranger.at);
        token.transfer(payee.at, 1);
        vm.warp(then + 20);
        assertFalse(gate.heldAt(stranger.at, then + 10));
        assertTrue(gate.heldAt(stranger.at, then + 9));
    }

    function test_stakers_pass_while_bonded() public {
        staked(500e18);
        assertTrue(gate.stakes(owner.at, id));
        assertFalse(gate.stakes(stranger.at, id));
        vm.prank(owner.at);
        token.transfer(stranger.at, 999_400e18);
        assertTrue(gate.allowed(owner.at, id, none));
        assertFalse(gate.allowed(owner.at, 0, none));
        unstaked(1);
        assertFalse(gate.stakes(owner.at, id));
        assertFalse(gate.allowed(owner.at, id, none));
        assertFalse(gate.stakes(owner.at, "nobody"));
        assertFalse(gate.stakes(address(0), "nobody"));
    }

    function test_payers_and_their_keys_pass_while_their_channel_lives() public {
        opened("salt", 6e18);
        InferenceChannels.Key memory key = keyOf("salt");
        assertTrue(gate.pays(payer.at, key));
        assertTrue(gate.pays(session.at, key));
        assertTrue(gate.allowed(session.at, 0, key));
        // A provider that nobody knows is no door, and shuts none.
        assertTrue(gate.allowed(session.at, "nobody", key));
        assertFalse(gate.pays(stranger.at, key));
        assertFalse(gate.allowed(stranger.at, 0, key));
        assertFalse(gate.pays(payer.at, keyOf("none")));
        channels.claim(payee.at, voucher(key, 1e18));
        assertTrue(gate.pays(payer.at, key));
        channels.claim(payee.at, voucher(key, 1e18 + 1));
        assertFalse(gate.pays(payer.at, key));
        opened("another", 6e18);
        key = keyOf("another");
        vm.prank(payer.at);
        channels.requestClose(key);
        assertFalse(gate.pays(payer.at, key));
        vm.prank(payee.at);
        channels.closeToLedger(payer.at, session.at, "another");
        assertFalse(gate.pays(payer.at, key));
    }

    function test_refuses_constructions() public {
        vm.expectRevert(AccessGate.ZeroAddress.selector);
        new AccessGate(IERC20(address(0)), registry, channels, rules);
        vm.expectRevert(AccessGate.ZeroAddress.selector);
        new AccessGate(token, IProviderRegistry(address(0)), channels, rules);
        vm.expectRevert(AccessGate.ZeroAddress.selector);
        new AccessGate(token, registry, InferenceChannels(address(0)), rules);
        vm.expectRevert(AccessGate.ZeroAddress.selector);
        new AccessGate(token, registry, channels, IParams(address(0)));
    }
}
