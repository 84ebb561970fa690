// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Base} from "../Base.sol";
import {InferenceToken} from "../../src/InferenceToken.sol";
import {Keys} from "../../src/libraries/Keys.sol";
import {Params} from "../../src/Params.sol";

contract TokenTest is Base {
    function test_the_supply_is_fixed_and_fits() public {
        InferenceToken t = new InferenceToken(stranger.at);
        assertEq(t.balanceOf(stranger.at), t.SUPPLY());
        assertEq(t.totalSupply(), t.SUPPLY());
        assertLe(t.SUPPLY(), type(uint96).max);
        assertEq(t.symbol(), "INFERENCE");
        assertEq(t.decimals(), 18);
    }

    function test_votes_follow_the_clock_of_seconds() public {
        assertEq(token.CLOCK_MODE(), "mode=timestamp");
        assertEq(token.clock(), block.timestamp);
        vm.prank(payer.at);
        token.delegate(payer.at);
        uint256 then = block.timestamp;
        vm.warp(then + 10);
        vm.prank(payer.at);
        token.transfer(stranger.at, 1e18);
        vm.warp(then + 20);
        assertEq(token.getPastVotes(payer.at, then), 1_000_000e18);
        assertEq(token.getPastVotes(payer.at, then + 10), 999_999e18);
        assertEq(token.nonces(payer.at), 0);
    }
}

contract ParamsTest is Base {
    function test_only_governance_writes_within_bounds() public {
        vm.expectRevert(abi.encodeWithSelector(Params.NotGovernance.selector, address(this)));
        params.set(Keys.FEE_BPS, 1);
        vm.startPrank(governance);
        vm.expectRevert(abi.encodeWithSelector(Params.UnknownParam.selector, bytes32("no such")));
        params.set("no such", 1);
        vm.expectRevert(abi.encodeWithSelector(Params.OutOfBounds.selector, Keys.FEE_BPS, 1_001, 0, 1_000));
        params.set(Keys.FEE_BPS, 1_001);
        vm.expectEmit();
        emit Params.ParamSet(Keys.FEE_BPS, 1_000, uint40(block.timestamp));
        params.set(Keys.FEE_BPS, 1_000);
        assertEq(params.get(Keys.FEE_BPS), 1_000);
        assertEq(params.param(Keys.FEE_BPS).before, 300);
    }

    function test_reads_of_unknown_keys_fail() public {
        vm.expectRevert(abi.encodeWithSelector(Params.UnknownParam.selector, bytes32("x")));
        params.get("x");
        vm.expectRevert(abi.encodeWithSelector(Params.UnknownParam.selector, bytes32("x")));
        params.param("x");
        assertEq(params.keys().length, initialParams().length);
    }

    function test_refuses_bad_beginnings() public {
        Params.Initial[] memory p = new Params.Initial[](1);
        p[0] = Params.Initial("a", 6, 6, 7);
        vm.expectEmit();
        emit Params.ParamSet("a", 6, 0);
        new Params(governance, 0, p);
        p[0] = Params.Initial("a", 5, 6, 7);
        vm.expectRevert(abi.encodeWithSelector(Params.OutOfBounds.selector, bytes32("a"), 5, 6, 7));
        new Params(governance, 0, p);
        p[0] = Params.Initial("a", 0, 0, 0);
        vm.expectRevert(abi.encodeWithSelector(Params.OutOfBounds.selector, bytes32("a"), 0, 0, 0));
        new Params(governance, 0, p);
        p = new Params.Initial[](2);
        p[0] = Params.Initial("a", 1, 1, 1);
        p[1] = p[0];
        vm.expectRevert(abi.encodeWithSelector(Params.DuplicateParam.selector, bytes32("a")));
        new Params(governance, 0, p);
    }

    function testFuzz_a_value_begins_at_a_midnight_after_its_delay(uint32 time, uint64 second) public {
        Params slow = new Params(governance, 1 days, initialParams());
        second = uint64(bound(second, 0, 1_000));
        vm.warp(uint256(time) + 1 days);
        vm.prank(governance);
        slow.set(Keys.FEE_BPS, second);
        uint40 from = slow.param(Keys.FEE_BPS).from;
        assertEq(from % 1 days, 0);
        assertGe(from, block.timestamp + 1 days);
        assertLt(from, block.timestamp + 2 days);
        assertEq(slow.valueAt(Keys.FEE_BPS, from - 1), 300);
        assertEq(slow.valueAt(Keys.FEE_BPS, from), second);
        // A second vote before then replaces the first, not what holds now.
        vm.prank(governance);
        slow.set(Keys.FEE_BPS, 7);
        assertEq(slow.get(Keys.FEE_BPS), 300);
        // A third after it holds until its own time what the second said.
        vm.warp(slow.param(Keys.FEE_BPS).from);
        vm.prank(governance);
        slow.set(Keys.FEE_BPS, 9);
        assertEq(slow.get(Keys.FEE_BPS), 7);
    }
}
