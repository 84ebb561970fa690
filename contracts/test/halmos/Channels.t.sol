// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";
import {InferenceChannels} from "../../src/InferenceChannels.sol";
import {InferenceToken} from "../../src/InferenceToken.sol";
import {Ledger} from "../../src/Ledger.sol";
import {Params} from "../../src/Params.sol";
import {Typed} from "../../src/libraries/Typed.sol";
import {Keys} from "../../src/libraries/Keys.sol";

/// @title Proofs about the channels for every caller and every argument: halmos --contract ChannelsProof --solver z3
/// @notice ecrecover and keccak256 are taken as what cryptography says they are: only the key's owner finds a signature that
/// recovers to it, and no two inputs have one hash. Then "accepted only if the signer's recovery over exactly these values
/// is the signer" is signature binding.
contract ChannelsProof is Test {
    address private constant PAYER = address(0xa11ce);
    address private constant PAYEE = address(0xb0b);
    address private constant SIGNER = address(0x5e5510);
    bytes32 private constant SALT = bytes32(uint256(7));
    uint96 private constant BALANCE = 1_000e18;
    uint96 private constant DEPOSIT = 100e18;

    InferenceToken private token;
    InferenceChannels private channels;
    bytes32 private id;

    function setUp() public {
        Params.Initial[] memory p = new Params.Initial[](2);
        p[0] = Params.Initial(Keys.FEE_BPS, 300, 0, 1_000);
        p[1] = Params.Initial(Keys.CHALLENGE_DELAY, 1 hours, 1 hours, 1 days);
        token = new InferenceToken(address(this));
        channels = new InferenceChannels(token, address(0x77ea), new Params(address(0x9), 0, p), 1 hours, 1 days, 1 days);
        token.transfer(PAYER, BALANCE);
        vm.startPrank(PAYER);
        token.approve(address(channels), BALANCE);
        channels.fund(PAYER, BALANCE);
        id = channels.openFromBalance(PAYEE, SIGNER, SALT, DEPOSIT);
        channels.setSession(Ledger.Terms(SIGNER, BALANCE, BALANCE, type(uint40).max));
        vm.stopPrank();
    }

    function key() private pure returns (InferenceChannels.Key memory) {
        return InferenceChannels.Key(PAYER, PAYEE, SIGNER, SALT);
    }

    function balance(address who) private view returns (uint96 amount) {
        (amount,) = channels.account(who);
    }

    // ------------------------------------------------------------------------------------------------ strangers

    function check_a_stranger_cannot_withdraw(address caller, address to, uint96 amount) public {
        vm.assume(caller != PAYER);
        vm.prank(caller);
        try channels.withdraw(to, amount) {} catch {}
        assert(balance(PAYER) == BALANCE - DEPOSIT);
    }

    function check_a_stranger_cannot_open_from_anothers_balance(address caller, address payee, bytes32 salt, uint96 amount)
        public
    {
        vm.assume(caller != PAYER);
        vm.prank(caller);
        try channels.openFromBalance(payee, caller, salt, amount) {} catch {}
        assert(balance(PAYER) == BALANCE - DEPOSIT);
    }

    function check_a_stranger_cannot_top_up(address caller, uint96 deposit) public {
        vm.assume(caller != PAYER);
        vm.prank(caller);
        try channels.topUp(key(), deposit) {} catch {}
        assert(balance(PAYER) == BALANCE - DEPOSIT);
    }

    /// Only payer and key start the timed close; nobody ends what was not started.
    function check_a_stranger_cannot_close(address caller) public {
        vm.assume(caller != PAYER && caller != SIGNER);
        vm.startPrank(caller);
        try channels.requestClose(key()) {} catch {}
        try channels.finishClose(key()) {} catch {}
        vm.stopPrank();
        (uint256 state, uint96 deposit, uint96 claimed, uint40 closeAt) = channels.channel(id);
        assert(state == 1 && deposit == DEPOSIT && claimed == 0 && closeAt == 0);
    }

    /// Only the payee gives back. The salt is the prover's: of two constants it would not know that their hashes differ.
    function check_only_the_payee_closes_to_the_ledger(address caller, bytes32 salt) public {
        vm.assume(caller != PAYEE && salt != SALT);
        vm.prank(PAYER);
        bytes32 another = channels.openFromBalance(PAYEE, SIGNER, salt, DEPOSIT);
        vm.prank(caller);
        try channels.closeToLedger(PAYER, SIGNER, salt) {} catch {}
        (uint256 state,,,) = channels.channel(another);
        assert(state == 1);
    }

    function check_a_stranger_cannot_take_earnings(address caller, address to, uint128 cumulative, bytes32 r, bytes32 vs)
        public
    {
        vm.assume(caller != PAYEE);
        try channels.claim(PAYEE, InferenceChannels.Claim(PAYER, SIGNER, SALT, cumulative, r, vs)) {} catch {}
        uint256 before = channels.earned(PAYEE);
        vm.prank(caller);
        try channels.payout(to) {} catch {}
        assert(channels.earned(PAYEE) == before);
    }

    function check_a_stranger_cannot_set_a_session(address caller, address signer, uint96 cap, uint40 expiry) public {
        vm.assume(caller != PAYER);
        (uint96 payeeBefore, uint96 dayBefore, uint40 before) = channels.session(PAYER, signer);
        vm.prank(caller);
        try channels.setSession(Ledger.Terms(signer, cap, cap, expiry)) {} catch {}
        (uint96 capPayee, uint96 capDay, uint40 until) = channels.session(PAYER, signer);
        assert(capPayee == payeeBefore && capDay == dayBefore && until == before);
    }

    // ------------------------------------------------------------------------------------------------ signatures

    /// A claim moves money only by a signature that recovers to the channel's signer over exactly this voucher.
    function check_a_claim_binds_its_voucher(address caller, uint128 cumulative, bytes32 r, bytes32 vs) public {
        bytes32 digest = channels.hashTypedData(Typed.voucher(id, cumulative));
        vm.prank(caller);
        try channels.claim(PAYEE, InferenceChannels.Claim(PAYER, SIGNER, SALT, cumulative, r, vs)) returns (uint96 part) {
            assert(ecrecover(digest, uint8(uint256(vs) >> 255) + 27, r, vs << 1 >> 1) == SIGNER);
            assert(part <= cumulative && part <= DEPOSIT);
        } catch {
            assert(channels.earned(PAYEE) == 0);
        }
    }

    function check_a_withdrawal_binds_all_its_words(
        address to,
        uint96 amount,
        uint96 fee,
        uint40 deadline,
        bytes32 r,
        bytes32 s,
        uint8 v
    ) public {
        bytes32 digest = channels.hashTypedData(Typed.withdraw(PAYER, to, amount, fee, deadline, channels.nonces(PAYER)));
        try channels.withdrawFor(PAYER, to, amount, fee, deadline, abi.encodePacked(r, s, v)) {
            assert(ecrecover(digest, v, r, s) == PAYER);
            assert(block.timestamp <= deadline);
            assert(balance(PAYER) == BALANCE - DEPOSIT - amount - fee);
        } catch {
            assert(balance(PAYER) == BALANCE - DEPOSIT);
        }
    }

    function check_a_top_up_binds_all_its_words(uint96 deposit, uint96 fee, uint40 deadline, bytes32 r, bytes32 vs) public {
        bytes32 digest = channels.hashTypedData(Typed.topUp(id, deposit, fee, deadline));
        try channels.topUpFor(key(), deposit, fee, deadline, r, vs) {
            assert(ecrecover(digest, uint8(uint256(vs) >> 255) + 27, r, vs << 1 >> 1) == SIGNER);
        } catch {
            assert(balance(PAYER) == BALANCE - DEPOSIT);
        }
    }

    /// Whatever the session key signs, in whatever message that takes from its payer: a day costs the payer no more than the
    /// day's cap, and nothing once the session is over.
    function check_a_session_key_takes_no_more_than_its_cap(
        uint256 which,
        uint96 capDay,
        uint40 expiry,
        uint96 amount,
        uint96 fee,
        uint40 deadline,
        bytes32 r,
        bytes32 s,
        uint8 v
    ) public {
        vm.prank(PAYER);
        channels.setSession(Ledger.Terms(SIGNER, type(uint96).max, capDay, expiry));
        uint96 before = balance(PAYER);
        bytes32 vs = bytes32(uint256(s) | uint256(v & 1) << 255);
        if (which == 0) {
            try channels.requestCloseFor(key(), SIGNER, fee, deadline, abi.encodePacked(r, s, v)) {} catch {}
        } else if (which == 1) {
            try channels.topUpFor(key(), amount, fee, deadline, r, vs) {} catch {}
        } else {
            InferenceChannels.Key memory fresh = InferenceChannels.Key(PAYER, PAYEE, SIGNER, bytes32(uint256(8)));
            try channels.openFromLedger(InferenceChannels.Opening(fresh, amount, fee, deadline, r, vs)) {} catch {}
        }
        uint96 left = balance(PAYER);
        assert(left == before || block.timestamp < expiry && before - left <= capDay);
    }

    /// Two vouchers of one hash are one voucher, and no voucher is any other message.
    function check_no_two_messages_share_a_hash(
        bytes32 one,
        uint128 amount,
        bytes32 other,
        uint128 otherAmount,
        uint96 fee,
        uint40 deadline
    ) public pure {
        bytes32 voucher = Typed.voucher(one, amount);
        if (voucher == Typed.voucher(other, otherAmount)) assert(one == other && amount == otherAmount);
        assert(voucher != Typed.close(other, otherAmount));
        assert(voucher != Typed.open(other, uint96(otherAmount), fee, deadline));
        assert(voucher != Typed.topUp(other, uint96(otherAmount), fee, deadline));
        assert(voucher != Typed.requestClose(other, fee, deadline));
    }

    /// Another payer, payee, signer, salt or contract is another channel.
    function check_an_id_binds_its_parts(
        InferenceChannels.Key memory one,
        InferenceChannels.Key memory other,
        address here,
        address there
    ) public view {
        bytes32 idOfOne = Typed.channelId(one.payer, one.payee, address(token), one.salt, one.signer, here);
        bytes32 idOfOther = Typed.channelId(other.payer, other.payee, address(token), other.salt, other.signer, there);
        if (idOfOne == idOfOther) {
            assert(one.payer == other.payer && one.payee == other.payee && one.signer == other.signer);
            assert(one.salt == other.salt && here == there);
        }
    }
}
