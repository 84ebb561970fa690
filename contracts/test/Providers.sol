// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Base} from "./Base.sol";
import {Roots} from "./Roots.sol";
import {Keys} from "../src/libraries/Keys.sol";
import {Params} from "../src/Params.sol";
import {ProviderRegistry} from "../src/ProviderRegistry.sol";

/// @title A registry with one provider: a P-256 root key, its payee and its owner.
abstract contract Providers is Base, Roots {
    uint256 internal constant ROOT = 0xa11ce;
    uint40 internal constant UNBONDING = 7 days;

    ProviderRegistry internal registry;
    Params internal rules;
    address internal court = makeAddr("court");
    Person internal owner;
    bytes32 internal id;

    function setUp() public virtual override {
        super.setUp();
        owner = person("owner");
        rules = new Params(governance, 0, ruleSet());
        registry = new ProviderRegistry(token, rules, governance, UNBONDING);
        token.transfer(owner.at, 1_000_000e18);
        vm.prank(owner.at);
        token.approve(address(registry), type(uint256).max);
        vm.prank(governance);
        registry.setCourt(court);
        id = registered(ROOT, payee.at, owner.at);
    }

    function ruleSet() internal pure returns (Params.Initial[] memory p) {
        p = new Params.Initial[](7);
        p[0] = Params.Initial(Keys.MIN_STAKE, 1_000, 1, 1_000_000);
        p[1] = Params.Initial(Keys.SEAT_DEPOSIT, 100, 1, 1_000_000);
        p[2] = Params.Initial(Keys.OPEN_SEATS_DAILY, 3, 0, 100_000);
        p[3] = Params.Initial(Keys.PUZZLE_BITS, 0, 0, 40);
        p[4] = Params.Initial(Keys.FREE_DAILY, 3, 1, 1_000);
        p[5] = Params.Initial(Keys.ACCESS_MINIMUM, 500, 1, 1_000_000);
        p[6] = Params.Initial(Keys.ACCESS_CHANNEL, 5, 1, 1_000_000);
    }

    function rule(bytes32 key, uint64 value) internal {
        vm.prank(governance);
        rules.set(key, value);
    }

    // ------------------------------------------------------------------------------------------------ root keys

    function idOf(uint256 root) internal view returns (bytes32) {
        (bytes32 qx, bytes32 qy) = rootOf(root);
        return registry.idOf(qx, qy);
    }

    /// The root's word that `at` is its payee.
    function bound(uint256 root, address at) internal view returns (ProviderRegistry.Root memory b) {
        (b.qx, b.qy) = rootOf(root);
        bytes32 providerId = registry.idOf(b.qx, b.qy);
        (b.r, b.s) = signedBy(root, registry.bindingHash(providerId, at, registry.nonceOf(providerId)));
    }

    function registered(uint256 root, address at, address of_) internal returns (bytes32) {
        ProviderRegistry.Root memory b = bound(root, at);
        vm.prank(at);
        return registry.register(b, of_, "ipfs://one");
    }

    // ------------------------------------------------------------------------------------------------ stakes

    function staked(uint96 amount) internal {
        vm.prank(owner.at);
        registry.stake(id, amount);
    }

    function unstaked(uint96 amount) internal {
        vm.prank(owner.at);
        registry.unstake(id, amount);
    }

    function frozen() internal {
        vm.prank(court);
        registry.freeze(id);
    }
}
