// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Governor} from "@openzeppelin/contracts/governance/Governor.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {GovernorCountingSimple} from "@openzeppelin/contracts/governance/extensions/GovernorCountingSimple.sol";
import {GovernorPreventLateQuorum} from "@openzeppelin/contracts/governance/extensions/GovernorPreventLateQuorum.sol";
import {GovernorProposalGuardian} from "@openzeppelin/contracts/governance/extensions/GovernorProposalGuardian.sol";
import {GovernorSettings} from "@openzeppelin/contracts/governance/extensions/GovernorSettings.sol";
import {GovernorStorage} from "@openzeppelin/contracts/governance/extensions/GovernorStorage.sol";
import {GovernorTimelockControl} from "@openzeppelin/contracts/governance/extensions/GovernorTimelockControl.sol";
import {GovernorVotes} from "@openzeppelin/contracts/governance/extensions/GovernorVotes.sol";
import {
    GovernorVotesQuorumFraction
} from "@openzeppelin/contracts/governance/extensions/GovernorVotesQuorumFraction.sol";
import {IVotes} from "@openzeppelin/contracts/governance/utils/IVotes.sol";

/// @title Token holders and stakers decide: parameters, endorsements, quality cases and the treasury.
/// @notice OpenZeppelin's governor over the sum of held and staked votes, acting through the timelock. Added are bounds that
/// no vote can move, one live proposal a proposer, and a guardian that can only cancel and ends at a date fixed here.
contract InferenceGovernor is
    GovernorSettings,
    GovernorCountingSimple,
    GovernorStorage,
    GovernorVotes,
    GovernorVotesQuorumFraction,
    GovernorPreventLateQuorum,
    GovernorProposalGuardian,
    GovernorTimelockControl
{
    /// What the constructor takes; times are seconds.
    struct Rules {
        /// From the proposal to the first vote; no vote can make it shorter.
        uint48 votingDelay;
        /// How long is voted; no vote can make it shorter.
        uint32 votingPeriod;
        /// How long is voted at least after the quorum is reached; no vote can make it shorter.
        uint48 lateQuorumExtension;
        /// Votes a proposer needs.
        uint256 proposalThreshold;
        /// Votes a decision needs, in percent of the supply.
        uint256 quorumPercent;
        /// Who may cancel until `guardianUntil`.
        address guardian;
        uint48 guardianUntil;
    }

    /// No vote can make any delay longer.
    uint256 public constant MAX_DELAY = 30 days;
    /// No vote can ask more of a proposer: one in a hundred of the supply of one billion.
    uint256 public constant MAX_THRESHOLD = 10_000_000e18;
    /// Between these the quorum stays, in percent of the supply.
    uint256 public constant MIN_QUORUM = 1;
    uint256 public constant MAX_QUORUM = 20;
    /// The guardian ends within this time of the deployment.
    uint256 public constant MAX_GUARDIAN_TIME = 366 days;

    uint48 public immutable MIN_VOTING_DELAY;
    uint32 public immutable MIN_VOTING_PERIOD;
    uint48 public immutable MIN_EXTENSION;
    /// From then on nobody is guardian, whatever is voted.
    uint48 public immutable GUARDIAN_UNTIL;

    mapping(address proposer => uint256 proposalId) public latestProposal;

    error OutOfBounds(uint256 value, uint256 min, uint256 max);
    error LiveProposal(address proposer, uint256 proposalId);
    error TimelockFixed();
    error NoRelay();

    constructor(IVotes votes, TimelockController timelock_, Rules memory rules)
        Governor("InferenceGovernor")
        GovernorSettings(rules.votingDelay, rules.votingPeriod, rules.proposalThreshold)
        GovernorVotes(votes)
        GovernorVotesQuorumFraction(rules.quorumPercent)
        GovernorPreventLateQuorum(rules.lateQuorumExtension)
        GovernorTimelockControl(timelock_)
    {
        require(rules.votingDelay != 0, OutOfBounds(rules.votingDelay, 1, MAX_DELAY));
        MIN_VOTING_DELAY = rules.votingDelay;
        MIN_VOTING_PERIOD = rules.votingPeriod;
        MIN_EXTENSION = rules.lateQuorumExtension;
        _bound(rules.guardianUntil, 0, block.timestamp + MAX_GUARDIAN_TIME);
        GUARDIAN_UNTIL = rules.guardianUntil;
        _setProposalGuardian(rules.guardian);
    }

    /// @notice Who may cancel any proposal that is not executed; zero after its time.
    function proposalGuardian() public view override returns (address) {
        return block.timestamp < GUARDIAN_UNTIL ? super.proposalGuardian() : address(0);
    }

    /// The proposer takes back its own only while nobody can vote yet, with or without a guardian: who votes for a proposal
    /// has it decided.
    function _validateCancel(uint256 proposalId, address caller)
        internal
        view
        override(Governor, GovernorProposalGuardian)
        returns (bool)
    {
        return caller == proposalGuardian() || Governor._validateCancel(proposalId, caller);
    }

    function _propose(
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        string memory description,
        address proposer
    ) internal override(Governor, GovernorStorage) returns (uint256 proposalId) {
        uint256 latest = latestProposal[proposer];
        if (latest != 0) {
            ProposalState s = state(latest);
            require(s != ProposalState.Pending && s != ProposalState.Active, LiveProposal(proposer, latest));
        }
        proposalId = super._propose(targets, values, calldatas, description, proposer);
        latestProposal[proposer] = proposalId;
    }

    // ------------------------------------------------------------------------------------------------ bounds

    function _setVotingDelay(uint48 delay) internal override {
        _bound(delay, MIN_VOTING_DELAY, MAX_DELAY);
        super._setVotingDelay(delay);
    }

    function _setVotingPeriod(uint32 period) internal override {
        _bound(period, MIN_VOTING_PERIOD, MAX_DELAY);
        super._setVotingPeriod(period);
    }

    function _setProposalThreshold(uint256 threshold) internal override {
        _bound(threshold, 1, MAX_THRESHOLD);
        super._setProposalThreshold(threshold);
    }

    function _updateQuorumNumerator(uint256 percent) internal override {
        _bound(percent, MIN_QUORUM, MAX_QUORUM);
        super._updateQuorumNumerator(percent);
    }

    function _setLateQuorumVoteExtension(uint48 extension) internal override {
        _bound(extension, MIN_EXTENSION, MAX_DELAY);
        super._setLateQuorumVoteExtension(extension);
    }

    function _bound(uint256 value, uint256 min, uint256 max) private pure {
        require(min <= value && value <= max, OutOfBounds(value, min, max));
    }

    /// @notice Never: another timelock would keep none of the delays that users were promised.
    function updateTimelock(TimelockController) public pure override {
        revert TimelockFixed();
    }

    /// @notice Never: a vote acts through the timelock. The governor has its roles there and nothing else, and what speaks
    /// for it could give those up, after which nothing could be voted for again.
    function relay(address, uint256, bytes calldata) public payable override {
        revert NoRelay();
    }

    // ------------------------------------------------------------------------------------------------ linearisation

    function proposalThreshold() public view override(Governor, GovernorSettings) returns (uint256) {
        return super.proposalThreshold();
    }

    function proposalDeadline(uint256 proposalId)
        public
        view
        override(Governor, GovernorPreventLateQuorum)
        returns (uint256)
    {
        return super.proposalDeadline(proposalId);
    }

    function state(uint256 proposalId)
        public
        view
        override(Governor, GovernorTimelockControl)
        returns (ProposalState)
    {
        return super.state(proposalId);
    }

    function proposalNeedsQueuing(uint256 proposalId)
        public
        view
        override(Governor, GovernorTimelockControl)
        returns (bool)
    {
        return super.proposalNeedsQueuing(proposalId);
    }

    function _tallyUpdated(uint256 proposalId) internal override(Governor, GovernorPreventLateQuorum) {
        super._tallyUpdated(proposalId);
    }

    function _queueOperations(
        uint256 proposalId,
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) returns (uint48) {
        return super._queueOperations(proposalId, targets, values, calldatas, descriptionHash);
    }

    function _executeOperations(
        uint256 proposalId,
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) {
        super._executeOperations(proposalId, targets, values, calldatas, descriptionHash);
    }

    function _cancel(
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) returns (uint256) {
        return super._cancel(targets, values, calldatas, descriptionHash);
    }

    function _executor() internal view override(Governor, GovernorTimelockControl) returns (address) {
        return super._executor();
    }
}
