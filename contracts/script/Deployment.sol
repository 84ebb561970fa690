// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {VmSafe} from "forge-std/Vm.sol";
import {stdJson} from "forge-std/StdJson.sol";
import {AccessGate} from "../src/AccessGate.sol";
import {Courts} from "../src/Courts.sol";
import {InferenceChannels} from "../src/InferenceChannels.sol";
import {InferenceGovernor} from "../src/InferenceGovernor.sol";
import {InferenceToken} from "../src/InferenceToken.sol";
import {MembershipRegistry} from "../src/MembershipRegistry.sol";
import {Params} from "../src/Params.sol";
import {ProviderRegistry} from "../src/ProviderRegistry.sol";
import {QualityCourt} from "../src/QualityCourt.sol";
import {Timelock} from "../src/Timelock.sol";
import {VotesAggregator} from "../src/VotesAggregator.sol";
import {Keys} from "../src/libraries/Keys.sol";

/// @title All contracts, in the order in which they can be made; shared by the script and the tests.
/// @notice One address is needed before it is there: the timelock's, which every other contract is told. It is known from
/// the maker's nonce and checked by the first contract's, and by the registry as the timelock is made. Nobody keeps a right
/// over anything afterwards.
abstract contract Deployment {
    using stdJson for string;

    /// What differs from one deployment to another; times are seconds. Read from script/profiles.
    struct Profile {
        Params.Initial[] params;
        uint40 paramsDelay;
        uint40 minChallenge;
        uint40 maxChallenge;
        uint40 usageEpoch;
        uint40 unbonding;
        uint40 memberExit;
        uint256 timelockDelay;
        InferenceGovernor.Rules rules;
        Share[] distribution;
    }

    /// Who gets how many whole tokens at the start; what is left is the treasury's.
    struct Share {
        address to;
        uint256 tokens;
    }

    struct Contracts {
        InferenceToken token;
        Params params;
        InferenceChannels channels;
        ProviderRegistry registry;
        QualityCourt court;
        VotesAggregator votes;
        InferenceGovernor governor;
        Timelock timelock;
        MembershipRegistry members;
        AccessGate gate;
    }

    VmSafe private constant cheats = VmSafe(address(uint160(uint256(keccak256("hevm cheat code")))));

    /// The profile leaves open what only the deployer can say.
    error ProfileIncomplete(string what);
    error NotOnPublicChains(string profile);
    error UnexpectedAddress(address expected, address found);
    /// Users could not leave a channel before a queued change comes.
    error TimelockTooShort(uint256 timelock, uint256 maxChallenge);
    /// A provider could be gone before a change that concerns it, or a late claim against it.
    error UnbondingTooShort(uint256 unbonding, uint256 needed);
    /// A case could not be brought through a vote in time.
    error DecisionWindowTooShort(uint256 window, uint256 needed);
    /// The tokens in people's hands could not bring a proposal through: the treasury would be locked for ever.
    error NobodyCanVote(uint256 distributed, uint256 needed);
    /// The stake would be free before the case is decided.
    error FreezeTooShort(uint256 freeze, uint256 longestCase);

    /// Makes everything; the maker is whoever the next transactions come from.
    function deploy(Profile memory p, address maker) internal returns (Contracts memory c) {
        complete(p);
        uint256 nonce = cheats.getNonce(maker);
        // The eighth contract from here.
        address timelock = cheats.computeCreateAddress(maker, nonce + 7);
        c.token = new InferenceToken(maker);
        address first = cheats.computeCreateAddress(maker, nonce);
        require(address(c.token) == first, UnexpectedAddress(first, address(c.token)));
        c.params = new Params(timelock, p.paramsDelay, p.params);
        c.channels =
            new InferenceChannels(c.token, timelock, c.params, p.minChallenge, p.maxChallenge, p.usageEpoch);
        c.registry = new ProviderRegistry(c.token, c.params, timelock, p.unbonding);
        c.court = new QualityCourt(c.token, c.registry, c.params, timelock, timelock);
        c.votes = new VotesAggregator(c.token, c.registry);
        c.governor = new InferenceGovernor(c.votes, Timelock(payable(timelock)), p.rules);
        // No other timelock than the one that the registry was told can make this call.
        Timelock.Call[] memory calls = new Timelock.Call[](1);
        calls[0] = Timelock.Call(address(c.registry), abi.encodeCall(Courts.setCourt, (address(c.court))));
        c.timelock = new Timelock(p.timelockDelay, address(c.governor), calls);
        c.members = new MembershipRegistry(c.token, c.params, c.registry, p.memberExit);
        c.gate = new AccessGate(c.token, c.registry, c.channels, c.params);
        verify(p, c);
        distribute(p, c);
    }

    /// What no profile may leave out: production's names neither people nor a guardian until its deployer does.
    function complete(Profile memory p) private view {
        require(
            p.distribution.length != 0,
            ProfileIncomplete("distribution: it names nobody; say in the profile who gets the first tokens, and how many")
        );
        for (uint256 i; i < p.distribution.length; ++i) {
            require(
                p.distribution[i].to != address(0) && p.distribution[i].tokens != 0,
                ProfileIncomplete("distribution: an address or an amount is zero")
            );
        }
        require(
            p.rules.guardian != address(0) || p.rules.guardianUntil <= block.timestamp,
            ProfileIncomplete("guardian: it has a time and is nobody; name one, or set guardianTime to 0 for none")
        );
    }

    /// Hands every token on: the maker keeps none.
    function distribute(Profile memory p, Contracts memory c) private {
        uint256 left = c.token.SUPPLY();
        uint256 quorum = left * p.rules.quorumPercent / 100;
        for (uint256 i; i < p.distribution.length; ++i) {
            uint256 amount = p.distribution[i].tokens * 1e18;
            c.token.transfer(p.distribution[i].to, amount);
            left -= amount;
        }
        require(c.token.SUPPLY() - left >= quorum, NobodyCanVote(c.token.SUPPLY() - left, quorum));
        if (left != 0) c.token.transfer(address(c.timelock), left);
    }

    /// What users were promised of the delays among each other.
    function verify(Profile memory p, Contracts memory c) internal view {
        uint256 maxChallenge = c.channels.MAX_DELAY();
        // Where one is missing or misspelt, what reads it would revert for ever.
        bytes32[15] memory keys = [
            Keys.FREE_DAILY, Keys.FEE_BPS, Keys.MIN_STAKE, Keys.CHALLENGE_DELAY, Keys.REPLY_BUCKETS, Keys.OPEN_SEATS_DAILY,
            Keys.PUZZLE_BITS, Keys.SEAT_DEPOSIT, Keys.ACCESS_MINIMUM, Keys.ACCESS_CHANNEL, Keys.CASE_BOND,
            Keys.RESPONSE_WINDOW, Keys.DECISION_WINDOW, Keys.SLASH_BPS, Keys.EPOCH
        ];
        for (uint256 i; i < keys.length; ++i) {
            c.params.get(keys[i]);
        }
        uint256 timelock = c.timelock.MIN_DELAY();
        require(timelock > maxChallenge, TimelockTooShort(timelock, maxChallenge));
        uint256 longestChange = maxChallenge + c.timelock.MAX_DELAY();
        require(p.unbonding > longestChange, UnbondingTooShort(p.unbonding, longestChange));
        uint256 vote = uint256(p.rules.votingDelay) + p.rules.votingPeriod + p.rules.lateQuorumExtension + timelock;
        uint256 window = Math.min(c.params.param(Keys.DECISION_WINDOW).min, c.court.MAX_DECISION());
        require(window > vote, DecisionWindowTooShort(window, vote));
        uint256 longest = c.court.MAX_RESPONSE() + c.court.MAX_DECISION();
        require(c.registry.MAX_FREEZE() > longest, FreezeTooShort(c.registry.MAX_FREEZE(), longest));
    }

    /// A profile of script/profiles.
    function profile(string memory name) internal view returns (Profile memory p) {
        string memory json = cheats.readFile(string.concat("script/profiles/", name, ".json"));
        p.params = new Params.Initial[](cheats.parseJsonKeys(json, ".params").length);
        // Half of its tokens, and the guardian, belong to keys that everybody knows.
        require(block.chainid == 31337 || keccak256(bytes(name)) != keccak256("demo"), NotOnPublicChains(name));
        string[] memory keys = cheats.parseJsonKeys(json, ".params");
        for (uint256 i; i < keys.length; ++i) {
            // [value, least, most]
            uint256[] memory v = json.readUintArray(string.concat(".params.", keys[i]));
            p.params[i] = Params.Initial(bytes32(bytes(keys[i])), uint64(v[0]), uint64(v[1]), uint64(v[2]));
        }
        p.paramsDelay = uint40(json.readUint(".paramsDelay"));
        p.minChallenge = uint40(json.readUint(".channels.minChallenge"));
        p.maxChallenge = uint40(json.readUint(".channels.maxChallenge"));
        p.usageEpoch = uint40(json.readUint(".channels.usageEpoch"));
        p.unbonding = uint40(json.readUint(".unbonding"));
        p.memberExit = uint40(json.readUint(".memberExit"));
        p.timelockDelay = json.readUint(".governance.timelock");
        p.rules = InferenceGovernor.Rules({
            votingDelay: uint48(json.readUint(".governance.votingDelay")),
            votingPeriod: uint32(json.readUint(".governance.votingPeriod")),
            lateQuorumExtension: uint48(json.readUint(".governance.lateQuorumExtension")),
            proposalThreshold: json.readUint(".governance.proposalThreshold") * 1e18,
            quorumPercent: json.readUint(".governance.quorumPercent"),
            guardian: json.readAddress(".governance.guardian"),
            guardianUntil: uint48(block.timestamp + json.readUint(".governance.guardianTime"))
        });
        address[] memory to = json.readAddressArray(".distribution.to");
        uint256[] memory tokens = json.readUintArray(".distribution.tokens");
        require(
            to.length == tokens.length, ProfileIncomplete("distribution: there are not as many amounts as addresses")
        );
        p.distribution = new Share[](to.length);
        for (uint256 i; i < to.length; ++i) {
            p.distribution[i] = Share(to[i], tokens[i]);
        }
    }
}
