// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Script} from "forge-std/Script.sol";
import {Deployment} from "./Deployment.sol";

/// @title Deploys everything and writes the addresses as JSON.
/// @notice PROFILE=production FOUNDRY_PROFILE=gas forge script script/Deploy.s.sol --rpc-url URL --broadcast, with a wallet
/// option of forge. PROFILE names a file of script/profiles, OUT the file that is written ("deployments/<chain id>.json"
/// without it).
contract Deploy is Script, Deployment {
    function run() external returns (Contracts memory c) {
        Profile memory p = profile(vm.envString("PROFILE"));
        string memory out = vm.envOr("OUT", string.concat("deployments/", vm.toString(block.chainid), ".json"));
        vm.startBroadcast();
        (, address maker,) = vm.readCallers();
        c = deploy(p, maker);
        vm.stopBroadcast();
        write(c, out);
    }

    function write(Contracts memory c, string memory out) private {
        string memory o = "contracts";
        vm.serializeUint(o, "chainId", block.chainid);
        vm.serializeUint(o, "block", vm.getBlockNumber());
        vm.serializeAddress(o, "token", address(c.token));
        vm.serializeAddress(o, "params", address(c.params));
        vm.serializeAddress(o, "channels", address(c.channels));
        vm.serializeAddress(o, "registry", address(c.registry));
        vm.serializeAddress(o, "court", address(c.court));
        vm.serializeAddress(o, "votes", address(c.votes));
        vm.serializeAddress(o, "governor", address(c.governor));
        vm.serializeAddress(o, "members", address(c.members));
        vm.serializeAddress(o, "gate", address(c.gate));
        string memory json = vm.serializeAddress(o, "timelock", address(c.timelock));
        vm.createDir("deployments", true);
        vm.writeJson(json, out);
    }
}
