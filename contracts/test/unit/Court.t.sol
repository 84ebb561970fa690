// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Funding} from "../../src/Funding.sol";
import {IParams} from "../../src/interfaces/IParams.sol";
import {IProviderRegistry} from "../../src/interfaces/IProviderRegistry.sol";
import {Keys} from "../../src/libraries/Keys.sol";
import {QualityCourt} from "../../src/QualityCourt.sol";
import {Calling, Short} from "../Tokens.sol";
import {Cases} from "../Cases.sol";

/// @title Cases: bonds, answers, decisions, and what each may take.
contract CourtTest is Cases {
    // ------------------------------------------------------------------------------------------------ cases

    function test_opens_a_case_and_freezes_the_stake() public {
        uint40 now_ = uint40(block.timestamp);
        vm.expectEmit();
        emit QualityCourt.CaseOpened(1, id, reporter.at, BOND, now_ + RESPONSE, now_ + RESPONSE + DECISION, "ipfs://case");
        assertEq(opened(), 1);
        assertTrue(registry.isFrozen(id));
        assertEq(token.balanceOf(address(bench)), BOND);
        QualityCourt.Case memory c = bench.caseOf(1);
        assertEq(c.reporter, reporter.at);
        assertEq(c.decideBy, now_ + RESPONSE + DECISION);
        assertEq(uint8(c.status), uint8(QualityCourt.Status.Open));
        unstaked(STAKE);
        vm.warp(block.timestamp + UNBONDING);
        vm.expectRevert(abi.encodeWithSelector(IProviderRegistry.StakeFrozen.selector, id));
        registry.withdraw(id);
    }

    function test_takes_no_case_against_nobody_or_nothing() public {
        vm.startPrank(reporter.at);
        vm.expectRevert(abi.encodeWithSelector(IProviderRegistry.UnknownProvider.selector, bytes32("nobody")));
        bench.open("nobody", BOND, "");
        vm.stopPrank();
        bytes32 poor = registered(7, payee.at, owner.at);
        vm.prank(reporter.at);
        vm.expectRevert(QualityCourt.NoStake.selector);
        bench.open(poor, BOND, "");
    }

    function test_takes_no_case_against_who_waited_out_its_unbonding() public {
        unstaked(STAKE);
        vm.warp(block.timestamp + UNBONDING - 1);
        uint256 last = opened();
        vm.warp(block.timestamp + 1);
        vm.prank(reporter.at);
        vm.expectRevert(QualityCourt.ProviderLeft.selector);
        bench.open(id, BOND, "");
        vm.warp(bench.caseOf(last).decideBy + 1);
        bench.expire(last);
        registry.withdraw(id);
        assertEq(registry.stakeOf(id), 0);
    }

    function test_puts_up_no_more_than_the_reporter_agrees_to() public {
        vm.prank(reporter.at);
        vm.expectRevert(abi.encodeWithSelector(QualityCourt.BondTooLow.selector, BOND - 1, BOND));
        bench.open(id, BOND - 1, "");
    }

    function test_refuses_a_token_that_takes_of_transfers() public {
        Short short = new Short();
        QualityCourt other = new QualityCourt(short, registry, law, governance, treasury);
        short.approve(address(other), type(uint256).max);
        vm.mockCall(address(registry), abi.encodeCall(registry.freeze, (id)), "");
        vm.expectRevert(abi.encodeWithSelector(Funding.InexactTransfer.selector, BOND - 1, BOND));
        other.open(id, BOND, "");
    }

    function test_bonds_are_not_entered_again() public {
        opened();
        answered(1);
        decided(1, false);
        vm.etch(address(token), address(new Calling(QualityCourt.payout.selector)).code);
        vm.expectRevert(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);
        opened();
        vm.expectRevert(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);
        bench.payout(owner.at);
    }

    function test_no_vote_makes_a_case_last_longer_than_promised() public {
        setLaw(Keys.RESPONSE_WINDOW, 1_000 days);
        setLaw(Keys.DECISION_WINDOW, 1_000 days);
        QualityCourt.Case memory c = bench.caseOf(opened());
        assertEq(c.answerBy, block.timestamp + bench.MAX_RESPONSE());
        assertEq(c.decideBy, c.answerBy + bench.MAX_DECISION());
        assertLt(bench.MAX_RESPONSE() + bench.MAX_DECISION(), registry.MAX_FREEZE());
    }

    function test_owner_or_payee_answers_once_and_in_time() public {
        uint256 one = opened();
        vm.prank(stranger.at);
        vm.expectRevert(abi.encodeWithSelector(QualityCourt.NotProvider.selector, stranger.at));
        bench.answer(one, "");
        vm.expectEmit();
        emit QualityCourt.CaseAnswered(one, "ipfs://answer");
        answered(one);
        vm.prank(payee.at);
        vm.expectRevert(abi.encodeWithSelector(QualityCourt.AlreadyAnswered.selector, one));
        bench.answer(one, "");
        uint256 two = opened();
        vm.warp(block.timestamp + RESPONSE + 1);
        vm.prank(payee.at);
        vm.expectRevert(QualityCourt.TooLate.selector);
        bench.answer(two, "");
        vm.prank(payee.at);
        vm.expectRevert(abi.encodeWithSelector(QualityCourt.NotOpen.selector, 9));
        bench.answer(9, "");
    }

    function test_payee_answers_too_and_to_the_last_second() public {
        uint256 one = opened();
        vm.warp(block.timestamp + RESPONSE);
        vm.prank(payee.at);
        bench.answer(one, "");
        assertTrue(bench.caseOf(one).answered);
    }

    function test_an_upheld_case_slashes() public {
        uint256 one = opened();
        answered(one);
        uint256 before = token.balanceOf(treasury);
        vm.expectEmit();
        emit QualityCourt.CaseEnded(one, QualityCourt.Status.Upheld, SLASH);
        decided(one, true);
        assertEq(registry.stakeOf(id), STAKE - SLASH);
        assertEq(bench.owed(reporter.at), BOND + SLASH / 10);
        assertEq(token.balanceOf(treasury) - before, SLASH * 9 / 10);
        assertFalse(registry.isFrozen(id));
        vm.expectEmit(address(bench));
        emit QualityCourt.PaidOut(reporter.at, BOND + SLASH / 10);
        assertEq(bench.payout(reporter.at), BOND + SLASH / 10);
        assertEq(token.balanceOf(address(bench)), 0);
        vm.expectRevert(QualityCourt.NothingToPay.selector);
        bench.payout(reporter.at);
    }

    function test_a_dismissed_case_leaves_the_bond_to_the_provider() public {
        uint256 one = opened();
        vm.warp(block.timestamp + RESPONSE + 1);
        decided(one, false);
        assertEq(registry.stakeOf(id), STAKE);
        assertEq(bench.owed(owner.at), BOND);
        assertFalse(registry.isFrozen(id));
    }

    function test_only_governance_decides_and_only_in_the_window() public {
        uint256 one = opened();
        vm.expectRevert(abi.encodeWithSelector(QualityCourt.NotGovernance.selector, address(this)));
        bench.decide(one, true);
        vm.startPrank(governance);
        vm.expectRevert(abi.encodeWithSelector(QualityCourt.NotOpen.selector, 2));
        bench.decide(2, true);
        vm.warp(block.timestamp + RESPONSE);
        vm.expectRevert(QualityCourt.TooEarly.selector);
        bench.decide(one, true);
        vm.warp(block.timestamp + DECISION + 1);
        vm.expectRevert(QualityCourt.TooLate.selector);
        bench.decide(one, true);
        vm.stopPrank();
        bench.expire(one);
        vm.prank(governance);
        vm.expectRevert(abi.encodeWithSelector(QualityCourt.NotOpen.selector, one));
        bench.decide(one, true);
    }

    function test_anyone_ends_a_case_that_nobody_decided() public {
        uint256 answered_ = opened();
        uint256 unanswered = opened();
        answered(answered_);
        vm.warp(bench.caseOf(unanswered).decideBy);
        vm.expectRevert(QualityCourt.TooEarly.selector);
        bench.expire(unanswered);
        vm.warp(block.timestamp + 1);
        vm.startPrank(stranger.at);
        bench.expire(answered_);
        assertTrue(registry.isFrozen(id), "the other case still holds it");
        bench.expire(unanswered);
        vm.stopPrank();
        assertEq(bench.owed(owner.at), BOND);
        assertEq(bench.owed(reporter.at), BOND);
        assertEq(registry.stakeOf(id), STAKE);
        assertFalse(registry.isFrozen(id));
        vm.expectRevert(abi.encodeWithSelector(QualityCourt.NotOpen.selector, answered_));
        bench.expire(answered_);
    }

    function test_two_cases_freeze_until_the_last_ends() public {
        uint256 one = opened();
        uint256 two = opened();
        answered(one);
        answered(two);
        decided(one, true);
        assertTrue(registry.isFrozen(id));
        vm.warp(bench.caseOf(two).decideBy);
        decided(two, true);
        assertFalse(registry.isFrozen(id));
        assertEq(registry.stakeOf(id), 6_400e18);
        assertEq(bench.owed(reporter.at), 2 * BOND + 360e18);
    }

    /// One vote upholds many cases: together they take no more than one may, until whoever left at the first is out.
    function test_many_cases_take_half_at_most_in_the_time_to_leave() public {
        setLaw(Keys.SLASH_BPS, 4_000);
        uint256[3] memory ids = [opened(), opened(), opened()];
        for (uint256 i; i < ids.length; ++i) {
            answered(ids[i]);
        }
        decided(ids[0], true);
        assertEq(registry.stakeOf(id), STAKE * 6 / 10);
        decided(ids[1], true);
        assertEq(registry.stakeOf(id), STAKE / 2);
        uint256 first = block.timestamp;
        decided(ids[2], true);
        assertEq(registry.stakeOf(id), STAKE / 2);
        // What comes in is no shelter, and is at stake by half as well.
        staked(STAKE);
        uint256 late = opened();
        answered(late);
        decided(late, true);
        assertEq(registry.stakeOf(id), STAKE);
        // To its last second, then anew.
        vm.warp(first + UNBONDING + bench.MAX_RESPONSE() + bench.MAX_DECISION());
        late = opened();
        answered(late);
        decided(late, true);
        assertEq(registry.stakeOf(id), STAKE);
        late = opened();
        answered(late);
        vm.warp(block.timestamp + 1);
        decided(late, true);
        assertEq(registry.stakeOf(id), STAKE * 6 / 10);
        late = opened();
        answered(late);
        decided(late, true);
        assertEq(registry.stakeOf(id), STAKE / 2);
    }

    /// Who takes most of its stake away after a case leaves the rest to answer for what stood there.
    function test_what_is_withdrawn_shelters_nothing_that_stays() public {
        uint256 one = opened();
        unstaked(STAKE * 6 / 10);
        answered(one);
        vm.warp(block.timestamp + UNBONDING);
        decided(one, true);
        registry.withdraw(id);
        uint256 left = registry.stakeOf(id);
        assertEq(left, STAKE * 2 / 10);
        uint256 two = opened();
        answered(two);
        decided(two, true);
        assertEq(registry.stakeOf(id), left * 8 / 10);
    }

    /// What a fault took meanwhile is not there for cases, and leaves nothing below zero.
    function test_cases_and_faults_take_each_their_part() public {
        setLaw(Keys.SLASH_BPS, 5_000);
        uint256 one = opened();
        uint256 two = opened();
        answered(one);
        answered(two);
        decided(one, true);
        vm.prank(address(bench));
        registry.slash(id, STAKE / 4, treasury);
        decided(two, true);
        assertEq(registry.stakeOf(id), STAKE / 4);
    }

    function test_nothing_is_left_to_slash() public {
        setLaw(Keys.SLASH_BPS, 0);
        uint256 one = opened();
        answered(one);
        decided(one, true);
        assertEq(registry.stakeOf(id), STAKE);
        assertEq(bench.owed(reporter.at), BOND);
    }

    /// A slash too small to share goes to the treasury whole.
    function test_slashes_dust() public {
        bytes32 dust = registered(7, payee.at, owner.at);
        vm.prank(owner.at);
        registry.stake(dust, 30);
        vm.prank(reporter.at);
        uint256 one = bench.open(dust, BOND, "");
        answered(one);
        decided(one, true);
        assertEq(registry.stakeOf(dust), 24);
        assertEq(bench.owed(reporter.at), BOND);
    }

    function testFuzz_no_vote_slashes_more_than_half(uint96 amount, uint64 bps) public {
        amount = uint96(bound(amount, 1, 500_000e18));
        setLaw(Keys.SLASH_BPS, uint64(bound(bps, 0, 10_000)));
        staked(amount);
        uint256 one = opened();
        answered(one);
        uint256 before = token.balanceOf(treasury);
        decided(one, true);
        uint256 taken = STAKE + amount - registry.stakeOf(id);
        assertLe(taken, (STAKE + uint256(amount)) / 2);
        uint256 reward = bench.owed(reporter.at) - BOND;
        assertLe(reward, taken / 10);
        assertEq(reward + token.balanceOf(treasury) - before, taken);
        assertEq(token.balanceOf(address(bench)), BOND + reward);
    }

    /// Cases of a court that was replaced still end, and the provider can leave.
    function test_a_court_out_of_office_ends_its_cases() public {
        vm.prank(governance);
        registry.setCourt(court);
        vm.warp(registry.nextCourtFrom() - 14 days);
        uint256 one = opened();
        uint256 two = opened();
        answered(two);
        vm.warp(registry.nextCourtFrom());
        registry.seatCourt();
        // It takes nothing any more; who was right gets the bond.
        decided(two, true);
        assertEq(registry.stakeOf(id), STAKE);
        assertEq(bench.payout(reporter.at), BOND);
        vm.warp(bench.caseOf(one).decideBy + 1);
        bench.expire(one);
        assertFalse(registry.isFrozen(id));
        assertEq(bench.payout(reporter.at), BOND);
    }

    /// Who asks to leave within two weeks of a vote for another court is out before that court, with all of it: though a
    /// case is opened in the last second, lasts as long as any can, and nobody decides it.
    function test_no_case_holds_a_stake_until_a_new_court_comes() public {
        setLaw(Keys.RESPONSE_WINDOW, 1_000 days);
        setLaw(Keys.DECISION_WINDOW, 1_000 days);
        vm.prank(governance);
        registry.setCourt(stranger.at);
        uint40 from = registry.nextCourtFrom();
        vm.warp(block.timestamp + 14 days);
        unstaked(STAKE);
        vm.warp(block.timestamp + UNBONDING - 1);
        uint256 last = opened();
        vm.warp(bench.caseOf(last).decideBy + 1);
        assertLt(block.timestamp, from, "the new court came first");
        vm.expectRevert(IProviderRegistry.TooEarly.selector);
        registry.seatCourt();
        bench.expire(last);
        assertEq(registry.withdraw(id), STAKE);
        vm.warp(from);
        registry.seatCourt();
        vm.prank(stranger.at);
        vm.expectRevert(IProviderRegistry.InsufficientStake.selector);
        registry.slash(id, 1, stranger.at);
    }

    /// Nor does the freeze alone, should a court that is in office never end it.
    function test_a_freeze_ends_before_a_new_court_comes() public {
        vm.prank(governance);
        registry.setCourt(stranger.at);
        unstaked(STAKE);
        vm.warp(block.timestamp + UNBONDING - 1);
        opened();
        vm.warp(block.timestamp + registry.MAX_FREEZE());
        vm.expectRevert(IProviderRegistry.TooEarly.selector);
        registry.seatCourt();
        assertEq(registry.withdraw(id), STAKE);
    }

    function test_a_case_takes_what_was_voted_when_it_was_opened() public {
        uint256 one = opened();
        setLaw(Keys.SLASH_BPS, 3_000);
        uint256 two = opened();
        assertEq(bench.caseOf(one).slashBps, 2_000);
        assertEq(bench.caseOf(two).slashBps, 3_000);
        answered(one);
        answered(two);
        decided(one, true);
        assertEq(registry.stakeOf(id), STAKE - SLASH);
        setLaw(Keys.SLASH_BPS, 100);
        decided(two, true);
        assertEq(registry.stakeOf(id), (STAKE - SLASH) * 7 / 10);
    }

    function test_needs_every_address() public {
        (IERC20 t, IProviderRegistry r, IParams p) = (token, registry, law);
        vm.expectRevert(Funding.ZeroAddress.selector);
        new QualityCourt(IERC20(address(0)), r, p, governance, treasury);
        vm.expectRevert(Funding.ZeroAddress.selector);
        new QualityCourt(t, IProviderRegistry(address(0)), p, governance, treasury);
        vm.expectRevert(Funding.ZeroAddress.selector);
        new QualityCourt(t, r, IParams(address(0)), governance, treasury);
        vm.expectRevert(Funding.ZeroAddress.selector);
        new QualityCourt(t, r, p, address(0), treasury);
        vm.expectRevert(Funding.ZeroAddress.selector);
        new QualityCourt(t, r, p, governance, address(0));
    }
}
