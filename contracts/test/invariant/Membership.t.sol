// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {MembershipRegistry} from "../../src/MembershipRegistry.sol";
import {Members} from "../Members.sol";

/// @title Members come by every door, leave and are slashed at random; no call may fail.
contract MembersHandler is Members {
    uint256[] internal secrets;
    uint256[] internal commitments;
    /// The accumulator as a client computes it, from what it was told.
    bytes32 internal told;
    uint256 internal burnt;
    uint256 internal salt;

    constructor() {
        setUp();
        staked(1_000e18);
        sponsored(10_000e18);
        vm.prank(governance);
        rules.set("openSeatsDaily", 100_000);
    }

    function fresh() private returns (uint256 commitment) {
        uint256 secret = 1 + secrets.length;
        secrets.push(secret);
        commitments.push(commitment = commitmentOf(secret));
    }

    function tell(uint256 commitment, uint16 tier, uint32 until) private {
        (,,,, uint32 index,,) = members.seat(commitment);
        told = keccak256(abi.encode(told, commitment, index, tier, until));
    }

    function any(uint256 which, uint8 wanted) private view returns (uint256 secret, uint256 commitment) {
        for (uint256 i; i < secrets.length; ++i) {
            uint256 at_ = (which % secrets.length + i) % secrets.length;
            if (stateOf(commitments[at_]) == wanted) return (secrets[at_], commitments[at_]);
        }
        return (0, 0);
    }

    function joinOpen() external {
        uint256 commitment = fresh();
        openly(commitment);
        tell(commitment, 1, members.today() + 30);
    }

    function joinDeposit(uint16 tier) external {
        uint256 commitment = fresh();
        tier = uint16(bound(tier, 2, 5));
        deposited(commitment, tier);
        tell(commitment, tier, type(uint32).max);
    }

    function joinStake() external {
        (, uint40 freeAt) = members.stakeDoor(id);
        if (block.timestamp < freeAt) return;
        uint256 commitment = fresh();
        byStake(commitment, 2);
        tell(commitment, 2, members.today() + 90);
    }

    function joinInvited(uint16 tier) external {
        tier = uint16(bound(tier, 1, 3));
        if (members.sponsorBalance(sponsor.at) < members.depositFor(tier)) return;
        uint256 commitment = fresh();
        invited = person(string.concat("invited", vm.toString(secrets.length)));
        byInvitation(commitment, invitation(tier, 0));
        tell(commitment, tier, members.today() + 30);
    }

    function topUp(uint256 which) external {
        (, uint256 commitment) = any(which, 1);
        if (commitment == 0) return;
        (, uint8 door, uint16 tier,,,, uint96 cover) = members.seat(commitment);
        if (door == 1 || tier == 64) return;
        if (door == 4 && members.sponsorBalance(sponsor.at) < members.depositFor(tier + 1) - cover) return;
        if (door == 3) tier = 1;
        address by = members.payerOf(commitment);
        vm.prank(by);
        members.topUp(commitment, tier + 1);
        tell(commitment, tier + 1, untilOf(commitment));
    }

    function exit(uint256 which) external {
        (, uint256 commitment) = any(which, 1);
        address by = members.payerOf(commitment);
        if (commitment == 0 || by == address(0)) return;
        vm.prank(by);
        members.requestExit(commitment);
        tell(commitment, 0, 0);
    }

    function withdraw(uint256 which) external {
        (, uint256 commitment) = any(which, 2);
        (,,,,, uint40 exitAt,) = members.seat(commitment);
        if (commitment == 0 || block.timestamp < exitAt) return;
        address by = members.payerOf(commitment);
        uint256 before = token.balanceOf(by);
        uint96 amount = members.withdraw(commitment);
        assertEq(token.balanceOf(by), before + amount);
    }

    function slash(uint256 which) external {
        // One in four, so that others live to leave.
        if (which % 4 != 0) return;
        (uint256 secret, uint256 commitment) = any(which >> 2, which & 4 == 0 ? 1 : 2);
        if (commitment == 0) return;
        bool leaf = stateOf(commitment) == 1;
        bytes32 grain = bytes32(++salt);
        vm.startPrank(stranger.at);
        members.commitSlash(keccak256(abi.encode(secret, stranger.at, grain)));
        vm.roll(block.number + 1);
        members.revealSlash(secret, grain);
        vm.stopPrank();
        if (leaf) tell(commitment, 0, 0);
    }

    function collect(uint256 which) external {
        (, uint256 commitment) = any(which, 4);
        if (commitment == 0) return;
        uint256 before = token.balanceOf(members.BURNT());
        uint96 cover = coverOf(commitment);
        (, uint8 door,,,,,) = members.seat(commitment);
        uint256 part = door == 4 ? cover / 10 : cover / 2;
        assertEq(members.collect(commitment), part);
        burnt += cover - part;
        assertEq(token.balanceOf(members.BURNT()) - before, cover - part);
    }

    function pass(uint32 time) external {
        vm.warp(block.timestamp + time % 4 days);
        vm.roll(block.number + 1);
    }

    // ------------------------------------------------------------------------------------------------ what must hold

    /// Every token here is a seat's cover or a sponsor's; what was burnt stays burnt.
    function assert_deposits_are_conserved() external view {
        uint256 owed = members.sponsorBalance(sponsor.at);
        for (uint256 i; i < secrets.length; ++i) {
            (uint8 state, uint8 door,,,,, uint96 cover) = members.seat(commitments[i]);
            if (door != 3) owed += cover;
            if (state == 3) assertEq(cover, 0);
        }
        assertEq(token.balanceOf(address(members)), owed);
        assertEq(token.balanceOf(members.BURNT()), burnt);
    }

    /// A client that follows the events has the contract's accumulator, and every seat its place.
    function assert_the_leaves_are_told() external view {
        assertEq(members.acc(), told);
        assertEq(members.seatCount(), secrets.length);
        uint256 standing;
        for (uint256 i; i < secrets.length; ++i) {
            (uint8 state, uint8 door,,, uint32 index,,) = members.seat(commitments[i]);
            assertEq(index, i);
            if (state == 1 && door == 3) ++standing;
        }
        assertLe(standing, 1);
    }

    /// Every payer alone gets out what no slash has taken.
    function leave() external {
        for (uint256 i; i < secrets.length; ++i) {
            uint256 commitment = commitments[i];
            address by = members.payerOf(commitment);
            if (stateOf(commitment) != 1 || by == address(0)) continue;
            vm.prank(by);
            members.requestExit(commitment);
        }
        vm.warp(block.timestamp + EXIT);
        for (uint256 i; i < secrets.length; ++i) {
            uint256 commitment = commitments[i];
            if (stateOf(commitment) == 2) members.withdraw(commitment);
            if (stateOf(commitment) == 4) members.collect(commitment);
        }
        uint96 rest = members.sponsorBalance(sponsor.at);
        vm.prank(sponsor.at);
        if (rest != 0) members.withdrawInvitations(sponsor.at, rest);
        assertEq(token.balanceOf(address(members)), 0);
    }
}

contract MembersInvariants is Members {
    MembersHandler private handler;

    function setUp() public override {
        handler = new MembersHandler();
        bytes4[] memory moves = new bytes4[](10);
        moves[0] = MembersHandler.joinOpen.selector;
        moves[1] = MembersHandler.joinDeposit.selector;
        moves[2] = MembersHandler.joinStake.selector;
        moves[3] = MembersHandler.joinInvited.selector;
        moves[4] = MembersHandler.topUp.selector;
        moves[5] = MembersHandler.exit.selector;
        moves[6] = MembersHandler.withdraw.selector;
        moves[7] = MembersHandler.slash.selector;
        moves[8] = MembersHandler.collect.selector;
        moves[9] = MembersHandler.pass.selector;
        targetSelector(FuzzSelector(address(handler), moves));
        targetContract(address(handler));
    }

    function invariant_deposits_are_conserved_and_leaves_told() public view {
        handler.assert_deposits_are_conserved();
        handler.assert_the_leaves_are_told();
    }

    function afterInvariant() public {
        handler.leave();
    }
}
