// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IGovernor} from "@openzeppelin/contracts/governance/IGovernor.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {Errors} from "@openzeppelin/contracts/utils/Errors.sol";
import {InferenceChannels} from "../../src/InferenceChannels.sol";
import {Keys} from "../../src/libraries/Keys.sol";
import {Ledger} from "../../src/Ledger.sol";
import {Params} from "../../src/Params.sol";
import {ProviderRegistry} from "../../src/ProviderRegistry.sol";
import {QualityCourt} from "../../src/QualityCourt.sol";
import {Deployed} from "../Deployed.sol";

/// @title Governance on the deployed set, and what it cannot do.
contract EndToEndTest is Deployed {
    // ------------------------------------------------------------------------------------------------ decisions

    function test_a_vote_changes_the_free_daily_limit_from_the_next_day() public {
        assertEq(c.params.get(Keys.FREE_DAILY), 3);
        executed(one(address(c.params), abi.encodeCall(Params.set, (Keys.FREE_DAILY, 5)), "five free requests a day"));
        assertEq(c.params.get(Keys.FREE_DAILY), 3);
        uint40 from = c.params.param(Keys.FREE_DAILY).from;
        assertEq(from % 1 days, 0);
        assertEq(c.params.valueAt(Keys.FREE_DAILY, from - 1), 3);
        vm.warp(from);
        assertEq(c.params.get(Keys.FREE_DAILY), 5);
    }

    function test_a_vote_changes_the_fee() public {
        executed(one(address(c.params), abi.encodeCall(Params.set, (Keys.FEE_BPS, 500)), "five percent"));
        pass(2 days);
        assertEq(c.channels.feeBps(), 500);
    }

    function test_a_vote_endorses_a_provider() public {
        staked(5_000e18);
        executed(one(address(c.registry), abi.encodeCall(ProviderRegistry.setTier, (id, 2)), "endorse"));
        assertEq(c.registry.tierOf(id), 2);
    }

    function test_a_vote_spends_the_treasury() public {
        uint256 before = c.token.balanceOf(bob);
        executed(one(address(c.token), abi.encodeCall(IERC20.transfer, (bob, 7e18)), "a grant"));
        assertEq(c.token.balanceOf(bob), before + 7e18);
    }

    /// From the case to the slash, at production's delays: the vote fits into the decision window.
    function test_a_vote_decides_a_case() public {
        staked(10_000e18);
        vm.startPrank(user);
        c.token.approve(address(c.court), type(uint256).max);
        uint256 case_ = c.court.open(id, 500e18, "ipfs://case");
        vm.stopPrank();
        pass(3 days + 1);
        uint256 treasury = c.token.balanceOf(address(c.timelock));
        executed(one(address(c.court), abi.encodeCall(QualityCourt.decide, (case_, true)), "it did"));
        assertLe(block.timestamp, c.court.caseOf(case_).decideBy);
        assertEq(c.registry.stakeOf(id), 8_000e18);
        assertEq(c.token.balanceOf(address(c.timelock)) - treasury, 1_800e18);
        assertEq(c.court.payout(user), 700e18);
    }

    // ------------------------------------------------------------------------------------------------ bad proposals

    function test_a_proposal_with_bad_calldata_changes_nothing() public {
        address[5] memory targets =
            [address(c.params), address(c.params), address(c.params), address(c.channels), address(c.token)];
        bytes[5] memory data = [
            // An unknown parameter, a value out of bounds, too little of a value, an unknown function, nothing at all.
            abi.encodeCall(Params.set, ("nothing", 1)),
            abi.encodeCall(Params.set, (Keys.FEE_BPS, 1_001)),
            abi.encodePacked(Params.set.selector, Keys.FEE_BPS),
            abi.encodeWithSignature("mint(address,uint256)", bob, 1),
            bytes("")
        ];
        bytes[5] memory reasons = [
            abi.encodeWithSelector(Params.UnknownParam.selector, bytes32("nothing")),
            abi.encodeWithSelector(Params.OutOfBounds.selector, Keys.FEE_BPS, 1_001, 0, 1_000),
            abi.encodeWithSelector(Errors.FailedCall.selector),
            abi.encodeWithSelector(Errors.FailedCall.selector),
            abi.encodeWithSelector(Errors.FailedCall.selector)
        ];
        for (uint256 i; i < data.length; ++i) {
            uint256 proposal = queued(one(targets[i], data[i], vm.toString(i)));
            vm.warp(c.governor.proposalEta(proposal));
            vm.expectRevert(reasons[i]);
            c.governor.execute(proposal);
            is_(proposal, IGovernor.ProposalState.Queued);
        }
        // One bad call takes the good one beside it back.
        uint256 both = queued(
            two(
                one(address(c.params), abi.encodeCall(Params.set, (Keys.FREE_DAILY, 9)), "both"),
                one(address(c.params), abi.encodeCall(Params.set, ("nothing", 1)), "")
            )
        );
        vm.warp(c.governor.proposalEta(both));
        vm.expectPartialRevert(Params.UnknownParam.selector);
        c.governor.execute(both);
        assertEq(c.params.param(Keys.FREE_DAILY).value, 3);
    }

    function test_nothing_comes_before_its_time() public {
        uint256 proposal = proposed(alice, one(address(c.params), abi.encodeCall(Params.set, (Keys.FEE_BPS, 1)), "early"));
        vm.prank(alice);
        vm.expectPartialRevert(IGovernor.GovernorUnexpectedProposalState.selector);
        c.governor.castVote(proposal, 1);
        votable(proposal);
        voted(proposal, alice, 1);
        vm.expectPartialRevert(IGovernor.GovernorUnexpectedProposalState.selector);
        c.governor.queue(proposal);
        vm.warp(c.governor.proposalDeadline(proposal) + 1);
        c.governor.queue(proposal);
        vm.warp(c.governor.proposalEta(proposal) - 1);
        vm.expectPartialRevert(TimelockController.TimelockUnexpectedOperationState.selector);
        c.governor.execute(proposal);
    }

    // ------------------------------------------------------------------------------------------------ users' funds

    /// Whatever the timelock calls, with whatever arguments, a user's balance, channel and stake stay what they are.
    function test_governance_cannot_move_users_funds() public {
        staked(10_000e18);
        funded(1_000e18);
        vm.prank(user);
        c.channels.openFromBalance(provider, user, "salt", 400e18);
        InferenceChannels.Key memory key = channelOf("salt");
        bytes[] memory calls = new bytes[](9);
        calls[0] = abi.encodeCall(Ledger.withdraw, (address(c.timelock), 1));
        calls[1] = abi.encodeCall(Ledger.withdrawFor, (user, address(c.timelock), 1, 0, type(uint40).max, ""));
        calls[2] = abi.encodeCall(Ledger.setSessionFor, (user, Ledger.Terms(alice, 1, 1, 1), 0, type(uint40).max, ""));
        calls[3] = abi.encodeCall(InferenceChannels.closeToLedger, (user, user, "salt"));
        calls[4] = abi.encodeCall(InferenceChannels.requestClose, (key));
        calls[5] = abi.encodeCall(InferenceChannels.finishClose, (key));
        calls[6] = abi.encodeCall(InferenceChannels.payout, (address(c.timelock)));
        calls[7] = abi.encodeCall(InferenceChannels.sweep, ());
        calls[8] = abi.encodeCall(InferenceChannels.topUp, (key, 500e18));
        vm.startPrank(address(c.timelock));
        for (uint256 i; i < calls.length; ++i) {
            (bool ok,) = address(c.channels).call(calls[i]);
            assertFalse(ok, vm.toString(i));
        }
        calls = new bytes[](8);
        calls[0] = abi.encodeCall(ProviderRegistry.slash, (id, 1, address(c.timelock)));
        calls[1] = abi.encodeCall(ProviderRegistry.freeze, (id));
        calls[2] = abi.encodeCall(ProviderRegistry.unstake, (id, 1));
        calls[3] = abi.encodeCall(ProviderRegistry.withdraw, (id));
        calls[4] = abi.encodeCall(ProviderRegistry.setOwner, (id, address(c.timelock)));
        calls[5] = abi.encodeCall(ProviderRegistry.release, (id));
        calls[6] = abi.encodeCall(ProviderRegistry.stake, (id, 1));
        calls[7] = abi.encodeCall(c.registry.seatCourt, ());
        for (uint256 i; i < calls.length; ++i) {
            (bool ok,) = address(c.registry).call(calls[i]);
            assertFalse(ok, vm.toString(i));
        }
        (bool moved,) = address(c.token).call(abi.encodeCall(IERC20.transferFrom, (user, address(c.timelock), 1)));
        assertFalse(moved);
        // Itself the next court, governance is none before everybody can be out; and it can give no role.
        c.registry.setCourt(address(c.timelock));
        vm.warp(c.registry.nextCourtFrom() - 1);
        (moved,) = address(c.registry).call(abi.encodeCall(c.registry.seatCourt, ()));
        assertFalse(moved);
        (moved,) = address(c.registry).call(abi.encodeCall(c.registry.slash, (id, 1, address(c.timelock))));
        assertFalse(moved);
        bytes32 proposer = c.timelock.PROPOSER_ROLE();
        (moved,) = address(c.timelock).call(abi.encodeCall(c.timelock.grantRole, (proposer, alice)));
        assertFalse(moved);
        vm.stopPrank();
        (uint96 balance,) = c.channels.account(user);
        assertEq(balance, 600e18);
        (, uint96 deposit, uint96 claimed,) = c.channels.channel(c.channels.idOf(key));
        assertEq(deposit, 400e18);
        assertEq(claimed, 0);
        assertEq(c.registry.stakeOf(id), 10_000e18);
        assertEq(c.token.balanceOf(address(c.channels)), 1_000e18);
    }

    // ------------------------------------------------------------------------------------------------ time to leave

    /// The worst change of terms is queued; who asks to leave then has everything before it comes.
    function test_a_queued_change_cannot_trap_a_user() public {
        funded(1_000e18);
        vm.startPrank(user);
        c.channels.openFromBalance(provider, user, "salt", 400e18);
        vm.stopPrank();
        uint256 proposal = queued(
            two(
                one(address(c.params), abi.encodeCall(Params.set, (Keys.FEE_BPS, 1_000)), "worse terms"),
                one(address(c.params), abi.encodeCall(Params.set, (Keys.CHALLENGE_DELAY, 1 hours)), "")
            )
        );
        uint256 eta = c.governor.proposalEta(proposal);
        vm.startPrank(user);
        c.channels.requestClose(channelOf("salt"));
        (,,, uint40 closeAt) = c.channels.channel(c.channels.idOf(channelOf("salt")));
        assertLt(closeAt, eta);
        vm.warp(closeAt);
        c.channels.finishClose(channelOf("salt"));
        c.channels.withdraw(user, 1_000e18);
        vm.stopPrank();
        assertEq(c.token.balanceOf(user), 1_000_000e18);
        vm.warp(eta);
        c.governor.execute(proposal);
    }

    /// A change of the delay does not reach a close that was asked for.
    function test_a_close_that_was_asked_for_keeps_its_time() public {
        funded(400e18);
        uint256 proposal = queued(
            one(address(c.params), abi.encodeCall(Params.set, (Keys.CHALLENGE_DELAY, 1 hours)), "quick closes")
        );
        vm.warp(c.governor.proposalEta(proposal) - 1);
        vm.startPrank(user);
        c.channels.openFromBalance(provider, user, "salt", 400e18);
        c.channels.requestClose(channelOf("salt"));
        vm.stopPrank();
        (,,, uint40 closeAt) = c.channels.channel(c.channels.idOf(channelOf("salt")));
        vm.warp(c.governor.proposalEta(proposal));
        c.governor.execute(proposal);
        (,,, uint40 same) = c.channels.channel(c.channels.idOf(channelOf("salt")));
        assertEq(same, closeAt);
    }

    /// Who leaves as a case is opened in the last second is out at the end of the longest case.
    function test_a_provider_always_gets_away() public {
        staked(10_000e18);
        uint256 start = block.timestamp;
        vm.prank(provider);
        c.registry.unstake(id, 10_000e18);
        vm.warp(start + c.registry.UNBONDING() - 1);
        vm.startPrank(user);
        c.token.approve(address(c.court), type(uint256).max);
        uint256 last = c.court.open(id, 500e18, "");
        vm.stopPrank();
        vm.warp(c.court.caseOf(last).decideBy + 1);
        assertLe(block.timestamp, start + c.registry.UNBONDING() + c.court.MAX_RESPONSE() + c.court.MAX_DECISION());
        c.court.expire(last);
        c.registry.withdraw(id);
        assertEq(c.token.balanceOf(provider), 1_000_000e18);
    }

    // ------------------------------------------------------------------------------------------------ deployment

    function test_delays_stand_to_each_other_as_promised() public view {
        assertGt(c.timelock.MIN_DELAY(), c.channels.MAX_DELAY());
        assertGt(c.registry.UNBONDING(), c.channels.MAX_DELAY() + c.timelock.MAX_DELAY());
        assertGt(c.registry.MAX_FREEZE(), c.court.MAX_RESPONSE() + c.court.MAX_DECISION());
        assertEq(c.token.balanceOf(address(this)), 0);
        assertEq(c.token.balanceOf(address(c.timelock)), c.token.SUPPLY() - 112_000_000e18);
    }

    function test_the_demo_deploys() public {
        Profile memory demo = profile("demo");
        Contracts memory d = deploy(demo, address(this));
        assertEq(d.token.balanceOf(demo.distribution[0].to), 50_000_000e18);
        assertEq(d.registry.court(), address(d.court));
        assertEq(d.timelock.MIN_DELAY(), demo.timelockDelay);
        assertEq(d.governor.proposalGuardian(), demo.rules.guardian);
    }

    function reads(string memory name) external view {
        profile(name);
    }

    /// Half of the demo's tokens belong to keys that everybody knows.
    function test_the_demo_is_for_no_public_chain() public {
        vm.chainId(10);
        this.reads("production");
        vm.expectRevert(abi.encodeWithSelector(NotOnPublicChains.selector, "demo"));
        this.reads("demo");
    }

    function deploys(Profile memory q) external {
        deploy(q, address(this));
    }

    function test_refuses_to_deploy_what_would_trap_somebody() public {
        Profile memory q = profile("demo");
        q.timelockDelay = q.maxChallenge;
        vm.expectRevert(abi.encodeWithSelector(TimelockTooShort.selector, 30, 30));
        this.deploys(q);
        q = profile("demo");
        q.unbonding = uint40(q.maxChallenge + 2 * q.timelockDelay);
        vm.expectRevert(abi.encodeWithSelector(UnbondingTooShort.selector, 110, 110));
        this.deploys(q);
        q = profile("demo");
        q.params[1].key = "feeBpS";
        vm.expectRevert(abi.encodeWithSelector(Params.UnknownParam.selector, Keys.FEE_BPS));
        this.deploys(q);
        q = profile("demo");
        q.rules.votingPeriod = 1_000;
        vm.expectPartialRevert(DecisionWindowTooShort.selector);
        this.deploys(q);
        q = profile("demo");
        q.distribution = new Share[](1);
        q.distribution[0] = Share(alice, 39_999_999);
        vm.expectRevert(abi.encodeWithSelector(NobodyCanVote.selector, 39_999_999e18, 40_000_000e18));
        this.deploys(q);
    }

    function verifies() external view {
        verify(p, c);
    }

    function test_refuses_a_freeze_that_ends_before_the_longest_case() public {
        uint256 longest = c.court.MAX_RESPONSE() + c.court.MAX_DECISION();
        this.verifies();
        vm.mockCall(address(c.registry), abi.encodeCall(c.registry.MAX_FREEZE, ()), abi.encode(longest));
        vm.expectRevert(abi.encodeWithSelector(FreezeTooShort.selector, longest, longest));
        this.verifies();
    }

    function deploysFor(Profile memory q, address maker) external {
        deploy(q, maker);
    }

    /// Every contract is told a timelock that follows from who makes them: it must be who does.
    function test_refuses_to_deploy_for_another_maker() public {
        Profile memory q = profile("demo");
        address expected = vm.computeCreateAddress(alice, vm.getNonce(alice));
        address found = vm.computeCreateAddress(address(this), vm.getNonce(address(this)));
        vm.expectRevert(abi.encodeWithSelector(UnexpectedAddress.selector, expected, found));
        this.deploysFor(q, alice);
    }

    /// Production's profile is no one's until its deployer has filled it in.
    function test_refuses_a_profile_that_leaves_people_open() public {
        Profile memory q = profile("production");
        incomplete("distribution: it names nobody; say in the profile who gets the first tokens, and how many");
        this.deploys(q);
        q.distribution = new Share[](1);
        q.distribution[0] = Share(alice, 0);
        incomplete("distribution: an address or an amount is zero");
        this.deploys(q);
        q.distribution[0] = Share(address(0), 50_000_000);
        incomplete("distribution: an address or an amount is zero");
        this.deploys(q);
        q.distribution[0] = Share(alice, 50_000_000);
        incomplete("guardian: it has a time and is nobody; name one, or set guardianTime to 0 for none");
        this.deploys(q);
        q.rules.guardian = guardian;
        this.deploys(q);
        q.rules.guardian = address(0);
        q.rules.guardianUntil = uint48(block.timestamp);
        this.deploys(q);
    }

    function incomplete(string memory what) private {
        vm.expectRevert(abi.encodeWithSelector(ProfileIncomplete.selector, what));
    }
}
