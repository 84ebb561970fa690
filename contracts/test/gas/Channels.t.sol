// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Base} from "../Base.sol";
import {Measured} from "./Measured.sol";
import {BatchSettlement} from "./BatchSettlement.sol";
import {Funding} from "../../src/Funding.sol";
import {InferenceChannels} from "../../src/InferenceChannels.sol";
import {Typed} from "../../src/libraries/Typed.sol";

/// @title Gas of whole transactions (profile `gas`, isolated): snapshots in snapshots/, and the most each may cost.
contract ChannelsGasTest is Base, Measured {
    uint256 private constant BATCH = 100;
    string private constant GROUP = "channels";

    function test_claims_a_batch_of_100_beside_x402() public {
        InferenceChannels.Claim[] memory rows = new InferenceChannels.Claim[](BATCH);
        BatchSettlement x402 = new BatchSettlement();
        BatchSettlement.Row[] memory theirs = new BatchSettlement.Row[](BATCH);
        for (uint256 i; i < BATCH; ++i) {
            token.transfer(user(i), 10e18);
            vm.startPrank(user(i));
            token.approve(address(channels), 10e18);
            channels.open(payee.at, session.at, keccak256("salt"), 10e18);
            vm.stopPrank();
            theirs[i].config = BatchSettlement.Config(
                user(i), session.at, payee.at, payee.at, address(token), 1 days, keccak256("salt")
            );
            x402.deposit(theirs[i].config, 10e18);
        }
        uint256 ours;
        uint256 other;
        // The second claim of each channel is the usual one: its slot is not zero.
        for (uint128 total = 1e18; total <= 2e18; total += 1e18) {
            for (uint256 i; i < BATCH; ++i) {
                rows[i] = voucher(InferenceChannels.Key(user(i), payee.at, session.at, keccak256("salt")), total);
                theirs[i].total = theirs[i].ceiling = total;
                bytes32 hash = x402.voucherHash(x402.idOf(theirs[i].config), total);
                (uint8 v, bytes32 r, bytes32 s) = vm.sign(session.key, hash);
                theirs[i].signature = abi.encodePacked(r, s, v);
            }
            channels.claimMany(payee.at, rows);
            ours = measured(GROUP, "claim, a batch of 100", BATCH);
            vm.prank(payee.at);
            x402.claim(theirs);
            other = measured(GROUP, "claim, a batch of 100, x402 batch-settlement beside it", BATCH);
        }
        assertLe(ours, 13_500, "claim_batch100_gas");
        if (other != 0) emit log_named_decimal_uint("claim_batch100_ratio", ours * 1_000 / other, 3);
    }

    /// One payer, ten payees: what an extension asks for at once.
    function test_opens_ten_of_one_payer() public {
        funded(1_000e18);
        vm.prank(payer.at);
        channels.fund(relayer, 1e18);
        for (uint256 again; again < 2; ++again) {
            InferenceChannels.Opening[] memory rows = new InferenceChannels.Opening[](10);
            for (uint256 i; i < 10; ++i) {
                InferenceChannels.Key memory key =
                    InferenceChannels.Key(payer.at, user(i), session.at, keccak256(abi.encode(again)));
                rows[i] = opening(key, 10e18, 0.01e18);
            }
            vm.prank(relayer);
            assertEq(channels.openManyFromLedger(rows), 10);
            if (again == 0) assertLe(measured(GROUP, "open from ledger, ten payees of one payer, first", 10), 68_000);
            else assertLe(measured(GROUP, "open from ledger, ten payees of one payer, later", 10), 46_000);
        }
    }

    /// Ten payers, one payee: what a provider relays for its users.
    function test_opens_ten_of_ten_payers() public {
        for (uint256 i; i < 10; ++i) {
            token.transfer(user(i), 100e18);
            vm.startPrank(user(i));
            token.approve(address(channels), 100e18);
            channels.fund(user(i), 100e18);
            channels.setSession(terms(50e18, 50e18));
            vm.stopPrank();
        }
        for (uint256 again; again < 2; ++again) {
            InferenceChannels.Opening[] memory rows = new InferenceChannels.Opening[](10);
            for (uint256 i; i < 10; ++i) {
                InferenceChannels.Key memory key =
                    InferenceChannels.Key(user(i), payee.at, session.at, keccak256(abi.encode(again)));
                rows[i] = opening(key, 10e18, 0.01e18);
            }
            vm.prank(relayer);
            assertEq(channels.openManyFromLedger(rows), 10);
            measured(GROUP, again == 0 ? "open from ledger, ten payers, first" : "open from ledger, ten payers, later", 10);
        }
    }

    function user(uint256 i) private pure returns (address) {
        return address(uint160(uint256(keccak256(abi.encode("user", i)))));
    }

    function test_closes_to_ledger() public {
        opened("salt", 10e18);
        vm.prank(payer.at);
        channels.fund(payer.at, 1e18);
        InferenceChannels.Claim memory row = voucher(keyOf("salt"), 1e18);
        channels.claim(payee.at, row);
        vm.prank(payee.at);
        channels.closeToLedger(payer.at, session.at, "salt");
        assertLe(measured(GROUP, "close to ledger", 1), 38_000);
    }

    function test_opens_by_authorization() public {
        InferenceChannels.Key memory key = keyOf(keccak256("salt"));
        bytes32 nonce = channels.openingNonce(channels.idOf(key), 0.01e18);
        Funding.Authorization memory a = authorized(payer, address(channels), 10e18, nonce);
        token.transfer(address(channels), 1);
        vm.startPrank(payer.at);
        channels.fund(relayer, 1e18);
        vm.stopPrank();
        vm.prank(relayer);
        channels.openWithAuthorization(key, 10e18, 0.01e18, a);
        measured(GROUP, "open by authorization, relayed for a fee", 1);
        key.salt = keccak256("another");
        a = authorized(payer, address(channels), 10e18, channels.openingNonce(channels.idOf(key), 0));
        vm.prank(relayer);
        channels.openWithAuthorization(key, 10e18, 0, a);
        assertLe(measured(GROUP, "open by authorization, relayed for none", 1), 101_000);
        // The payee relays, as most do: its fee is a first voucher, which it claims among others.
        key.salt = keccak256("its own");
        a = authorized(payer, address(channels), 10e18, channels.openingNonce(channels.idOf(key), 0));
        InferenceChannels.Claim memory fee = voucher(key, 0.01e18);
        vm.prank(payee.at);
        channels.openWithAuthorization(key, 10e18, 0, a);
        assertLe(measured(GROUP, "open by authorization, relayed by the payee for a voucher", 1), 101_000);
        assertEq(channels.claim(payee.at, fee), 0.01e18);
    }
}
