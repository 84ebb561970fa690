// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Base} from "./Base.sol";
import {InferenceChannels} from "../src/InferenceChannels.sol";
import {Typed} from "../src/libraries/Typed.sol";

/// @title Gas of whole transactions (profile `gas`, isolated): snapshots in snapshots/, gated by the issue's figures.
contract GasTest is Base {
    uint256 private constant BATCH = 100;

    function test_claims_a_batch_of_100() public {
        InferenceChannels.Claim[] memory rows = new InferenceChannels.Claim[](BATCH);
        for (uint256 i; i < BATCH; ++i) {
            address user = address(uint160(uint256(keccak256(abi.encode(i)))));
            token.transfer(user, 10e18);
            vm.startPrank(user);
            token.approve(address(channels), 10e18);
            channels.open(payee.at, session.at, bytes32(uint256(keccak256("salt"))), 10e18);
            vm.stopPrank();
            InferenceChannels.Key memory key =
                InferenceChannels.Key(user, payee.at, session.at, bytes32(uint256(keccak256("salt"))));
            rows[i] = voucher(key, 1e18);
        }
        channels.claimMany(payee.at, rows);
        for (uint256 i; i < BATCH; ++i) {
            InferenceChannels.Key memory key =
                InferenceChannels.Key(rows[i].payer, payee.at, session.at, rows[i].salt);
            rows[i] = voucher(key, 1_500_000_000_000_000_000);
        }
        channels.claimMany(payee.at, rows);
        uint256 gas = vm.snapshotGasLastCall("channels", "claim, a batch of 100, second claim") / BATCH;
        emit log_named_uint("claim_batch100_gas", gas);
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
            row(again == 0 ? "open from ledger, ten payees of one payer, first" : "open from ledger, ten payees of one payer, later", 10);
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
            row(again == 0 ? "open from ledger, ten payers, first" : "open from ledger, ten payers, later", 10);
        }
    }

    function user(uint256 i) private pure returns (address) {
        return address(uint160(uint256(keccak256(abi.encode("user", i)))));
    }

    /// The gas of the last transaction for each of `count` rows.
    function row(string memory name, uint256 count) private returns (uint256 gas) {
        gas = vm.snapshotGasLastCall("channels", name) / count;
        emit log_named_uint(name, gas);
    }

    function test_closes_to_ledger() public {
        opened("salt", 10e18);
        vm.prank(payer.at);
        channels.fund(payer.at, 1e18);
        InferenceChannels.Claim memory row = voucher(keyOf("salt"), 1e18);
        channels.claim(payee.at, row);
        vm.prank(payee.at);
        channels.closeToLedger(payer.at, session.at, "salt");
        emit log_named_uint("close", vm.snapshotGasLastCall("channels", "close to ledger"));
    }

    function test_opens_by_authorization() public {
        InferenceChannels.Key memory key = keyOf(keccak256("salt"));
        bytes32 nonce = channels.openingNonce(channels.idOf(key), 0.01e18);
        (bytes32 r, bytes32 vs) = authorization(payer, 10e18, FOREVER, nonce);
        token.transfer(address(channels), 1);
        vm.startPrank(payer.at);
        channels.fund(relayer, 1e18);
        vm.stopPrank();
        vm.prank(relayer);
        channels.openWithAuthorization(key, 10e18, 0.01e18, FOREVER, r, vs);
        row("open by authorization, relayed for a fee", 1);
        key.salt = keccak256("another");
        (r, vs) = authorization(payer, 10e18, FOREVER, channels.openingNonce(channels.idOf(key), 0));
        vm.prank(relayer);
        channels.openWithAuthorization(key, 10e18, 0, FOREVER, r, vs);
        row("open by authorization, relayed for none", 1);
    }
}
