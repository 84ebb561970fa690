// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Struct hashes (EIP-712) of what payers, session keys and payees sign.
/// @notice `Voucher` and `channelId` are those of the Machine Payments Protocol's `evm/session` (draft-evm-session-00),
/// under its domain "EVM Payment Channel", version "1". The others are this contract's own. Every relayed message names
/// the fee its sender gets and the time after which it is void.
library Typed {
    bytes32 internal constant VOUCHER = keccak256("Voucher(bytes32 channelId,uint128 cumulativeAmount)");
    bytes32 internal constant CLOSE = keccak256("Close(bytes32 channelId,uint128 cumulativeAmount)");
    bytes32 internal constant OPEN = keccak256("Open(bytes32 channelId,uint96 amount,uint96 fee,uint40 deadline)");
    bytes32 internal constant TOP_UP = keccak256("TopUp(bytes32 channelId,uint96 deposit,uint96 fee,uint40 deadline)");
    bytes32 internal constant REQUEST_CLOSE = keccak256("RequestClose(bytes32 channelId,uint96 fee,uint40 deadline)");
    bytes32 internal constant WITHDRAW =
        keccak256("Withdraw(address payer,address to,uint96 amount,uint96 fee,uint40 deadline,uint256 nonce)");
    bytes32 internal constant SESSION = keccak256(
        "Session(address payer,address signer,uint96 capPayee,uint96 capDay,uint40 expiry,uint96 fee,uint40 deadline,uint256 nonce)"
    );

    /// @notice The id of the channel these six things and the chain name together. No parameter can be changed later.
    function channelId(address payer, address payee, address token, bytes32 salt, address signer, address channels)
        internal
        view
        returns (bytes32 id)
    {
        // keccak256(abi.encode(payer, payee, token, salt, signer, channels, block.chainid)) without the copies.
        assembly ("memory-safe") {
            let at_ := mload(0x40)
            mstore(at_, shr(96, shl(96, payer)))
            mstore(add(at_, 0x20), shr(96, shl(96, payee)))
            mstore(add(at_, 0x40), shr(96, shl(96, token)))
            mstore(add(at_, 0x60), salt)
            mstore(add(at_, 0x80), shr(96, shl(96, signer)))
            mstore(add(at_, 0xa0), shr(96, shl(96, channels)))
            mstore(add(at_, 0xc0), chainid())
            id := keccak256(at_, 0xe0)
        }
    }

    function voucher(bytes32 id, uint128 amount) internal pure returns (bytes32) {
        return three(VOUCHER, id, amount);
    }

    function close(bytes32 id, uint128 amount) internal pure returns (bytes32) {
        return three(CLOSE, id, amount);
    }

    function open(bytes32 id, uint96 amount, uint96 fee, uint40 deadline) internal pure returns (bytes32 hash) {
        bytes32 tag = OPEN;
        assembly ("memory-safe") {
            let at_ := mload(0x40)
            mstore(at_, tag)
            mstore(add(at_, 0x20), id)
            mstore(add(at_, 0x40), amount)
            mstore(add(at_, 0x60), fee)
            mstore(add(at_, 0x80), deadline)
            hash := keccak256(at_, 0xa0)
        }
    }

    function topUp(bytes32 id, uint96 deposit, uint96 fee, uint40 deadline) internal pure returns (bytes32) {
        return keccak256(abi.encode(TOP_UP, id, deposit, fee, deadline));
    }

    function requestClose(bytes32 id, uint96 fee, uint40 deadline) internal pure returns (bytes32) {
        return keccak256(abi.encode(REQUEST_CLOSE, id, fee, deadline));
    }

    function withdraw(address payer, address to, uint96 amount, uint96 fee, uint40 deadline, uint256 nonce)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(WITHDRAW, payer, to, amount, fee, deadline, nonce));
    }

    /// keccak256(abi.encode(tag, id, amount)) in the scratch space: the inner loop of a batch claim.
    function three(bytes32 tag, bytes32 id, uint128 amount) private pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            let at_ := mload(0x40)
            mstore(at_, tag)
            mstore(add(at_, 0x20), id)
            mstore(add(at_, 0x40), shr(128, shl(128, amount)))
            hash := keccak256(at_, 0x60)
        }
    }
}
