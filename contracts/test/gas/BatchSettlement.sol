// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

/// @title The claim path of x402's `batch-settlement` scheme, written anew from its specification for comparison only.
/// @notice A channel is the hash of its whole configuration; a claim carries it, checks the payer's voucher with
/// OpenZeppelin's ECDSA and EIP712, and logs each row. Deposits are credited without tokens: only claims are measured.
contract BatchSettlement is EIP712("x402 Batch Settlement", "1") {
    struct Config {
        address payer;
        address payerAuthorizer;
        address receiver;
        address receiverAuthorizer;
        address token;
        uint256 withdrawDelay;
        bytes32 salt;
    }

    struct Row {
        Config config;
        uint128 total;
        uint128 ceiling;
        bytes signature;
    }

    struct Balance {
        uint128 deposited;
        uint128 claimed;
    }

    bytes32 private constant CONFIG = keccak256(
        "ChannelConfig(address payer,address payerAuthorizer,address receiver,address receiverAuthorizer,address token,uint256 withdrawDelay,bytes32 salt)"
    );
    bytes32 private constant VOUCHER = keccak256("Voucher(bytes32 channelId,uint128 maxClaimableAmount)");

    mapping(bytes32 id => Balance) public balances;
    mapping(address receiver => mapping(address token => uint256)) public owed;

    event Claimed(bytes32 indexed id, address indexed receiver, uint128 amount, uint128 total);

    error ClaimExceedsBalance();
    error ClaimAboveCeiling();
    error NotReceiver();
    error BadVoucher();

    function deposit(Config calldata config, uint128 amount) external {
        balances[idOf(config)].deposited += amount;
    }

    function claim(Row[] calldata rows) external {
        for (uint256 i; i < rows.length; ++i) {
            Row calldata row = rows[i];
            require(
                msg.sender == row.config.receiver || msg.sender == row.config.receiverAuthorizer, NotReceiver()
            );
            bytes32 id = idOf(row.config);
            Balance storage b = balances[id];
            require(row.total <= row.ceiling, ClaimAboveCeiling());
            require(row.total <= b.deposited, ClaimExceedsBalance());
            require(
                ECDSA.recover(voucherHash(id, row.ceiling), row.signature) == row.config.payerAuthorizer, BadVoucher()
            );
            uint128 amount = row.total - b.claimed;
            b.claimed = row.total;
            owed[row.config.receiver][row.config.token] += amount;
            emit Claimed(id, row.config.receiver, amount, row.total);
        }
    }

    function idOf(Config calldata config) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(CONFIG, config)));
    }

    function voucherHash(bytes32 id, uint128 ceiling) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(VOUCHER, id, ceiling)));
    }
}
