// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {P256} from "@openzeppelin/contracts/utils/cryptography/P256.sol";
import {ERC3009} from "@openzeppelin/contracts/token/ERC20/extensions/draft-ERC3009.sol";
import {Funding} from "../../src/Funding.sol";
import {IParams} from "../../src/interfaces/IParams.sol";
import {IProviderRegistry as I} from "../../src/interfaces/IProviderRegistry.sol";
import {Keys} from "../../src/libraries/Keys.sol";
import {ProviderRegistry} from "../../src/ProviderRegistry.sol";
import {RootKeys} from "../../src/RootKeys.sol";
import {Providers} from "../Providers.sol";
import {Short} from "../Tokens.sol";

/// @title The fallback alone.
contract Fallback {
    function verify(bytes32 hash, bytes32 r, bytes32 s, bytes32 qx, bytes32 qy) external view returns (bool) {
        return P256.verifySolidity(hash, r, s, qx, qy);
    }
}

contract RegistryTest is Providers {
    bytes32 private constant NOBODY = keccak256("nobody");

    // ------------------------------------------------------------------------------------------------ identity

    /// The layout of protocol.md 2.2 and 2.3, by hand: another key, chain, registry or payee is another message.
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
        key = bound(key, 1, ORDER - 1);
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
        b.s = bytes32(ORDER - uint256(b.s));
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
        key = bound(key, 1, ORDER - 1);
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

    // ------------------------------------------------------------------------------------------------ stake

    function testFuzz_stakes_vote_until_they_leave(uint96 amount, uint96 leaving) public {
        amount = uint96(bound(amount, 1, 1_000_000e18));
        leaving = uint96(bound(leaving, 1, amount));
        vm.expectEmit(address(registry));
        emit I.Staked(id, amount);
        staked(amount);
        assertEq(registry.getVotes(owner.at), amount);
        assertEq(registry.bondedOf(id), amount);
        assertEq(registry.exitAt(id), 0);
        uint40 at = uint40(block.timestamp) + UNBONDING;
        vm.expectEmit();
        emit I.UnbondingStarted(id, leaving, at);
        unstaked(leaving);
        assertEq(registry.stakeOf(id), amount);
        assertEq(registry.bondedOf(id), amount - leaving);
        assertEq(registry.getVotes(owner.at), amount);
        assertEq(registry.exitAt(id), leaving == amount ? at : 0);
        (uint96 out, uint40 when) = registry.leavingOf(id);
        assertEq(out, leaving);
        assertEq(when, at);
        vm.expectRevert(I.StillUnbonding.selector);
        registry.withdraw(id);
        vm.warp(at);
        vm.expectEmit();
        emit I.Unstaked(id, leaving);
        assertEq(registry.withdraw(id), leaving);
        assertEq(registry.getVotes(owner.at), amount - leaving);
        assertEq(registry.getPastVotes(owner.at, block.timestamp - 1), amount);
        assertEq(registry.getPastTotalSupply(block.timestamp - 1), amount);
        assertEq(token.balanceOf(owner.at), 1_000_000e18 - amount + leaving);
        vm.expectRevert(I.NothingUnbonding.selector);
        registry.withdraw(id);
    }

    function test_votes_can_be_delegated() public {
        staked(10e18);
        vm.prank(owner.at);
        registry.delegate(stranger.at);
        staked(5e18);
        assertEq(registry.getVotes(stranger.at), 15e18);
        assertEq(registry.getVotes(owner.at), 0);
        assertEq(registry.CLOCK_MODE(), "mode=timestamp");
        assertEq(registry.clock(), block.timestamp);
        // One who gave its votes up gets them back with the next stake.
        vm.prank(owner.at);
        registry.delegate(address(0));
        assertEq(registry.getVotes(stranger.at), 0);
        staked(1e18);
        assertEq(registry.getVotes(owner.at), 16e18);
    }

    function test_stakes_by_permit() public {
        vm.prank(owner.at);
        token.approve(address(registry), 0);
        Funding.Permit memory p = permitted(owner, address(registry), 10e18);
        // Somebody sends the permit first: nothing is lost.
        token.permit(owner.at, address(registry), 10e18, p.deadline, p.v, p.r, p.s);
        vm.prank(stranger.at);
        vm.expectRevert(I.NotOwner.selector);
        registry.stakeWithPermit(id, 10e18, p);
        vm.prank(owner.at);
        registry.stakeWithPermit(id, 10e18, p);
        p = permitted(owner, address(registry), 4e18);
        vm.prank(owner.at);
        registry.stakeWithPermit(id, 4e18, p);
        assertEq(registry.stakeOf(id), 14e18);
    }

    function test_stakes_by_authorization() public {
        Funding.Authorization memory a = authorized(owner, address(registry), 11e18, registry.stakingNonce(id, 1e18));
        vm.startPrank(relayer);
        vm.expectRevert(ERC3009.ERC3009InvalidSignature.selector);
        registry.stakeWithAuthorization(id, 9e18, 2e18, a);
        vm.expectRevert(Funding.ZeroAmount.selector);
        registry.stakeWithAuthorization(id, 0, 11e18, a);
        registry.stakeWithAuthorization(id, 10e18, 1e18, a);
        assertEq(token.balanceOf(relayer), 1e18);
        assertEq(registry.stakeOf(id), 10e18);
        vm.expectRevert(abi.encodeWithSelector(ERC3009.ERC3009UsedAuthorization.selector, owner.at, registry.stakingNonce(id, 1e18)));
        registry.stakeWithAuthorization(id, 10e18, 1e18, a);
        a.from = stranger.at;
        vm.expectRevert(I.NotOwner.selector);
        registry.stakeWithAuthorization(id, 10e18, 1e18, a);
        vm.stopPrank();
        a = authorized(owner, address(registry), 2e18, registry.stakingNonce(id, 0));
        registry.stakeWithAuthorization(id, 2e18, 0, a);
        assertEq(registry.stakeOf(id), 12e18);
    }

    function test_refuses_what_is_not_the_owners() public {
        staked(10e18);
        vm.startPrank(stranger.at);
        vm.expectRevert(I.NotOwner.selector);
        registry.stake(id, 1);
        vm.expectRevert(I.NotOwner.selector);
        registry.unstake(id, 1);
        vm.expectRevert(I.NotOwner.selector);
        registry.restake(id, 1);
        vm.stopPrank();
    }

    function test_refuses_amounts() public {
        staked(10e18);
        vm.startPrank(owner.at);
        vm.expectRevert(Funding.ZeroAmount.selector);
        registry.stake(id, 0);
        vm.expectRevert(Funding.ZeroAmount.selector);
        registry.unstake(id, 0);
        vm.expectRevert(Funding.ZeroAmount.selector);
        registry.restake(id, 0);
        vm.expectRevert(I.InsufficientStake.selector);
        registry.unstake(id, 10e18 + 1);
        registry.unstake(id, 4e18);
        vm.expectRevert(I.InsufficientStake.selector);
        registry.restake(id, 4e18 + 1);
        vm.stopPrank();
    }

    function test_restakes() public {
        staked(10e18);
        unstaked(4e18);
        vm.startPrank(owner.at);
        registry.restake(id, 1e18);
        (uint96 leaving, uint40 at) = registry.leavingOf(id);
        assertEq(leaving, 3e18);
        assertGt(at, 0);
        vm.expectEmit();
        emit I.Restaked(id, 3e18);
        registry.restake(id, 3e18);
        vm.stopPrank();
        (leaving, at) = registry.leavingOf(id);
        assertEq(leaving, 0);
        assertEq(at, 0);
        assertEq(registry.bondedOf(id), 10e18);
    }

    function test_a_second_unstake_waits_anew() public {
        staked(10e18);
        unstaked(4e18);
        vm.warp(block.timestamp + UNBONDING - 1);
        unstaked(6e18);
        vm.warp(block.timestamp + 1);
        vm.expectRevert(I.StillUnbonding.selector);
        registry.withdraw(id);
        vm.warp(block.timestamp + UNBONDING - 1);
        assertEq(registry.withdraw(id), 10e18);
    }

    function test_refuses_a_token_that_takes_a_part() public {
        Short short = new Short();
        ProviderRegistry other = new ProviderRegistry(short, rules, governance, UNBONDING);
        (ProviderRegistry.Root memory b, bytes32 providerId) = (bound(9, payee.at), idOf(9));
        (b.r, b.s) = signedBy(9, other.bindingHash(providerId, payee.at, 0));
        vm.prank(payee.at);
        other.register(b, address(this), "");
        short.approve(address(other), 100);
        vm.expectRevert(abi.encodeWithSelector(Funding.InexactTransfer.selector, 99, 100));
        other.stake(providerId, 100);
    }

    function test_lists_by_stake_and_vote() public {
        staked(1_000e18 - 1);
        assertFalse(registry.isListed(id));
        staked(1);
        assertTrue(registry.isListed(id));
        rule(Keys.MIN_STAKE, 1_001);
        assertFalse(registry.isListed(id));
        rule(Keys.MIN_STAKE, 1);
        vm.startPrank(governance);
        vm.expectEmit();
        emit I.TierSet(id, 3);
        registry.setTier(id, 3);
        assertEq(registry.tierOf(id), 3);
        assertTrue(registry.isListed(id));
        registry.setTier(id, 255);
        assertFalse(registry.isListed(id));
        vm.stopPrank();
        vm.expectRevert(abi.encodeWithSelector(I.NotGovernance.selector, address(this)));
        registry.setTier(id, 1);
    }

    // ------------------------------------------------------------------------------------------------ court

    function test_an_open_case_holds_the_stake() public {
        staked(10e18);
        unstaked(10e18);
        vm.expectEmit();
        emit I.Frozen(id);
        frozen();
        assertTrue(registry.isFrozen(id));
        vm.warp(block.timestamp + 3 * UNBONDING);
        vm.expectRevert(abi.encodeWithSelector(I.StakeFrozen.selector, id));
        registry.withdraw(id);
        vm.prank(court);
        vm.expectEmit();
        emit I.Unfrozen(id);
        registry.unfreeze(id);
        assertEq(registry.withdraw(id), 10e18);
    }

    function test_no_case_lasts_for_ever() public {
        staked(10e18);
        unstaked(10e18);
        frozen();
        vm.warp(block.timestamp + registry.MAX_FREEZE() - 1);
        vm.expectRevert(abi.encodeWithSelector(I.StakeFrozen.selector, id));
        registry.withdraw(id);
        vm.warp(block.timestamp + 1);
        registry.withdraw(id);
    }

    function testFuzz_slashes_the_stake_then_what_leaves(uint96 amount, uint96 leaving, uint96 taken) public {
        amount = uint96(bound(amount, 2, 1_000_000e18));
        leaving = uint96(bound(leaving, 1, amount));
        taken = uint96(bound(taken, 1, amount));
        staked(amount);
        unstaked(leaving);
        vm.expectEmit();
        emit I.Slashed(id, taken, treasury);
        vm.prank(court);
        registry.slash(id, taken, treasury);
        assertEq(token.balanceOf(treasury), taken);
        assertEq(registry.stakeOf(id), amount - taken);
        assertEq(registry.getVotes(owner.at), amount - taken);
        uint96 bonded = amount - leaving;
        assertEq(registry.bondedOf(id), taken < bonded ? bonded - taken : 0);
        (uint96 left, uint40 at) = registry.leavingOf(id);
        assertEq(left, taken < bonded ? leaving : amount - taken);
        assertEq(at == 0, left == 0);
    }

    function test_slashing_reaches_what_was_given_away() public {
        staked(10e18);
        vm.prank(owner.at);
        registry.setOwner(id, stranger.at);
        vm.prank(court);
        registry.slash(id, 10e18, treasury);
        assertEq(registry.getVotes(stranger.at), 0);
    }

    function test_refuses_slashes() public {
        staked(10e18);
        vm.startPrank(court);
        vm.expectRevert(I.InsufficientStake.selector);
        registry.slash(id, 10e18 + 1, treasury);
        vm.expectRevert(Funding.ZeroAmount.selector);
        registry.slash(id, 0, treasury);
        vm.expectRevert(Funding.ZeroAddress.selector);
        registry.slash(id, 1, address(0));
        vm.stopPrank();
    }

    function test_only_the_court_judges() public {
        bytes memory refusal = abi.encodeWithSelector(I.NotCourt.selector, governance);
        vm.startPrank(governance);
        vm.expectRevert(refusal);
        registry.freeze(id);
        vm.expectRevert(refusal);
        registry.unfreeze(id);
        vm.expectRevert(refusal);
        registry.slash(id, 1, governance);
        vm.stopPrank();
    }

    function test_a_new_court_waits_longer_than_a_stake() public {
        staked(10e18);
        frozen();
        address next = makeAddr("next");
        vm.expectRevert(abi.encodeWithSelector(I.NotGovernance.selector, address(this)));
        registry.setCourt(next);
        vm.expectRevert(I.NoCourtProposed.selector);
        registry.seatCourt();
        vm.startPrank(governance);
        vm.expectRevert(Funding.ZeroAddress.selector);
        registry.setCourt(address(0));
        vm.expectEmit();
        emit I.CourtProposed(next, uint40(block.timestamp) + 2 * UNBONDING);
        registry.setCourt(next);
        vm.stopPrank();
        assertEq(registry.court(), court);
        vm.warp(block.timestamp + 2 * UNBONDING - 1);
        vm.expectRevert(I.TooEarly.selector);
        registry.seatCourt();
        vm.warp(block.timestamp + 1);
        vm.expectEmit();
        emit I.CourtSet(next);
        registry.seatCourt();
        assertEq(registry.court(), next);
        assertEq(registry.courtTerm(), 2);
        assertFalse(registry.isFrozen(id));
        vm.expectRevert(I.NoCourtProposed.selector);
        registry.seatCourt();
    }

    // ------------------------------------------------------------------------------------------------ bounds

    function test_everything_knows_its_providers() public {
        bytes memory refusal = abi.encodeWithSelector(I.UnknownProvider.selector, NOBODY);
        vm.expectRevert(refusal);
        registry.ownerOf(NOBODY);
        vm.expectRevert(refusal);
        registry.payeeOf(NOBODY);
        vm.expectRevert(refusal);
        registry.stakeOf(NOBODY);
        vm.expectRevert(refusal);
        registry.bondedOf(NOBODY);
        vm.expectRevert(refusal);
        registry.leavingOf(NOBODY);
        vm.expectRevert(refusal);
        registry.isListed(NOBODY);
        vm.expectRevert(refusal);
        registry.rootKey(NOBODY);
        vm.expectRevert(refusal);
        registry.minOpSeq(NOBODY);
        vm.expectRevert(refusal);
        registry.tierOf(NOBODY);
        vm.expectRevert(refusal);
        registry.uriOf(NOBODY);
        vm.expectRevert(refusal);
        registry.isReleased(NOBODY);
        vm.expectRevert(refusal);
        registry.isFrozen(NOBODY);
        vm.expectRevert(refusal);
        registry.exitAt(NOBODY);
        vm.expectRevert(refusal);
        registry.stake(NOBODY, 1);
        vm.expectRevert(refusal);
        registry.withdraw(NOBODY);
        vm.expectRevert(refusal);
        registry.revoke(NOBODY, 1, 0, 0);
        vm.expectRevert(refusal);
        registry.setUri(NOBODY, "");
        vm.startPrank(court);
        vm.expectRevert(refusal);
        registry.freeze(NOBODY);
        vm.expectRevert(refusal);
        registry.unfreeze(NOBODY);
        vm.expectRevert(refusal);
        registry.slash(NOBODY, 1, treasury);
        vm.stopPrank();
        vm.prank(governance);
        vm.expectRevert(refusal);
        registry.setTier(NOBODY, 1);
    }

    function test_refuses_constructions() public {
        vm.expectRevert(Funding.ZeroAddress.selector);
        new ProviderRegistry(IERC20(address(0)), rules, governance, UNBONDING);
        vm.expectRevert(Funding.ZeroAddress.selector);
        new ProviderRegistry(token, IParams(address(0)), governance, UNBONDING);
        vm.expectRevert(Funding.ZeroAddress.selector);
        new ProviderRegistry(token, rules, address(0), UNBONDING);
        vm.expectRevert(I.BadBounds.selector);
        new ProviderRegistry(token, rules, governance, 0);
        vm.expectRevert(I.BadBounds.selector);
        new ProviderRegistry(token, rules, governance, 30 days + 1);
    }
}
