// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";
import {InferenceChannels} from "../../src/InferenceChannels.sol";
import {Deployed} from "../Deployed.sol";

/// @title The timelock calls any function of any contract, with arguments that have a meaning there.
contract GovernanceHandler is Test {
    address private immutable BY;
    address[] private targets;
    /// By target: what can be called, each with the types of its arguments, one character each.
    mapping(address target => bytes4[]) private selectors;
    mapping(bytes4 selector => bytes) private kinds;
    address[] private accounts;
    bytes32[] private names;
    uint256[] private numbers = [0, 1, 2, 1e18, 100e18, type(uint32).max];
    uint256 public done;

    constructor(address by, address[] memory accounts_, bytes32[] memory names_) {
        (BY, accounts, names) = (by, accounts_, names_);
    }

    /// Learns the functions of a contract from what the compiler wrote of it.
    function learn(address target, string memory name) external {
        string memory out = vm.envOr("FOUNDRY_OUT", string("out"));
        string memory json = vm.readFile(string.concat(out, "/", name, ".sol/", name, ".json"));
        string[] memory signatures = vm.parseJsonKeys(json, ".methodIdentifiers");
        targets.push(target);
        for (uint256 i; i < signatures.length; ++i) {
            bytes4 selector = bytes4(keccak256(bytes(signatures[i])));
            (bool fixed_, bytes memory types) = typesOf(bytes(signatures[i]));
            // Where something has no fixed length, words in a row are no arguments.
            if (!fixed_) continue;
            selectors[target].push(selector);
            kinds[selector] = types;
        }
        assertGt(selectors[target].length, 0);
    }

    function call(uint256 whom, uint256 what, uint256[12] calldata picks) external {
        address target = targets[whom % targets.length];
        bytes4 selector = selectors[target][what % selectors[target].length];
        bytes memory data = abi.encodePacked(selector);
        bytes memory types = kinds[selector];
        for (uint256 i; i < types.length; ++i) {
            data = abi.encodePacked(data, word(types[i], picks[i % picks.length]));
        }
        vm.prank(BY);
        (bool ok,) = target.call(data);
        if (ok) ++done;
    }

    function word(bytes1 kind, uint256 pick) private view returns (bytes32) {
        if (kind == "a") return bytes32(uint256(uint160(accounts[pick % accounts.length])));
        if (kind == "b") return names[pick % names.length];
        return bytes32(kind == "u" ? numbers[pick % numbers.length] : pick % 2);
    }

    /// "slash(bytes32,uint96,address)" is "bua": the first letter after each bracket or comma.
    function typesOf(bytes memory signature) private pure returns (bool fixed_, bytes memory types) {
        bool inside;
        for (uint256 i; i + 1 < signature.length; ++i) {
            (bytes1 at_, bytes1 next) = (signature[i], signature[i + 1]);
            if (at_ == "[") return (false, types);
            if (at_ == "(") inside = true;
            if (!inside || at_ != "(" && at_ != ",") continue;
            if (next == "(" || next == ")") continue;
            // "bool" is a flag, "bytes" and "string" have no fixed length; "bytes32" is a name, and so is what is shorter.
            if (next == "s") return (false, types);
            if (next == "b" && signature[i + 2] == "o") next = "f";
            else if (next == "b" && (signature[i + 6] == "," || signature[i + 6] == ")")) return (false, types);
            types = abi.encodePacked(types, next);
        }
        return (true, types);
    }
}

/// @title Whatever the timelock calls, users keep what they have.
/// @dev Time stands still: what a vote may do later, such as seat a court that everybody had the time to leave, is for the
/// tests of that.
contract GovernanceInvariants is Deployed {
    uint256 private constant COMMITMENT = 2;
    uint256 private deposited;
    GovernanceHandler private handler;

    function setUp() public override {
        super.setUp();
        funded(1_000e18);
        staked(10_000e18);
        vm.startPrank(user);
        c.channels.openFromBalance(provider, user, "salt", 400e18);
        c.token.approve(address(c.members), type(uint256).max);
        c.members.joinByDeposit(COMMITMENT, 2);
        vm.stopPrank();
        deposited = c.token.balanceOf(address(c.members));
        assertGt(deposited, 0);
        address[] memory accounts = new address[](4);
        (accounts[0], accounts[1], accounts[2], accounts[3]) = (user, provider, address(c.timelock), bob);
        bytes32[] memory names = new bytes32[](2);
        (names[0], names[1]) = (id, "salt");
        handler = new GovernanceHandler(address(c.timelock), accounts, names);
        handler.learn(address(c.token), "InferenceToken");
        handler.learn(address(c.channels), "InferenceChannels");
        handler.learn(address(c.registry), "ProviderRegistry");
        handler.learn(address(c.court), "QualityCourt");
        handler.learn(address(c.members), "MembershipRegistry");
        handler.learn(address(c.params), "Params");
        bytes4[] memory moves = new bytes4[](1);
        moves[0] = GovernanceHandler.call.selector;
        targetSelector(FuzzSelector(address(handler), moves));
        targetContract(address(handler));
    }

    function invariant_no_call_of_governance_moves_users_funds() public view {
        assertGe(c.token.balanceOf(address(c.channels)), 1_000e18);
        assertGe(c.token.balanceOf(address(c.members)), deposited);
        assertGe(c.token.balanceOf(address(c.registry)), 10_000e18);
        assertGe(c.token.balanceOf(user), 1_000_000e18 - 1_000e18 - deposited);
        (uint96 balance,) = c.channels.account(user);
        assertGe(balance, 600e18);
        InferenceChannels.Key memory key = channelOf("salt");
        (uint256 state, uint96 deposit, uint96 claimed, uint40 closeAt) = c.channels.channel(c.channels.idOf(key));
        assertEq(abi.encode(state, deposit, claimed, closeAt), abi.encode(1, 400e18, 0, 0));
        assertEq(c.registry.stakeOf(id), 10_000e18);
        assertEq(c.registry.ownerOf(id), provider);
        (uint8 seat,,,,,, uint96 cover) = c.members.seat(COMMITMENT);
        assertEq(abi.encode(seat, cover), abi.encode(1, deposited));
    }

    function afterInvariant() public view {
        assertGt(handler.done(), 0, "governance did something");
    }
}
