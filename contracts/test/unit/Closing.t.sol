// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Base} from "../Base.sol";
import {Funding} from "../../src/Funding.sol";
import {InferenceChannels} from "../../src/InferenceChannels.sol";
import {IParams} from "../../src/interfaces/IParams.sol";
import {Keys} from "../../src/libraries/Keys.sol";
import {Ledger} from "../../src/Ledger.sol";
import {Params} from "../../src/Params.sol";
import {Typed} from "../../src/libraries/Typed.sol";

contract ClosingTest is Base {
    bytes32 private constant SALT = "salt";
    uint96 private constant DEPOSIT = 10e18;

    // ------------------------------------------------------------------------------------------------ cooperative

    function test_the_payee_gives_back_what_it_did_not_claim() public {
        bytes32 id = opened(SALT, DEPOSIT);
        channels.claim(payee.at, voucher(keyOf(SALT), 3e18));
        InferenceChannels.Claim memory later = voucher(keyOf(SALT), 9e18);
        vm.expectEmit();
        emit InferenceChannels.Closed(id, 3e18, 7e18);
        vm.prank(payee.at);
        channels.closeToLedger(payer.at, session.at, SALT);
        assertEq(balance(payer.at), 7e18);

        // Dead for good: no claim, no second close, no second opening.
        vm.expectRevert(InferenceChannels.NotOpen.selector);
        channels.claim(payee.at, later);
        vm.prank(payee.at);
        vm.expectRevert(InferenceChannels.NotOpen.selector);
        channels.closeToLedger(payer.at, session.at, SALT);
        vm.expectRevert(InferenceChannels.ChannelExists.selector);
        opened(SALT, DEPOSIT);
    }

    function test_a_stranger_closes_nothing_of_others() public {
        opened(SALT, DEPOSIT);
        vm.startPrank(stranger.at);
        vm.expectRevert(InferenceChannels.NotOpen.selector);
        channels.closeToLedger(payer.at, session.at, SALT);
        vm.expectRevert(InferenceChannels.NotPayer.selector);
        channels.requestClose(keyOf(SALT));
        vm.expectRevert(InferenceChannels.NotClosing.selector);
        channels.finishClose(keyOf(SALT));
    }

    function test_closes_with_the_payees_word() public {
        bytes32 id = opened(SALT, DEPOSIT);
        InferenceChannels.Key memory key = keyOf(SALT);
        InferenceChannels.Claim memory row = voucher(key, 4e18);
        bytes memory consent = long(payee, Typed.close(id, 4e18));
        bytes memory forged = long(stranger, Typed.close(id, 4e18));

        vm.expectRevert(Ledger.BadSignature.selector);
        channels.closeWithConsent(key, 4e18, row.r, row.vs, forged);
        vm.expectRevert(Ledger.BadSignature.selector);
        channels.closeWithConsent(key, 4e18, row.r, row.vs, malleable(consent));
        vm.expectRevert(Ledger.BadSignature.selector);
        channels.closeWithConsent(key, 4e18, row.r, bytes32(uint256(row.vs) ^ 1), consent);
        // A lower sum than it consented to is another message.
        vm.expectRevert(Ledger.BadSignature.selector);
        channels.closeWithConsent(key, 3e18, row.r, row.vs, consent);
        channels.closeWithConsent(key, 4e18, row.r, row.vs, consent);
        assertEq(channels.earned(payee.at), 4e18);
        assertEq(balance(payer.at), 6e18);
        vm.expectRevert(InferenceChannels.NotOpen.selector);
        channels.closeWithConsent(key, 4e18, row.r, row.vs, consent);
    }

    function test_consent_to_what_is_claimed_needs_no_voucher() public {
        bytes32 id = opened(SALT, DEPOSIT);
        channels.claim(payee.at, voucher(keyOf(SALT), 4e18));
        channels.closeWithConsent(keyOf(SALT), 1e18, 0, 0, long(payee, Typed.close(id, 1e18)));
        assertEq(channels.earned(payee.at), 4e18);
        assertEq(balance(payer.at), 6e18);
    }

    // ------------------------------------------------------------------------------------------------ timed

    function test_the_payer_leaves_alone_after_the_delay() public {
        bytes32 id = opened(SALT, DEPOSIT);
        InferenceChannels.Key memory key = keyOf(SALT);
        vm.expectEmit();
        emit InferenceChannels.CloseRequested(id, uint40(block.timestamp) + DELAY);
        vm.prank(payer.at);
        channels.requestClose(key);
        vm.prank(session.at);
        vm.expectRevert(InferenceChannels.AlreadyClosing.selector);
        channels.requestClose(key);

        vm.warp(block.timestamp + DELAY - 1);
        vm.expectRevert(InferenceChannels.TooEarly.selector);
        channels.finishClose(key);
        // The payee claims until the end.
        channels.claim(payee.at, voucher(key, 2e18));
        vm.warp(block.timestamp + 1);
        vm.prank(stranger.at);
        channels.finishClose(key);
        assertEq(balance(payer.at), 8e18);
        vm.prank(payer.at);
        channels.withdraw(payer.at, 8e18);
        assertEq(token.balanceOf(payer.at), 1_000_000e18 - 2e18);
        vm.expectRevert(InferenceChannels.NotOpen.selector);
        channels.finishClose(key);
    }

    function test_a_close_is_asked_for_by_signature() public {
        bytes32 id = opened(SALT, DEPOSIT);
        funded(5e18);
        InferenceChannels.Key memory key = keyOf(SALT);
        bytes memory word = long(session, Typed.requestClose(id, 1e18, FOREVER));
        vm.startPrank(relayer);
        vm.expectRevert(InferenceChannels.NotPayer.selector);
        channels.requestCloseFor(key, stranger.at, 1e18, FOREVER, word);
        vm.expectRevert(Ledger.BadSignature.selector);
        channels.requestCloseFor(key, payer.at, 1e18, FOREVER, word);
        vm.expectRevert(Ledger.BadSignature.selector);
        channels.requestCloseFor(key, session.at, 2e18, FOREVER, word);
        vm.expectRevert(Ledger.BadSignature.selector);
        channels.requestCloseFor(key, session.at, 1e18, FOREVER, malleable(word));
        vm.expectRevert(Ledger.Expired.selector);
        channels.requestCloseFor(key, session.at, 1e18, uint40(block.timestamp - 1), word);
        channels.requestCloseFor(key, session.at, 1e18, FOREVER, word);
        assertEq(balance(relayer), 1e18);
        assertEq(balance(payer.at), 4e18);
        vm.expectRevert(InferenceChannels.AlreadyClosing.selector);
        channels.requestCloseFor(key, session.at, 1e18, FOREVER, word);

        bytes32 other = opened2("other");
        key = keyOf("other");
        word = long(payer, Typed.requestClose(other, 0, FOREVER));
        channels.requestCloseFor(key, payer.at, 0, FOREVER, word);
        assertEq(balance(relayer), 1e18);
    }

    /// A fee that the session key grants counts under its caps; the payer's own word is not bound by them.
    function test_a_stolen_session_key_pays_no_fee_above_its_caps() public {
        bytes32 id = opened(SALT, DEPOSIT);
        funded(1_000e18);
        capped(3e18, 2e18, uint40(block.timestamp + 1 days));
        asksFails(id, 1_000e18, InferenceChannels.DayCapExceeded.selector);
        asksFails(id, 2e18 + 1, InferenceChannels.DayCapExceeded.selector);
        capped(1e18, 2e18, uint40(block.timestamp + 1 days));
        asksFails(id, 1e18 + 1, InferenceChannels.PayeeCapExceeded.selector);
        asksFails(id, 1_001e18, Ledger.InsufficientBalance.selector);
        asks(session, id, 1e18);
        assertEq(balance(payer.at), 999e18);
        assertEq(balance(relayer), 1e18);
        assertEq(channels.movedTo(payer.at, session.at, payee.at), 1e18);
        (, uint96 moved) = channels.account(payer.at);
        assertEq(moved, 1e18);
        // What the close cost is gone from what the key may still move.
        InferenceChannels.Opening memory more = opening(keyOf("more"), 1, 0);
        vm.expectRevert(InferenceChannels.PayeeCapExceeded.selector);
        channels.openFromLedger(more);

        bytes32 other = opened("other", DEPOSIT);
        bytes memory word = long(payer, Typed.requestClose(other, 900e18, FOREVER));
        vm.prank(relayer);
        channels.requestCloseFor(keyOf("other"), payer.at, 900e18, FOREVER, word);
        assertEq(balance(payer.at), 99e18);
    }

    function test_a_session_key_pays_no_fee_once_it_has_ended() public {
        bytes32 id = opened(SALT, DEPOSIT);
        funded(1_000e18);
        vm.warp(block.timestamp + 30 days);
        asksFails(id, 1, InferenceChannels.SessionExpired.selector);
        // It still asks for the close for nothing, as it could itself.
        asks(session, id, 0);
        assertEq(balance(payer.at), 1_000e18);
    }

    function test_a_session_key_pays_no_fee_once_it_is_taken_back() public {
        bytes32 id = opened(SALT, DEPOSIT);
        funded(1_000e18);
        capped(0, 0, 0);
        asksFails(id, 1_000e18, InferenceChannels.SessionExpired.selector);
        asks(session, id, 0);
        assertEq(balance(payer.at), 1_000e18);
    }

    /// A signer to whom the payer never gave a session has no balance to grant fees from.
    function test_a_channels_signer_without_a_session_pays_no_fee() public {
        bytes32 id = opened(SALT, DEPOSIT);
        vm.prank(payer.at);
        channels.fund(payer.at, 5e18);
        asksFails(id, 1, InferenceChannels.SessionExpired.selector);
        assertEq(balance(payer.at), 5e18);
    }

    function capped(uint96 capPayee, uint96 capDay, uint40 expiry) private {
        vm.prank(payer.at);
        channels.setSession(Ledger.Terms(session.at, capPayee, capDay, expiry));
    }

    function asks(Person memory by, bytes32 id, uint96 fee) private {
        bytes memory word = long(by, Typed.requestClose(id, fee, FOREVER));
        vm.prank(relayer);
        channels.requestCloseFor(keyOf(SALT), by.at, fee, FOREVER, word);
    }

    function asksFails(bytes32 id, uint96 fee, bytes4 refusal) private {
        bytes memory word = long(session, Typed.requestClose(id, fee, FOREVER));
        vm.prank(relayer);
        vm.expectRevert(refusal);
        channels.requestCloseFor(keyOf(SALT), session.at, fee, FOREVER, word);
    }

    function opened2(bytes32 salt) private returns (bytes32 id) {
        vm.stopPrank();
        id = opened(salt, DEPOSIT);
        vm.startPrank(relayer);
    }

    function testFuzz_the_delay_stays_within_its_bounds(uint64 voted) public {
        vm.mockCall(address(params), abi.encodeCall(IParams.get, (Keys.CHALLENGE_DELAY)), abi.encode(voted));
        assertGe(channels.challengeDelay(), 1 hours);
        assertLe(channels.challengeDelay(), 1 days);
        if (voted >= 1 hours && voted <= 1 days) assertEq(channels.challengeDelay(), voted);
    }

    // ------------------------------------------------------------------------------------------------ payout

    function test_pays_out_less_the_fee() public {
        opened(SALT, DEPOSIT);
        channels.claim(payee.at, voucher(keyOf(SALT), 10e18));
        vm.startPrank(payee.at);
        vm.expectRevert(Funding.ZeroAddress.selector);
        channels.payout(address(0));
        vm.expectEmit();
        emit InferenceChannels.PaidOut(payee.at, stranger.at, 9.7e18, 0.3e18);
        assertEq(channels.payout(stranger.at), 9.7e18);
        vm.expectRevert(InferenceChannels.NothingToPay.selector);
        channels.payout(payee.at);
        vm.stopPrank();
        assertEq(token.balanceOf(stranger.at), 9.7e18);
        // Another payout leaves another fee of as much.
        opened("another", DEPOSIT);
        channels.claim(payee.at, voucher(keyOf("another"), 10e18));
        channels.payoutOf(payee.at);
        vm.expectEmit();
        emit InferenceChannels.Swept(0.6e18);
        assertEq(channels.sweep(), 0.6e18);
        assertEq(token.balanceOf(treasury), 0.6e18);
        vm.expectRevert(InferenceChannels.NothingToPay.selector);
        channels.sweep();
    }

    function test_anyone_pays_a_payee_to_itself() public {
        opened(SALT, DEPOSIT);
        channels.claim(payee.at, voucher(keyOf(SALT), 10e18));
        vm.prank(stranger.at);
        channels.payoutOf(payee.at);
        assertEq(token.balanceOf(payee.at), 9.7e18);
        assertEq(token.balanceOf(stranger.at), 0);
    }

    function testFuzz_no_vote_takes_more_than_a_tenth(uint64 voted) public {
        opened(SALT, DEPOSIT);
        channels.claim(payee.at, voucher(keyOf(SALT), 10e18));
        vm.mockCall(address(params), abi.encodeCall(IParams.get, (Keys.FEE_BPS)), abi.encode(voted));
        channels.payoutOf(payee.at);
        assertGe(token.balanceOf(payee.at), 9e18);
        assertEq(token.balanceOf(payee.at) + channels.treasuryEarned(), 10e18);
    }

    // ------------------------------------------------------------------------------------------------ construction

    function test_refuses_to_be_built_out_of_bounds() public {
        vm.expectRevert(Funding.ZeroAddress.selector);
        new InferenceChannels(IERC20(address(0)), treasury, params, 1, 1, 1);
        vm.expectRevert(Funding.ZeroAddress.selector);
        new InferenceChannels(token, address(0), params, 1, 1, 1);
        vm.expectRevert(Funding.ZeroAddress.selector);
        new InferenceChannels(token, treasury, IParams(address(0)), 1, 1, 1);
        vm.expectRevert(InferenceChannels.BadBounds.selector);
        new InferenceChannels(token, treasury, params, 2, 1, 1);
        vm.expectRevert(InferenceChannels.BadBounds.selector);
        new InferenceChannels(token, treasury, params, 1, 31 days, 1);
        vm.expectRevert(InferenceChannels.BadBounds.selector);
        new InferenceChannels(token, treasury, params, 1, 1, 0);
        // The bounds themselves are good.
        assertEq(new InferenceChannels(token, treasury, params, 30 days, 30 days, 1).challengeDelay(), 30 days);
    }
}
