// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {InferenceChannels} from "../InferenceChannels.sol";

/// @title Who may use what token holders voted to be for holders, stakers and paying users.
/// @notice Views of this moment, for who knows the account anyway: another contract, or a tool of the account's owner.
/// They feed no membership door and no worker asks for them: the same tokens, moved from account to account, would open
/// the gate for each. Where that matters ask `heldAt` for a moment that is past.
interface IAccessGate {
    /// @notice Whether any of the three ways is open: tokens held, a stake owned or a channel that is funded.
    /// @param providerId the account's stake; zero for none.
    /// @param key the account's channel; a zero payer for none.
    function allowed(address account, bytes32 providerId, InferenceChannels.Key calldata key)
        external
        view
        returns (bool);

    /// @notice Whether the account holds the minimum now.
    function holds(address account) external view returns (bool);

    /// @notice Whether the account had the minimum of votes at `time`, which is past: held and delegated, or delegated to
    /// it. No loan within a transaction gets by.
    function heldAt(address account, uint256 time) external view returns (bool);

    /// @notice Whether the account owns the stake of a provider, and the bonded part is the minimum. Nobody owns
    /// that of a provider which is not registered.
    function stakes(address account, bytes32 providerId) external view returns (bool);

    /// @notice Whether the account is payer or session key of an open channel that is not closing and has the channel
    /// minimum left.
    function pays(address account, InferenceChannels.Key calldata key) external view returns (bool);
}
