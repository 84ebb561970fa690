// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC5805} from "@openzeppelin/contracts/interfaces/IERC5805.sol";

/// @title Providers, their root keys and their stakes, as other contracts see them.
/// @notice Staked tokens keep their votes: the registry counts them like a token of votes (ERC-5805), on a clock of seconds
/// (ERC-6372). Every function that takes a providerId reverts with `UnknownProvider` for one that never registered; one
/// that left is still known.
interface IProviderRegistry is IERC5805 {
    event Registered(
        bytes32 indexed providerId, address indexed owner, address indexed payee, bytes32 qx, bytes32 qy, string uri
    );
    event Rebound(bytes32 indexed providerId, address indexed owner, address indexed payee);
    event OwnerSet(bytes32 indexed providerId, address indexed owner);
    event UriSet(bytes32 indexed providerId, string uri);
    event Staked(bytes32 indexed providerId, uint96 amount);
    event UnbondingStarted(bytes32 indexed providerId, uint96 amount, uint40 until);
    event Restaked(bytes32 indexed providerId, uint96 amount);
    event Released(bytes32 indexed providerId);
    event Unstaked(bytes32 indexed providerId, uint96 amount);
    event Frozen(bytes32 indexed providerId);
    event Unfrozen(bytes32 indexed providerId);
    event Slashed(bytes32 indexed providerId, uint96 amount, address indexed to);
    event TierSet(bytes32 indexed providerId, uint8 tier);
    event MinOpSeqSet(bytes32 indexed providerId, uint32 minOpSeq);
    event CourtProposed(address indexed court, uint40 from);
    event CourtSet(address indexed court);

    error UnknownProvider(bytes32 providerId);
    error NotCourt(address caller);
    error NotGovernance(address caller);
    error StakeFrozen(bytes32 providerId);
    error AlreadyRegistered();
    error BadRootSignature();
    error NotOwner();
    error NotPayee();
    error NotRaised();
    error StakeInPlace();
    error StakeReleased();
    error InsufficientStake();
    error NothingUnbonding();
    error StillUnbonding();
    error NoCourtProposed();
    error TooEarly();
    error BadBounds();

    /// @notice Who stakes for the provider and may change its record; the stake and its votes are its own.
    function ownerOf(bytes32 providerId) external view returns (address);

    /// @notice Who is paid.
    function payeeOf(bytes32 providerId) external view returns (address);

    /// @notice What a slash can take: the stake, with the part that is unbonding and not taken out yet.
    function stakeOf(bytes32 providerId) external view returns (uint96);

    /// @notice The part of the stake that is not unbonding: what lists a provider and opens doors.
    function bondedOf(bytes32 providerId) external view returns (uint96);

    /// @notice Whether the bonded stake lists the provider and governance has not delisted it.
    function isListed(bytes32 providerId) external view returns (bool);

    /// @notice The root key, a point of P-256.
    function rootKey(bytes32 providerId) external view returns (bytes32 qx, bytes32 qy);

    /// @notice The lowest sequence of an operational key that is still good.
    function minOpSeq(bytes32 providerId) external view returns (uint32);

    /// @notice The tier that governance endorsed; 0 is listed by stake alone, 255 is delisted.
    function tierOf(bytes32 providerId) external view returns (uint8);

    /// @notice Whether nothing of the stake can leave.
    function isFrozen(bytes32 providerId) external view returns (bool);

    /// @notice Who may freeze and slash now; governance may name another, after a delay in which every staker can leave.
    function court() external view returns (address);

    /// @notice Seconds from asking for a stake to getting it.
    function unbonding() external view returns (uint40);

    /// @notice When the last of the stake has been unbonding long enough to be taken out, were it not frozen; 0 while some of
    /// it is not unbonding. From then on the court takes no new case, so that a provider that leaves does get away.
    function exitAt(bytes32 providerId) external view returns (uint40);

    /// @notice Keeps the whole stake, the unbonding part included, where it is. Only the court, which counts its open cases:
    /// freezing twice is freezing once. It holds MAX_FREEZE from the last call, so that a dead court traps nobody for good.
    function freeze(bytes32 providerId) external;

    /// @notice Lets the stake go again; the unbonding time went on meanwhile. Only the court; idempotent.
    function unfreeze(bytes32 providerId) external;

    /// @notice Sends `amount` of the stake to `to`, the unbonding part last, frozen or not. Only the court. Reverts where the
    /// stake is smaller; the votes go with it.
    function slash(bytes32 providerId, uint96 amount, address to) external;

    /// @notice Endorses a provider, takes it back with tier 0, or delists it with tier 255. Only governance.
    function setTier(bytes32 providerId, uint8 tier) external;
}
