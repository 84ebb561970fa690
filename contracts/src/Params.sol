// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IParams} from "./interfaces/IParams.sol";

/// @title The parameters that token holders vote on, each between bounds that no vote can move.
/// @notice Only governance (the timelock) writes. A value may take effect later than it is written: readers of `valueAt`
/// see the old one until then, so that a day's free limit never changes within the day.
contract Params is IParams {
    /// A parameter: its value from `from` on, the value before, and its bounds.
    struct Param {
        uint64 value;
        uint64 before;
        uint64 min;
        uint64 max;
        uint40 from;
    }

    /// One parameter as the constructor takes it.
    struct Initial {
        bytes32 key;
        uint64 value;
        uint64 min;
        uint64 max;
    }

    /// The timelock: the only writer.
    address public immutable GOVERNANCE;
    /// Seconds between the writing of a value and its effect, at least; then the next UTC day begins it.
    uint40 public immutable DELAY;

    mapping(bytes32 key => Param) internal params;
    bytes32[] internal keyList;

    event ParamSet(bytes32 indexed key, uint64 value, uint40 from);

    error NotGovernance(address caller);
    error UnknownParam(bytes32 key);
    error DuplicateParam(bytes32 key);
    error OutOfBounds(bytes32 key, uint64 value, uint64 min, uint64 max);

    constructor(address governance, uint40 delay, Initial[] memory initial) {
        GOVERNANCE = governance;
        DELAY = delay;
        for (uint256 i; i < initial.length; ++i) {
            Initial memory p = initial[i];
            require(params[p.key].max == 0, DuplicateParam(p.key));
            require(p.max != 0 && p.min <= p.value && p.value <= p.max, OutOfBounds(p.key, p.value, p.min, p.max));
            params[p.key] = Param(p.value, p.value, p.min, p.max, 0);
            keyList.push(p.key);
            emit ParamSet(p.key, p.value, 0);
        }
    }

    /// @notice Writes a value; it holds from the first UTC midnight after DELAY, or at once where DELAY is 0.
    function set(bytes32 key, uint64 value) external {
        require(msg.sender == GOVERNANCE, NotGovernance(msg.sender));
        Param storage p = params[key];
        require(p.max != 0, UnknownParam(key));
        require(p.min <= value && value <= p.max, OutOfBounds(key, value, p.min, p.max));
        p.before = _at(p, block.timestamp);
        p.value = value;
        uint40 from = DELAY == 0 ? uint40(block.timestamp) : uint40((block.timestamp + DELAY + 1 days - 1) / 1 days * 1 days);
        p.from = from;
        emit ParamSet(key, value, from);
    }

    /// @inheritdoc IParams
    function get(bytes32 key) external view returns (uint64) {
        return valueAt(key, block.timestamp);
    }

    /// @inheritdoc IParams
    function valueAt(bytes32 key, uint256 time) public view returns (uint64) {
        Param storage p = params[key];
        require(p.max != 0, UnknownParam(key));
        return _at(p, time);
    }

    /// @notice The parameter as it is stored: value, the one before, bounds, and when the value begins.
    function param(bytes32 key) external view returns (Param memory) {
        require(params[key].max != 0, UnknownParam(key));
        return params[key];
    }

    /// @notice Every key, in the order of the constructor.
    function keys() external view returns (bytes32[] memory) {
        return keyList;
    }

    function _at(Param storage p, uint256 time) private view returns (uint64) {
        return time >= p.from ? p.value : p.before;
    }
}
