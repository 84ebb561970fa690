// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Base} from "../Base.sol";
import {InferenceChannels} from "../../src/InferenceChannels.sol";
import {Keys} from "../../src/libraries/Keys.sol";
import {Ledger} from "../../src/Ledger.sol";
import {Typed} from "../../src/libraries/Typed.sol";

/// @title Three payers and three payees do at random what can be done; no call of theirs may fail.
contract ChannelsHandler is Base {
    uint256 private constant PEOPLE = 3;

    Person[PEOPLE] internal payers;
    Person[PEOPLE] internal payees;
    InferenceChannels.Key[] internal keys;
    mapping(bytes32 id => uint96) internal highest;

    /// What each payer's session key may do, as the payer last said, and what it took of the payer's balance: on a day, and
    /// for a payee since then.
    mapping(address payer => Ledger.Terms) internal allowed;
    mapping(address payer => mapping(uint256 day => uint256)) internal tookOn;
    mapping(address payer => mapping(address payee => uint256)) internal tookFor;
    bool public tookTooMuch;

    /// What a channel's claim was when last looked at: it must never fall.
    mapping(bytes32 id => uint96) internal seen;
    uint256 public paid;
    uint256 public calls;

    constructor() {
        setUp();
        for (uint256 i; i < PEOPLE; ++i) {
            payers[i] = person(string.concat("payer", vm.toString(i)));
            payees[i] = person(string.concat("payee", vm.toString(i)));
            token.transfer(payers[i].at, 1_000_000e18);
            vm.startPrank(payers[i].at);
            token.approve(address(channels), type(uint256).max);
            channels.fund(payers[i].at, 1_000e18);
            allowed[payers[i].at] = terms(400e18, 700e18);
            channels.setSession(allowed[payers[i].at]);
            vm.stopPrank();
        }
        token.transfer(stranger.at, token.balanceOf(address(this)));
    }

    modifier counted() {
        ++calls;
        _;
    }

    function fund(uint256 who, uint96 amount) external counted {
        Person memory p = payers[who % PEOPLE];
        amount = uint96(bound(amount, 0, token.balanceOf(p.at)));
        if (amount == 0) return;
        vm.prank(p.at);
        channels.fund(p.at, amount);
    }

    function withdraw(uint256 who, uint96 amount) external counted {
        Person memory p = payers[who % PEOPLE];
        amount = uint96(bound(amount, 0, balance(p.at)));
        if (amount == 0) return;
        vm.prank(p.at);
        channels.withdraw(p.at, amount);
    }

    function open(uint256 who, uint256 whom, uint96 amount) external counted {
        InferenceChannels.Key memory key = fresh(who, whom);
        amount = uint96(bound(amount, 0, token.balanceOf(key.payer)));
        if (amount == 0) return;
        vm.prank(key.payer);
        channels.open(key.payee, key.signer, key.salt, amount);
        keys.push(key);
    }

    function openMany(uint256 who, uint96[3] memory amounts, uint96 fee) external counted {
        InferenceChannels.Opening[] memory rows = new InferenceChannels.Opening[](3);
        for (uint256 i; i < 3; ++i) {
            InferenceChannels.Key memory key = fresh(who, i);
            key.salt = keccak256(abi.encode(key.salt, i));
            amounts[i] = uint96(bound(amounts[i], 0, 500e18));
            rows[i] = opening(key, amounts[i], uint96(bound(fee, 0, 1e18)));
        }
        uint96 before = balance(rows[0].key.payer);
        vm.prank(relayer);
        channels.openManyFromLedger(rows);
        uint256 cost;
        for (uint256 i; i < 3; ++i) {
            (uint256 state,,,) = channels.channel(channels.idOf(rows[i].key));
            if (state == 0) continue;
            keys.push(rows[i].key);
            cost += took(rows[i].key, uint256(rows[i].amount) + rows[i].fee);
        }
        assertEq(before - balance(rows[0].key.payer), cost);
    }

    function topUp(uint256 which, uint96 more) external counted {
        if (keys.length == 0) return;
        InferenceChannels.Key memory key = keys[which % keys.length];
        (uint256 state, uint96 deposit,, uint40 closeAt) = channels.channel(channels.idOf(key));
        more = uint96(bound(more, 0, balance(key.payer)));
        if (state != 1 || closeAt != 0 || more == 0) return;
        vm.prank(key.payer);
        channels.topUp(key, deposit + more);
    }

    /// The session key signs whatever it likes: the caps say what comes of it.
    function topUpFor(uint256 which, uint96 more, uint96 fee) external counted {
        if (keys.length == 0) return;
        InferenceChannels.Key memory key = keys[which % keys.length];
        (, uint96 deposit,,) = channels.channel(channels.idOf(key));
        uint96 to = deposit + uint96(bound(more, 0, 500e18));
        fee = uint96(bound(fee, 0, 10e18));
        (bytes32 r, bytes32 vs) = compact(session, Typed.topUp(channels.idOf(key), to, fee, FOREVER));
        uint96 before = balance(key.payer);
        vm.prank(relayer);
        try channels.topUpFor(key, to, fee, FOREVER, r, vs) {
            assertEq(before - balance(key.payer), took(key, uint256(to - deposit) + fee));
        } catch {}
    }

    /// Vouchers of several channels of one payee, closed ones, stale ones and forged ones among them.
    function claim(uint256 which, uint128[4] memory amounts, uint256 forged) external counted {
        if (keys.length == 0) return;
        address to = keys[which % keys.length].payee;
        InferenceChannels.Claim[] memory rows = new InferenceChannels.Claim[](4);
        for (uint256 i; i < 4; ++i) {
            InferenceChannels.Key memory key = keys[uint256(keccak256(abi.encode(which, i))) % keys.length];
            amounts[i] = uint128(bound(amounts[i], 0, 2_000e18));
            rows[i] = voucher(key, amounts[i]);
            bytes32 id = channels.idOf(key);
            if (forged % 4 == i) rows[i].r = bytes32(uint256(rows[i].r) ^ 1);
            else if (key.payee == to && amounts[i] > highest[id]) highest[id] = uint96(amounts[i]);
        }
        channels.claimMany(to, rows);
        look();
    }

    function closeToLedger(uint256 which) external counted {
        if (keys.length == 0) return;
        InferenceChannels.Key memory key = keys[which % keys.length];
        (uint256 state,,,) = channels.channel(channels.idOf(key));
        if (state != 1) return;
        vm.prank(key.payee);
        channels.closeToLedger(key.payer, key.signer, key.salt);
    }

    function requestClose(uint256 which) external counted {
        if (keys.length == 0) return;
        InferenceChannels.Key memory key = keys[which % keys.length];
        (uint256 state,,, uint40 closeAt) = channels.channel(channels.idOf(key));
        if (state != 1 || closeAt != 0) return;
        vm.prank(which % 2 == 0 ? key.payer : key.signer);
        channels.requestClose(key);
    }

    function requestCloseFor(uint256 which, uint96 fee) external counted {
        if (keys.length == 0) return;
        InferenceChannels.Key memory key = keys[which % keys.length];
        bytes32 id = channels.idOf(key);
        (uint256 state,,, uint40 closeAt) = channels.channel(id);
        if (state != 1 || closeAt != 0) return;
        uint96 before = balance(key.payer);
        fee = fee % 4 == 0 ? 0 : uint96(bound(fee, 0, before));
        bytes memory word = long(session, Typed.requestClose(id, fee, FOREVER));
        vm.prank(relayer);
        try channels.requestCloseFor(key, key.signer, fee, FOREVER, word) {
            if (fee != 0) took(key, fee);
        } catch {
            assertNotEq(fee, 0, "a close for nothing needs no session");
        }
    }

    /// By the payer itself: no cap binds it.
    function requestCloseByPayerFor(uint256 which, uint96 fee) external counted {
        if (keys.length == 0) return;
        InferenceChannels.Key memory key = keys[which % keys.length];
        bytes32 id = channels.idOf(key);
        (uint256 state,,, uint40 closeAt) = channels.channel(id);
        if (state != 1 || closeAt != 0) return;
        fee = uint96(bound(fee, 0, balance(key.payer)));
        bytes memory word = long(payerAt(key.payer), Typed.requestClose(id, fee, FOREVER));
        vm.prank(relayer);
        channels.requestCloseFor(key, key.payer, fee, FOREVER, word);
    }

    function setSessionFor(uint256 who, uint96 capPayee, uint96 capDay, uint32 time, uint96 fee) external counted {
        Person memory p = payers[who % PEOPLE];
        Ledger.Terms memory t = Ledger.Terms(
            session.at,
            uint96(bound(capPayee, 0, 1_000e18)),
            uint96(bound(capDay, 0, 1_000e18)),
            uint40(block.timestamp + time % 8 days)
        );
        fee = uint96(bound(fee, 0, balance(p.at) < 1e18 ? balance(p.at) : 1e18));
        bytes32 hash = keccak256(
            abi.encode(
                Typed.SESSION, p.at, t.signer, t.capPayee, t.capDay, t.expiry, fee, FOREVER, channels.nonces(p.at)
            )
        );
        bytes memory word = long(p, hash);
        vm.prank(relayer);
        channels.setSessionFor(p.at, t, fee, FOREVER, word);
        allowed[p.at] = t;
        for (uint256 i; i < PEOPLE; ++i) {
            tookFor[p.at][payees[i].at] = 0;
        }
    }

    function withdrawFor(uint256 who, uint96 amount, uint96 fee) external counted {
        Person memory p = payers[who % PEOPLE];
        uint96 all = balance(p.at);
        if (all == 0) return;
        amount = uint96(bound(amount, 1, all));
        fee = uint96(bound(fee, 0, all - amount));
        bytes memory word =
            long(p, Typed.withdraw(p.at, p.at, amount, fee, FOREVER, channels.nonces(p.at)));
        vm.prank(relayer);
        channels.withdrawFor(p.at, p.at, amount, fee, FOREVER, word);
    }

    function finishClose(uint256 which) external counted {
        if (keys.length == 0) return;
        InferenceChannels.Key memory key = keys[which % keys.length];
        (uint256 state,,, uint40 closeAt) = channels.channel(channels.idOf(key));
        if (state != 1 || closeAt == 0 || closeAt > block.timestamp) return;
        channels.finishClose(key);
    }

    function payout(uint256 whom) external counted {
        address to = payees[whom % PEOPLE].at;
        if (channels.earned(to) == 0) return;
        paid += channels.payoutOf(to);
    }

    function sweep() external counted {
        if (channels.treasuryEarned() != 0) paid += channels.sweep();
    }

    function vote(uint64 fee, uint64 delay) external counted {
        vm.startPrank(governance);
        params.set(Keys.FEE_BPS, uint64(bound(fee, 0, 1_000)));
        params.set(Keys.CHALLENGE_DELAY, uint64(bound(delay, 1 hours, 1 days)));
        vm.stopPrank();
    }

    function pass(uint32 time) external counted {
        vm.warp(block.timestamp + time % 2 days);
    }

    // ------------------------------------------------------------------------------------------------ what must hold

    /// Every token here belongs to somebody: a balance, a channel's rest, a payee's earnings or the treasury.
    function assert_solvent() external view {
        uint256 owed = channels.treasuryEarned() + balance(relayer);
        for (uint256 i; i < PEOPLE; ++i) {
            owed += balance(payers[i].at) + channels.earned(payees[i].at);
        }
        for (uint256 i; i < keys.length; ++i) {
            (uint256 state, uint96 deposit, uint96 claimed,) = channels.channel(channels.idOf(keys[i]));
            if (state == 1) owed += deposit - claimed;
        }
        assertEq(token.balanceOf(address(channels)), owed);
    }

    /// No voucher pays twice, none above what was signed, none above the deposit.
    function assert_claims_hold() external view {
        uint256 all = paid + channels.treasuryEarned();
        uint256 claims;
        for (uint256 i; i < PEOPLE; ++i) {
            all += channels.earned(payees[i].at);
        }
        for (uint256 i; i < keys.length; ++i) {
            bytes32 id = channels.idOf(keys[i]);
            (, uint96 deposit, uint96 claimed,) = channels.channel(id);
            assertLe(claimed, deposit);
            assertLe(claimed, highest[id]);
            assertGe(claimed, seen[id]);
            claims += claimed;
        }
        assertEq(all, claims);
    }

    /// The session key took `amount` of the payer's balance: it stands within what the payer allowed, or it should not.
    function took(InferenceChannels.Key memory key, uint256 amount) private returns (uint256) {
        Ledger.Terms memory t = allowed[key.payer];
        uint256 day = tookOn[key.payer][block.timestamp / 1 days] += amount;
        uint256 all = tookFor[key.payer][key.payee] += amount;
        if (block.timestamp >= t.expiry || day > t.capDay || all > t.capPayee) tookTooMuch = true;
        return amount;
    }

    function payerAt(address payer) private view returns (Person memory) {
        for (uint256 i; i < PEOPLE; ++i) {
            if (payers[i].at == payer) return payers[i];
        }
        revert("nobody");
    }

    function look() private {
        for (uint256 i; i < keys.length; ++i) {
            bytes32 id = channels.idOf(keys[i]);
            (,, seen[id],) = channels.channel(id);
        }
    }

    /// Each payer alone gets out all that nobody has a voucher for, within the longest delay.
    function leave() external {
        for (uint256 i; i < keys.length; ++i) {
            (uint256 state,,, uint40 closeAt) = channels.channel(channels.idOf(keys[i]));
            if (state == 1 && closeAt == 0) {
                vm.prank(keys[i].payer);
                channels.requestClose(keys[i]);
            }
        }
        vm.warp(block.timestamp + channels.MAX_DELAY());
        for (uint256 i; i < keys.length; ++i) {
            (uint256 state,,,) = channels.channel(channels.idOf(keys[i]));
            if (state != 1) continue;
            vm.prank(keys[i].payer);
            channels.finishClose(keys[i]);
        }
        uint256 claims;
        for (uint256 i; i < PEOPLE; ++i) {
            uint96 rest = balance(payers[i].at);
            if (rest == 0) continue;
            vm.prank(payers[i].at);
            channels.withdraw(payers[i].at, rest);
        }
        for (uint256 i; i < PEOPLE; ++i) {
            claims += channels.earned(payees[i].at);
        }
        assertEq(token.balanceOf(address(channels)), claims + channels.treasuryEarned() + balance(relayer));
    }

    function fresh(uint256 who, uint256 whom) private view returns (InferenceChannels.Key memory) {
        return InferenceChannels.Key(
            payers[who % PEOPLE].at, payees[whom % PEOPLE].at, session.at, keccak256(abi.encode(keys.length, calls))
        );
    }
}

contract ChannelsInvariants is Base {
    ChannelsHandler private handler;

    function setUp() public override {
        handler = new ChannelsHandler();
        bytes4[] memory moves = new bytes4[](18);
        moves[0] = ChannelsHandler.fund.selector;
        moves[1] = ChannelsHandler.withdraw.selector;
        moves[2] = ChannelsHandler.withdrawFor.selector;
        moves[3] = ChannelsHandler.open.selector;
        moves[4] = ChannelsHandler.openMany.selector;
        moves[5] = ChannelsHandler.topUp.selector;
        moves[6] = ChannelsHandler.topUpFor.selector;
        moves[7] = ChannelsHandler.claim.selector;
        moves[8] = ChannelsHandler.closeToLedger.selector;
        moves[9] = ChannelsHandler.requestClose.selector;
        moves[10] = ChannelsHandler.requestCloseFor.selector;
        moves[11] = ChannelsHandler.requestCloseByPayerFor.selector;
        moves[12] = ChannelsHandler.finishClose.selector;
        moves[13] = ChannelsHandler.payout.selector;
        moves[14] = ChannelsHandler.sweep.selector;
        moves[15] = ChannelsHandler.setSessionFor.selector;
        moves[16] = ChannelsHandler.vote.selector;
        moves[17] = ChannelsHandler.pass.selector;
        targetSelector(FuzzSelector(address(handler), moves));
        targetContract(address(handler));
    }

    /// One function for all: each invariant is a campaign of its own.
    function invariant_tokens_have_owners_claims_were_signed_and_session_keys_keep_their_caps() public view {
        handler.assert_solvent();
        handler.assert_claims_hold();
        assertFalse(handler.tookTooMuch(), "a session key took more than its payer allowed");
    }

    function afterInvariant() public {
        handler.leave();
    }
}
