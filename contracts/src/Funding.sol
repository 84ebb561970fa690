// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {IERC3009} from "@openzeppelin/contracts/interfaces/draft-IERC3009.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {SafeTransferLib} from "solady/utils/SafeTransferLib.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

/// @title How tokens come into a contract that keeps them: approved, by permit, or by authorization (ERC-3009).
abstract contract Funding is ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// A permit (ERC-2612) of the caller.
    struct Permit {
        uint256 deadline;
        uint8 v;
        bytes32 r;
        bytes32 s;
    }

    /// An ERC-3009 authorization of `from`, with its compact signature (ERC-2098). The nonce is not the signer's choice:
    /// each function says what it must be, and so what the signature binds.
    struct Authorization {
        address from;
        uint256 validBefore;
        bytes32 r;
        bytes32 vs;
    }

    /// INFERENCE: a token without hooks or fees on transfer.
    IERC20 public immutable TOKEN;

    error ZeroAddress();
    error ZeroAmount();
    error InexactTransfer(uint256 received, uint256 wanted);

    constructor(IERC20 token) {
        require(address(token) != address(0), ZeroAddress());
        TOKEN = token;
    }

    /// Takes exactly `amount` from the caller.
    function _pull(uint96 amount) internal {
        require(amount != 0, ZeroAmount());
        uint256 before = _held();
        TOKEN.safeTransferFrom(msg.sender, address(this), amount);
        _arrived(before, amount);
    }

    /// Uses the caller's permit. One that somebody sent before us has done its work: only the allowance counts.
    function _permit(uint96 amount, Permit calldata p) internal {
        try IERC20Permit(address(TOKEN)).permit(msg.sender, address(this), amount, p.deadline, p.v, p.r, p.s) {} catch {}
    }

    /// Takes exactly `amount` by an authorization.
    function _receive(uint96 amount, bytes32 nonce, Authorization calldata a) internal {
        uint256 before = _held();
        _receiveUncounted(amount, nonce, a);
        _arrived(before, amount);
    }

    /// Uses an authorization for `amount`, which only this contract can. It is valid from the start. Whoever calls this
    /// and not `_receive` trusts the token to bring all of it.
    function _receiveUncounted(uint96 amount, bytes32 nonce, Authorization calldata a) internal {
        IERC3009(address(TOKEN)).receiveWithAuthorization(
            a.from,
            address(this),
            amount,
            0,
            a.validBefore,
            nonce,
            uint8(uint256(a.vs >> 255)) + 27,
            a.r,
            a.vs << 1 >> 1
        );
    }

    function _held() private view returns (uint256) {
        return SafeTransferLib.balanceOf(address(TOKEN), address(this));
    }

    function _arrived(uint256 before, uint96 amount) private view {
        uint256 received = _held() - before;
        require(received == amount, InexactTransfer(received, amount));
    }

    function _pay(address to, uint256 amount) internal {
        if (amount != 0) TOKEN.safeTransfer(to, amount);
    }
}
