// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {P256} from "@openzeppelin/contracts/utils/cryptography/P256.sol";
import {Funding} from "../../src/Funding.sol";
import {IProviderRegistry as I} from "../../src/interfaces/IProviderRegistry.sol";
import {ProviderRegistry} from "../../src/ProviderRegistry.sol";
import {RootKeys} from "../../src/RootKeys.sol";
import {Providers} from "../Providers.sol";

/// @title The fallback alone.
contract Fallback {
    function verify(bytes32 hash, bytes32 r, bytes32 s, bytes32 qx, bytes32 qy) external view returns (bool) {
        return P256.verifySolidity(hash, r, s, qx, qy);
    }
}

/// @title Root keys, payees and owners.
contract IdentityTest is Providers {
    // ------------------------------------------------------------------------------------------------ identity

    /// The layout of the protocol, sections 2.2 and 2.3, by hand: another key, chain, registry or payee is another message.
    function test_names_and_binds_as_the_protocol_says() public view {
        (bytes32 qx, bytes32 qy) = rootOf(ROOT);
        bytes memory pid = bytes.concat("pam1 pid", hex"0001", uint256(qy) % 2 == 0 ? bytes1(0x02) : bytes1(0x03), qx);
        assertEq(pid.length, 43);
        assertEq(id, sha256(pid));
        bytes memory bind = bytes.concat(
            "pam1 bind", hex"00", bytes8(uint64(block.chainid)), bytes20(address(registry)), bytes20(payee.at), id, hex"0000000000000007"
        );
        assertEq(bind.length, 10 + 8 + 20 + 20 + 32 + 8);
        assertEq(registry.bindingHash(id, payee.at, 7), sha256(bind));
    }

    function testFuzz_ids_follow_the_compressed_point(uint256 key) public view {
        key = bound(key, 1, P256.N - 1);
        (bytes32 qx, bytes32 qy) = rootOf(key);
        bytes1 prefix = uint256(qy) & 1 == 0 ? bytes1(0x02) : bytes1(0x03);
        assertEq(registry.idOf(qx, qy), sha256(bytes.concat("pam1 pid", hex"0001", prefix, qx)));
    }

    function test_registers() public {
        ProviderRegistry.Root memory b = bound(7, payee.at);
        bytes32 other = idOf(7);
        vm.expectEmit();
        emit I.Registered(other, owner.at, payee.at, b.qx, b.qy, "ipfs://one");
        assertEq(registered(7, payee.at, owner.at), other);
        assertEq(registry.ownerOf(other), owner.at);
        assertEq(registry.payeeOf(other), payee.at);
        assertEq(registry.uriOf(other), "ipfs://one");
        assertEq(registry.nonceOf(other), 1);
        (bytes32 qx, bytes32 qy) = registry.rootKey(other);
        assertEq(qx, b.qx);
        assertEq(qy, b.qy);
        assertEq(registry.stakeOf(other), 0);
        assertEq(registry.tierOf(other), 0);
        assertEq(registry.minOpSeq(other), 0);
        assertEq(registry.unbonding(), UNBONDING);
        assertFalse(registry.isFrozen(other));
        assertFalse(registry.isReleased(other));
    }

    function test_refuses_registrations() public {
        ProviderRegistry.Root memory b = bound(ROOT, payee.at);
        vm.startPrank(payee.at);
        vm.expectRevert(I.AlreadyRegistered.selector);
        registry.register(b, owner.at, "");
        b = bound(7, payee.at);
        vm.expectRevert(Funding.ZeroAddress.selector);
        registry.register(b, address(0), "");
        vm.stopPrank();
        // Another payee's signature.
        vm.prank(stranger.at);
        vm.expectRevert(I.BadRootSignature.selector);
        registry.register(b, owner.at, "");
        // Another chain's.
        vm.chainId(1);
        vm.prank(payee.at);
        vm.expectRevert(I.BadRootSignature.selector);
        registry.register(b, owner.at, "");
        vm.chainId(31337);
        // Another registry's.
        ProviderRegistry other = new ProviderRegistry(token, rules, governance, UNBONDING);
        vm.prank(payee.at);
        vm.expectRevert(I.BadRootSignature.selector);
        other.register(b, owner.at, "");
        // Another key's.
        (bytes32 qx, bytes32 qy) = rootOf(8);
        (b.qx, b.qy) = (qx, qy);
        vm.prank(payee.at);
        vm.expectRevert(I.BadRootSignature.selector);
        registry.register(b, owner.at, "");
        // No point of the curve.
        b.qy = bytes32(uint256(qy) ^ 2);
        vm.prank(payee.at);
        vm.expectRevert(I.BadRootSignature.selector);
        registry.register(b, owner.at, "");
    }

    function test_refuses_a_high_s() public {
        ProviderRegistry.Root memory b = bound(7, payee.at);
        b.s = bytes32(P256.N - uint256(b.s));
        vm.prank(payee.at);
        vm.expectRevert(I.BadRootSignature.selector);
        registry.register(b, owner.at, "");
    }

    function testFuzz_no_other_signature_registers(bytes32 r, bytes32 s) public {
        ProviderRegistry.Root memory b = bound(7, payee.at);
        vm.assume(r != b.r || s != b.s);
        (b.r, b.s) = (r, s);
        vm.prank(payee.at);
        vm.expectRevert(I.BadRootSignature.selector);
        registry.register(b, owner.at, "");
    }

    /// A chain without the precompile answers nothing at its address.
    function test_verifies_without_the_precompile() public {
        vm.mockCall(address(0x100), bytes(""), bytes(""));
        registered(7, payee.at, owner.at);
        assertEq(registry.payeeOf(idOf(7)), payee.at);
        ProviderRegistry.Root memory b = bound(8, payee.at);
        b.r = bytes32(uint256(b.r) ^ 1);
        vm.prank(payee.at);
        vm.expectRevert(I.BadRootSignature.selector);
        registry.register(b, owner.at, "");
    }

    /// Precompile and fallback agree, on good signatures and on bad ones.
    function testFuzz_precompile_and_fallback_agree(uint256 key, bytes32 hash, uint8 flip) public {
        (Fallback slow, RootKeys keys) = (new Fallback(), registry.ROOT_KEYS());
        key = bound(key, 1, P256.N - 1);
        (bytes32 qx, bytes32 qy) = rootOf(key);
        (bytes32 r, bytes32 s) = signedBy(key, hash);
        assertTrue(keys.verify(hash, r, s, qx, qy));
        assertTrue(slow.verify(hash, r, s, qx, qy));
        r = bytes32(uint256(r) ^ 1 << flip);
        assertFalse(keys.verify(hash, r, s, qx, qy));
        assertFalse(slow.verify(hash, r, s, qx, qy));
    }

    function test_rebinds_to_a_new_payee() public {
        ProviderRegistry.Root memory b = bound(ROOT, stranger.at);
        vm.expectEmit();
        emit I.Rebound(id, owner.at, stranger.at);
        vm.prank(stranger.at);
        registry.rebind(b, owner.at);
        assertEq(registry.payeeOf(id), stranger.at);
        assertEq(registry.nonceOf(id), 2);
        // Once only.
        vm.prank(stranger.at);
        vm.expectRevert(I.BadRootSignature.selector);
        registry.rebind(b, owner.at);
    }

    function test_a_first_binding_does_not_come_back() public {
        ProviderRegistry.Root memory first = bound(7, payee.at);
        registered(7, payee.at, owner.at);
        ProviderRegistry.Root memory second = bound(7, stranger.at);
        vm.prank(stranger.at);
        registry.rebind(second, owner.at);
        vm.prank(payee.at);
        vm.expectRevert(I.BadRootSignature.selector);
        registry.rebind(first, owner.at);
    }

    function test_refuses_rebindings() public {
        ProviderRegistry.Root memory b = bound(7, payee.at);
        vm.startPrank(payee.at);
        vm.expectRevert(abi.encodeWithSelector(I.UnknownProvider.selector, idOf(7)));
        registry.rebind(b, owner.at);
        b = bound(ROOT, payee.at);
        vm.expectRevert(Funding.ZeroAddress.selector);
        registry.rebind(b, address(0));
        vm.stopPrank();
        staked(1);
        vm.prank(payee.at);
        vm.expectRevert(I.StakeInPlace.selector);
        registry.rebind(b, stranger.at);
    }

    /// The root key parts with an owner: payee releases, time passes, a new owner stakes.
    function test_an_owner_is_replaced_but_gets_its_stake() public {
        staked(100e18);
        ProviderRegistry.Root memory b = bound(ROOT, stranger.at);
        vm.prank(stranger.at);
        registry.rebind(b, owner.at);
        vm.prank(stranger.at);
        vm.expectEmit();
        emit I.Released(id);
        registry.release(id);
        assertTrue(registry.isReleased(id));
        vm.startPrank(owner.at);
        vm.expectRevert(I.StakeReleased.selector);
        registry.stake(id, 1);
        vm.expectRevert(I.StakeReleased.selector);
        registry.restake(id, 1);
        vm.stopPrank();
        vm.warp(block.timestamp + UNBONDING);
        registry.withdraw(id);
        assertEq(token.balanceOf(owner.at), 1_000_000e18);
        b = bound(ROOT, stranger.at);
        vm.prank(stranger.at);
        registry.rebind(b, stranger.at);
        assertEq(registry.ownerOf(id), stranger.at);
        assertFalse(registry.isReleased(id));
    }

    function test_release_is_the_payees() public {
        vm.prank(owner.at);
        vm.expectRevert(I.NotPayee.selector);
        registry.release(id);
        vm.prank(payee.at);
        registry.release(id);
        assertEq(registry.exitAt(id), 0);
    }

    function test_hands_record_and_stake_over() public {
        staked(100e18);
        unstaked(40e18);
        vm.prank(owner.at);
        vm.expectEmit();
        emit I.OwnerSet(id, stranger.at);
        registry.setOwner(id, stranger.at);
        assertEq(registry.ownerOf(id), stranger.at);
        assertEq(registry.getVotes(stranger.at), 100e18);
        assertEq(registry.getVotes(owner.at), 0);
        assertEq(registry.unitsOf(stranger.at), 100e18);
        assertEq(registry.unitsOf(owner.at), 0);
        vm.warp(block.timestamp + UNBONDING);
        registry.withdraw(id);
        assertEq(token.balanceOf(stranger.at), 40e18);
        vm.prank(owner.at);
        vm.expectRevert(I.NotOwner.selector);
        registry.setOwner(id, owner.at);
        vm.prank(stranger.at);
        vm.expectRevert(Funding.ZeroAddress.selector);
        registry.setOwner(id, address(0));
    }

    function test_stakes_of_one_owner_add_up() public {
        bytes32 other = registered(7, payee.at, owner.at);
        staked(100e18);
        vm.startPrank(owner.at);
        registry.stake(other, 12e18);
        registry.setOwner(other, stranger.at);
        assertEq(registry.unitsOf(owner.at), 100e18);
        registry.setOwner(id, stranger.at);
        vm.stopPrank();
        assertEq(registry.unitsOf(owner.at), 0);
        assertEq(registry.unitsOf(stranger.at), 112e18);
        assertEq(registry.getVotes(stranger.at), 112e18);
    }

    function test_sets_the_uri() public {
        vm.prank(owner.at);
        registry.setUri(id, "ipfs://two");
        vm.prank(payee.at);
        vm.expectEmit();
        emit I.UriSet(id, "ipfs://three");
        registry.setUri(id, "ipfs://three");
        assertEq(registry.uriOf(id), "ipfs://three");
        vm.prank(stranger.at);
        vm.expectRevert(I.NotOwner.selector);
        registry.setUri(id, "");
    }

    function test_revokes_upwards_only() public {
        vm.prank(payee.at);
        vm.expectEmit();
        emit I.MinOpSeqSet(id, 5);
        registry.setMinOpSeq(id, 5);
        vm.prank(owner.at);
        registry.setMinOpSeq(id, 6);
        vm.prank(owner.at);
        vm.expectRevert(I.NotRaised.selector);
        registry.setMinOpSeq(id, 6);
        vm.prank(stranger.at);
        vm.expectRevert(I.NotOwner.selector);
        registry.setMinOpSeq(id, 9);
        (bytes32 r, bytes32 s) = signedBy(ROOT, registry.revocationHash(id, 8));
        vm.prank(stranger.at);
        registry.revoke(id, 8, r, s);
        assertEq(registry.minOpSeq(id), 8);
        vm.expectRevert(I.NotRaised.selector);
        registry.revoke(id, 8, r, s);
        vm.expectRevert(I.BadRootSignature.selector);
        registry.revoke(id, 9, r, s);
        vm.chainId(5);
        (r, s) = signedBy(ROOT, registry.revocationHash(id, 10));
        vm.chainId(31337);
        vm.expectRevert(I.BadRootSignature.selector);
        registry.revoke(id, 10, r, s);
        assertEq(
            registry.revocationHash(id, 9),
            sha256(
                bytes.concat("pam1 revoke below", hex"00", bytes8(uint64(31337)), bytes20(address(registry)), id, hex"00000009")
            )
        );
    }
}
