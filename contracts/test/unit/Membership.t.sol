// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ERC3009} from "@openzeppelin/contracts/token/ERC20/extensions/draft-ERC3009.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Funding} from "../../src/Funding.sol";
import {IParams} from "../../src/interfaces/IParams.sol";
import {IProviderRegistry} from "../../src/interfaces/IProviderRegistry.sol";
import {Keys} from "../../src/libraries/Keys.sol";
import {Members} from "../Members.sol";
import {MembershipRegistry as M} from "../../src/MembershipRegistry.sol";
import {Poseidon} from "../../src/libraries/Poseidon.sol";
import {Short} from "../Tokens.sol";
import {Leaves} from "../../src/Leaves.sol";

contract MembershipTest is Members {
    // ------------------------------------------------------------------------------------------------ leaves

    /// What a client does with the events: the accumulator is theirs.
    function test_the_accumulator_is_the_list_of_leaves() public {
        bytes32 acc = members.acc();
        assertEq(acc, 0);
        uint32 day = members.today();
        (uint256 a, uint256 b) = (commitmentOf(1), commitmentOf(2));
        vm.expectEmit();
        emit Leaves.LeafSet(a, 0, 1, day + 30);
        openly(a);
        deposited(b, 3);
        vm.startPrank(payer.at);
        members.topUp(b, 4);
        members.requestExit(b);
        vm.stopPrank();
        acc = keccak256(abi.encode(acc, a, 0, 1, day + 30));
        acc = keccak256(abi.encode(acc, b, 1, 3, type(uint32).max));
        acc = keccak256(abi.encode(acc, b, 1, 4, type(uint32).max));
        acc = keccak256(abi.encode(acc, b, 1, 0, 0));
        assertEq(members.acc(), acc);
        assertEq(members.seatCount(), 2);
    }

    function test_rejects_commitments() public {
        vm.expectRevert(Leaves.BadCommitment.selector);
        openly(0);
        vm.expectRevert(Leaves.BadCommitment.selector);
        openly(Poseidon.P);
        openly(Poseidon.P - 1);
        vm.expectRevert(Leaves.CommitmentUsed.selector);
        openly(Poseidon.P - 1);
        vm.expectRevert(Leaves.CommitmentUsed.selector);
        deposited(Poseidon.P - 1, 2);
    }

    function testFuzz_no_commitment_comes_twice(uint256 commitment, uint8 how) public {
        commitment = bound(commitment, 1, Poseidon.P - 1);
        deposited(commitment, 2);
        vm.startPrank(payer.at);
        if (how > 80) members.requestExit(commitment);
        if (how > 160) {
            vm.warp(block.timestamp + EXIT);
            members.withdraw(commitment);
        }
        vm.expectRevert(Leaves.CommitmentUsed.selector);
        members.joinByDeposit(commitment, 2);
        vm.stopPrank();
    }

    function test_the_tree_fills_up() public {
        // Head: the next index is its low 32 bits.
        openly(1);
        bytes32 slot = bytes32(uint256(1));
        while (uint256(vm.load(address(members), slot)) & 0xffffffff != 1) slot = bytes32(uint256(slot) + 1);
        uint256 word = uint256(vm.load(address(members), slot));
        vm.store(address(members), slot, bytes32(word >> 32 << 32 | (1 << 20) - 1));
        assertEq(members.seatCount(), (1 << 20) - 1);
        assertEq(members.openSeatsLeft(), 1);
        openly(2);
        assertEq(members.openSeatsLeft(), 0);
        vm.expectRevert(Leaves.TreeFull.selector);
        openly(3);
    }

    // ------------------------------------------------------------------------------------------------ open door

    /// However long the open door is used, half of the tree is left to those who pay.
    function test_the_open_door_leaves_half_of_the_tree() public {
        openly(1);
        bytes32 slot = bytes32(uint256(1));
        while (uint256(vm.load(address(members), slot)) & 0xffffffff != 1) slot = bytes32(uint256(slot) + 1);
        uint256 word = uint256(vm.load(address(members), slot));
        // Head: what the open door gave in all is its fourth 32 bits.
        assertEq(word >> 96, 1);
        assertEq(members.MAX_OPEN_SEATS(), 1 << 19);
        vm.store(address(members), slot, bytes32(word & type(uint96).max | ((1 << 19) - 1) << 96));
        assertEq(members.openSeatsLeft(), 1);
        openly(2);
        assertEq(members.openSeatsLeft(), 0);
        vm.expectRevert(Leaves.OpenDoorSpent.selector);
        openly(3);
        // Another day gives no more of them.
        vm.warp(block.timestamp + 1 days);
        assertEq(members.openSeatsLeft(), 0);
        vm.expectRevert(Leaves.OpenDoorSpent.selector);
        openly(3);
        deposited(3, 2);
        assertEq(stateOf(3), 1);
    }

    function test_the_open_door_has_a_daily_cap() public {
        assertEq(members.openSeatsLeft(), 3);
        openly(1);
        assertEq(members.openSeatsLeft(), 2);
        for (uint256 i = 2; i < 4; ++i) openly(i);
        assertEq(members.openSeatsLeft(), 0);
        vm.expectRevert(M.DoorClosed.selector);
        openly(4);
        vm.warp(block.timestamp + 1 days);
        assertEq(members.openSeatsLeft(), 3);
        openly(4);
        rule(Keys.OPEN_SEATS_DAILY, 0);
        assertEq(members.openSeatsLeft(), 0);
        vm.expectRevert(M.DoorClosed.selector);
        openly(5);
        (uint8 state, uint8 door, uint16 tier, uint32 until, uint32 index, uint40 exitAt, uint96 cover) = members.seat(4);
        assertEq(state, 1);
        assertEq(door, 1);
        assertEq(tier, 1);
        assertEq(until, members.today() + 30);
        assertEq(index, 3);
        assertEq(exitAt, 0);
        assertEq(cover, 0);
        assertEq(members.payerOf(4), address(0));
    }

    function test_the_puzzle_wants_work_on_a_recent_block() public {
        rule(Keys.PUZZLE_BITS, 8);
        uint256 nonce;
        while (uint256(members.puzzleHash(1, blockhash(block.number - 1), nonce)) >> 248 != 0) ++nonce;
        uint256 bad = nonce;
        while (uint256(members.puzzleHash(1, blockhash(block.number - 1), bad)) >> 248 == 0) ++bad;
        uint256 number = block.number - 1;
        vm.expectRevert(M.PuzzleUnsolved.selector);
        members.joinOpen(1, number, bad);
        vm.expectRevert(M.StaleBlock.selector);
        members.joinOpen(1, number + 1, nonce);
        vm.roll(number + 257);
        vm.expectRevert(M.StaleBlock.selector);
        members.joinOpen(1, number, nonce);
        vm.roll(number + 256);
        members.joinOpen(1, number, nonce);
    }

    function test_no_chain_but_a_development_chain_is_without_a_puzzle() public {
        assertEq(members.puzzleBits(), 0);
        vm.chainId(1);
        assertEq(members.puzzleBits(), 16);
        rule(Keys.PUZZLE_BITS, 20);
        assertEq(members.puzzleBits(), 20);
    }

    // ------------------------------------------------------------------------------------------------ deposit

    function testFuzz_deposits_come_back_to_the_payer(uint16 tier, uint32 later) public {
        tier = uint16(bound(tier, 2, 64));
        uint96 amount = members.depositFor(tier);
        assertEq(amount, PRICE * (tier - 1));
        uint256 before = token.balanceOf(payer.at);
        vm.expectEmit();
        emit M.Joined(7, 2, bytes32(uint256(uint160(payer.at))), amount);
        deposited(7, tier);
        assertEq(token.balanceOf(address(members)), amount);
        assertEq(members.payerOf(7), payer.at);
        assertEq(untilOf(7), type(uint32).max);
        vm.expectRevert(M.NotLeaving.selector);
        members.withdraw(7);
        vm.prank(stranger.at);
        vm.expectRevert(M.NotPayer.selector);
        members.requestExit(7);
        vm.expectEmit();
        emit M.ExitRequested(7, uint40(block.timestamp) + EXIT);
        vm.startPrank(payer.at);
        members.requestExit(7);
        vm.expectRevert(M.NotActive.selector);
        members.requestExit(7);
        vm.expectRevert(M.NotActive.selector);
        members.topUp(7, tier);
        vm.stopPrank();
        vm.warp(block.timestamp + EXIT - 1);
        vm.expectRevert(M.TooEarly.selector);
        members.withdraw(7);
        vm.warp(block.timestamp + 1 + later);
        vm.expectEmit();
        emit M.Withdrawn(7, payer.at, amount);
        vm.prank(stranger.at);
        assertEq(members.withdraw(7), amount);
        assertEq(token.balanceOf(payer.at), before);
        vm.expectRevert(M.NotLeaving.selector);
        members.withdraw(7);
    }

    function test_refuses_tiers() public {
        vm.startPrank(payer.at);
        vm.expectRevert(M.BadTier.selector);
        members.joinByDeposit(7, 0);
        vm.expectRevert(M.BadTier.selector);
        members.joinByDeposit(7, 1);
        vm.expectRevert(M.BadTier.selector);
        members.joinByDeposit(7, 65);
        vm.stopPrank();
        vm.expectRevert(M.BadTier.selector);
        members.depositFor(0);
        assertEq(members.depositFor(1), PRICE / 2);
        assertEq(members.depositFor(2), PRICE);
        assertEq(members.depositFor(64), 63 * PRICE);
    }

    function test_joins_by_permit() public {
        vm.prank(payer.at);
        token.approve(address(members), 0);
        Funding.Permit memory p = permitted(payer, address(members), PRICE);
        vm.prank(payer.at);
        members.joinByDepositWithPermit(7, 2, p);
        assertEq(coverOf(7), PRICE);
    }

    function test_joins_by_authorization() public {
        Funding.Authorization memory a =
            authorized(payer, address(members), PRICE + 1e18, members.joiningNonce(7, 2, 1e18));
        vm.startPrank(relayer);
        vm.expectRevert(ERC3009.ERC3009InvalidSignature.selector);
        members.joinByAuthorization(8, 2, 1e18, a);
        vm.expectRevert(ERC3009.ERC3009InvalidSignature.selector);
        members.joinByAuthorization(7, 2, 2e18, a);
        vm.expectRevert(ERC3009.ERC3009InvalidSignature.selector);
        members.joinByAuthorization(7, 3, 1e18, a);
        vm.expectRevert(M.BadTier.selector);
        members.joinByAuthorization(7, 1, 1e18, a);
        vm.expectRevert(
            abi.encodeWithSelector(
                SafeCast.SafeCastOverflowedUintDowncast.selector, 96, uint256(PRICE) + type(uint96).max
            )
        );
        members.joinByAuthorization(7, 2, type(uint96).max, a);
        members.joinByAuthorization(7, 2, 1e18, a);
        vm.stopPrank();
        assertEq(token.balanceOf(relayer), 1e18);
        assertEq(members.payerOf(7), payer.at);
        assertEq(coverOf(7), PRICE);
        // Who signs makes the nonce itself.
        bytes32 nonce = keccak256(abi.encode("pam1 join", uint256(9), uint256(2), uint256(0)));
        assertEq(members.joiningNonce(9, 2, 0), nonce);
        a = authorized(payer, address(members), PRICE, nonce);
        members.joinByAuthorization(9, 2, 0, a);
    }

    function test_refuses_a_token_that_takes_a_part() public {
        Short short = new Short();
        M other = new M(short, rules, registry, EXIT);
        short.approve(address(other), type(uint256).max);
        vm.expectRevert(abi.encodeWithSelector(Funding.InexactTransfer.selector, PRICE - 1, PRICE));
        other.joinByDeposit(7, 2);
    }

    function test_tops_a_deposit_up() public {
        deposited(7, 3);
        vm.startPrank(payer.at);
        vm.expectRevert(M.BadTier.selector);
        members.topUp(7, 2);
        vm.expectEmit();
        emit M.ToppedUp(7, 4 * PRICE);
        members.topUp(7, 5);
        assertEq(coverOf(7), 4 * PRICE);
        assertEq(tierOf(7), 5);
        assertEq(token.balanceOf(address(members)), 4 * PRICE);
        members.topUp(7, 5);
        vm.stopPrank();
        // A price that fell takes nothing and gives nothing back before the exit.
        rule(Keys.SEAT_DEPOSIT, 50);
        vm.prank(payer.at);
        members.topUp(7, 6);
        assertEq(coverOf(7), 4 * PRICE);
        vm.prank(stranger.at);
        vm.expectRevert(M.NotPayer.selector);
        members.topUp(7, 7);
    }

    function test_an_open_seat_has_no_payer() public {
        openly(7);
        vm.expectRevert(M.NotPayer.selector);
        members.topUp(7, 2);
        vm.expectRevert(M.NotPayer.selector);
        members.requestExit(7);
        bytes memory signature = leaves(stranger, 7, 0, FOREVER);
        vm.expectRevert(M.BadSignature.selector);
        members.requestExitFor(7, 0, FOREVER, signature);
    }

    // ------------------------------------------------------------------------------------------------ relayed exit

    function test_leaves_by_signature() public {
        deposited(7, 2);
        bytes memory signature = leaves(payer, 7, 1e18, FOREVER);
        vm.startPrank(relayer);
        vm.expectRevert(M.BadSignature.selector);
        members.requestExitFor(7, 2e18, FOREVER, signature);
        vm.expectRevert(M.FeeAboveCover.selector);
        members.requestExitFor(7, PRICE + 1, FOREVER, signature);
        vm.expectRevert(M.Expired.selector);
        members.requestExitFor(7, 1e18, uint40(block.timestamp) - 1, signature);
        members.requestExitFor(7, 1e18, FOREVER, signature);
        vm.expectRevert(M.NotActive.selector);
        members.requestExitFor(7, 1e18, FOREVER, signature);
        vm.stopPrank();
        assertEq(token.balanceOf(relayer), 0);
        uint256 before = token.balanceOf(payer.at);
        vm.warp(block.timestamp + EXIT);
        assertEq(members.withdraw(7), PRICE - 1e18);
        assertEq(token.balanceOf(relayer), 1e18);
        assertEq(token.balanceOf(payer.at), before + PRICE - 1e18);
    }

    /// Whoever signs makes the hash itself, of these words and no others.
    function test_what_is_signed_is_for_this_contract() public view {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("PrivacyAI Membership"),
                keccak256("1"),
                block.chainid,
                address(members)
            )
        );
        assertEq(members.hashTypedData("word"), keccak256(abi.encodePacked(hex"1901", domain, bytes32("word"))));
    }

    function test_leaves_by_signature_for_nothing() public {
        deposited(7, 2);
        uint40 now_ = uint40(block.timestamp);
        members.requestExitFor(7, 0, now_, leaves(payer, 7, 0, now_));
        vm.warp(block.timestamp + EXIT);
        assertEq(members.withdraw(7), PRICE);
    }

    /// The whole deposit as a fee to oneself is still there for a slash.
    function test_a_fee_does_not_run_from_a_slash() public {
        uint256 commitment = commitmentOf(5);
        deposited(commitment, 2);
        members.requestExitFor(commitment, PRICE, FOREVER, leaves(payer, commitment, PRICE, FOREVER));
        slashed(5);
        members.collect(commitment);
        assertEq(token.balanceOf(stranger.at), PRICE / 2);
        assertEq(token.balanceOf(relayer), 0);
        vm.warp(block.timestamp + EXIT);
        vm.expectRevert(M.NotLeaving.selector);
        members.withdraw(commitment);
    }

    // ------------------------------------------------------------------------------------------------ slashing

    function testFuzz_a_revealed_secret_costs_the_deposit(uint256 secret, bytes32 salt, bool leaving) public {
        secret = bound(secret, 1, Poseidon.P - 1);
        uint256 commitment = commitmentOf(secret);
        deposited(commitment, 3);
        if (leaving) {
            vm.prank(payer.at);
            members.requestExit(commitment);
        }
        bytes32 before = members.acc();
        vm.startPrank(stranger.at);
        members.commitSlash(keccak256(abi.encode(secret, stranger.at, salt)));
        vm.roll(block.number + 1);
        vm.expectEmit();
        emit M.Slashed(commitment, stranger.at, secret);
        members.revealSlash(secret, salt);
        vm.stopPrank();
        assertEq(stateOf(commitment), 4);
        assertEq(members.acc() == before, leaving);
        vm.expectEmit();
        emit M.Collected(commitment, stranger.at, PRICE, PRICE);
        members.collect(commitment);
        assertEq(token.balanceOf(stranger.at), PRICE);
        assertEq(token.balanceOf(members.BURNT()), PRICE);
        assertEq(token.balanceOf(address(members)), 0);
        assertEq(stateOf(commitment), 3);
        vm.expectRevert(M.NotSlashed.selector);
        members.collect(commitment);
    }

    function test_a_slash_takes_the_sponsors_deposit() public {
        sponsored(PRICE);
        uint256 commitment = commitmentOf(5);
        byInvitation(commitment, invitation(2, 0));
        slashed(5);
        vm.prank(sponsor.at);
        vm.expectRevert(M.NotActive.selector);
        members.requestExit(commitment);
        members.collect(commitment);
        assertEq(token.balanceOf(stranger.at), PRICE / 10);
    }

    function test_a_slash_of_an_open_seat_takes_the_seat() public {
        uint256 commitment = commitmentOf(5);
        openly(commitment);
        slashed(5);
        assertEq(stateOf(commitment), 3);
        vm.expectRevert(M.NotSlashed.selector);
        members.collect(commitment);
    }

    function test_refuses_slashes() public {
        uint256 commitment = commitmentOf(5);
        deposited(commitment, 2);
        bytes32 hash = keccak256(abi.encode(uint256(5), stranger.at, bytes32("salt")));
        vm.startPrank(stranger.at);
        vm.expectRevert(M.NotCommitted.selector);
        members.revealSlash(5, "salt");
        members.commitSlash(hash);
        vm.expectRevert(M.AlreadyCommitted.selector);
        members.commitSlash(hash);
        vm.expectRevert(M.TooEarly.selector);
        members.revealSlash(5, "salt");
        vm.roll(block.number + 1);
        vm.expectRevert(M.NotCommitted.selector);
        members.revealSlash(5, "pepper");
        vm.stopPrank();
        // A copied commitment is of no use to who copied it.
        vm.prank(relayer);
        vm.expectRevert(M.NotCommitted.selector);
        members.revealSlash(5, "salt");
        vm.startPrank(stranger.at);
        members.revealSlash(5, "salt");
        members.commitSlash(hash);
        vm.roll(block.number + 1);
        vm.expectRevert(M.NotMember.selector);
        members.revealSlash(5, "salt");
        // Nobody's secret.
        members.commitSlash(keccak256(abi.encode(uint256(6), stranger.at, bytes32("salt"))));
        vm.roll(block.number + 1);
        vm.expectRevert(M.NotMember.selector);
        members.revealSlash(6, "salt");
        vm.stopPrank();
    }

    function test_no_slash_after_the_deposit_is_out() public {
        uint256 commitment = commitmentOf(5);
        deposited(commitment, 2);
        vm.prank(payer.at);
        members.requestExit(commitment);
        vm.warp(block.timestamp + EXIT);
        members.withdraw(commitment);
        vm.startPrank(stranger.at);
        members.commitSlash(keccak256(abi.encode(uint256(5), stranger.at, bytes32("salt"))));
        vm.roll(block.number + 1);
        vm.expectRevert(M.NotMember.selector);
        members.revealSlash(5, "salt");
        vm.stopPrank();
    }

    // ------------------------------------------------------------------------------------------------ rules

    function test_the_limit_counts_from_a_day() public {
        uint32 day = members.today();
        assertEq(members.limitAt(day), 3);
        rule(Keys.FREE_DAILY, 5);
        assertEq(members.limitAt(day), 5);
        assertEq(members.limitAt(day - 1), 3);
        // From its first second on, and 1.8 billion seconds are 20,833 days and some.
        vm.warp((day + 1) * 1 days);
        rule(Keys.FREE_DAILY, 6);
        assertEq(members.limitAt(20_834), 6);
        assertEq(members.limitAt(20_833), 5);
        assertEq(members.today(), 20_834);
    }

    function test_refuses_constructions() public {
        vm.expectRevert(Funding.ZeroAddress.selector);
        new M(IERC20(address(0)), rules, registry, EXIT);
        vm.expectRevert(Funding.ZeroAddress.selector);
        new M(token, IParams(address(0)), registry, EXIT);
        vm.expectRevert(Funding.ZeroAddress.selector);
        new M(token, rules, IProviderRegistry(address(0)), EXIT);
        vm.expectRevert(M.BadBounds.selector);
        new M(token, rules, registry, 0);
        vm.expectRevert(M.BadBounds.selector);
        new M(token, rules, registry, 30 days + 1);
        assertEq(new M(token, rules, registry, 30 days).EXIT_DELAY(), 30 days);
    }
}
