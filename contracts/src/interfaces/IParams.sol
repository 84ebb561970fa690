// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title What contracts read of the voted parameters.
interface IParams {
    /// @notice The value that holds now.
    function get(bytes32 key) external view returns (uint64);

    /// @notice The value that holds at `time` (unix seconds), as far as it is decided. Of the past only the last change is
    /// kept: once another is made, what held before the one before is forgotten. Who needs it reads `ParamSet`.
    function valueAt(bytes32 key, uint256 time) external view returns (uint64);
}
