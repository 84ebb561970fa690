// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC3009} from "@openzeppelin/contracts/token/ERC20/extensions/draft-ERC3009.sol";
import {Base} from "../Base.sol";
import {Short} from "../Tokens.sol";
import {Funding} from "../../src/Funding.sol";
import {InferenceChannels} from "../../src/InferenceChannels.sol";
import {Ledger} from "../../src/Ledger.sol";
import {Typed} from "../../src/libraries/Typed.sol";

contract LedgerTest is Base {
    // ------------------------------------------------------------------------------------------------ funding

    function test_funds_oneself_and_others() public {
        vm.startPrank(payer.at);
        vm.expectEmit();
        emit Ledger.Funded(stranger.at, 3e18);
        channels.fund(stranger.at, 3e18);
        channels.fund(payer.at, 2e18);
        assertEq(balance(stranger.at), 3e18);
        assertEq(balance(payer.at), 2e18);
        vm.expectRevert(Funding.ZeroAmount.selector);
        channels.fund(payer.at, 0);
        vm.expectRevert(Funding.ZeroAddress.selector);
        channels.fund(address(0), 1);
        uint256 rest = token.balanceOf(payer.at);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, payer.at, rest, type(uint96).max)
        );
        channels.fund(payer.at, type(uint96).max);
    }

    function test_funds_with_a_permit_even_when_somebody_sent_it_before() public {
        for (uint256 early; early < 2; ++early) {
            Funding.Permit memory p = permitted(payer, address(channels), 5e18);
            if (early == 1) token.permit(payer.at, address(channels), 5e18, p.deadline, p.v, p.r, p.s);
            vm.prank(payer.at);
            channels.fundWithPermit(5e18, p);
            assertEq(token.allowance(payer.at, address(channels)), 0);
        }
        assertEq(balance(payer.at), 10e18);
        vm.prank(payer.at);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(channels), 0, 1)
        );
        channels.fundWithPermit(1, Funding.Permit(FOREVER, 27, 0, 0));
    }

    function test_one_signature_funds_and_sets_a_session() public {
        Ledger.Terms memory t = terms(5e18, 6e18);
        bytes32 nonce = channels.fundingNonce(1e18, t, "salt");
        Funding.Authorization memory a = authorized(payer, address(channels), 20e18, nonce);
        vm.startPrank(relayer);
        vm.expectRevert(abi.encodeWithSelector(Ledger.FeeAboveAmount.selector, 21e18, 20e18));
        channels.fundWithAuthorization(20e18, 21e18, t, "salt", a);
        vm.expectRevert(ERC3009.ERC3009InvalidSignature.selector);
        channels.fundWithAuthorization(20e18, 2e18, t, "salt", a);
        t.capDay = 7e18;
        vm.expectRevert(ERC3009.ERC3009InvalidSignature.selector);
        channels.fundWithAuthorization(20e18, 1e18, t, "salt", a);
        t.capDay = 6e18;
        vm.expectEmit();
        emit Ledger.SessionSet(payer.at, session.at, 5e18, 6e18, t.expiry);
        channels.fundWithAuthorization(20e18, 1e18, t, "salt", a);
        assertEq(balance(payer.at), 19e18);
        assertEq(balance(relayer), 1e18);
        (uint96 capPayee, uint96 capDay, uint40 expiry) = channels.session(payer.at, session.at);
        assertEq(capPayee, 5e18);
        assertEq(capDay, 6e18);
        assertEq(expiry, t.expiry);
        vm.expectRevert(abi.encodeWithSelector(ERC3009.ERC3009UsedAuthorization.selector, payer.at, nonce));
        channels.fundWithAuthorization(20e18, 1e18, t, "salt", a);
    }

    function test_an_authorization_may_set_no_session() public {
        Ledger.Terms memory none;
        Funding.Authorization memory a =
            authorized(payer, address(channels), 2e18, channels.fundingNonce(0, none, "salt"));
        channels.fundWithAuthorization(2e18, 0, none, "salt", a);
        assertEq(balance(payer.at), 2e18);
        a = authorized(payer, address(channels), 1e18, channels.fundingNonce(1e18, none, "all"));
        vm.prank(relayer);
        channels.fundWithAuthorization(1e18, 1e18, none, "all", a);
        assertEq(balance(relayer), 1e18, "all of it may be the fee");
        a = authorized(payer, address(channels), 0, channels.fundingNonce(0, none, "none"));
        vm.expectRevert(Funding.ZeroAmount.selector);
        channels.fundWithAuthorization(0, 0, none, "none", a);
    }

    // ------------------------------------------------------------------------------------------------ sessions

    function test_a_session_is_set_by_signature() public {
        funded(5e18);
        Ledger.Terms memory t = terms(5e18, 6e18);
        bytes memory word = long(payer, sessionHash(t, 1e18, FOREVER, 0));
        vm.startPrank(relayer);
        vm.expectRevert(Ledger.Expired.selector);
        channels.setSessionFor(payer.at, t, 1e18, uint40(block.timestamp - 1), word);
        vm.expectRevert(Ledger.BadSignature.selector);
        channels.setSessionFor(payer.at, t, 2e18, FOREVER, word);
        vm.expectRevert(Ledger.BadSignature.selector);
        channels.setSessionFor(stranger.at, t, 1e18, FOREVER, word);
        vm.expectRevert(Ledger.BadSignature.selector);
        channels.setSessionFor(payer.at, t, 1e18, FOREVER, malleable(word));
        channels.setSessionFor(payer.at, t, 1e18, FOREVER, word);
        assertEq(balance(relayer), 1e18);
        (uint96 capPayee, uint96 capDay, uint40 expiry) = channels.session(payer.at, session.at);
        assertEq(abi.encode(capPayee, capDay, expiry), abi.encode(5e18, 6e18, t.expiry));
        vm.expectRevert(Ledger.BadSignature.selector);
        channels.setSessionFor(payer.at, t, 1e18, FOREVER, word);

        word = long(payer, sessionHash(t, 5e18, FOREVER, 1));
        vm.expectRevert(Ledger.InsufficientBalance.selector);
        channels.setSessionFor(payer.at, t, 5e18, FOREVER, word);
        t.signer = address(0);
        vm.expectRevert(Funding.ZeroAddress.selector);
        channels.setSession(t);
    }

    function test_a_signature_holds_to_the_last_second() public {
        funded(5e18);
        Ledger.Terms memory t = terms(5e18, 6e18);
        uint40 now_ = uint40(block.timestamp);
        channels.setSessionFor(payer.at, t, 0, now_, long(payer, sessionHash(t, 0, now_, 0)));
    }

    // ------------------------------------------------------------------------------------------------ exit

    function test_a_balance_leaves_at_once() public {
        funded(5e18);
        vm.startPrank(payer.at);
        vm.expectRevert(Funding.ZeroAddress.selector);
        channels.withdraw(address(0), 1);
        vm.expectRevert(Funding.ZeroAmount.selector);
        channels.withdraw(payer.at, 0);
        vm.expectRevert(Ledger.InsufficientBalance.selector);
        channels.withdraw(payer.at, 5e18 + 1);
        vm.expectEmit();
        emit Ledger.Withdrawn(payer.at, stranger.at, 5e18);
        channels.withdraw(stranger.at, 5e18);
        assertEq(token.balanceOf(stranger.at), 5e18);
        assertEq(balance(payer.at), 0);
    }

    function test_a_balance_leaves_by_signature() public {
        funded(5e18);
        bytes32 hash = Typed.withdraw(payer.at, stranger.at, 3e18, 1e18, FOREVER, 0);
        bytes memory word = long(payer, hash);
        assertTrue(recovers(payer.at, hash, malleable(word)), "the other signature is one of the same key");
        vm.startPrank(relayer);
        vm.expectRevert(Ledger.Expired.selector);
        channels.withdrawFor(payer.at, stranger.at, 3e18, 1e18, uint40(block.timestamp - 1), word);
        vm.expectRevert(Ledger.BadSignature.selector);
        channels.withdrawFor(payer.at, relayer, 3e18, 1e18, FOREVER, word);
        vm.expectRevert(Ledger.BadSignature.selector);
        channels.withdrawFor(payer.at, stranger.at, 3e18, 2e18, FOREVER, word);
        vm.expectRevert(Ledger.BadSignature.selector);
        channels.withdrawFor(payer.at, stranger.at, 3e18, 1e18, FOREVER, malleable(word));
        channels.withdrawFor(payer.at, stranger.at, 3e18, 1e18, FOREVER, word);
        assertEq(token.balanceOf(stranger.at), 3e18);
        assertEq(balance(relayer), 1e18);
        assertEq(balance(payer.at), 1e18);
        vm.expectRevert(Ledger.BadSignature.selector);
        channels.withdrawFor(payer.at, stranger.at, 3e18, 1e18, FOREVER, word);
    }

    function testFuzz_a_stranger_withdraws_nothing(address who, address to, uint96 amount, bytes calldata word) public {
        vm.assume(who != payer.at && amount != 0 && to != address(0));
        funded(5e18);
        vm.startPrank(who);
        vm.expectRevert(Ledger.InsufficientBalance.selector);
        channels.withdraw(to, amount);
        vm.expectRevert(Ledger.BadSignature.selector);
        channels.withdrawFor(payer.at, to, amount, 0, FOREVER, word);
    }

    // ------------------------------------------------------------------------------------------------ odd tokens

    function test_refuses_a_token_that_takes_a_fee() public {
        Short taxed = new Short();
        InferenceChannels c = new InferenceChannels(taxed, treasury, params, 1, 1, 1);
        taxed.approve(address(c), 100);
        vm.expectRevert(abi.encodeWithSelector(Funding.InexactTransfer.selector, 99, 100));
        c.fund(address(this), 100);
        vm.expectRevert(abi.encodeWithSelector(Funding.InexactTransfer.selector, 99, 100));
        c.open(payee.at, session.at, "salt", 100);
    }

    function test_a_token_that_reverts_moves_nothing() public {
        funded(5e18);
        vm.mockCallRevert(address(token), abi.encodeWithSelector(IERC20.transfer.selector), "stopped");
        vm.prank(payer.at);
        vm.expectRevert("stopped");
        channels.withdraw(payer.at, 5e18);
        assertEq(balance(payer.at), 5e18);
    }

    function test_an_authorization_must_bring_what_it_says() public {
        Ledger.Terms memory none;
        Funding.Authorization memory a =
            authorized(payer, address(channels), 2e18, channels.fundingNonce(0, none, "salt"));
        vm.mockCall(address(token), abi.encodeWithSelector(token.receiveWithAuthorization.selector), "");
        vm.expectRevert(abi.encodeWithSelector(Funding.InexactTransfer.selector, 0, 2e18));
        channels.fundWithAuthorization(2e18, 0, none, "salt", a);
    }

    function sessionHash(Ledger.Terms memory t, uint96 fee, uint40 deadline, uint256 nonce)
        private
        view
        returns (bytes32)
    {
        return keccak256(
            abi.encode(Typed.SESSION, payer.at, t.signer, t.capPayee, t.capDay, t.expiry, fee, deadline, nonce)
        );
    }
}
