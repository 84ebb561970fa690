// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Funding} from "./Funding.sol";
import {IProviderRegistry} from "./interfaces/IProviderRegistry.sol";

/// @title Which court may freeze and slash stakes.
/// @notice Governance names it, and a new one only comes after a delay in which every staker can leave, even one whose stake
/// a case of the court before holds to the last.
abstract contract Courts is IProviderRegistry {
    /// The timelock: names the court and the tiers.
    address public immutable GOVERNANCE;
    /// Seconds from naming a new court to its term: the unbonding and the longest freeze. No case is opened against who has
    /// waited out its unbonding, so whoever leaves as the court is named is out before it, whatever stands in the way.
    uint40 public immutable COURT_DELAY;

    /// Who may freeze and slash; zero until governance names the first.
    address public court;
    /// Counts the courts.
    uint40 public courtTerm;
    address public nextCourt;
    uint40 public nextCourtFrom;

    /// @param delay whoever derives from this has bounded it.
    constructor(address governance, uint256 delay) {
        GOVERNANCE = governance;
        COURT_DELAY = uint40(delay);
    }

    modifier onlyCourt() {
        require(msg.sender == court, NotCourt(msg.sender));
        _;
    }

    modifier onlyGovernance() {
        require(msg.sender == GOVERNANCE, NotGovernance(msg.sender));
        _;
    }

    /// @notice Names a court: the first takes office at once, a later one after COURT_DELAY by `seatCourt`. The one in office
    /// stays there, and who was named before it is so no more.
    function setCourt(address next) external onlyGovernance {
        require(next != address(0), Funding.ZeroAddress());
        if (court == address(0)) return _seat(next);
        (nextCourt, nextCourtFrom) =
            next == court ? (address(0), 0) : (next, uint40(block.timestamp) + COURT_DELAY);
        emit CourtProposed(next, nextCourtFrom);
    }

    /// @notice Puts the named court in office once its time has come; anyone may send it. What the one before froze is free.
    function seatCourt() external {
        require(nextCourt != address(0), NoCourtProposed());
        require(block.timestamp >= nextCourtFrom, TooEarly());
        _seat(nextCourt);
        nextCourt = address(0);
        nextCourtFrom = 0;
    }

    function _seat(address next) private {
        court = next;
        ++courtTerm;
        emit CourtSet(next);
    }
}
