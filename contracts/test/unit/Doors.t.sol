// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Funding} from "../../src/Funding.sol";
import {Keys} from "../../src/libraries/Keys.sol";
import {Members} from "../Members.sol";
import {MembershipRegistry as M} from "../../src/MembershipRegistry.sol";

/// @title The doors that somebody else stands behind: a stake, a sponsor.
contract DoorsTest is Members {
    // ------------------------------------------------------------------------------------------------ stake

    function test_a_stake_opens_one_seat() public {
        staked(2 * PRICE);
        vm.expectRevert(M.NotOwner.selector);
        members.joinByStake(7, 2, id);
        vm.startPrank(owner.at);
        vm.expectRevert(M.BadTier.selector);
        members.joinByStake(7, 1, id);
        vm.expectRevert(M.StakeTooSmall.selector);
        members.joinByStake(7, 4, id);
        members.joinByStake(7, 3, id);
        vm.expectRevert(M.StakeDoorTaken.selector);
        members.joinByStake(8, 2, id);
        vm.stopPrank();
        assertEq(members.payerOf(7), owner.at);
        assertEq(coverOf(7), 2 * PRICE);
        assertEq(untilOf(7), members.today() + 90);
        assertEq(token.balanceOf(address(members)), 0);
        (address who, uint40 freeAt) = members.stakeDoor(id);
        assertEq(who, owner.at);
        assertEq(freeAt, FOREVER);
        vm.expectRevert(M.StakeStands.selector);
        members.expire(7);
    }

    function test_a_seat_ends_with_its_stake() public {
        staked(2 * PRICE);
        byStake(7, 3);
        unstaked(1);
        vm.prank(stranger.at);
        members.expire(7);
        assertEq(stateOf(7), 2);
        vm.expectRevert(M.NotActive.selector);
        members.expire(7);
        // Staked again at once: the next seat waits for the exit of the first.
        vm.startPrank(owner.at);
        registry.restake(id, 1);
        vm.expectRevert(M.StakeDoorTaken.selector);
        members.joinByStake(8, 3, id);
        vm.warp(block.timestamp + EXIT);
        members.joinByStake(8, 3, id);
        vm.stopPrank();
        assertEq(members.withdraw(7), 0);
        assertEq(stateOf(7), 3);
    }

    /// A higher price later does not take a seat that a stake opened.
    function test_a_vote_ends_no_seat() public {
        staked(2 * PRICE);
        byStake(7, 3);
        rule(Keys.SEAT_DEPOSIT, 1_000);
        vm.expectRevert(M.StakeStands.selector);
        members.expire(7);
    }

    function test_a_seat_ends_when_the_stake_is_anothers() public {
        staked(2 * PRICE);
        byStake(7, 3);
        vm.prank(owner.at);
        registry.setOwner(id, stranger.at);
        vm.prank(owner.at);
        vm.expectRevert(M.NotOwner.selector);
        members.topUp(7, 3);
        members.expire(7);
        assertEq(stateOf(7), 2);
    }

    function test_only_stake_seats_expire() public {
        deposited(7, 2);
        vm.expectRevert(M.NotActive.selector);
        members.expire(7);
        vm.expectRevert(M.NotActive.selector);
        members.expire(8);
    }

    /// An exit shuts the door of a stake and of nothing else, not even of what a payer's address would name.
    function test_only_stake_seats_shut_a_door() public {
        deposited(7, 2);
        vm.prank(payer.at);
        members.requestExit(7);
        (, uint40 freeAt) = members.stakeDoor(bytes32(uint256(uint160(payer.at))));
        assertEq(freeAt, 0);
    }

    function test_renews_a_stakes_seat() public {
        staked(2 * PRICE);
        byStake(7, 3);
        vm.warp(block.timestamp + 60 days);
        vm.startPrank(owner.at);
        members.topUp(7, 2);
        assertEq(tierOf(7), 2);
        assertEq(coverOf(7), PRICE);
        assertEq(untilOf(7), members.today() + 90);
        vm.expectRevert(M.StakeTooSmall.selector);
        members.topUp(7, 4);
        vm.expectRevert(M.BadTier.selector);
        members.topUp(7, 1);
        members.requestExit(7);
        vm.stopPrank();
        (, uint40 freeAt) = members.stakeDoor(id);
        assertEq(freeAt, block.timestamp + EXIT);
    }

    function test_a_stakes_exit_carries_no_fee() public {
        staked(2 * PRICE);
        byStake(7, 3);
        bytes memory signature = leaves(owner, 7, 1, FOREVER);
        vm.expectRevert(M.FeeAboveCover.selector);
        members.requestExitFor(7, 1, FOREVER, signature);
    }

    function test_a_slashed_stake_opens_no_seat_again() public {
        staked(2 * PRICE);
        uint256 commitment = commitmentOf(5);
        byStake(commitment, 3);
        vm.prank(owner.at);
        members.requestExit(commitment);
        slashed(5);
        assertEq(stateOf(commitment), 3);
        vm.expectRevert(M.NotSlashed.selector);
        members.collect(commitment);
        vm.warp(block.timestamp + 1_000 days);
        vm.prank(owner.at);
        vm.expectRevert(M.StakeDoorTaken.selector);
        members.joinByStake(8, 2, id);
        assertEq(registry.stakeOf(id), 2 * PRICE);
    }

    /// The exit of a former owner's seat is over: its secret takes nothing from the next owner, whose own seat has left too.
    function test_a_former_owners_secret_shuts_no_door_of_the_next_owner() public {
        staked(2 * PRICE);
        byStake(commitmentOf(5), 3);
        vm.prank(owner.at);
        registry.setOwner(id, payer.at);
        members.expire(commitmentOf(5));
        vm.warp(block.timestamp + EXIT);
        vm.startPrank(payer.at);
        members.joinByStake(8, 3, id);
        members.requestExit(8);
        vm.warp(block.timestamp + EXIT);
        vm.stopPrank();
        slashed(5);
        assertEq(stateOf(commitmentOf(5)), 3);
        vm.prank(payer.at);
        members.joinByStake(9, 3, id);
        // Nor does it open one: the seat that is there keeps its stake.
        (address who, uint40 freeAt) = members.stakeDoor(id);
        assertEq(who, payer.at);
        assertEq(freeAt, FOREVER);
    }

    /// Until its exit is over a seat answers with its stake.
    function test_a_leaving_seat_answers_with_its_stake_to_the_last_second() public {
        staked(2 * PRICE);
        byStake(commitmentOf(5), 3);
        vm.prank(owner.at);
        members.requestExit(commitmentOf(5));
        vm.warp(block.timestamp + EXIT - 1);
        uint256 last = vm.snapshotState();
        slashed(5);
        (, uint40 freeAt) = members.stakeDoor(id);
        assertEq(freeAt, FOREVER);
        // And not a second longer.
        vm.revertToState(last);
        vm.warp(block.timestamp + 1);
        slashed(5);
        (, freeAt) = members.stakeDoor(id);
        assertEq(freeAt, block.timestamp);
    }

    // ------------------------------------------------------------------------------------------------ invitation

    /// Whoever is invited can report itself from another address: that is worth little, and the sponsor none of its money.
    function test_an_invitation_is_no_gift_of_half_a_deposit() public {
        sponsored(PRICE);
        byInvitation(commitmentOf(5), invitation(2, 0));
        slashed(5);
        uint256 burnt = token.balanceOf(members.BURNT());
        vm.expectEmit();
        emit M.Collected(commitmentOf(5), stranger.at, PRICE / 10, PRICE * 9 / 10);
        assertEq(members.collect(commitmentOf(5)), PRICE / 10);
        assertEq(token.balanceOf(stranger.at), PRICE / 10);
        assertEq(token.balanceOf(members.BURNT()) - burnt, PRICE * 9 / 10);
        assertEq(members.sponsorBalance(sponsor.at), 0);
    }

    function test_joins_by_invitation() public {
        sponsored(3 * PRICE);
        byInvitation(7, invitation(2, 1e18));
        assertEq(token.balanceOf(relayer), 1e18);
        assertEq(members.payerOf(7), sponsor.at);
        assertEq(coverOf(7), PRICE);
        assertEq(members.sponsorBalance(sponsor.at), 2 * PRICE - 1e18);
        assertTrue(members.invitationSpent(sponsor.at, invited.at));
        assertEq(untilOf(7), members.today() + 30);
        vm.startPrank(sponsor.at);
        members.requestExit(7);
        vm.warp(block.timestamp + EXIT);
        uint256 before = token.balanceOf(sponsor.at);
        members.withdraw(7);
        assertEq(token.balanceOf(sponsor.at), before + PRICE);
    }

    function test_a_seat_of_tier_one_costs_a_sponsor_half() public {
        sponsored(PRICE);
        byInvitation(7, invitation(1, 0));
        assertEq(coverOf(7), PRICE / 2);
        vm.startPrank(sponsor.at);
        members.topUp(7, 2);
        assertEq(coverOf(7), PRICE);
        assertEq(members.sponsorBalance(sponsor.at), 0);
        assertEq(untilOf(7), members.today() + 365);
        vm.expectRevert(M.InsufficientBalance.selector);
        members.topUp(7, 3);
        vm.stopPrank();
    }

    function test_refuses_invitations() public {
        sponsored(PRICE);
        M.Invitation memory i = invitation(2, 0);
        bytes memory signature = invites(i);
        (bytes32 r, bytes32 vs) = accepts(i, 7);
        // Another commitment than the invited key's.
        vm.expectRevert(M.BadSignature.selector);
        members.joinByInvitation(8, i, signature, r, vs);
        // The invited key's word is right, the sponsor's is a stranger's.
        bytes memory forged = typed(stranger, hashOf(i));
        vm.expectRevert(M.BadSignature.selector);
        members.joinByInvitation(7, i, forged, r, vs);
        // Another tier than the sponsor's.
        i.tier = 3;
        vm.expectRevert(M.BadSignature.selector);
        members.joinByInvitation(7, i, signature, r, vs);
        i.tier = 2;
        i.fee = 1;
        vm.expectRevert(M.BadSignature.selector);
        members.joinByInvitation(7, i, signature, r, vs);
        i.fee = 0;
        i.validUntil = members.today() + 366;
        vm.expectRevert(M.BadDate.selector);
        members.joinByInvitation(7, i, signature, r, vs);
        i.validUntil = members.today() - 1;
        vm.expectRevert(M.BadDate.selector);
        members.joinByInvitation(7, i, signature, r, vs);
        i = invitation(2, 0);
        i.deadline = uint40(block.timestamp) - 1;
        vm.expectRevert(M.Expired.selector);
        members.joinByInvitation(7, i, signature, r, vs);
        // The zero key, which is what a bad signature recovers to.
        i = invitation(2, 0);
        i.key = address(0);
        signature = invites(i);
        vm.expectRevert(M.BadSignature.selector);
        members.joinByInvitation(7, i, signature, 0, 0);
        // More than the sponsor has.
        i = invitation(3, 0);
        signature = invites(i);
        (r, vs) = accepts(i, 7);
        vm.expectRevert(M.InsufficientBalance.selector);
        members.joinByInvitation(7, i, signature, r, vs);
        // Twice.
        i = invitation(2, 0);
        byInvitation(7, i);
        sponsored(PRICE);
        signature = invites(i);
        (r, vs) = accepts(i, 8);
        vm.expectRevert(M.SpentInvitation.selector);
        members.joinByInvitation(8, i, signature, r, vs);
    }

    /// A vote raises the price between the invitation and the seat: the sponsor pays what it agreed to, or nothing.
    function test_an_invitation_costs_no_more_than_its_sponsor_agreed_to() public {
        sponsored(3 * PRICE);
        M.Invitation memory i = invitation(3, 0);
        i.maxCover = 2 * PRICE - 1;
        bytes memory signature = invites(i);
        (bytes32 r, bytes32 vs) = accepts(i, 7);
        vm.expectRevert(abi.encodeWithSelector(M.CoverTooHigh.selector, 2 * PRICE - 1, 2 * PRICE));
        members.joinByInvitation(7, i, signature, r, vs);
        ++i.maxCover;
        vm.expectRevert(M.BadSignature.selector);
        members.joinByInvitation(7, i, signature, r, vs);
        byInvitation(7, i);
        assertEq(coverOf(7), 2 * PRICE);
    }

    /// Of two invitations for one key, the one that its holder took.
    function test_nobody_pairs_an_acceptance_with_another_invitation() public {
        sponsored(2 * PRICE);
        M.Invitation memory one = invitation(2, 0);
        M.Invitation memory other = invitation(2, PRICE);
        (bytes32 r, bytes32 vs) = accepts(one, 7);
        bytes memory signature = invites(other);
        vm.expectRevert(M.BadSignature.selector);
        members.joinByInvitation(7, other, signature, r, vs);
        signature = invites(one);
        members.joinByInvitation(7, one, signature, r, vs);
    }

    function test_an_invitation_is_good_to_its_last_second_and_day() public {
        sponsored(PRICE);
        vm.expectEmit();
        emit M.SponsorFunded(sponsor.at, 2 * PRICE);
        sponsored(2 * PRICE);
        assertEq(members.sponsorBalance(sponsor.at), 3 * PRICE);
        M.Invitation memory i = invitation(2, 0);
        i.deadline = uint40(block.timestamp);
        i.validUntil = members.today();
        bytes memory signature = invites(i);
        (bytes32 r, bytes32 vs) = accepts(i, 7);
        vm.expectEmit();
        emit M.InvitationSpent(sponsor.at, invited.at);
        members.joinByInvitation(7, i, signature, r, vs);
        invited = person("another");
        i = invitation(2, 0);
        i.validUntil = members.today() + 365;
        byInvitation(8, i);
        assertEq(untilOf(8), members.today() + 365);
    }

    function test_an_invitation_can_be_taken_back() public {
        sponsored(PRICE);
        M.Invitation memory i = invitation(2, 0);
        bytes memory signature = invites(i);
        (bytes32 r, bytes32 vs) = accepts(i, 7);
        vm.expectEmit();
        emit M.InvitationSpent(sponsor.at, invited.at);
        vm.prank(sponsor.at);
        members.revokeInvitation(invited.at);
        vm.expectRevert(M.SpentInvitation.selector);
        members.joinByInvitation(7, i, signature, r, vs);
    }

    function test_a_sponsor_takes_its_money_out() public {
        Funding.Permit memory p = permitted(sponsor, address(members), PRICE);
        vm.startPrank(sponsor.at);
        token.approve(address(members), 0);
        members.fundInvitationsWithPermit(PRICE, p);
        vm.expectRevert(Funding.ZeroAmount.selector);
        members.fundInvitations(0);
        vm.expectRevert(Funding.ZeroAddress.selector);
        members.withdrawInvitations(address(0), 1);
        vm.expectRevert(Funding.ZeroAmount.selector);
        members.withdrawInvitations(sponsor.at, 0);
        vm.expectRevert(M.InsufficientBalance.selector);
        members.withdrawInvitations(sponsor.at, PRICE + 1);
        vm.expectEmit();
        emit M.SponsorWithdrawn(sponsor.at, stranger.at, PRICE);
        members.withdrawInvitations(stranger.at, PRICE);
        vm.stopPrank();
        assertEq(token.balanceOf(stranger.at), PRICE);
    }
}
