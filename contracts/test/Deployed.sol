// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";
import {IGovernor} from "@openzeppelin/contracts/governance/IGovernor.sol";
import {Deployment} from "../script/Deployment.sol";
import {InferenceChannels} from "../src/InferenceChannels.sol";
import {Ledger} from "../src/Ledger.sol";
import {ProviderRegistry} from "../src/ProviderRegistry.sol";
import {Roots} from "./Roots.sol";

/// @title All contracts as the script deploys them, in production's profile, and people who vote.
abstract contract Deployed is Test, Deployment, Roots {
    /// A proposal as the governor wants it.
    struct Proposal {
        address[] targets;
        uint256[] values;
        bytes[] calldatas;
        string description;
    }

    uint256 internal constant ROOT = 0xa11ce;

    Contracts internal c;
    Profile internal p;
    address internal alice = makeAddr("alice");
    address internal bob = makeAddr("bob");
    address internal guardian = makeAddr("guardian");
    address internal user = makeAddr("user");
    address internal provider = makeAddr("provider");
    bytes32 internal id;

    function setUp() public virtual {
        vm.warp(1_800_000_000);
        Profile memory read = profile("production");
        read.distribution = new Share[](4);
        read.distribution[0] = Share(alice, 60_000_000);
        read.distribution[1] = Share(bob, 50_000_000);
        read.distribution[2] = Share(user, 1_000_000);
        read.distribution[3] = Share(provider, 1_000_000);
        read.rules.guardian = guardian;
        read.rules.guardianUntil = uint48(block.timestamp + 180 days);
        keep(read);
        c = deploy(read, address(this));
        vm.prank(alice);
        c.token.delegate(alice);
        vm.prank(bob);
        c.token.delegate(bob);
        pass(1);
    }

    /// The compiler copies no arrays of structs from memory to storage.
    function keep(Profile memory from) private {
        p.paramsDelay = from.paramsDelay;
        p.minChallenge = from.minChallenge;
        p.maxChallenge = from.maxChallenge;
        p.unbonding = from.unbonding;
        p.timelockDelay = from.timelockDelay;
        p.rules = from.rules;
    }

    function pass(uint256 time) internal {
        vm.warp(vm.getBlockTimestamp() + time);
        vm.roll(vm.getBlockNumber() + 1);
    }

    // ------------------------------------------------------------------------------------------------ proposals

    function one(address target, bytes memory data, string memory description) internal pure returns (Proposal memory q) {
        q.targets = new address[](1);
        q.values = new uint256[](1);
        q.calldatas = new bytes[](1);
        q.targets[0] = target;
        q.calldatas[0] = data;
        q.description = description;
    }

    function two(Proposal memory a, Proposal memory b) internal pure returns (Proposal memory q) {
        q.targets = new address[](2);
        q.values = new uint256[](2);
        q.calldatas = new bytes[](2);
        (q.targets[0], q.targets[1]) = (a.targets[0], b.targets[0]);
        (q.calldatas[0], q.calldatas[1]) = (a.calldatas[0], b.calldatas[0]);
        q.description = a.description;
    }

    function proposed(address by, Proposal memory q) internal returns (uint256) {
        vm.prank(by);
        return c.governor.propose(q.targets, q.values, q.calldatas, q.description);
    }

    function votable(uint256 proposal) internal {
        vm.warp(c.governor.proposalSnapshot(proposal) + 1);
    }

    function voted(uint256 proposal, address by, uint8 support) internal {
        vm.prank(by);
        c.governor.castVote(proposal, support);
    }

    /// From the proposal to where it waits in the timelock.
    function queued(Proposal memory q) internal returns (uint256 proposal) {
        proposal = proposed(alice, q);
        votable(proposal);
        voted(proposal, alice, 1);
        vm.warp(c.governor.proposalDeadline(proposal) + 1);
        c.governor.queue(proposal);
    }

    function executed(Proposal memory q) internal returns (uint256 proposal) {
        proposal = queued(q);
        vm.warp(c.governor.proposalEta(proposal));
        c.governor.execute(proposal);
    }

    function is_(uint256 proposal, IGovernor.ProposalState state) internal view {
        assertEq(uint8(c.governor.state(proposal)), uint8(state));
    }

    // ------------------------------------------------------------------------------------------------ people

    /// Registers and stakes for the root key.
    function staked(uint96 amount) internal {
        ProviderRegistry.Root memory root;
        (root.qx, root.qy) = rootOf(ROOT);
        id = c.registry.idOf(root.qx, root.qy);
        (root.r, root.s) = signedBy(ROOT, c.registry.bindingHash(id, provider, 0));
        vm.startPrank(provider);
        c.registry.register(root, provider, "");
        c.token.approve(address(c.registry), amount);
        c.registry.stake(id, amount);
        vm.stopPrank();
    }

    function funded(uint96 amount) internal {
        vm.startPrank(user);
        c.token.approve(address(c.channels), type(uint256).max);
        c.channels.fund(user, amount);
        vm.stopPrank();
    }

    function channelOf(bytes32 salt) internal view returns (InferenceChannels.Key memory) {
        return InferenceChannels.Key(user, provider, user, salt);
    }
}
