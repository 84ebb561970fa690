// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Funding} from "../src/Funding.sol";
import {MembershipRegistry} from "../src/MembershipRegistry.sol";
import {Poseidon} from "../src/libraries/Poseidon.sol";
import {Providers} from "./Providers.sol";

/// @title A membership registry beside the provider registry.
abstract contract Members is Providers {
    uint40 internal constant EXIT = 3 days;
    uint96 internal constant PRICE = 100e18;

    MembershipRegistry internal members;
    Person internal invited;
    Person internal sponsor;

    function setUp() public virtual override {
        super.setUp();
        invited = person("invited");
        sponsor = person("sponsor");
        vm.roll(1_000);
        members = new MembershipRegistry(token, rules, registry, EXIT);
        token.transfer(sponsor.at, 1_000_000e18);
        Person[3] memory people = [payer, owner, sponsor];
        for (uint256 i; i < people.length; ++i) {
            vm.prank(people[i].at);
            token.approve(address(members), type(uint256).max);
        }
    }

    function commitmentOf(uint256 secret) internal pure returns (uint256) {
        return Poseidon.hash1(secret);
    }

    function openly(uint256 commitment) internal {
        members.joinOpen(commitment, block.number - 1, 0);
    }

    function deposited(uint256 commitment, uint16 tier) internal {
        vm.prank(payer.at);
        members.joinByDeposit(commitment, tier);
    }

    function byStake(uint256 commitment, uint16 tier) internal {
        vm.prank(owner.at);
        members.joinByStake(commitment, tier, id);
    }

    function sponsored(uint96 amount) internal {
        vm.prank(sponsor.at);
        members.fundInvitations(amount);
    }

    function invitation(uint16 tier, uint96 fee) internal view returns (MembershipRegistry.Invitation memory) {
        return MembershipRegistry.Invitation(
            sponsor.at, invited.at, tier, members.today() + 30, members.depositFor(tier), fee, FOREVER
        );
    }

    function typed(Person memory by, bytes32 structHash) internal view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(by.key, members.hashTypedData(structHash));
        return abi.encodePacked(r, s, v);
    }

    function hashOf(MembershipRegistry.Invitation memory i) internal pure returns (bytes32) {
        bytes32 kind = keccak256(
            "Invitation(address sponsor,address key,uint16 tier,uint32 validUntil,uint96 maxCover,uint96 fee,uint40 deadline)"
        );
        return keccak256(
            abi.encode(kind, i.sponsor, i.key, i.tier, i.validUntil, i.maxCover, i.fee, i.deadline)
        );
    }

    function invites(MembershipRegistry.Invitation memory i) internal view returns (bytes memory) {
        return typed(sponsor, hashOf(i));
    }

    function accepts(MembershipRegistry.Invitation memory i, uint256 commitment)
        internal
        view
        returns (bytes32 r, bytes32 vs)
    {
        bytes32 kind = keccak256("Accept(bytes32 invitation,uint256 commitment)");
        bytes32 hash = keccak256(abi.encode(kind, members.hashTypedData(hashOf(i)), commitment));
        return vm.signCompact(invited.key, members.hashTypedData(hash));
    }

    function byInvitation(uint256 commitment, MembershipRegistry.Invitation memory i) internal {
        bytes memory signature = invites(i);
        (bytes32 r, bytes32 vs) = accepts(i, commitment);
        vm.prank(relayer);
        members.joinByInvitation(commitment, i, signature, r, vs);
    }

    function leaves(Person memory by, uint256 commitment, uint96 fee, uint40 deadline)
        internal
        view
        returns (bytes memory)
    {
        bytes32 kind = keccak256("Exit(uint256 commitment,uint96 fee,uint40 deadline)");
        return typed(by, keccak256(abi.encode(kind, commitment, fee, deadline)));
    }

    function slashed(uint256 secret) internal {
        vm.startPrank(stranger.at);
        members.commitSlash(keccak256(abi.encode(secret, stranger.at, bytes32("salt"))));
        vm.roll(block.number + 1);
        members.revealSlash(secret, "salt");
        vm.stopPrank();
    }

    function stateOf(uint256 commitment) internal view returns (uint8 state) {
        (state,,,,,,) = members.seat(commitment);
    }

    function coverOf(uint256 commitment) internal view returns (uint96 cover) {
        (,,,,,, cover) = members.seat(commitment);
    }

    function tierOf(uint256 commitment) internal view returns (uint16 tier) {
        (,, tier,,,,) = members.seat(commitment);
    }

    function untilOf(uint256 commitment) internal view returns (uint32 until) {
        (,,, until,,,) = members.seat(commitment);
    }
}
