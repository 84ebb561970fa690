// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ERC3009} from "@openzeppelin/contracts/token/ERC20/extensions/draft-ERC3009.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Base} from "../Base.sol";
import {Funding} from "../../src/Funding.sol";
import {InferenceChannels} from "../../src/InferenceChannels.sol";
import {IParams} from "../../src/interfaces/IParams.sol";
import {Keys} from "../../src/libraries/Keys.sol";
import {Ledger} from "../../src/Ledger.sol";
import {Params} from "../../src/Params.sol";
import {Typed} from "../../src/libraries/Typed.sol";

contract ChannelsTest is Base {
    bytes32 private constant SALT = "salt";
    uint96 private constant DEPOSIT = 10e18;

    // ------------------------------------------------------------------------------------------------ opening

    function test_opens_from_tokens() public {
        vm.expectEmit();
        emit InferenceChannels.Opened(channels.idOf(keyOf(SALT)), payer.at, payee.at, DEPOSIT);
        bytes32 id = opened(SALT, DEPOSIT);
        check(id, 1, DEPOSIT, 0, 0);
        assertEq(token.balanceOf(address(channels)), DEPOSIT);
        vm.expectRevert(InferenceChannels.ChannelExists.selector);
        opened(SALT, DEPOSIT);
    }

    function test_refuses_a_channel_without_parties_or_money() public {
        vm.startPrank(payer.at);
        vm.expectRevert(Funding.ZeroAddress.selector);
        channels.open(address(0), session.at, SALT, DEPOSIT);
        vm.expectRevert(Funding.ZeroAddress.selector);
        channels.open(payee.at, address(0), SALT, DEPOSIT);
        vm.expectRevert(Funding.ZeroAmount.selector);
        channels.open(payee.at, session.at, SALT, 0);
        vm.expectRevert(Funding.ZeroAmount.selector);
        channels.openFromBalance(payee.at, session.at, SALT, 0);
    }

    function test_opens_from_the_balance() public {
        funded(DEPOSIT);
        vm.startPrank(payer.at);
        vm.expectEmit();
        emit InferenceChannels.Opened(channels.idOf(keyOf(SALT)), payer.at, payee.at, DEPOSIT);
        bytes32 id = channels.openFromBalance(payee.at, session.at, SALT, DEPOSIT);
        check(id, 1, DEPOSIT, 0, 0);
        assertEq(balance(payer.at), 0);
        vm.expectRevert(Ledger.InsufficientBalance.selector);
        channels.openFromBalance(payee.at, session.at, "other", 1);
    }

    function test_opens_by_authorization() public {
        InferenceChannels.Key memory key = keyOf(SALT);
        bytes32 nonce = channels.openingNonce(channels.idOf(key), 1e18);
        Funding.Authorization memory a = authorized(payer, address(channels), DEPOSIT, nonce);
        vm.startPrank(relayer);

        // Neither the reward nor the channel is the sender's to choose.
        vm.expectRevert(ERC3009.ERC3009InvalidSignature.selector);
        channels.openWithAuthorization(key, DEPOSIT, 2e18, a);
        key.payee = stranger.at;
        vm.expectRevert(ERC3009.ERC3009InvalidSignature.selector);
        channels.openWithAuthorization(key, DEPOSIT, 1e18, a);
        key.payee = payee.at;
        key.payer = stranger.at;
        vm.expectRevert(InferenceChannels.NotPayer.selector);
        channels.openWithAuthorization(key, DEPOSIT, 1e18, a);
        key.payer = payer.at;
        key.signer = stranger.at;
        vm.expectRevert(ERC3009.ERC3009InvalidSignature.selector);
        channels.openWithAuthorization(key, DEPOSIT, 1e18, a);
        key.signer = session.at;
        vm.expectRevert(abi.encodeWithSelector(Ledger.FeeAboveAmount.selector, DEPOSIT, DEPOSIT));
        channels.openWithAuthorization(key, DEPOSIT, DEPOSIT, a);

        bytes32 id = channels.openWithAuthorization(key, DEPOSIT, 1e18, a);
        check(id, 1, DEPOSIT - 1e18, 0, 0);
        assertEq(balance(relayer), 1e18);

        vm.expectRevert(abi.encodeWithSelector(ERC3009.ERC3009UsedAuthorization.selector, payer.at, nonce));
        channels.openWithAuthorization(key, DEPOSIT, 1e18, a);
    }

    function test_refuses_an_authorization_past_its_time() public {
        InferenceChannels.Key memory key = keyOf(SALT);
        uint256 until = block.timestamp;
        Funding.Authorization memory a =
            authorized(payer, address(channels), DEPOSIT, until, channels.openingNonce(channels.idOf(key), 0));
        vm.expectRevert(abi.encodeWithSelector(ERC3009.ERC3009InvalidAuthorizationTime.selector, 0, until));
        channels.openWithAuthorization(key, DEPOSIT, 0, a);
    }

    function test_a_stranger_cannot_use_an_authorization_itself() public {
        // `receiveWithAuthorization` names its receiver: only the channels can take it.
        bytes32 nonce = channels.openingNonce(channels.idOf(keyOf(SALT)), 0);
        Funding.Authorization memory a = authorized(payer, address(channels), DEPOSIT, nonce);
        vm.prank(stranger.at);
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InvalidReceiver.selector, address(channels)));
        token.receiveWithAuthorization(payer.at, address(channels), DEPOSIT, 0, FOREVER, nonce, uint8(uint256(a.vs >> 255)) + 27, a.r, a.vs << 1 >> 1);
    }

    // ------------------------------------------------------------------------------------------------ by session key

    function test_opens_by_session_key_within_its_caps() public {
        vm.startPrank(payer.at);
        channels.fund(payer.at, 100e18);
        channels.setSession(terms(15e18, 25e18));
        vm.stopPrank();

        InferenceChannels.Opening memory o = opening(keyOf("1"), 10e18, 1e18);
        vm.expectEmit();
        emit InferenceChannels.Opened(channels.idOf(keyOf("1")), payer.at, payee.at, 10e18);
        vm.prank(relayer);
        bytes32 id = channels.openFromLedger(o);
        check(id, 1, 10e18, 0, 0);
        assertEq(balance(payer.at), 89e18);
        assertEq(balance(relayer), 1e18);
        assertEq(channels.movedTo(payer.at, session.at, payee.at), 11e18);

        o = opening(keyOf("2"), 4e18, 0.1e18);
        o.amount = 4e18 + 1; // not what was signed
        vm.expectRevert(Ledger.BadSignature.selector);
        channels.openFromLedger(o);
        o = opening(keyOf("1"), 10e18, 1e18);
        vm.expectRevert(InferenceChannels.ChannelExists.selector);
        channels.openFromLedger(o);

        o = opening(keyOf("2"), 4e18, 1);
        vm.expectRevert(InferenceChannels.PayeeCapExceeded.selector);
        channels.openFromLedger(o);
        channels.openFromLedger(opening(keyOf("2"), 4e18, 0));

        InferenceChannels.Key memory elsewhere = InferenceChannels.Key(payer.at, stranger.at, session.at, SALT);
        o = opening(elsewhere, 10e18 + 1, 0);
        vm.expectRevert(InferenceChannels.DayCapExceeded.selector);
        channels.openFromLedger(o);
        channels.openFromLedger(opening(elsewhere, 10e18, 0));

        // The day's cap begins anew at midnight UTC, the payee's with a new word of the payer's only.
        vm.warp((block.timestamp / 1 days + 1) * 1 days - 1);
        (, uint96 moved) = channels.account(payer.at);
        assertEq(moved, 25e18);
        vm.warp(block.timestamp + 1);
        (, moved) = channels.account(payer.at);
        assertEq(moved, 0);
        o = opening(keyOf("3"), 1, 0);
        vm.expectRevert(InferenceChannels.PayeeCapExceeded.selector);
        channels.openFromLedger(o);
        vm.prank(payer.at);
        channels.setSession(terms(15e18, 25e18));
        assertEq(channels.movedTo(payer.at, session.at, payee.at), 0);
        channels.openFromLedger(o);
    }

    function test_a_session_key_ends() public {
        vm.startPrank(payer.at);
        channels.fund(payer.at, 100e18);
        channels.setSession(Ledger.Terms(session.at, 50e18, 50e18, uint40(block.timestamp + 1)));
        vm.stopPrank();
        vm.warp(block.timestamp + 1);
        InferenceChannels.Opening memory o = opening(keyOf(SALT), 1e18, 0);
        vm.expectRevert(InferenceChannels.SessionExpired.selector);
        channels.openFromLedger(o);

        // Taken back by the payer before its time.
        vm.startPrank(payer.at);
        channels.setSession(terms(50e18, 50e18));
        channels.setSession(Ledger.Terms(session.at, 0, 0, 0));
        vm.stopPrank();
        vm.expectRevert(InferenceChannels.SessionExpired.selector);
        channels.openFromLedger(o);

        // While it is good it may move all that is there.
        vm.prank(payer.at);
        channels.setSession(terms(100e18, 100e18));
        channels.openFromLedger(opening(keyOf("all"), 100e18, 0));
        assertEq(balance(payer.at), 0);
    }

    function test_refuses_a_late_or_empty_opening() public {
        funded(1e18);
        InferenceChannels.Opening memory o = opening(keyOf(SALT), 2e18, 0);
        vm.expectRevert(Ledger.InsufficientBalance.selector);
        channels.openFromLedger(o);
        o = opening(keyOf(SALT), 0, 0);
        vm.expectRevert(Funding.ZeroAmount.selector);
        channels.openFromLedger(o);
        o = opening(InferenceChannels.Key(payer.at, address(0), session.at, SALT), 1, 0);
        vm.expectRevert(Funding.ZeroAddress.selector);
        channels.openFromLedger(o);
        o = opening(InferenceChannels.Key(address(0), payee.at, session.at, SALT), 1, 0);
        vm.expectRevert(Funding.ZeroAddress.selector);
        channels.openFromLedger(o);
        o = opening(InferenceChannels.Key(payer.at, payee.at, address(0), SALT), 1, 0);
        vm.expectRevert(Ledger.BadSignature.selector);
        channels.openFromLedger(o);
        o = opening(keyOf(SALT), 1, 0);
        o.deadline = uint40(block.timestamp - 1);
        vm.expectRevert(Ledger.Expired.selector);
        channels.openFromLedger(o);
        o.deadline = uint40(block.timestamp); // not what was signed
        vm.expectRevert(Ledger.BadSignature.selector);
        channels.openFromLedger(o);
    }

    function test_one_refused_row_does_not_hold_up_the_others() public {
        funded(20e18);
        InferenceChannels.Opening[] memory rows = new InferenceChannels.Opening[](3);
        rows[0] = opening(keyOf("1"), 5e18, 1e18);
        rows[1] = opening(keyOf("2"), 50e18, 1e18);
        rows[2] = opening(keyOf("3"), 5e18, 1e18);
        vm.expectEmit();
        emit InferenceChannels.Skipped(channels.idOf(keyOf("2")), Ledger.InsufficientBalance.selector);
        vm.prank(relayer);
        assertEq(channels.openManyFromLedger(rows), 2);
        assertEq(balance(relayer), 2e18);
        assertEq(balance(payer.at), 8e18);
        check(channels.idOf(keyOf("2")), 0, 0, 0, 0);
    }

    // ------------------------------------------------------------------------------------------------ top-up

    function test_tops_up() public {
        bytes32 id = opened(SALT, DEPOSIT);
        funded(20e18);
        InferenceChannels.Key memory key = keyOf(SALT);

        vm.expectRevert(InferenceChannels.NotPayer.selector);
        channels.topUp(key, 11e18);
        vm.startPrank(payer.at);
        vm.expectRevert(InferenceChannels.DepositNotRaised.selector);
        channels.topUp(key, DEPOSIT);
        vm.expectRevert(Ledger.InsufficientBalance.selector);
        channels.topUp(key, 31e18);
        vm.expectEmit();
        emit InferenceChannels.ToppedUp(id, 12e18);
        channels.topUp(key, 12e18);
        vm.stopPrank();
        check(id, 1, 12e18, 0, 0);

        (bytes32 r, bytes32 vs) = compact(session, Typed.topUp(id, 15e18, 1e18, FOREVER));
        vm.startPrank(relayer);
        channels.topUpFor(key, 15e18, 1e18, FOREVER, r, vs);
        check(id, 1, 15e18, 0, 0);
        assertEq(balance(relayer), 1e18);
        assertEq(balance(payer.at), 14e18);
        // Sent again it moves nothing, and pays nothing.
        vm.expectRevert(InferenceChannels.DepositNotRaised.selector);
        channels.topUpFor(key, 15e18, 1e18, FOREVER, r, vs);
        vm.expectRevert(Ledger.BadSignature.selector);
        channels.topUpFor(key, 16e18, 1e18, FOREVER, r, vs);
        vm.expectRevert(Ledger.Expired.selector);
        channels.topUpFor(key, 16e18, 1e18, uint40(block.timestamp - 1), r, vs);
        (r, vs) = compact(session, Typed.topUp(id, 30e18, 0, FOREVER));
        vm.expectRevert(Ledger.InsufficientBalance.selector);
        channels.topUpFor(key, 30e18, 0, FOREVER, r, vs);
        vm.stopPrank();

        vm.startPrank(payer.at);
        channels.requestClose(key);
        vm.expectRevert(InferenceChannels.AlreadyClosing.selector);
        channels.topUp(key, 16e18);
    }

    // ------------------------------------------------------------------------------------------------ claiming

    function test_claims_once_what_a_voucher_says() public {
        bytes32 id = opened(SALT, DEPOSIT);
        InferenceChannels.Claim memory row = voucher(keyOf(SALT), 3e18);
        vm.expectEmit();
        emit InferenceChannels.Claimed(payee.at, 3e18, 1);
        vm.prank(stranger.at);
        assertEq(channels.claim(payee.at, row), 3e18);
        check(id, 1, DEPOSIT, 3e18, 0);
        assertEq(channels.earned(payee.at), 3e18);
        assertEq(channels.earned(stranger.at), 0);

        vm.expectRevert(InferenceChannels.StaleVoucher.selector);
        channels.claim(payee.at, row);
        row = voucher(keyOf(SALT), 2e18);
        vm.expectRevert(InferenceChannels.StaleVoucher.selector);
        channels.claim(payee.at, row);
        // Another payee's name makes another channel.
        vm.expectRevert(InferenceChannels.NotOpen.selector);
        channels.claim(stranger.at, row);
        row = voucher(keyOf(SALT), 4e18);
        row.cumulative = 5e18;
        vm.expectRevert(Ledger.BadSignature.selector);
        channels.claim(payee.at, row);

        InferenceChannels.Usage memory used = channels.usage(payee.at, block.timestamp / 7 days);
        assertEq(used.amount, 3e18);
        assertEq(used.vouchers, 1);
        channels.claim(payee.at, voucher(keyOf(SALT), 6e18));
        assertEq(channels.earned(payee.at), 6e18);
        used = channels.usage(payee.at, block.timestamp / 7 days);
        assertEq(used.amount, 6e18);
        assertEq(used.vouchers, 2);
        // More than fits 64 bits.
        opened("much", 50e18);
        channels.claim(payee.at, voucher(keyOf("much"), 50e18));
        assertEq(channels.usage(payee.at, block.timestamp / 7 days).amount, 56e18);
    }

    function test_claims_no_more_than_the_deposit() public {
        bytes32 id = opened(SALT, DEPOSIT);
        assertEq(channels.claim(payee.at, voucher(keyOf(SALT), type(uint128).max)), DEPOSIT);
        check(id, 1, DEPOSIT, DEPOSIT, 0);
    }

    function test_a_batch_passes_bad_rows_over() public {
        for (uint256 i; i < 5; ++i) {
            opened(bytes32(i), DEPOSIT);
        }
        InferenceChannels.Claim[] memory rows = new InferenceChannels.Claim[](6);
        for (uint256 i; i < 5; ++i) {
            rows[i] = voucher(keyOf(bytes32(i)), 1e18);
        }
        rows[1].r = bytes32(uint256(rows[1].r) ^ 1);
        rows[2].cumulative = 0;
        rows[3] = rows[0];
        rows[5] = voucher(keyOf("never opened"), 1e18);
        rows[5].signer = address(0);
        vm.expectEmit();
        emit InferenceChannels.Skipped(channels.idOf(keyOf(bytes32(uint256(1)))), Ledger.BadSignature.selector);
        vm.expectEmit();
        emit InferenceChannels.Skipped(channels.idOf(keyOf(bytes32(uint256(2)))), InferenceChannels.StaleVoucher.selector);
        vm.expectEmit();
        emit InferenceChannels.Skipped(channels.idOf(keyOf(bytes32(0))), InferenceChannels.StaleVoucher.selector);
        assertEq(channels.claimMany(payee.at, rows), 2e18);
        assertEq(channels.earned(payee.at), 2e18);
        InferenceChannels.Usage memory used = channels.usage(payee.at, block.timestamp / 7 days);
        assertEq(abi.encode(used.amount, used.vouchers), abi.encode(2e18, 2));

        // Nothing to claim is no error, and no event.
        vm.recordLogs();
        assertEq(channels.claimMany(payee.at, new InferenceChannels.Claim[](0)), 0);
        assertEq(vm.getRecordedLogs().length, 0);
    }

    function testFuzz_only_the_signer_makes_vouchers(uint256 key, uint128 amount) public {
        key = bound(key, 1, 1e70);
        vm.assume(vm.addr(key) != session.at);
        opened(SALT, DEPOSIT);
        InferenceChannels.Claim memory row = voucher(keyOf(SALT), amount);
        (row.r, row.vs) = vm.signCompact(key, channels.hashTypedData(Typed.voucher(channels.idOf(keyOf(SALT)), amount)));
        vm.expectRevert(amount == 0 ? InferenceChannels.StaleVoucher.selector : Ledger.BadSignature.selector);
        channels.claim(payee.at, row);
    }

    function testFuzz_a_voucher_is_bound_to_chain_and_contract(uint64 chain, address other) public {
        chain = uint64(bound(chain, 1, type(uint64).max));
        vm.assume(chain != block.chainid && other != address(channels));
        assumeNotPrecompile(other);
        assumeNotForgeAddress(other);
        opened(SALT, DEPOSIT);
        InferenceChannels.Claim memory row = voucher(keyOf(SALT), 1e18);
        uint256 here = block.chainid;
        vm.chainId(chain);
        vm.expectRevert(InferenceChannels.NotOpen.selector);
        channels.claim(payee.at, row);
        vm.chainId(here);
        InferenceChannels twin = new InferenceChannels(token, treasury, params, 1 hours, 1 days, 7 days);
        vm.startPrank(payer.at);
        token.approve(address(twin), DEPOSIT);
        twin.open(payee.at, session.at, SALT, DEPOSIT);
        vm.expectRevert(Ledger.BadSignature.selector);
        twin.claim(payee.at, row);
    }

    function testFuzz_claims_rise_and_stay_within(uint128[8] memory amounts) public {
        bytes32 id = opened(SALT, DEPOSIT);
        uint96 before;
        for (uint256 i; i < amounts.length; ++i) {
            InferenceChannels.Claim[] memory rows = new InferenceChannels.Claim[](1);
            rows[0] = voucher(keyOf(SALT), amounts[i]);
            channels.claimMany(payee.at, rows);
            (,, uint96 claimed,) = channels.channel(id);
            assertGe(claimed, before);
            assertLe(claimed, DEPOSIT);
            before = claimed;
        }
        assertEq(channels.earned(payee.at), before);
    }

    function check(bytes32 id, uint256 state, uint96 deposit, uint96 claimed, uint40 closeAt) private view {
        (uint256 s, uint96 d, uint96 c, uint40 t) = channels.channel(id);
        assertEq(s, state);
        assertEq(d, deposit);
        assertEq(c, claimed);
        assertEq(t, closeAt);
    }
}
