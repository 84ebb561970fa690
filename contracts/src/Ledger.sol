// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Nonces} from "@openzeppelin/contracts/utils/Nonces.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {EIP712} from "solady/utils/EIP712.sol";
import {Funding} from "./Funding.sol";
import {AccountSlot, SessionSlot, SpentSlot, newSession} from "./libraries/Slots.sol";
import {Typed} from "./libraries/Typed.sol";

/// @title Payers' money before it stands in a channel, and what their session keys may do with it.
/// @notice A payer funds once and leaves whenever it likes, alone: no delay, no other party, no parameter stands between
/// a balance here and its owner. A session key moves it into channels only within what the payer set: until `expiry`,
/// `capPayee` for any one payee and `capDay` a UTC day.
abstract contract Ledger is EIP712, Nonces, Funding {
    /// What a payer lets a key do: its own words of `Session`.
    struct Terms {
        address signer;
        uint96 capPayee;
        uint96 capDay;
        uint40 expiry;
    }

    mapping(address payer => AccountSlot) internal accounts;
    mapping(address payer => mapping(address signer => SessionSlot)) internal sessions;
    mapping(bytes32 route => SpentSlot) internal spent;

    event Funded(address indexed payer, uint96 amount);
    event Withdrawn(address indexed payer, address indexed to, uint96 amount);
    event SessionSet(address indexed payer, address indexed signer, uint96 capPayee, uint96 capDay, uint40 expiry);

    error Expired();
    error BadSignature();
    error InsufficientBalance();
    error FeeAboveAmount(uint96 fee, uint96 amount);

    constructor(IERC20 token) Funding(token) {}

    // ------------------------------------------------------------------------------------------------ funding

    /// @notice Funds `payer` from the caller's approved tokens.
    function fund(address payer, uint96 amount) external nonReentrant {
        _pull(amount);
        _credit(payer, amount);
    }

    /// @notice The same for the caller itself, with its permit (ERC-2612). A permit that somebody sent before us has
    /// done its work: only the allowance counts.
    function fundWithPermit(uint96 amount, Permit calldata p) external nonReentrant {
        _permit(amount, p);
        _pull(amount);
        _credit(msg.sender, amount);
    }

    /// @notice Funds the ledger and sets a session key by one signature of the payer (ERC-3009), sent by anyone for
    /// `fee`. The authorization's nonce is `fundingNonce(..)`: it binds fee and terms, so the sender can change neither.
    /// `terms.signer` zero sets no session. One that is signed and not sent yet sets its session whenever it is sent, after a
    /// revocation too: who takes a session back cancels it at the token (`cancelAuthorization`, ERC-3009).
    function fundWithAuthorization(
        uint96 amount,
        uint96 fee,
        Terms calldata terms,
        bytes32 salt,
        Authorization calldata a
    ) external nonReentrant {
        require(amount != 0, ZeroAmount());
        require(fee <= amount, FeeAboveAmount(fee, amount));
        _receive(amount, fundingNonce(fee, terms, salt), a);
        _credit(a.from, amount);
        if (terms.signer != address(0)) _setSession(a.from, terms);
        _payRelayer(a.from, fee);
    }

    /// @notice The ERC-3009 nonce under which a payer signs `fundWithAuthorization`.
    function fundingNonce(uint96 fee, Terms calldata terms, bytes32 salt) public pure returns (bytes32) {
        return keccak256(
            abi.encode("pam1 fund", fee, terms.signer, terms.capPayee, terms.capDay, terms.expiry, salt)
        );
    }

    // ------------------------------------------------------------------------------------------------ sessions

    /// @notice Lets `terms.signer` open channels from the caller's balance; caps of 0 or a past expiry take it back.
    function setSession(Terms calldata terms) external {
        _setSession(msg.sender, terms);
    }

    /// @notice The same by the payer's signature, sent by anyone for `fee`.
    function setSessionFor(address payer, Terms calldata terms, uint96 fee, uint40 deadline, bytes calldata signature)
        external
    {
        _before(deadline);
        bytes32 hash = keccak256(
            abi.encode(
                Typed.SESSION,
                payer,
                terms.signer,
                terms.capPayee,
                terms.capDay,
                terms.expiry,
                fee,
                deadline,
                _useNonce(payer)
            )
        );
        _signedBy(payer, hash, signature);
        _setSession(payer, terms);
        _payRelayer(payer, fee);
    }

    // ------------------------------------------------------------------------------------------------ exit

    /// @notice Takes the caller's balance out, at once.
    function withdraw(address to, uint96 amount) external nonReentrant {
        _withdraw(msg.sender, to, amount);
    }

    /// @notice The same by the payer's signature, sent by anyone for `fee`, which is taken beside `amount`.
    function withdrawFor(
        address payer,
        address to,
        uint96 amount,
        uint96 fee,
        uint40 deadline,
        bytes calldata signature
    ) external nonReentrant {
        _before(deadline);
        _signedBy(payer, Typed.withdraw(payer, to, amount, fee, deadline, _useNonce(payer)), signature);
        _payRelayer(payer, fee);
        _withdraw(payer, to, amount);
    }

    // ------------------------------------------------------------------------------------------------ views

    /// @notice What stands on a payer's account, and what its session keys moved on this UTC day.
    function account(address payer) external view returns (uint96 balance, uint96 movedToday) {
        AccountSlot a = accounts[payer];
        return (a.balance(), a.movedOn(_today()));
    }

    /// @notice What `signer` may do for `payer`.
    function session(address payer, address signer)
        external
        view
        returns (uint96 capPayee, uint96 capDay, uint40 expiry)
    {
        SessionSlot s = sessions[payer][signer];
        return (s.capPayee(), s.capDay(), s.expiry());
    }

    /// @notice What `signer` moved into channels of `payee` since the session was last set.
    function movedTo(address payer, address signer, address payee) external view returns (uint96) {
        return spent[_route(payer, signer, payee)].movedIn(sessions[payer][signer].round());
    }

    /// @notice The hash that is signed for a struct hash: EIP-712 with this contract's domain.
    function hashTypedData(bytes32 structHash) external view returns (bytes32) {
        return _hashTypedData(structHash);
    }

    // ------------------------------------------------------------------------------------------------ inside

    function _setSession(address payer, Terms calldata terms) private {
        require(terms.signer != address(0), ZeroAddress());
        uint24 round;
        // A round may wrap after 16 million settings; the caps of so old a round are long spent.
        unchecked {
            round = sessions[payer][terms.signer].round() + 1;
        }
        sessions[payer][terms.signer] = newSession(terms.capPayee, terms.capDay, terms.expiry, round);
        emit SessionSet(payer, terms.signer, terms.capPayee, terms.capDay, terms.expiry);
    }

    function _withdraw(address payer, address to, uint96 amount) private {
        require(to != address(0), ZeroAddress());
        require(amount != 0, ZeroAmount());
        _debit(payer, amount);
        emit Withdrawn(payer, to, amount);
        _pay(to, amount);
    }

    function _credit(address payer, uint96 amount) internal {
        require(payer != address(0), ZeroAddress());
        _add(payer, amount);
        emit Funded(payer, amount);
    }

    function _debit(address payer, uint96 amount) internal {
        AccountSlot a = accounts[payer];
        require(a.balance() >= amount, InsufficientBalance());
        unchecked {
            accounts[payer] = a.withBalance(a.balance() - amount);
        }
    }

    function _add(address payer, uint96 amount) internal {
        AccountSlot a = accounts[payer];
        accounts[payer] = a.withBalance(a.balance() + amount);
    }

    /// The sender's reward goes to its own balance here: no transfer, no protocol fee.
    function _payRelayer(address payer, uint96 fee) internal {
        if (fee == 0) return;
        _debit(payer, fee);
        _add(msg.sender, fee);
    }

    function _signedBy(address signer, bytes32 structHash, bytes calldata signature) internal view {
        require(SignatureChecker.isValidSignatureNow(signer, _hashTypedData(structHash), signature), BadSignature());
    }

    /// Under what `spent` counts: one hash instead of three nested mappings.
    function _route(address payer, address signer, address payee) internal pure returns (bytes32) {
        return keccak256(abi.encode(payer, signer, payee));
    }

    function _before(uint40 deadline) internal view {
        require(block.timestamp <= deadline, Expired());
    }

    function _today() internal view returns (uint32) {
        return uint32(block.timestamp / 1 days);
    }
}
