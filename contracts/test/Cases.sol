// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Keys} from "../src/libraries/Keys.sol";
import {Params} from "../src/Params.sol";
import {QualityCourt} from "../src/QualityCourt.sol";
import {Providers} from "./Providers.sol";

/// @title A court in office over a registry with one staked provider, its numbers, and a reporter.
abstract contract Cases is Providers {
    uint96 internal constant BOND = 500e18;
    uint96 internal constant STAKE = 10_000e18;
    uint96 internal constant SLASH = 2_000e18;
    uint40 internal constant RESPONSE = 3 days;
    uint40 internal constant DECISION = 21 days;

    QualityCourt internal bench;
    Params internal law;
    Person internal reporter;

    function setUp() public virtual override {
        super.setUp();
        Params.Initial[] memory p = new Params.Initial[](4);
        p[0] = Params.Initial(Keys.CASE_BOND, 500, 1, 1_000_000);
        p[1] = Params.Initial(Keys.RESPONSE_WINDOW, RESPONSE, 1, 1_000 days);
        p[2] = Params.Initial(Keys.DECISION_WINDOW, DECISION, 1, 1_000 days);
        p[3] = Params.Initial(Keys.SLASH_BPS, 2_000, 0, 10_000);
        law = new Params(governance, 0, p);
        bench = new QualityCourt(token, registry, law, governance, treasury);
        vm.prank(governance);
        registry.setCourt(address(bench));
        vm.warp(block.timestamp + registry.COURT_DELAY());
        registry.seatCourt();
        reporter = person("reporter");
        token.transfer(reporter.at, 100_000e18);
        vm.prank(reporter.at);
        token.approve(address(bench), type(uint256).max);
        staked(STAKE);
    }

    // ------------------------------------------------------------------------------------------------ steps

    function opened() internal returns (uint256) {
        vm.prank(reporter.at);
        return bench.open(id, BOND, "ipfs://case");
    }

    function answered(uint256 which) internal {
        vm.prank(owner.at);
        bench.answer(which, "ipfs://answer");
    }

    function decided(uint256 which, bool upheld) internal {
        vm.prank(governance);
        bench.decide(which, upheld);
    }

    function setLaw(bytes32 key, uint64 value) internal {
        vm.prank(governance);
        law.set(key, value);
    }
}
