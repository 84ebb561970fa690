// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Pam1} from "../../src/libraries/Pam1.sol";
import {QualityCourt} from "../../src/QualityCourt.sol";
import {Cases} from "../Cases.sol";
import {Signed} from "../Signed.sol";

/// @title Faults: what proves itself, what does not, and how often it slashes.
contract FaultsTest is Cases, Signed {
    uint256 private constant OPERATIONAL = 0x0b;

    /// A stolen key makes any number of faults. One takes its part at once; then the owner can be out with the rest.
    function test_a_stolen_key_slashes_once_before_the_owner_can_be_out() public {
        bytes memory c = cert(5, block.timestamp + 30 days);
        (bytes memory a, bytes memory b) = (bundle(9, "one"), bundle(9, "two"));
        (bytes memory x, bytes memory y) = (bundle(10, "one"), bundle(10, "two"));
        (bytes memory r, bytes memory s) = (receipt(CB, 100), receipt(CB, 101));
        announced(a, b);
        announced(x, y);
        announced(r, s);
        vm.prank(reporter.at);
        bench.proveBundles(id, a, b);
        uint256 from = block.timestamp + 2 * UNBONDING;
        assertEq(bench.faultsFrom(id), from);
        // The owner notices after a whole unbonding, and is out a whole one later.
        vm.warp(block.timestamp + UNBONDING);
        unstaked(STAKE - SLASH);
        vm.warp(from - 1);
        vm.startPrank(reporter.at);
        vm.expectRevert(abi.encodeWithSelector(QualityCourt.FaultTooSoon.selector, from));
        bench.proveBundles(id, x, y);
        vm.expectRevert(abi.encodeWithSelector(QualityCourt.FaultTooSoon.selector, from));
        bench.proveReceipts(id, QualityCourt.Story(c, r), QualityCourt.Story(c, s));
        vm.stopPrank();
        vm.warp(from);
        uint256 whole = vm.snapshotState();
        assertEq(registry.withdraw(id), STAKE - SLASH);
        // Who stays answers for the next fault then.
        vm.revertToState(whole);
        vm.prank(reporter.at);
        assertEq(bench.proveReceipts(id, QualityCourt.Story(c, r), QualityCourt.Story(c, s)), (STAKE - SLASH) / 5);
    }

    /// A fault of one's own on a small stake spares no larger one that comes after it, neither from another nor from itself.
    function test_what_came_in_since_a_fault_has_not_answered() public {
        (bytes memory a, bytes memory b) = (bundle(9, "one"), bundle(9, "two"));
        (bytes memory x, bytes memory y) = (bundle(10, "one"), bundle(10, "two"));
        announced(a, b);
        announced(x, y);
        vm.startPrank(reporter.at);
        bench.proveBundles(id, a, b);
        uint96 left = STAKE - SLASH;
        uint256 from = bench.faultsFrom(id);
        vm.expectRevert(abi.encodeWithSelector(QualityCourt.FaultTooSoon.selector, from));
        bench.proveBundles(id, x, y);
        vm.stopPrank();
        staked(100);
        vm.startPrank(reporter.at);
        assertEq(bench.proveBundles(id, x, y), 20);
        // That has answered, now.
        vm.expectRevert(abi.encodeWithSelector(QualityCourt.FaultTooSoon.selector, from));
        bench.proveBundles(id, a, b);
        vm.stopPrank();
        assertEq(registry.stakeOf(id), left + 80);
        // Faults in between make the pause no longer.
        assertEq(bench.faultsFrom(id), from);
        vm.warp(from);
        staked(1_000);
        vm.startPrank(reporter.at);
        // Of what was there when it was punished it takes nothing again.
        assertEq(bench.proveBundles(id, a, b), 1_080 / 5);
        vm.expectRevert(
            abi.encodeWithSelector(
                QualityCourt.AlreadyPunished.selector, keccak256(abi.encode(uint256(2), id, uint64(9)))
            )
        );
        bench.proveBundles(id, a, b);
        assertEq(bench.faultsFrom(id), from + 2 * UNBONDING);
        vm.stopPrank();
    }

    /// Two keys at one time, two stories: each is proven by its own certificate.
    function test_two_stories_by_two_keys_are_one_fault() public {
        uint256 other = 0x0d;
        bytes memory c = cert(5, block.timestamp + 30 days);
        bytes memory d = signed(1, "pam1 cert", certFields(ROOT, other, 6, block.timestamp + 30 days), ROOT);
        (bytes memory r, bytes memory s) =
            (receipt(CB, 100), signed(6, "pam1 receipt", receiptFields(id, 6, CB, 101), other));
        announced(r, s);
        uint256 whole = vm.snapshotState();
        vm.startPrank(reporter.at);
        assertEq(bench.proveReceipts(id, QualityCourt.Story(c, r), QualityCourt.Story(d, s)), SLASH);
        vm.revertToState(whole);
        vm.expectRevert(Pam1.Malformed.selector);
        bench.proveReceipts(id, QualityCourt.Story(c, r), QualityCourt.Story(c, s));
        // One of the two is revoked.
        vm.stopPrank();
        vm.prank(owner.at);
        registry.setMinOpSeq(id, 6);
        vm.prank(reporter.at);
        vm.expectRevert(abi.encodeWithSelector(QualityCourt.KeyRevoked.selector, 5, 6));
        bench.proveReceipts(id, QualityCourt.Story(c, r), QualityCourt.Story(d, s));
    }

    /// An owner whose root key is stolen revokes every key, the highest number's too: nothing that the thief signs slashes.
    function test_the_highest_number_revokes_every_key() public {
        bytes memory c = cert(type(uint32).max, block.timestamp + 30 days);
        (bytes memory r, bytes memory s) = (
            signed(6, "pam1 receipt", receiptFields(id, type(uint32).max, CB, 100), OPERATIONAL),
            signed(6, "pam1 receipt", receiptFields(id, type(uint32).max, CB, 101), OPERATIONAL)
        );
        announced(r, s);
        vm.prank(owner.at);
        registry.setMinOpSeq(id, type(uint32).max - 1);
        uint256 whole = vm.snapshotState();
        vm.prank(reporter.at);
        assertEq(bench.proveReceipts(id, QualityCourt.Story(c, r), QualityCourt.Story(c, s)), SLASH);
        vm.revertToState(whole);
        vm.prank(owner.at);
        registry.setMinOpSeq(id, type(uint32).max);
        vm.expectRevert(
            abi.encodeWithSelector(QualityCourt.KeyRevoked.selector, type(uint32).max, type(uint32).max)
        );
        vm.prank(reporter.at);
        bench.proveReceipts(id, QualityCourt.Story(c, r), QualityCourt.Story(c, s));
    }

    /// The time after a fault shields nobody from a case, whoever reported the fault.
    function test_a_fault_holds_up_no_case() public {
        (bytes memory a, bytes memory b) = (bundle(9, "one"), bundle(9, "two"));
        announced(a, b);
        vm.prank(reporter.at);
        bench.proveBundles(id, a, b);
        uint256 one = opened();
        answered(one);
        decided(one, true);
        assertEq(registry.stakeOf(id), (STAKE - SLASH) * 4 / 5);
    }

    /// One provider's fault is no rest for another.
    function test_each_provider_answers_for_its_own_fault() public {
        (bytes memory a, bytes memory b) = (bundle(9, "one"), bundle(9, "two"));
        announced(a, b);
        vm.prank(reporter.at);
        bench.proveBundles(id, a, b);
        bytes32 another = registered(7, payee.at, owner.at);
        assertEq(bench.faultsFrom(another), 0);
    }

    function test_two_bundles_of_one_sequence_slash_at_once() public {
        (bytes memory a, bytes memory b) = (bundle(9, "one"), bundle(9, "two"));
        announced(a, b);
        bytes32 fault = keccak256(abi.encode(uint256(2), id, uint64(9)));
        vm.expectEmit();
        emit QualityCourt.FaultProven(id, fault, reporter.at, SLASH);
        vm.prank(reporter.at);
        assertEq(bench.proveBundles(id, a, b), SLASH);
        assertEq(registry.stakeOf(id), STAKE - SLASH);
        assertEq(bench.payout(reporter.at), SLASH / 10);
        // In whatever order, and with whatever third bundle: it is one fault.
        announced(b, a);
        vm.prank(reporter.at);
        vm.expectRevert(abi.encodeWithSelector(QualityCourt.AlreadyPunished.selector, fault));
        bench.proveBundles(id, b, a);
    }

    function test_two_receipts_for_one_exchange_slash_at_once() public {
        (bytes memory a, bytes memory b) = (receipt(CB, 100), receipt(CB, 101));
        bytes memory c = cert(5, block.timestamp + 30 days);
        announced(a, b);
        vm.prank(reporter.at);
        assertEq(bench.proveReceipts(id, QualityCourt.Story(c, a), QualityCourt.Story(c, b)), SLASH);
        announced(b, a);
        vm.prank(reporter.at);
        vm.expectRevert(
            abi.encodeWithSelector(QualityCourt.AlreadyPunished.selector, keccak256(abi.encode(uint256(6), id, CB)))
        );
        bench.proveReceipts(id, QualityCourt.Story(c, b), QualityCourt.Story(c, a));
    }

    function test_one_object_is_no_fault() public {
        bytes memory a = bundle(9, "one");
        announced(a, a);
        bundlesFail(a, a, QualityCourt.SameContent.selector);
        bytes memory r = receipt(CB, 100);
        announced(r, r);
        receiptsFail(r, r, QualityCourt.SameContent.selector);
    }

    function test_objects_of_different_things_are_no_fault() public {
        (bytes memory a, bytes memory b) = (bundle(9, "one"), bundle(10, "two"));
        announced(a, b);
        bundlesFail(a, b, QualityCourt.DifferentSubject.selector);
        (a, b) = (receipt(CB, 100), receipt("another", 101));
        announced(a, b);
        receiptsFail(a, b, QualityCourt.DifferentSubject.selector);
    }

    function test_another_key_proves_nothing() public {
        bytes memory a = bundle(9, "one");
        Field[] memory f = bundleFields(id, cert(5, block.timestamp + 30 days), 9, "two");
        bytes memory b = signed(2, "pam1 bundle", f, 0x0c);
        announced(a, b);
        bundlesFail(a, b, Pam1.Unauthentic.selector);
        // A certificate that another root signed.
        f[2].value = string_(signed(1, "pam1 cert", certFields(7, 0x0c, 5, block.timestamp + 30 days), 7));
        b = signed(2, "pam1 bundle", f, 0x0c);
        announced(a, b);
        bundlesFail(a, b, Pam1.Unauthentic.selector);
    }

    function test_revoked_keys_are_for_cases() public {
        (bytes memory a, bytes memory b) = (bundle(9, "one"), bundle(9, "two"));
        announced(a, b);
        vm.prank(owner.at);
        registry.setMinOpSeq(id, 6);
        vm.prank(reporter.at);
        vm.expectRevert(abi.encodeWithSelector(QualityCourt.KeyRevoked.selector, 5, 6));
        bench.proveBundles(id, a, b);
        // Both must be good: one of a newer key saves neither.
        Field[] memory f = bundleFields(id, cert(6, block.timestamp + 30 days), 9, "two");
        b = signed(2, "pam1 bundle", f, OPERATIONAL);
        for (uint256 i; i < 2; ++i) {
            announced(a, b);
            vm.prank(reporter.at);
            vm.expectRevert(abi.encodeWithSelector(QualityCourt.KeyRevoked.selector, 5, 6));
            bench.proveBundles(id, a, b);
            (a, b) = (b, a);
        }
    }

    function test_old_evidence_is_for_cases() public {
        (bytes memory a, bytes memory b) = (bundle(9, "one"), bundle(9, "two"));
        (bytes memory r, bytes memory s) = (receipt(CB, 100), receipt(CB, 101));
        bytes memory c = cert(5, block.timestamp + 30 days);
        announced(a, b);
        announced(r, s);
        vm.warp(block.timestamp + 61 days + 1);
        bundlesFail(a, b, QualityCourt.EvidenceTooOld.selector);
        vm.prank(reporter.at);
        vm.expectRevert(QualityCourt.EvidenceTooOld.selector);
        bench.proveReceipts(id, QualityCourt.Story(c, r), QualityCourt.Story(c, s));
        vm.warp(block.timestamp - 1);
        vm.prank(reporter.at);
        bench.proveReceipts(id, QualityCourt.Story(c, r), QualityCourt.Story(c, s));
    }

    function test_evidence_is_announced_a_block_before() public {
        (bytes memory a, bytes memory b) = (bundle(9, "one"), bundle(9, "two"));
        bundlesFail(a, b, QualityCourt.NotAnnounced.selector);
        bytes32 commitment = bench.evidence(reporter.at, a, b);
        assertEq(commitment, keccak256(abi.encode(reporter.at, keccak256(a), keccak256(b))));
        vm.expectEmit();
        emit QualityCourt.EvidenceAnnounced(commitment);
        bench.announce(commitment);
        vm.expectRevert(QualityCourt.AlreadyAnnounced.selector);
        bench.announce(commitment);
        bundlesFail(a, b, QualityCourt.NotAnnounced.selector);
        vm.roll(block.number + 1);
        // Who copies it is another reporter.
        vm.prank(stranger.at);
        vm.expectRevert(QualityCourt.NotAnnounced.selector);
        bench.proveBundles(id, a, b);
        vm.prank(reporter.at);
        bench.proveBundles(id, a, b);
        bytes memory c = cert(5, block.timestamp + 30 days);
        vm.expectRevert(QualityCourt.NotAnnounced.selector);
        bench.proveReceipts(id, QualityCourt.Story(c, a), QualityCourt.Story(c, b));
    }

    function test_no_stake_no_fault() public {
        unstaked(STAKE);
        vm.warp(block.timestamp + UNBONDING);
        registry.withdraw(id);
        (bytes memory a, bytes memory b) = (bundle(9, "one"), bundle(9, "two"));
        announced(a, b);
        bundlesFail(a, b, QualityCourt.NoStake.selector);
    }

    // ------------------------------------------------------------------------------------------------ steps

    function cert(uint256 opSeq, uint256 notAfter) private pure returns (bytes memory) {
        return signed(1, "pam1 cert", certFields(ROOT, OPERATIONAL, opSeq, notAfter), ROOT);
    }

    function bundle(uint256 seq, bytes memory prev) private view returns (bytes memory) {
        Field[] memory f = bundleFields(id, cert(5, block.timestamp + 30 days), seq, prev);
        return signed(2, "pam1 bundle", f, OPERATIONAL);
    }

    function receipt(bytes32 cb, uint256 tokens) private view returns (bytes memory) {
        return signed(6, "pam1 receipt", receiptFields(id, 5, cb, tokens), OPERATIONAL);
    }

    function announced(bytes memory a, bytes memory b) private {
        bench.announce(bench.evidence(reporter.at, a, b));
        vm.roll(block.number + 1);
    }

    function bundlesFail(bytes memory a, bytes memory b, bytes4 error) private {
        vm.prank(reporter.at);
        vm.expectRevert(error);
        bench.proveBundles(id, a, b);
    }

    function receiptsFail(bytes memory a, bytes memory b, bytes4 error) private {
        bytes memory c = cert(5, block.timestamp + 30 days);
        vm.prank(reporter.at);
        vm.expectRevert(error);
        bench.proveReceipts(id, QualityCourt.Story(c, a), QualityCourt.Story(c, b));
    }
}
