// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Funding} from "../../src/Funding.sol";
import {Members} from "../Members.sol";
import {Calling} from "../Tokens.sol";
import {MembershipRegistry} from "../../src/MembershipRegistry.sol";
import {Typed} from "../../src/libraries/Typed.sol";

/// @title Nothing that moves tokens can be entered again from within the move, whatever the token does.
contract ReentrancyTest is Members {
    /// From here on the token calls back; its balances stay where they are.
    function calling(bytes4 selector) private {
        vm.etch(address(token), address(new Calling(selector)).code);
    }

    function refused() private {
        vm.expectRevert(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);
    }

    function test_the_channels_are_not_entered_again() public {
        funded(10e18);
        opened("salt", 10e18);
        channels.claim(payee.at, voucher(keyOf("salt"), 5e18));
        vm.prank(payee.at);
        channels.payout(payee.at);
        channels.claim(payee.at, voucher(keyOf("salt"), 10e18));
        bytes memory word = long(payer, Typed.withdraw(payer.at, payer.at, 1, 0, FOREVER, 0));
        Funding.Authorization memory a = Funding.Authorization(payer.at, FOREVER, 0, 0);
        Funding.Permit memory p;

        calling(channels.withdraw.selector);
        vm.startPrank(payer.at);
        refused();
        channels.open(payee.at, session.at, "other", 1);
        refused();
        channels.openWithAuthorization(keyOf("other"), 1, 0, a);
        refused();
        channels.fund(payer.at, 1);
        refused();
        channels.fundWithPermit(1, p);
        refused();
        channels.fundWithAuthorization(1, 0, terms(1, 1), "salt", a);
        refused();
        channels.withdraw(payer.at, 1);
        refused();
        channels.withdrawFor(payer.at, payer.at, 1, 0, FOREVER, word);
        refused();
        channels.payoutOf(payee.at);
        refused();
        channels.sweep();
        vm.stopPrank();
        vm.prank(payee.at);
        refused();
        channels.payout(payee.at);
    }

    function test_stakes_are_not_entered_again() public {
        staked(10e18);
        unstaked(5e18);
        vm.warp(block.timestamp + UNBONDING);
        Funding.Permit memory p;

        calling(registry.withdraw.selector);
        vm.startPrank(owner.at);
        refused();
        registry.stake(id, 1);
        refused();
        registry.stakeWithPermit(id, 1, p);
        refused();
        registry.stakeWithAuthorization(id, 1, 0, Funding.Authorization(owner.at, FOREVER, 0, 0));
        refused();
        registry.withdraw(id);
        vm.stopPrank();
        vm.prank(court);
        refused();
        registry.slash(id, 1, treasury);
    }

    function test_deposits_are_not_entered_again() public {
        deposited(commitmentOf(1), 2);
        deposited(commitmentOf(2), 2);
        deposited(commitmentOf(3), 2);
        slashed(2);
        vm.prank(payer.at);
        members.requestExit(commitmentOf(1));
        vm.warp(block.timestamp + EXIT);
        sponsored(1_000e18);
        MembershipRegistry.Invitation memory i = invitation(2, 1);
        bytes memory word = invites(i);
        (bytes32 r, bytes32 vs) = accepts(i, 4);
        Funding.Permit memory p;

        calling(members.collect.selector);
        vm.startPrank(payer.at);
        refused();
        members.joinByDeposit(4, 2);
        refused();
        members.joinByDepositWithPermit(4, 2, p);
        refused();
        members.joinByAuthorization(4, 2, 0, Funding.Authorization(payer.at, FOREVER, 0, 0));
        refused();
        members.fundInvitations(1);
        refused();
        members.fundInvitationsWithPermit(1, p);
        refused();
        members.joinByInvitation(4, i, word, r, vs);
        refused();
        members.topUp(commitmentOf(3), 3);
        refused();
        members.withdraw(commitmentOf(1));
        refused();
        members.collect(commitmentOf(2));
        vm.stopPrank();
        vm.prank(sponsor.at);
        refused();
        members.withdrawInvitations(sponsor.at, 1);
    }
}
