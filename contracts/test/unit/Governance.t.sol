// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {IERC5805} from "@openzeppelin/contracts/interfaces/IERC5805.sol";
import {IGovernor} from "@openzeppelin/contracts/governance/IGovernor.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {IVotes} from "@openzeppelin/contracts/governance/utils/IVotes.sol";
import {GovernorVotesQuorumFraction} from "@openzeppelin/contracts/governance/extensions/GovernorVotesQuorumFraction.sol";
import {InferenceGovernor} from "../../src/InferenceGovernor.sol";
import {Keys} from "../../src/libraries/Keys.sol";
import {Params} from "../../src/Params.sol";
import {Timelock} from "../../src/Timelock.sol";
import {VotesAggregator} from "../../src/VotesAggregator.sol";
import {Deployed} from "../Deployed.sol";

/// @title Votes, governor and timelock, every refusal of each.
contract GovernanceTest is Deployed {
    // ------------------------------------------------------------------------------------------------ votes

    function test_counts_held_and_staked_tokens_once() public {
        vm.prank(provider);
        c.token.delegate(provider);
        assertEq(c.votes.getVotes(provider), 1_000_000e18);
        staked(400_000e18);
        assertEq(c.token.getVotes(provider), 600_000e18);
        assertEq(c.votes.getVotes(provider), 1_000_000e18);
        uint256 then = block.timestamp;
        pass(1);
        assertEq(c.votes.getPastVotes(provider, then), 1_000_000e18);
        assertEq(c.votes.getPastTotalSupply(then), c.token.SUPPLY());
        assertEq(c.votes.delegates(provider), provider);
        assertEq(c.votes.clock(), block.timestamp);
        assertEq(c.votes.CLOCK_MODE(), "mode=timestamp");
    }

    function test_nothing_is_delegated_at_the_sum() public {
        vm.expectRevert(VotesAggregator.DelegateAtTheSource.selector);
        c.votes.delegate(alice);
        vm.expectRevert(VotesAggregator.DelegateAtTheSource.selector);
        c.votes.delegateBySig(alice, 0, 0, 0, 0, 0);
    }

    function test_both_sources_count_seconds() public {
        IERC5805 blocks = IERC5805(makeAddr("blocks"));
        vm.mockCall(address(blocks), abi.encodeCall(blocks.CLOCK_MODE, ()), abi.encode("mode=blocknumber&from=default"));
        (IERC5805 token, IERC5805 registry) = (c.token, c.registry);
        vm.expectRevert(abi.encodeWithSelector(VotesAggregator.WrongClock.selector, blocks));
        new VotesAggregator(blocks, registry);
        vm.expectRevert(abi.encodeWithSelector(VotesAggregator.WrongClock.selector, blocks));
        new VotesAggregator(token, blocks);
    }

    // ------------------------------------------------------------------------------------------------ timelock

    function test_only_the_governor_proposes_and_nobody_administers() public view {
        bytes32 proposer = c.timelock.PROPOSER_ROLE();
        assertTrue(c.timelock.hasRole(proposer, address(c.governor)));
        assertTrue(c.timelock.hasRole(c.timelock.CANCELLER_ROLE(), address(c.governor)));
        assertTrue(c.timelock.hasRole(c.timelock.EXECUTOR_ROLE(), address(0)));
        assertFalse(c.timelock.hasRole(proposer, address(this)));
        assertFalse(c.timelock.hasRole(c.timelock.DEFAULT_ADMIN_ROLE(), address(this)));
        assertFalse(c.timelock.hasRole(c.timelock.DEFAULT_ADMIN_ROLE(), address(c.timelock)));
        assertEq(c.registry.court(), address(c.court));
    }

    function test_the_timelock_needs_a_delay_in_bounds() public {
        Timelock.Call[] memory none;
        vm.expectRevert(abi.encodeWithSelector(Timelock.DelayOutOfBounds.selector, 0, 1, 15 days));
        new Timelock(0, alice, none);
        vm.expectRevert(abi.encodeWithSelector(Timelock.DelayOutOfBounds.selector, 15 days + 1, 1, 15 days));
        new Timelock(15 days + 1, alice, none);
        assertEq(new Timelock(15 days, alice, none).MIN_DELAY(), 15 days);
    }

    function test_a_first_call_that_fails_makes_no_timelock() public {
        Timelock.Call[] memory first = new Timelock.Call[](1);
        first[0] = Timelock.Call(address(c.params), abi.encodeCall(Params.set, (Keys.FEE_BPS, 1)));
        vm.expectPartialRevert(Params.NotGovernance.selector);
        new Timelock(1, alice, first);
    }

    function test_no_vote_makes_the_timelock_shorter_or_much_longer() public {
        (uint256 min, uint256 max) = (p.timelockDelay, 2 * p.timelockDelay);
        executed(one(address(c.timelock), abi.encodeCall(c.timelock.updateDelay, (max)), "longest"));
        assertEq(c.timelock.getMinDelay(), max);
        executed(one(address(c.timelock), abi.encodeCall(c.timelock.updateDelay, (min)), "as before"));
        assertEq(c.timelock.getMinDelay(), min);
        fails(
            one(address(c.timelock), abi.encodeCall(c.timelock.updateDelay, (min - 1)), "shorter"),
            abi.encodeWithSelector(Timelock.DelayOutOfBounds.selector, min - 1, min, max)
        );
        fails(
            one(address(c.timelock), abi.encodeCall(c.timelock.updateDelay, (max + 1)), "for ever"),
            abi.encodeWithSelector(Timelock.DelayOutOfBounds.selector, max + 1, min, max)
        );
        vm.expectPartialRevert(TimelockController.TimelockUnauthorizedCaller.selector);
        c.timelock.updateDelay(min);
    }

    /// A second proposer would keep to no bound of the governor, a second canceller to no date.
    function test_no_vote_gives_or_takes_a_role_of_the_timelock() public {
        Timelock t = c.timelock;
        bytes memory unauthorized = abi.encodeWithSelector(
            IAccessControl.AccessControlUnauthorizedAccount.selector, address(t), t.DEFAULT_ADMIN_ROLE()
        );
        (bytes32 proposer, bytes32 canceller, bytes32 admin) =
            (t.PROPOSER_ROLE(), t.CANCELLER_ROLE(), t.DEFAULT_ADMIN_ROLE());
        fails(one(address(t), abi.encodeCall(t.grantRole, (proposer, bob)), "proposer"), unauthorized);
        fails(one(address(t), abi.encodeCall(t.grantRole, (canceller, guardian)), "canceller"), unauthorized);
        fails(one(address(t), abi.encodeCall(t.grantRole, (admin, alice)), "admin"), unauthorized);
        fails(one(address(t), abi.encodeCall(t.revokeRole, (proposer, address(c.governor))), "nobody"), unauthorized);
        assertFalse(t.hasRole(proposer, bob));
        assertTrue(t.hasRole(proposer, address(c.governor)));
    }

    function test_no_vote_gives_the_governor_another_timelock() public {
        address before = c.governor.timelock();
        fails(
            one(address(c.governor), abi.encodeCall(c.governor.updateTimelock, (Timelock(payable(bob)))), "mine"),
            abi.encodeWithSelector(InferenceGovernor.TimelockFixed.selector)
        );
        assertEq(c.governor.timelock(), before);
    }

    /// The governor's own rights are its roles of the timelock: what speaks with its voice could give them up for ever.
    function test_no_vote_speaks_as_the_governor() public {
        (address g, bytes32 proposer) = (address(c.governor), c.timelock.PROPOSER_ROLE());
        bytes memory renounce = abi.encodeCall(c.timelock.renounceRole, (proposer, g));
        bytes memory refused = abi.encodeWithSelector(InferenceGovernor.NoRelay.selector);
        fails(one(g, abi.encodeCall(c.governor.relay, (address(c.timelock), 0, renounce)), "the end"), refused);
        fails(one(g, abi.encodeCall(c.governor.relay, (alice, 0, "")), "anything"), refused);
        assertTrue(c.timelock.hasRole(proposer, g));
        vm.expectRevert(refused);
        c.governor.relay(alice, 0, "");
    }

    // ------------------------------------------------------------------------------------------------ rules

    function test_has_the_rules_of_the_profile() public view {
        assertEq(c.governor.name(), "InferenceGovernor");
        assertEq(c.governor.votingDelay(), 2 days);
        assertEq(c.governor.votingPeriod(), 5 days);
        assertEq(c.governor.lateQuorumVoteExtension(), 2 days);
        assertEq(c.governor.proposalThreshold(), 1_000_000e18);
        assertEq(c.governor.quorum(block.timestamp - 1), 40_000_000e18);
        assertEq(c.governor.clock(), block.timestamp);
        assertEq(c.governor.CLOCK_MODE(), "mode=timestamp");
        assertEq(c.governor.timelock(), address(c.timelock));
        assertTrue(c.governor.proposalNeedsQueuing(0));
    }

    function test_refuses_rules_out_of_bounds() public {
        InferenceGovernor.Rules memory r = p.rules;
        r.votingDelay = 0;
        refuses(r, 0, 1, 30 days);
        r.votingDelay = 30 days + 1;
        refuses(r, 30 days + 1, 0, 30 days);
        r = p.rules;
        r.votingPeriod = 30 days + 1;
        refuses(r, 30 days + 1, 0, 30 days);
        r = p.rules;
        r.lateQuorumExtension = 30 days + 1;
        refuses(r, 30 days + 1, 0, 30 days);
        r = p.rules;
        r.proposalThreshold = 0;
        refuses(r, 0, 1, 10_000_000e18);
        r.proposalThreshold = 10_000_000e18 + 1;
        refuses(r, 10_000_000e18 + 1, 1, 10_000_000e18);
        r = p.rules;
        r.quorumPercent = 0;
        refuses(r, 0, 1, 20);
        r.quorumPercent = 21;
        refuses(r, 21, 1, 20);
        r = p.rules;
        r.guardianUntil = uint48(block.timestamp + 366 days + 1);
        refuses(r, r.guardianUntil, 0, block.timestamp + 366 days);
    }

    function refuses(InferenceGovernor.Rules memory r, uint256 value, uint256 min, uint256 max) private {
        (IVotes votes, Timelock timelock) = (IVotes(address(c.votes)), c.timelock);
        vm.expectRevert(abi.encodeWithSelector(InferenceGovernor.OutOfBounds.selector, value, min, max));
        new InferenceGovernor(votes, timelock, r);
    }

    function test_a_vote_changes_the_rules_only_within_bounds() public {
        address g = address(c.governor);
        executed(one(g, abi.encodeCall(c.governor.setVotingDelay, (3 days)), "delay"));
        executed(one(g, abi.encodeCall(c.governor.setVotingPeriod, (6 days)), "period"));
        executed(one(g, abi.encodeCall(c.governor.setProposalThreshold, (2e18)), "threshold"));
        executed(one(g, abi.encodeCall(c.governor.updateQuorumNumerator, (5)), "quorum"));
        executed(one(g, abi.encodeCall(c.governor.setLateQuorumVoteExtension, (3 days)), "extension"));
        assertEq(c.governor.votingDelay(), 3 days);
        assertEq(c.governor.votingPeriod(), 6 days);
        assertEq(c.governor.proposalThreshold(), 2e18);
        assertEq(c.governor.quorumNumerator(), 5);
        assertEq(c.governor.lateQuorumVoteExtension(), 3 days);
        executed(one(g, abi.encodeCall(c.governor.setVotingDelay, (2 days)), "the least delay"));
        executed(one(g, abi.encodeCall(c.governor.setVotingPeriod, (30 days)), "the longest period"));
        assertEq(c.governor.votingDelay(), 2 days);
        assertEq(c.governor.votingPeriod(), 30 days);
        fails(one(g, abi.encodeCall(c.governor.setVotingDelay, (1)), "no delay"), bounds(1, 2 days, 30 days));
        fails(one(g, abi.encodeCall(c.governor.setVotingPeriod, (1)), "no period"), bounds(1, 5 days, 30 days));
        fails(one(g, abi.encodeCall(c.governor.setProposalThreshold, (0)), "spam"), bounds(0, 1, 10_000_000e18));
        fails(one(g, abi.encodeCall(c.governor.updateQuorumNumerator, (0)), "no quorum"), bounds(0, 1, 20));
        fails(
            one(g, abi.encodeCall(c.governor.setLateQuorumVoteExtension, (31 days)), "for ever"),
            bounds(31 days, 2 days, 30 days)
        );
        fails(
            one(g, abi.encodeCall(c.governor.setLateQuorumVoteExtension, (2 days - 1)), "at the last moment"),
            bounds(2 days - 1, 2 days, 30 days)
        );
        vm.expectPartialRevert(IGovernor.GovernorOnlyExecutor.selector);
        c.governor.setVotingDelay(3 days);
    }

    function bounds(uint256 value, uint256 min, uint256 max) private pure returns (bytes memory) {
        return abi.encodeWithSelector(InferenceGovernor.OutOfBounds.selector, value, min, max);
    }

    // ------------------------------------------------------------------------------------------------ proposing

    function test_a_proposer_has_one_live_proposal() public {
        uint256 first = proposed(alice, fee(100, "first"));
        Proposal memory q = fee(200, "second");
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(InferenceGovernor.LiveProposal.selector, alice, first));
        c.governor.propose(q.targets, q.values, q.calldatas, q.description);
        votable(first);
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(InferenceGovernor.LiveProposal.selector, alice, first));
        c.governor.propose(q.targets, q.values, q.calldatas, q.description);
        proposed(bob, fee(300, "of another"));
        vm.warp(c.governor.proposalDeadline(first) + 1);
        uint256 second = proposed(alice, q);
        assertEq(c.governor.latestProposal(alice), second);
        // A cancelled one is not live.
        vm.prank(guardian);
        c.governor.cancel(q.targets, q.values, q.calldatas, keccak256(bytes(q.description)));
        proposed(alice, fee(400, "third"));
    }

    function test_needs_votes_to_propose() public {
        Proposal memory q = fee(100, "");
        vm.prank(user);
        vm.expectRevert(
            abi.encodeWithSelector(IGovernor.GovernorInsufficientProposerVotes.selector, user, 0, 1_000_000e18)
        );
        c.governor.propose(q.targets, q.values, q.calldatas, q.description);
    }

    function test_nobody_takes_anothers_proposal() public {
        Proposal memory q = fee(100, string.concat("mine #proposer=", vm.toString(alice)));
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(IGovernor.GovernorRestrictedProposer.selector, bob));
        c.governor.propose(q.targets, q.values, q.calldatas, q.description);
        proposed(alice, q);
    }

    function test_refuses_a_proposal_of_unequal_lengths() public {
        Proposal memory q = fee(100, "");
        vm.startPrank(alice);
        vm.expectRevert(abi.encodeWithSelector(IGovernor.GovernorInvalidProposalLength.selector, 1, 1, 0));
        c.governor.propose(q.targets, new uint256[](0), q.calldatas, q.description);
        vm.expectRevert(abi.encodeWithSelector(IGovernor.GovernorInvalidProposalLength.selector, 0, 0, 0));
        c.governor.propose(new address[](0), new uint256[](0), new bytes[](0), q.description);
        vm.stopPrank();
    }

    // ------------------------------------------------------------------------------------------------ voting

    function test_votes_by_signature() public {
        (address signer, uint256 key) = makeAddrAndKey("signer");
        vm.prank(bob);
        c.token.delegate(signer);
        pass(1);
        uint256 proposal = proposed(alice, fee(100, "by signature"));
        votable(proposal);
        bytes memory signature = ballot(proposal, 1, signer, key);
        vm.expectRevert(abi.encodeWithSelector(IGovernor.GovernorInvalidSignature.selector, signer));
        c.governor.castVoteBySig(proposal, 0, signer, signature);
        vm.prank(user);
        assertEq(c.governor.castVoteBySig(proposal, 1, signer, signature), 50_000_000e18);
        assertTrue(c.governor.hasVoted(proposal, signer));
        vm.expectRevert(abi.encodeWithSelector(IGovernor.GovernorInvalidSignature.selector, signer));
        c.governor.castVoteBySig(proposal, 1, signer, signature);
        signature = ballot(proposal, 1, signer, key);
        vm.expectRevert(abi.encodeWithSelector(IGovernor.GovernorAlreadyCastVote.selector, signer));
        c.governor.castVoteBySig(proposal, 1, signer, signature);
    }

    function ballot(uint256 proposal, uint8 support, address voter, uint256 key) private view returns (bytes memory) {
        (, string memory name, string memory version, uint256 chain, address at,,) = c.governor.eip712Domain();
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256(bytes(name)),
                keccak256(bytes(version)),
                chain,
                at
            )
        );
        bytes32 hash = keccak256(
            abi.encode(c.governor.BALLOT_TYPEHASH(), proposal, support, voter, c.governor.nonces(voter))
        );
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, keccak256(abi.encodePacked("\x19\x01", domain, hash)));
        return abi.encodePacked(r, s, v);
    }

    function test_a_late_quorum_gives_the_others_time() public {
        uint256 proposal = proposed(alice, fee(100, "late"));
        votable(proposal);
        uint256 deadline = c.governor.proposalDeadline(proposal);
        vm.warp(deadline - 1);
        voted(proposal, alice, 1);
        assertEq(c.governor.proposalDeadline(proposal), deadline - 1 + 2 days);
        vm.warp(deadline + 1 days);
        voted(proposal, bob, 0);
    }

    /// Tokens that came after the snapshot do not count, nor do those that are borrowed for one transaction.
    function test_borrowed_tokens_neither_propose_nor_vote() public {
        uint256 proposal = proposed(alice, fee(100, "flash"));
        votable(proposal);
        vm.prank(bob);
        c.token.transfer(user, 50_000_000e18);
        vm.startPrank(user);
        c.token.delegate(user);
        assertEq(c.votes.getVotes(user), 51_000_000e18);
        assertEq(c.governor.castVote(proposal, 1), 0);
        Proposal memory q = fee(1, "proposed with borrowed tokens");
        vm.expectPartialRevert(IGovernor.GovernorInsufficientProposerVotes.selector);
        c.governor.propose(q.targets, q.values, q.calldatas, q.description);
        c.token.transfer(bob, 50_000_000e18);
        vm.stopPrank();
        vm.warp(c.governor.proposalDeadline(proposal) + 1);
        is_(proposal, IGovernor.ProposalState.Defeated);
    }

    function test_staked_tokens_vote() public {
        vm.prank(alice);
        c.token.transfer(provider, 45_000_000e18);
        staked(45_000_000e18);
        pass(1);
        uint256 proposal = proposed(provider, fee(100, "of a staker"));
        votable(proposal);
        voted(proposal, provider, 1);
        vm.warp(c.governor.proposalDeadline(proposal) + 1);
        is_(proposal, IGovernor.ProposalState.Succeeded);
    }

    // ------------------------------------------------------------------------------------------------ guardian

    function test_the_guardian_only_cancels() public {
        Proposal memory q = fee(100, "guarded");
        uint256 proposal = queued(q);
        vm.startPrank(guardian);
        c.governor.cancel(proposal);
        is_(proposal, IGovernor.ProposalState.Canceled);
        vm.expectPartialRevert(IGovernor.GovernorInsufficientProposerVotes.selector);
        c.governor.propose(q.targets, q.values, q.calldatas, "another");
        vm.expectPartialRevert(Params.NotGovernance.selector);
        c.params.set(Keys.FEE_BPS, 1);
        vm.stopPrank();
        vm.warp(block.timestamp + 30 days);
        vm.expectPartialRevert(IGovernor.GovernorUnexpectedProposalState.selector);
        c.governor.execute(proposal);
    }

    function test_the_guardian_ends() public {
        vm.warp(p.rules.guardianUntil - 8 days);
        uint256 proposal = queued(fee(100, "after the guardian"));
        assertGe(block.timestamp, p.rules.guardianUntil - 1 days);
        vm.warp(p.rules.guardianUntil);
        assertEq(c.governor.proposalGuardian(), address(0));
        vm.prank(guardian);
        vm.expectRevert(abi.encodeWithSelector(IGovernor.GovernorUnableToCancel.selector, proposal, guardian));
        c.governor.cancel(proposal);
        // Nor is the proposer, or anyone, guardian then.
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(IGovernor.GovernorUnableToCancel.selector, proposal, alice));
        c.governor.cancel(proposal);
        vm.warp(c.governor.proposalEta(proposal));
        c.governor.execute(proposal);
    }

    /// No vote brings a guardian back after the date.
    function test_no_vote_makes_the_guardian_last() public {
        vm.warp(p.rules.guardianUntil + 1);
        executed(one(address(c.governor), abi.encodeCall(c.governor.setProposalGuardian, (bob)), "again"));
        assertEq(c.governor.proposalGuardian(), address(0));
    }

    function test_a_proposer_takes_back_what_nobody_could_vote_on_yet() public {
        uint256 proposal = proposed(alice, fee(100, "mistake"));
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(IGovernor.GovernorUnableToCancel.selector, proposal, bob));
        c.governor.cancel(proposal);
        vm.prank(alice);
        c.governor.cancel(proposal);
        proposal = proposed(alice, fee(100, "no mistake"));
        votable(proposal);
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(IGovernor.GovernorUnableToCancel.selector, proposal, alice));
        c.governor.cancel(proposal);
    }

    // ------------------------------------------------------------------------------------------------ steps

    function fee(uint64 bps, string memory description) private view returns (Proposal memory) {
        return one(address(c.params), abi.encodeCall(Params.set, (Keys.FEE_BPS, bps)), description);
    }

    function fails(Proposal memory q, bytes memory reason) private {
        uint256 proposal = queued(q);
        vm.warp(c.governor.proposalEta(proposal));
        vm.expectRevert(reason);
        c.governor.execute(proposal);
    }
}
