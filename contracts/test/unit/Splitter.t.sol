// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IProviderRegistry} from "../../src/interfaces/IProviderRegistry.sol";
import {InferenceChannels} from "../../src/InferenceChannels.sol";
import {ProviderRegistry} from "../../src/ProviderRegistry.sol";
import {Providers} from "../Providers.sol";
import {RevenueSplitter as S} from "../../src/RevenueSplitter.sol";
import {False, Hooked, Short, Shrinking} from "../Tokens.sol";

/// @title A holder that calls back for more when it is paid.
contract Greedy {
    S internal splitter;
    IERC20 internal token;
    bytes public answer;

    function aim(S splitter_, IERC20 token_) external {
        (splitter, token) = (splitter_, token_);
    }

    function tokensReceived(uint256) external {
        try splitter.releaseOf(token, address(this)) {
            answer = "paid";
        } catch (bytes memory reason) {
            answer = reason;
        }
    }
}

/// @title A holder that refuses to be paid.
contract Refusing {
    function tokensReceived(uint256) external pure {
        revert("no");
    }
}

contract SplitterTest is Providers {
    address private hardware = makeAddr("hardware");
    address private referrer = makeAddr("referrer");
    S private splitter;

    function setUp() public override {
        super.setUp();
        splitter = new S(owner.at, shares(owner.at, hardware, referrer, treasury));
    }

    function shares(address a, address b, address c, address d) private pure returns (S.Share[] memory s) {
        s = new S.Share[](4);
        s[0] = S.Share(a, 6_000);
        s[1] = S.Share(b, 2_500);
        s[2] = S.Share(c, 1_000);
        s[3] = S.Share(d, 500);
    }

    // ------------------------------------------------------------------------------------------------ shares

    function test_pays_by_shares() public {
        token.transfer(address(splitter), 100e18);
        assertEq(splitter.due(token, hardware), 25e18);
        vm.prank(hardware);
        vm.expectEmit();
        emit S.Released(token, hardware, stranger.at, 25e18);
        splitter.release(token, stranger.at);
        assertEq(token.balanceOf(stranger.at), 25e18);
        assertEq(splitter.due(token, hardware), 0);
        token.transfer(address(splitter), 100e18);
        assertEq(splitter.due(token, hardware), 25e18);
        assertEq(splitter.releaseOf(token, referrer), 20e18);
        assertEq(splitter.releaseOf(token, treasury), 10e18);
        assertEq(splitter.releaseOf(token, hardware), 25e18);
        assertEq(splitter.releaseOf(token, owner.at), 120e18);
        assertEq(token.balanceOf(address(splitter)), 0);
        assertEq(splitter.holders().length, 4);
        assertEq(splitter.bpsOf(hardware), 2_500);
    }

    function test_pays_nobody_else() public {
        token.transfer(address(splitter), 100e18);
        vm.prank(stranger.at);
        vm.expectRevert(S.NothingDue.selector);
        splitter.release(token, stranger.at);
        vm.prank(hardware);
        vm.expectRevert(S.ZeroAddress.selector);
        splitter.release(token, address(0));
        splitter.releaseOf(token, hardware);
        vm.expectRevert(S.NothingDue.selector);
        splitter.releaseOf(token, hardware);
    }

    /// Whatever comes and whoever takes: nobody gets more than its part, and all of it is somebody's but for the dust.
    function testFuzz_every_part_is_paid_and_no_more(uint64[8] calldata amounts, uint8[8] calldata who) public {
        address[] memory all = splitter.holders();
        uint256 total;
        for (uint256 i; i < 8; ++i) {
            token.transfer(address(splitter), amounts[i]);
            total += amounts[i];
            address taker = all[who[i] % 4];
            if (splitter.due(token, taker) != 0) splitter.releaseOf(token, taker);
            assertLe(splitter.releasedTo(token, taker), total * splitter.bpsOf(taker) / 10_000);
        }
        for (uint256 i; i < 4; ++i) {
            if (splitter.due(token, all[i]) != 0) splitter.releaseOf(token, all[i]);
            assertEq(splitter.releasedTo(token, all[i]), total * splitter.bpsOf(all[i]) / 10_000);
        }
        assertLt(token.balanceOf(address(splitter)), 4);
    }

    function test_refuses_constructions() public {
        S.Share[] memory s = shares(owner.at, hardware, referrer, treasury);
        vm.expectRevert(S.ZeroAddress.selector);
        new S(address(0), s);
        s[1].holder = address(0);
        vm.expectRevert(S.ZeroAddress.selector);
        new S(owner.at, s);
        s[1].holder = owner.at;
        vm.expectRevert(S.DuplicateHolder.selector);
        new S(owner.at, s);
        s[1] = S.Share(hardware, 0);
        vm.expectRevert(S.ZeroShare.selector);
        new S(owner.at, s);
        s[1].bps = 2_499;
        vm.expectRevert(S.BadSum.selector);
        new S(owner.at, s);
        vm.expectRevert(S.TooManyShares.selector);
        new S(owner.at, new S.Share[](17));
        S.Share[] memory most = new S.Share[](16);
        for (uint160 i; i < 16; ++i) {
            most[i] = S.Share(address(i + 1), 625);
        }
        assertEq(new S(owner.at, most).holders().length, 16);
        vm.expectRevert(S.BadSum.selector);
        new S(owner.at, new S.Share[](0));
    }

    // ------------------------------------------------------------------------------------------------ tokens

    function test_a_payee_that_calls_back_gets_nothing_more() public {
        Hooked hooked = new Hooked();
        Greedy greedy = new Greedy();
        splitter = new S(owner.at, shares(owner.at, address(greedy), referrer, treasury));
        greedy.aim(splitter, hooked);
        hooked.transfer(address(splitter), 100e18);
        splitter.releaseOf(hooked, address(greedy));
        assertEq(hooked.balanceOf(address(greedy)), 25e18);
        assertEq(bytes4(greedy.answer()), ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);
    }

    function test_a_payee_that_refuses_holds_nobody_up() public {
        Hooked hooked = new Hooked();
        Refusing refusing = new Refusing();
        splitter = new S(owner.at, shares(owner.at, address(refusing), referrer, treasury));
        hooked.transfer(address(splitter), 100e18);
        vm.expectRevert(bytes("no"));
        splitter.releaseOf(hooked, address(refusing));
        assertEq(splitter.releaseOf(hooked, referrer), 10e18);
        assertEq(splitter.due(hooked, address(refusing)), 25e18);
        vm.prank(address(refusing));
        splitter.release(hooked, stranger.at);
        assertEq(hooked.balanceOf(stranger.at), 25e18);
    }

    function test_a_token_that_answers_false_changes_nothing() public {
        False no = new False();
        no.give(address(splitter), 100e18);
        vm.expectRevert(abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(no)));
        splitter.releaseOf(no, hardware);
        assertEq(splitter.due(no, hardware), 25e18);
    }

    function test_a_token_that_takes_a_part_and_one_that_shrinks() public {
        Short short = new Short();
        short.transfer(address(splitter), 100e18 + 1);
        assertEq(splitter.releaseOf(short, hardware), 25e18);
        assertEq(short.balanceOf(hardware), 25e18 - 1);
        Shrinking shrinking = new Shrinking();
        shrinking.transfer(address(splitter), 100e18);
        splitter.releaseOf(shrinking, hardware);
        shrinking.shrink(address(splitter), 50e18);
        assertEq(splitter.due(shrinking, hardware), 0);
        assertEq(splitter.due(shrinking, referrer), 5e18);
        vm.expectRevert(S.NothingDue.selector);
        splitter.releaseOf(shrinking, hardware);
    }

    // ------------------------------------------------------------------------------------------------ payee

    /// A provider whose payee is a splitter, from its key to everybody's money.
    function test_is_the_payee_of_a_provider() public {
        ProviderRegistry.Root memory b = bound(7, address(splitter));
        vm.expectRevert(S.NotOperator.selector);
        splitter.bind(registry, b, owner.at, "ipfs://one");
        vm.prank(owner.at);
        splitter.bind(registry, b, owner.at, "ipfs://one");
        bytes32 providerId = idOf(7);
        assertEq(registry.payeeOf(providerId), address(splitter));
        assertEq(registry.ownerOf(providerId), owner.at);

        vm.prank(payer.at);
        channels.open(address(splitter), session.at, "salt", 100e18);
        InferenceChannels.Key memory key = InferenceChannels.Key(payer.at, address(splitter), session.at, "salt");
        channels.claim(address(splitter), voucher(key, 10e18));
        channels.payoutOf(address(splitter));
        assertEq(token.balanceOf(address(splitter)), 9.7e18);
        assertEq(splitter.releaseOf(token, hardware), 2.425e18);

        vm.expectRevert(S.NotOperator.selector);
        splitter.closeToLedger(channels, payer.at, session.at, "salt");
        vm.prank(owner.at);
        splitter.closeToLedger(channels, payer.at, session.at, "salt");
        assertEq(balance(payer.at), 90e18);
    }

    function test_takes_a_provider_over() public {
        id = registered(7, payee.at, stranger.at);
        token.transfer(stranger.at, 10e18);
        vm.startPrank(stranger.at);
        token.approve(address(registry), 10e18);
        registry.stake(id, 10e18);
        vm.stopPrank();
        ProviderRegistry.Root memory b = bound(7, address(splitter));
        vm.prank(owner.at);
        vm.expectRevert(IProviderRegistry.StakeInPlace.selector);
        splitter.bind(registry, b, owner.at, "");
        // The former owner's stake is in the way: as the payee the splitter sends it out, to its owner.
        vm.prank(owner.at);
        splitter.bind(registry, b, stranger.at, "");
        assertEq(registry.payeeOf(id), address(splitter));
        vm.expectRevert(S.NotOperator.selector);
        splitter.releaseStake(registry, id);
        vm.prank(owner.at);
        splitter.releaseStake(registry, id);
        vm.warp(block.timestamp + UNBONDING);
        registry.withdraw(id);
        assertEq(token.balanceOf(stranger.at), 10e18);
        b = bound(7, address(splitter));
        vm.prank(owner.at);
        splitter.bind(registry, b, owner.at, "");
        assertEq(registry.ownerOf(id), owner.at);
    }
}
