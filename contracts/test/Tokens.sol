// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title A token that takes one unit of every transfer.
contract Short is ERC20("Short", "SHORT") {
    constructor() {
        _mint(msg.sender, 1_000_000e18);
    }

    function _update(address from, address to, uint256 value) internal override {
        if (from == address(0)) return super._update(from, to, value);
        super._update(from, address(0xfee), 1);
        super._update(from, to, value - 1);
    }
}

/// @title A token whose transfers call the receiver, as ERC-777's did; one without a hook is left in peace.
contract Hooked is ERC20("Hooked", "HOOK") {
    constructor() {
        _mint(msg.sender, 1_000_000e18);
    }

    function _update(address from, address to, uint256 value) internal override {
        super._update(from, to, value);
        if (from != address(0) && to.code.length != 0) {
            (bool ok, bytes memory reason) = to.call(abi.encodeWithSignature("tokensReceived(uint256)", value));
            if (!ok && reason.length != 0) {
                assembly ("memory-safe") {
                    revert(add(reason, 0x20), mload(reason))
                }
            }
        }
    }
}

/// @title A token whose transfers answer false.
contract False is ERC20("False", "FALSE") {
    constructor() {
        _mint(msg.sender, 1_000_000e18);
    }

    function transfer(address, uint256) public pure override returns (bool) {
        return false;
    }

    function give(address to, uint256 value) external {
        _transfer(msg.sender, to, value);
    }
}

/// @title A token whose balances can shrink, as those of bonded tokens do.
contract Shrinking is ERC20("Shrinking", "SHRINK") {
    constructor() {
        _mint(msg.sender, 1_000_000e18);
    }

    function shrink(address who, uint256 value) external {
        _burn(who, value);
    }
}

/// @title A token that calls whoever moves it, from within the move.
contract Calling is ERC20("Calling", "CALL") {
    bytes4 private immutable SELECTOR;

    constructor(bytes4 selector) {
        SELECTOR = selector;
    }

    /// As ERC-3009's, for anybody.
    function receiveWithAuthorization(address from, address to, uint256 value, uint256, uint256, bytes32, uint8, bytes32, bytes32)
        external
    {
        _transfer(from, to, value);
    }

    function _update(address, address, uint256) internal override {
        // Zeros are good enough: the guard comes before anything is read.
        (bool ok, bytes memory reason) = msg.sender.call(abi.encodePacked(SELECTOR, new bytes(512)));
        if (ok) return;
        assembly ("memory-safe") {
            revert(add(reason, 0x20), mload(reason))
        }
    }
}
