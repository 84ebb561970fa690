// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Script} from "forge-std/Script.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {RevenueSplitter} from "../src/RevenueSplitter.sol";

/// @title Deploys a splitter of one provider's income, and says where it is.
/// @notice HOLDERS=0x..,0x.. BPS=7000,3000 FOUNDRY_PROFILE=gas forge script script/Split.s.sol --rpc-url URL, with a wallet
/// option of forge: that tries it and shows its gas; --broadcast sends it. BPS are the holders' shares in basis points,
/// 10,000 in all. OPERATOR is who binds it to the provider: the sender without it.
contract Split is Script {
    error Unequal(uint256 holders, uint256 bps);

    function run() external returns (RevenueSplitter splitter) {
        (address[] memory holders, uint256[] memory bps) = (vm.envAddress("HOLDERS", ","), vm.envUint("BPS", ","));
        require(holders.length == bps.length, Unequal(holders.length, bps.length));
        RevenueSplitter.Share[] memory shares = new RevenueSplitter.Share[](bps.length);
        for (uint256 i; i < bps.length; ++i) {
            shares[i] = RevenueSplitter.Share(holders[i], SafeCast.toUint16(bps[i]));
        }
        vm.startBroadcast();
        (, address maker,) = vm.readCallers();
        splitter = new RevenueSplitter(vm.envOr("OPERATOR", maker), shares);
        vm.stopBroadcast();
    }
}
