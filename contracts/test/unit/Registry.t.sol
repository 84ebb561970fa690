// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC3009} from "@openzeppelin/contracts/token/ERC20/extensions/draft-ERC3009.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Funding} from "../../src/Funding.sol";
import {IParams} from "../../src/interfaces/IParams.sol";
import {IProviderRegistry as I} from "../../src/interfaces/IProviderRegistry.sol";
import {Keys} from "../../src/libraries/Keys.sol";
import {ProviderRegistry} from "../../src/ProviderRegistry.sol";
import {Providers} from "../Providers.sol";
import {Short} from "../Tokens.sol";

contract RegistryTest is Providers {
    bytes32 private constant NOBODY = keccak256("nobody");

    // ------------------------------------------------------------------------------------------------ stake

    function testFuzz_stakes_vote_until_they_leave(uint96 amount, uint96 leaving) public {
        amount = uint96(bound(amount, 1, 1_000_000e18));
        leaving = uint96(bound(leaving, 1, amount));
        vm.expectEmit(address(registry));
        emit I.Staked(id, amount);
        staked(amount);
        assertEq(registry.getVotes(owner.at), amount);
        assertEq(registry.bondedOf(id), amount);
        assertEq(registry.exitAt(id), 0);
        uint40 at = uint40(block.timestamp) + UNBONDING;
        vm.expectEmit();
        emit I.UnbondingStarted(id, leaving, at);
        unstaked(leaving);
        assertEq(registry.stakeOf(id), amount);
        assertEq(registry.bondedOf(id), amount - leaving);
        assertEq(registry.getVotes(owner.at), amount);
        assertEq(registry.exitAt(id), leaving == amount ? at : 0);
        (uint96 out, uint40 when) = registry.leavingOf(id);
        assertEq(out, leaving);
        assertEq(when, at);
        vm.expectRevert(I.StillUnbonding.selector);
        registry.withdraw(id);
        vm.warp(at);
        vm.expectEmit();
        emit I.Unstaked(id, leaving);
        assertEq(registry.withdraw(id), leaving);
        assertEq(registry.getVotes(owner.at), amount - leaving);
        assertEq(registry.unitsOf(owner.at), amount - leaving);
        assertEq(registry.getPastVotes(owner.at, block.timestamp - 1), amount);
        assertEq(registry.getPastTotalSupply(block.timestamp - 1), amount);
        assertEq(token.balanceOf(owner.at), 1_000_000e18 - amount + leaving);
        vm.expectRevert(I.NothingUnbonding.selector);
        registry.withdraw(id);
    }

    function test_votes_can_be_delegated() public {
        staked(10e18);
        vm.prank(owner.at);
        registry.delegate(stranger.at);
        staked(5e18);
        assertEq(registry.getVotes(stranger.at), 15e18);
        assertEq(registry.getVotes(owner.at), 0);
        assertEq(registry.CLOCK_MODE(), "mode=timestamp");
        assertEq(registry.clock(), block.timestamp);
        // One who gave its votes up gets them back with the next stake.
        vm.prank(owner.at);
        registry.delegate(address(0));
        assertEq(registry.getVotes(stranger.at), 0);
        staked(1e18);
        assertEq(registry.getVotes(owner.at), 16e18);
    }

    /// Nothing that it signs would answer for a fault.
    function test_who_has_revoked_every_key_is_not_listed() public {
        staked(10_000e18);
        vm.startPrank(owner.at);
        registry.setMinOpSeq(id, type(uint32).max - 1);
        assertTrue(registry.isListed(id));
        registry.setMinOpSeq(id, type(uint32).max);
        assertFalse(registry.isListed(id));
        vm.stopPrank();
    }

    /// The court in office is named once more: who was to come does not.
    function test_a_named_court_is_taken_back() public {
        vm.startPrank(governance);
        registry.setCourt(stranger.at);
        registry.setCourt(court);
        vm.stopPrank();
        assertEq(registry.nextCourt(), address(0));
        assertEq(registry.nextCourtFrom(), 0);
        vm.warp(block.timestamp + 365 days);
        vm.expectRevert(I.NoCourtProposed.selector);
        registry.seatCourt();
        assertEq(registry.court(), court);
    }

    /// Who delegates to nobody and hands its record to itself has the votes of its stake, and can still be slashed.
    function test_a_record_handed_to_oneself_keeps_its_votes() public {
        staked(10e18);
        vm.startPrank(owner.at);
        registry.delegate(address(0));
        registry.setOwner(id, owner.at);
        vm.stopPrank();
        assertEq(registry.getVotes(owner.at), 10e18);
        assertEq(registry.unitsOf(owner.at), 10e18);
        vm.prank(court);
        registry.slash(id, 10e18, treasury);
        assertEq(registry.getVotes(owner.at), 0);
    }

    function test_stakes_by_permit() public {
        vm.prank(owner.at);
        token.approve(address(registry), 0);
        Funding.Permit memory p = permitted(owner, address(registry), 10e18);
        // Somebody sends the permit first: nothing is lost.
        token.permit(owner.at, address(registry), 10e18, p.deadline, p.v, p.r, p.s);
        vm.prank(stranger.at);
        vm.expectRevert(I.NotOwner.selector);
        registry.stakeWithPermit(id, 10e18, p);
        vm.prank(owner.at);
        registry.stakeWithPermit(id, 10e18, p);
        p = permitted(owner, address(registry), 4e18);
        vm.prank(owner.at);
        registry.stakeWithPermit(id, 4e18, p);
        assertEq(registry.stakeOf(id), 14e18);
        assertEq(registry.unitsOf(owner.at), 14e18);
        assertEq(token.balanceOf(address(registry)), 14e18);
    }

    function test_stakes_by_authorization() public {
        Funding.Authorization memory a = authorized(owner, address(registry), 11e18, registry.stakingNonce(id, 1e18));
        assertEq(registry.stakingNonce(id, 1e18), keccak256(abi.encode("pam1 stake", id, uint96(1e18))));
        vm.startPrank(relayer);
        vm.expectRevert(ERC3009.ERC3009InvalidSignature.selector);
        registry.stakeWithAuthorization(id, 9e18, 2e18, a);
        vm.expectRevert(Funding.ZeroAmount.selector);
        registry.stakeWithAuthorization(id, 0, 11e18, a);
        vm.expectRevert(
            abi.encodeWithSelector(
                SafeCast.SafeCastOverflowedUintDowncast.selector, 96, 2 * uint256(type(uint96).max)
            )
        );
        registry.stakeWithAuthorization(id, type(uint96).max, type(uint96).max, a);
        registry.stakeWithAuthorization(id, 10e18, 1e18, a);
        assertEq(token.balanceOf(relayer), 1e18);
        assertEq(registry.stakeOf(id), 10e18);
        vm.expectRevert(abi.encodeWithSelector(ERC3009.ERC3009UsedAuthorization.selector, owner.at, registry.stakingNonce(id, 1e18)));
        registry.stakeWithAuthorization(id, 10e18, 1e18, a);
        a.from = stranger.at;
        vm.expectRevert(I.NotOwner.selector);
        registry.stakeWithAuthorization(id, 10e18, 1e18, a);
        vm.stopPrank();
        a = authorized(owner, address(registry), 2e18, registry.stakingNonce(id, 0));
        registry.stakeWithAuthorization(id, 2e18, 0, a);
        assertEq(registry.stakeOf(id), 12e18);
    }

    function test_refuses_what_is_not_the_owners() public {
        staked(10e18);
        vm.startPrank(stranger.at);
        vm.expectRevert(I.NotOwner.selector);
        registry.stake(id, 1);
        vm.expectRevert(I.NotOwner.selector);
        registry.unstake(id, 1);
        vm.expectRevert(I.NotOwner.selector);
        registry.restake(id, 1);
        vm.stopPrank();
    }

    function test_refuses_amounts() public {
        staked(10e18);
        vm.startPrank(owner.at);
        vm.expectRevert(Funding.ZeroAmount.selector);
        registry.stake(id, 0);
        vm.expectRevert(Funding.ZeroAmount.selector);
        registry.unstake(id, 0);
        vm.expectRevert(Funding.ZeroAmount.selector);
        registry.restake(id, 0);
        vm.expectRevert(I.InsufficientStake.selector);
        registry.unstake(id, 10e18 + 1);
        registry.unstake(id, 4e18);
        vm.expectRevert(I.InsufficientStake.selector);
        registry.restake(id, 4e18 + 1);
        vm.stopPrank();
    }

    function test_restakes() public {
        staked(10e18);
        unstaked(4e18);
        vm.startPrank(owner.at);
        registry.restake(id, 1e18);
        (uint96 leaving, uint40 at) = registry.leavingOf(id);
        assertEq(leaving, 3e18);
        assertGt(at, 0);
        vm.expectEmit();
        emit I.Restaked(id, 3e18);
        registry.restake(id, 3e18);
        vm.stopPrank();
        (leaving, at) = registry.leavingOf(id);
        assertEq(leaving, 0);
        assertEq(at, 0);
        assertEq(registry.bondedOf(id), 10e18);
    }

    function test_a_second_unstake_waits_anew() public {
        staked(10e18);
        unstaked(4e18);
        vm.warp(block.timestamp + UNBONDING - 1);
        unstaked(6e18);
        vm.warp(block.timestamp + 1);
        vm.expectRevert(I.StillUnbonding.selector);
        registry.withdraw(id);
        vm.warp(block.timestamp + UNBONDING - 1);
        assertEq(registry.withdraw(id), 10e18);
    }

    function test_refuses_a_token_that_takes_a_part() public {
        Short short = new Short();
        ProviderRegistry other = new ProviderRegistry(short, rules, governance, UNBONDING);
        (ProviderRegistry.Root memory b, bytes32 providerId) = (bound(9, payee.at), idOf(9));
        (b.r, b.s) = signedBy(9, other.bindingHash(providerId, payee.at, 0));
        vm.prank(payee.at);
        other.register(b, address(this), "");
        short.approve(address(other), 100);
        vm.expectRevert(abi.encodeWithSelector(Funding.InexactTransfer.selector, 99, 100));
        other.stake(providerId, 100);
    }

    function test_lists_by_stake_and_vote() public {
        staked(1_000e18 - 1);
        assertFalse(registry.isListed(id));
        staked(1);
        assertTrue(registry.isListed(id));
        rule(Keys.MIN_STAKE, 1_001);
        assertFalse(registry.isListed(id));
        rule(Keys.MIN_STAKE, 1);
        vm.startPrank(governance);
        vm.expectEmit();
        emit I.TierSet(id, 3);
        registry.setTier(id, 3);
        assertEq(registry.tierOf(id), 3);
        assertTrue(registry.isListed(id));
        registry.setTier(id, 255);
        assertFalse(registry.isListed(id));
        vm.stopPrank();
        vm.expectRevert(abi.encodeWithSelector(I.NotGovernance.selector, address(this)));
        registry.setTier(id, 1);
    }

    // ------------------------------------------------------------------------------------------------ court

    function test_an_open_case_holds_the_stake() public {
        staked(10e18);
        unstaked(10e18);
        vm.expectEmit();
        emit I.Frozen(id);
        frozen();
        assertTrue(registry.isFrozen(id));
        vm.warp(block.timestamp + 3 * UNBONDING);
        vm.expectRevert(abi.encodeWithSelector(I.StakeFrozen.selector, id));
        registry.withdraw(id);
        vm.prank(court);
        vm.expectEmit();
        emit I.Unfrozen(id);
        registry.unfreeze(id);
        assertEq(registry.withdraw(id), 10e18);
    }

    function test_no_case_lasts_for_ever() public {
        staked(10e18);
        unstaked(10e18);
        frozen();
        vm.warp(block.timestamp + registry.MAX_FREEZE() - 1);
        vm.expectRevert(abi.encodeWithSelector(I.StakeFrozen.selector, id));
        registry.withdraw(id);
        vm.warp(block.timestamp + 1);
        registry.withdraw(id);
    }

    function testFuzz_slashes_the_stake_then_what_leaves(uint96 amount, uint96 leaving, uint96 taken) public {
        amount = uint96(bound(amount, 2, 1_000_000e18));
        leaving = uint96(bound(leaving, 1, amount));
        taken = uint96(bound(taken, 1, amount));
        staked(amount);
        unstaked(leaving);
        vm.expectEmit();
        emit I.Slashed(id, taken, treasury);
        vm.prank(court);
        registry.slash(id, taken, treasury);
        assertEq(token.balanceOf(treasury), taken);
        assertEq(registry.stakeOf(id), amount - taken);
        assertEq(registry.getVotes(owner.at), amount - taken);
        uint96 bonded = amount - leaving;
        assertEq(registry.bondedOf(id), taken < bonded ? bonded - taken : 0);
        (uint96 left, uint40 at) = registry.leavingOf(id);
        assertEq(left, taken < bonded ? leaving : amount - taken);
        assertEq(at == 0, left == 0);
    }

    function test_slashing_reaches_what_was_given_away() public {
        staked(10e18);
        vm.prank(owner.at);
        registry.setOwner(id, stranger.at);
        vm.prank(court);
        registry.slash(id, 10e18, treasury);
        assertEq(registry.getVotes(stranger.at), 0);
    }

    function test_refuses_slashes() public {
        staked(10e18);
        vm.startPrank(court);
        vm.expectRevert(I.InsufficientStake.selector);
        registry.slash(id, 10e18 + 1, treasury);
        vm.expectRevert(Funding.ZeroAmount.selector);
        registry.slash(id, 0, treasury);
        vm.expectRevert(Funding.ZeroAddress.selector);
        registry.slash(id, 1, address(0));
        vm.stopPrank();
    }

    function test_only_the_court_judges() public {
        bytes memory refusal = abi.encodeWithSelector(I.NotCourt.selector, governance);
        vm.startPrank(governance);
        vm.expectRevert(refusal);
        registry.freeze(id);
        vm.expectRevert(refusal);
        registry.unfreeze(id);
        vm.expectRevert(refusal);
        registry.slash(id, 1, governance);
        vm.stopPrank();
    }

    function test_a_new_court_waits_longer_than_a_stake() public {
        staked(10e18);
        frozen();
        address next = makeAddr("next");
        vm.expectRevert(abi.encodeWithSelector(I.NotGovernance.selector, address(this)));
        registry.setCourt(next);
        vm.expectRevert(I.NoCourtProposed.selector);
        registry.seatCourt();
        vm.startPrank(governance);
        vm.expectRevert(Funding.ZeroAddress.selector);
        registry.setCourt(address(0));
        vm.expectEmit();
        emit I.CourtProposed(next, uint40(block.timestamp) + UNBONDING + registry.MAX_FREEZE());
        registry.setCourt(next);
        vm.stopPrank();
        assertEq(registry.court(), court);
        vm.warp(block.timestamp + UNBONDING + registry.MAX_FREEZE() - 1);
        vm.expectRevert(I.TooEarly.selector);
        registry.seatCourt();
        vm.warp(block.timestamp + 1);
        vm.expectEmit();
        emit I.CourtSet(next);
        registry.seatCourt();
        assertEq(registry.court(), next);
        assertEq(registry.courtTerm(), 2);
        assertEq(registry.nextCourt(), address(0));
        assertEq(registry.nextCourtFrom(), 0);
        assertFalse(registry.isFrozen(id));
        vm.expectRevert(I.NoCourtProposed.selector);
        registry.seatCourt();
    }

    // ------------------------------------------------------------------------------------------------ bounds

    function test_everything_knows_its_providers() public {
        bytes memory refusal = abi.encodeWithSelector(I.UnknownProvider.selector, NOBODY);
        vm.expectRevert(refusal);
        registry.ownerOf(NOBODY);
        vm.expectRevert(refusal);
        registry.payeeOf(NOBODY);
        vm.expectRevert(refusal);
        registry.stakeOf(NOBODY);
        vm.expectRevert(refusal);
        registry.bondedOf(NOBODY);
        vm.expectRevert(refusal);
        registry.leavingOf(NOBODY);
        vm.expectRevert(refusal);
        registry.isListed(NOBODY);
        vm.expectRevert(refusal);
        registry.rootKey(NOBODY);
        vm.expectRevert(refusal);
        registry.minOpSeq(NOBODY);
        vm.expectRevert(refusal);
        registry.tierOf(NOBODY);
        vm.expectRevert(refusal);
        registry.uriOf(NOBODY);
        vm.expectRevert(refusal);
        registry.isReleased(NOBODY);
        vm.expectRevert(refusal);
        registry.isFrozen(NOBODY);
        vm.expectRevert(refusal);
        registry.exitAt(NOBODY);
        vm.expectRevert(refusal);
        registry.stake(NOBODY, 1);
        vm.expectRevert(refusal);
        registry.withdraw(NOBODY);
        vm.expectRevert(refusal);
        registry.revoke(NOBODY, 1, 0, 0);
        vm.expectRevert(refusal);
        registry.setUri(NOBODY, "");
        vm.startPrank(court);
        vm.expectRevert(refusal);
        registry.freeze(NOBODY);
        vm.expectRevert(refusal);
        registry.unfreeze(NOBODY);
        vm.expectRevert(refusal);
        registry.slash(NOBODY, 1, treasury);
        vm.stopPrank();
        vm.prank(governance);
        vm.expectRevert(refusal);
        registry.setTier(NOBODY, 1);
    }

    function test_refuses_constructions() public {
        vm.expectRevert(Funding.ZeroAddress.selector);
        new ProviderRegistry(IERC20(address(0)), rules, governance, UNBONDING);
        vm.expectRevert(Funding.ZeroAddress.selector);
        new ProviderRegistry(token, IParams(address(0)), governance, UNBONDING);
        vm.expectRevert(Funding.ZeroAddress.selector);
        new ProviderRegistry(token, rules, address(0), UNBONDING);
        vm.expectRevert(I.BadBounds.selector);
        new ProviderRegistry(token, rules, governance, 0);
        vm.expectRevert(I.BadBounds.selector);
        new ProviderRegistry(token, rules, governance, 30 days + 1);
        assertEq(new ProviderRegistry(token, rules, governance, 30 days).COURT_DELAY(), 120 days);
    }
}
