// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";
import {InferenceToken} from "../../src/InferenceToken.sol";
import {ProviderRegistry} from "../../src/ProviderRegistry.sol";
import {QualityCourt} from "../../src/QualityCourt.sol";
import {Timelock} from "../../src/Timelock.sol";
import {Deployed} from "../Deployed.sol";

/// @title Holders, stakers, reporters and governance do what they may, in any order.
contract CourtHandler is Test {
    InferenceToken private immutable TOKEN;
    ProviderRegistry private immutable REGISTRY;
    QualityCourt private immutable COURT;
    Timelock private immutable TIMELOCK;

    address[] public people;
    bytes32[] public ids;
    uint256[] private live;
    /// Bonds of open cases.
    uint256 public bonds;
    /// Whether a decision took more of a stake than half, or a dismissal anything.
    bool public tookTooMuch;

    constructor(Deployed.Contracts memory c, address[] memory people_, bytes32[] memory ids_) {
        (TOKEN, REGISTRY, COURT, TIMELOCK) = (c.token, c.registry, c.court, c.timelock);
        people = people_;
        ids = ids_;
    }

    function person(uint256 seed) private view returns (address) {
        return people[seed % people.length];
    }

    function one(uint256 seed) private view returns (bytes32 id, address owner) {
        id = ids[seed % ids.length];
        owner = REGISTRY.ownerOf(id);
    }

    function count() external view returns (uint256, uint256) {
        return (people.length, ids.length);
    }

    // ------------------------------------------------------------------------------------------------ tokens, stakes

    function transfer(uint256 from, uint256 to, uint256 amount) external {
        address by = person(from);
        amount = bound(amount, 0, TOKEN.balanceOf(by));
        vm.prank(by);
        TOKEN.transfer(person(to), amount);
    }

    function stake(uint256 seed, uint256 amount) external {
        (bytes32 id, address owner) = one(seed);
        uint256 most = TOKEN.balanceOf(owner);
        if (most == 0) return;
        vm.prank(owner);
        REGISTRY.stake(id, uint96(bound(amount, 1, most)));
    }

    function unstake(uint256 seed, uint256 amount) external {
        (bytes32 id, address owner) = one(seed);
        uint96 most = REGISTRY.bondedOf(id);
        if (most == 0) return;
        vm.prank(owner);
        REGISTRY.unstake(id, uint96(bound(amount, most / 2 + 1, most)));
    }

    function withdraw(uint256 seed) external {
        (bytes32 id,) = one(seed);
        (uint96 amount, uint40 when) = REGISTRY.leavingOf(id);
        if (amount == 0 || block.timestamp < when || REGISTRY.isFrozen(id)) return;
        REGISTRY.withdraw(id);
    }

    function pass(uint256 time) external {
        vm.warp(vm.getBlockTimestamp() + bound(time, 1, 4 days));
    }

    // ------------------------------------------------------------------------------------------------ cases

    function open(uint256 seed, uint256 by) external {
        (bytes32 id,) = one(seed);
        address reporter = person(by);
        uint40 exit = REGISTRY.exitAt(id);
        if (REGISTRY.stakeOf(id) == 0 || exit != 0 && block.timestamp >= exit || live.length == 8) return;
        if (TOKEN.balanceOf(reporter) < 500e18) return;
        vm.prank(reporter);
        live.push(COURT.open(id, 500e18, ""));
        bonds += 500e18;
    }

    function answer(uint256 seed) external {
        (bool some, uint256 case_, QualityCourt.Case memory c,) = pick(seed);
        if (!some || c.answered || block.timestamp > c.answerBy) return;
        address owner = REGISTRY.ownerOf(c.providerId);
        vm.prank(owner);
        COURT.answer(case_, "");
    }

    function decide(uint256 seed, bool upheld) external {
        (bool some, uint256 case_, QualityCourt.Case memory c, uint256 index) = pick(seed);
        if (!some || block.timestamp > c.decideBy || !c.answered && block.timestamp <= c.answerBy) return;
        uint96 before = REGISTRY.stakeOf(c.providerId);
        vm.prank(address(TIMELOCK));
        COURT.decide(case_, upheld);
        uint96 taken = before - REGISTRY.stakeOf(c.providerId);
        if (taken > before / 2 || !upheld && taken != 0) tookTooMuch = true;
        ended(index, c.bond);
    }

    function expire(uint256 seed) external {
        (bool some, uint256 case_, QualityCourt.Case memory c, uint256 index) = pick(seed);
        if (!some || block.timestamp <= c.decideBy) return;
        COURT.expire(case_);
        ended(index, c.bond);
    }

    function payout(uint256 seed) external {
        address to = person(seed);
        if (COURT.owed(to) != 0) COURT.payout(to);
    }

    function liveOf(bytes32 id) external view returns (uint256 n) {
        for (uint256 i; i < live.length; ++i) {
            if (COURT.caseOf(live[i]).providerId == id) ++n;
        }
    }

    function pick(uint256 seed)
        private
        view
        returns (bool some, uint256 case_, QualityCourt.Case memory c, uint256 index)
    {
        if (live.length == 0) return (false, 0, c, 0);
        index = seed % live.length;
        case_ = live[index];
        return (true, case_, COURT.caseOf(case_), index);
    }

    function ended(uint256 index, uint96 bond) private {
        live[index] = live[live.length - 1];
        live.pop();
        bonds -= bond;
    }
}

contract CourtInvariants is Deployed {
    CourtHandler private handler;

    function setUp() public override {
        super.setUp();
        staked(10_000e18);
        address[] memory people = new address[](3);
        (people[0], people[1], people[2]) = (provider, user, bob);
        bytes32[] memory ids = new bytes32[](1);
        ids[0] = id;
        for (uint256 i; i < people.length; ++i) {
            vm.startPrank(people[i]);
            c.token.delegate(people[i]);
            c.token.approve(address(c.registry), type(uint256).max);
            c.token.approve(address(c.court), type(uint256).max);
            vm.stopPrank();
        }
        handler = new CourtHandler(c, people, ids);
        targetContract(address(handler));
    }

    /// One function for all: each invariant is a campaign of its own.
    function invariant_bonds_freezes_votes_and_slashes_hold() public view {
        the_court_has_what_it_owes();
        open_cases_freeze_and_nothing_else_does();
        votes_are_balances_and_stakes();
        assertFalse(handler.tookTooMuch(), "a case took more than half");
    }

    /// The court has exactly what it owes: open bonds, and what was decided and not taken out.
    function the_court_has_what_it_owes() private view {
        uint256 owed = handler.bonds();
        (uint256 people,) = handler.count();
        for (uint256 i; i < people; ++i) {
            owed += c.court.owed(handler.people(i));
        }
        assertEq(c.token.balanceOf(address(c.court)), owed);
    }

    /// A stake is frozen while, and only while, a case is open.
    function open_cases_freeze_and_nothing_else_does() private view {
        assertEq(c.court.openCases(id), handler.liveOf(id));
        if (handler.liveOf(id) == 0) assertFalse(c.registry.isFrozen(id));
    }

    function votes_are_balances_and_stakes() private view {
        (uint256 people,) = handler.count();
        for (uint256 i; i < people; ++i) {
            address who = handler.people(i);
            uint256 stake = who == provider ? c.registry.stakeOf(id) : 0;
            assertEq(c.votes.getVotes(who), c.token.balanceOf(who) + stake);
        }
        assertEq(c.token.balanceOf(address(c.registry)), c.registry.stakeOf(id));
    }
}
