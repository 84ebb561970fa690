// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ECDSA} from "solady/utils/ECDSA.sol";
import {IParams} from "./interfaces/IParams.sol";
import {Keys} from "./libraries/Keys.sol";
import {
    AccountSlot, ChannelSlot, CLOSED, NONE, OPEN, SessionSlot, newChannel, newSpent
} from "./libraries/Slots.sol";
import {Typed} from "./libraries/Typed.sol";
import {Ledger} from "./Ledger.sol";

/// @title Unidirectional payment channels between users and providers of inference.
/// @notice A payer sets money aside for one payee; its session key signs cumulative vouchers as an answer streams; the
/// payee claims the highest one whenever it pays off, in batches. Ids, vouchers and their domain are those of the Machine
/// Payments Protocol's `evm/session`. What a channel is made of (payer, payee, signer, salt) is not stored: callers give it
/// again and the id proves it, so that a channel is one slot.
/// @dev Nobody is trusted: governance sets the fee and the challenge delay within bounds fixed here, and can touch no
/// balance. There is no pause and no upgrade.
contract InferenceChannels is Ledger {
    /// What names a channel.
    struct Key {
        address payer;
        address payee;
        address signer;
        bytes32 salt;
    }

    /// A channel that a session key opens.
    struct Opening {
        Key key;
        uint96 amount;
        uint96 fee;
        uint40 deadline;
        bytes32 r;
        bytes32 vs;
    }

    /// One row of a batch claim: the payee is the batch's. `r` and `vs` are the voucher's compact signature (ERC-2098).
    struct Claim {
        address payer;
        address signer;
        bytes32 salt;
        uint128 cumulative;
        bytes32 r;
        bytes32 vs;
    }

    /// What a payee claimed in an epoch, over how many vouchers: usage on chain without requests.
    struct Usage {
        uint128 amount;
        uint64 vouchers;
    }

    /// No vote can set a higher fee.
    uint256 public constant MAX_FEE_BPS = 1_000;
    /// Where fees go.
    address public immutable TREASURY;
    /// Where the fee and the challenge delay are read.
    IParams public immutable PARAMS;
    /// Bounds of the challenge delay, whatever is voted. The longest must stay under governance's own delay.
    uint40 public immutable MIN_DELAY;
    uint40 public immutable MAX_DELAY;
    /// Seconds of an epoch of `usage`.
    uint40 public immutable EPOCH;

    mapping(bytes32 id => ChannelSlot) internal channels;
    /// What a payee has claimed and not taken out yet, before the fee.
    mapping(address payee => uint256) public earned;
    /// What the treasury has not taken out yet.
    uint256 public treasuryEarned;
    mapping(address payee => mapping(uint256 epoch => Usage)) internal usages;

    /// The signer and the salt stand in the transaction's input.
    event Opened(bytes32 indexed id, address indexed payer, address indexed payee, uint96 deposit);
    event ToppedUp(bytes32 indexed id, uint96 deposit);
    event Claimed(address indexed payee, uint256 amount, uint256 vouchers);
    /// A row of a batch was passed over; `refusal` is the selector of the error that it would have reverted with alone.
    event Skipped(bytes32 indexed id, bytes4 refusal);
    event CloseRequested(bytes32 indexed id, uint40 closeAt);
    event Closed(bytes32 indexed id, uint96 claimed, uint96 refund);
    event PaidOut(address indexed payee, address indexed to, uint256 amount, uint256 fee);
    event Swept(uint256 amount);

    error NotOpen();
    error ChannelExists();
    error StaleVoucher();
    error SessionExpired();
    error PayeeCapExceeded();
    error DayCapExceeded();
    error DepositNotRaised();
    error NotPayer();
    error AlreadyClosing();
    error NotClosing();
    error TooEarly();
    error NothingToPay();
    error BadBounds();

    constructor(IERC20 token, address treasury, IParams params, uint40 minDelay, uint40 maxDelay, uint40 epoch)
        Ledger(token)
    {
        require(treasury != address(0) && address(params) != address(0), ZeroAddress());
        require(minDelay <= maxDelay && maxDelay <= 30 days && epoch != 0, BadBounds());
        TREASURY = treasury;
        PARAMS = params;
        MIN_DELAY = minDelay;
        MAX_DELAY = maxDelay;
        EPOCH = epoch;
    }

    // ------------------------------------------------------------------------------------------------ opening

    /// @notice Opens a channel from the caller's approved tokens.
    function open(address payee, address signer, bytes32 salt, uint96 amount) external nonReentrant returns (bytes32 id) {
        _pull(amount);
        id = Typed.channelId(msg.sender, payee, address(TOKEN), salt, signer, address(this));
        _open(id, msg.sender, payee, signer, amount);
    }

    /// @notice Opens a channel from the caller's own balance here.
    function openFromBalance(address payee, address signer, bytes32 salt, uint96 amount) external returns (bytes32 id) {
        _debit(msg.sender, amount);
        id = Typed.channelId(msg.sender, payee, address(TOKEN), salt, signer, address(this));
        _open(id, msg.sender, payee, signer, amount);
    }

    /// @notice Opens a channel by the payer's ERC-3009 authorization, sent by anyone for `fee`, which is taken from
    /// `amount`. Its nonce is `openingNonce(id, fee)`: the sender can change neither the channel nor its reward.
    function openWithAuthorization(Key calldata key, uint96 amount, uint96 fee, Authorization calldata a)
        external
        nonReentrant
        returns (bytes32 id)
    {
        require(fee < amount, FeeAboveAmount(fee, amount));
        (address payer, address payee, address signer) = (key.payer, key.payee, key.signer);
        require(a.from == payer, NotPayer());
        id = Typed.channelId(payer, payee, address(TOKEN), key.salt, signer, address(this));
        // INFERENCE brings what it is asked for; counting that would cost 1,800 gas.
        _receiveUncounted(amount, openingNonce(id, fee), a);
        unchecked {
            _open(id, payer, payee, signer, amount - fee);
        }
        if (fee != 0) _add(msg.sender, fee);
    }

    /// @notice The ERC-3009 nonce under which a payer signs `openWithAuthorization`.
    function openingNonce(bytes32 id, uint96 fee) public pure returns (bytes32) {
        return keccak256(abi.encode("pam1 open", id, fee));
    }

    /// @notice Opens a channel from the payer's balance by its session key's signature, within the session's caps.
    function openFromLedger(Opening calldata opening) external returns (bytes32 id) {
        bytes4 refusal;
        (id, refusal) = _openFromLedger(opening);
        _revertWith(refusal);
        if (opening.fee != 0) _add(msg.sender, opening.fee);
    }

    /// @notice Opens many; one that is refused is passed over and does not hold the others up.
    /// @return opened how many are open now.
    function openManyFromLedger(Opening[] calldata openings) external returns (uint256 opened) {
        uint96 fees;
        for (uint256 i; i < openings.length; ++i) {
            (bytes32 id, bytes4 refusal) = _openFromLedger(openings[i]);
            if (refusal != 0) {
                emit Skipped(id, refusal);
                continue;
            }
            fees += openings[i].fee;
            ++opened;
        }
        if (fees != 0) _add(msg.sender, fees);
    }

    /// @notice Raises a channel's deposit to `deposit` from the payer's balance, by the payer itself.
    function topUp(Key calldata key, uint96 deposit) external {
        require(msg.sender == key.payer, NotPayer());
        _debit(key.payer, _raise(idOf(key), deposit));
    }

    /// @notice The same by the session key's signature, within its caps, sent by anyone for `fee`. A repeated message
    /// raises nothing: it names the whole deposit.
    function topUpFor(Key calldata key, uint96 deposit, uint96 fee, uint40 deadline, bytes32 r, bytes32 vs) external {
        _before(deadline);
        bytes32 id = idOf(key);
        require(_recovers(key.signer, Typed.topUp(id, deposit, fee, deadline), r, vs), BadSignature());
        _revertWith(_spend(key.payer, key.payee, key.signer, uint256(_raise(id, deposit)) + fee));
        if (fee != 0) _add(msg.sender, fee);
    }

    // ------------------------------------------------------------------------------------------------ claiming

    /// @notice Claims one voucher for `payee`; anyone may send it. A voucher above the deposit claims the deposit.
    function claim(address payee, Claim calldata row) external returns (uint96 amount) {
        bytes4 refusal;
        (, amount, refusal) = _claim(payee, row);
        _revertWith(refusal);
        _earn(payee, amount, 1);
    }

    /// @notice Claims many vouchers of one payee; a row that is closed, stale or badly signed is passed over.
    function claimMany(address payee, Claim[] calldata rows) external returns (uint256 amount) {
        uint256 vouchers;
        for (uint256 i; i < rows.length; ++i) {
            (bytes32 id, uint96 part, bytes4 refusal) = _claim(payee, rows[i]);
            if (refusal != 0) {
                emit Skipped(id, refusal);
                continue;
            }
            unchecked {
                amount += part;
                ++vouchers;
            }
        }
        _earn(payee, amount, vouchers);
    }

    // ------------------------------------------------------------------------------------------------ closing

    /// @notice The payee gives back what it has not claimed, to the payer's balance here.
    function closeToLedger(address payer, address signer, bytes32 salt) external {
        bytes32 id = Typed.channelId(payer, msg.sender, address(TOKEN), salt, signer, address(this));
        _close(id, payer);
    }

    /// @notice Anyone closes with the payee's word: it gets `cumulative` in all, or what it had claimed where that is more;
    /// the payer's balance gets the rest. The voucher of the payer's side must cover what is beyond the claims so far. The
    /// consent has no end, as MPP's has none: a payee that gave one takes no voucher of the channel any more, for whoever has
    /// it can close at any time.
    function closeWithConsent(
        Key calldata key,
        uint128 cumulative,
        bytes32 r,
        bytes32 vs,
        bytes calldata consent
    ) external {
        bytes32 id = idOf(key);
        ChannelSlot c = _openChannel(id);
        _signedBy(key.payee, Typed.close(id, cumulative), consent);
        uint96 amount = _claimable(c, cumulative);
        if (amount != 0) {
            require(_recovers(key.signer, Typed.voucher(id, cumulative), r, vs), BadSignature());
            unchecked {
                c = c.withClaimed(c.claimed() + amount);
            }
            channels[id] = c;
            _earn(key.payee, amount, 1);
        }
        _close(id, key.payer);
    }

    /// @notice Starts the timed close: the payer or its key, without the payee. The payee can claim until it is done.
    function requestClose(Key calldata key) external {
        require(msg.sender == key.payer || msg.sender == key.signer, NotPayer());
        _requestClose(idOf(key));
    }

    /// @notice The same by the signature of the payer or its key, sent by anyone for `fee` from the payer's balance. A fee
    /// that the key grants counts under its session; for none it may ask without one.
    function requestCloseFor(
        Key calldata key,
        address by,
        uint96 fee,
        uint40 deadline,
        bytes calldata signature
    ) external {
        require(by == key.payer || by == key.signer, NotPayer());
        _before(deadline);
        bytes32 id = idOf(key);
        _signedBy(by, Typed.requestClose(id, fee, deadline), signature);
        _requestClose(id);
        if (by == key.payer) {
            _payRelayer(key.payer, fee);
        } else if (fee != 0) {
            _revertWith(_spend(key.payer, key.payee, key.signer, fee));
            _add(msg.sender, fee);
        }
    }

    /// @notice Ends a timed close once its time has come; anyone may send it. The rest goes to the payer's balance here.
    function finishClose(Key calldata key) external {
        bytes32 id = idOf(key);
        uint40 closeAt = channels[id].closeAt();
        require(closeAt != 0, NotClosing());
        require(block.timestamp >= closeAt, TooEarly());
        _close(id, key.payer);
    }

    // ------------------------------------------------------------------------------------------------ payout

    /// @notice Pays what the caller earned to `to`, less the protocol's fee.
    function payout(address to) external nonReentrant returns (uint256 amount) {
        amount = _payout(msg.sender, to);
    }

    /// @notice Pays what `payee` earned to itself; anyone may send it, so that a splitter needs no code for it.
    function payoutOf(address payee) external nonReentrant returns (uint256 amount) {
        amount = _payout(payee, payee);
    }

    /// @notice Sends the fees to the treasury; anyone may.
    function sweep() external nonReentrant returns (uint256 amount) {
        amount = treasuryEarned;
        require(amount != 0, NothingToPay());
        treasuryEarned = 0;
        emit Swept(amount);
        _pay(TREASURY, amount);
    }

    // ------------------------------------------------------------------------------------------------ views

    /// @notice The id of a channel.
    function idOf(Key memory key) public view returns (bytes32) {
        return Typed.channelId(key.payer, key.payee, address(TOKEN), key.salt, key.signer, address(this));
    }

    /// @notice A channel as it stands.
    /// @return state 0 never opened, 1 open, 2 closed.
    function channel(bytes32 id)
        external
        view
        returns (uint256 state, uint96 deposit, uint96 claimed, uint40 closeAt)
    {
        ChannelSlot c = channels[id];
        return (c.state(), c.deposit(), c.claimed(), c.closeAt());
    }

    /// @notice What a payee claimed in an epoch.
    function usage(address payee, uint256 epoch) external view returns (Usage memory) {
        return usages[payee][epoch];
    }

    /// @notice The fee that a payout would pay now, in basis points.
    function feeBps() public view returns (uint256 bps) {
        bps = PARAMS.get(Keys.FEE_BPS);
        if (bps > MAX_FEE_BPS) bps = MAX_FEE_BPS;
    }

    /// @notice The time a payee has to claim after a request to close made now, in seconds.
    function challengeDelay() public view returns (uint40 delay) {
        uint256 voted = PARAMS.get(Keys.CHALLENGE_DELAY);
        delay = voted < MIN_DELAY ? MIN_DELAY : voted > MAX_DELAY ? MAX_DELAY : uint40(voted);
    }

    // ------------------------------------------------------------------------------------------------ inside

    /// Writes a new channel; what it costs is taken by the caller.
    function _open(bytes32 id, address payer, address payee, address signer, uint96 amount) private {
        require(payer != address(0) && payee != address(0) && signer != address(0), ZeroAddress());
        require(amount != 0, ZeroAmount());
        require(channels[id].state() == NONE, ChannelExists());
        channels[id] = newChannel(amount);
        emit Opened(id, payer, payee, amount);
    }

    /// Every check comes before the first write, so that a refused row leaves nothing behind.
    function _openFromLedger(Opening calldata o) private returns (bytes32 id, bytes4 refusal) {
        (address payer, address payee, address signer, bytes32 salt) = (o.key.payer, o.key.payee, o.key.signer, o.key.salt);
        (uint96 amount, uint96 fee, uint40 deadline) = (o.amount, o.fee, o.deadline);
        id = Typed.channelId(payer, payee, address(TOKEN), salt, signer, address(this));
        if (block.timestamp > deadline) return (id, Expired.selector);
        if (payer == address(0) || payee == address(0)) return (id, ZeroAddress.selector);
        if (amount == 0) return (id, ZeroAmount.selector);
        if (channels[id].state() != NONE) return (id, ChannelExists.selector);
        if (!_recovers(signer, Typed.open(id, amount, fee, deadline), o.r, o.vs)) return (id, BadSignature.selector);
        refusal = _spend(payer, payee, signer, uint256(amount) + fee);
        if (refusal != 0) return (id, refusal);
        channels[id] = newChannel(amount);
        emit Opened(id, payer, payee, amount);
    }

    /// Takes what a session key moves (and the fee it grants) from the payer, within the caps that the payer set.
    function _spend(address payer, address payee, address signer, uint256 moved) private returns (bytes4 refusal) {
        SessionSlot s = sessions[payer][signer];
        if (block.timestamp >= s.expiry()) return SessionExpired.selector;
        AccountSlot a = accounts[payer];
        if (moved > a.balance()) return InsufficientBalance.selector;
        unchecked {
            uint32 today = _today();
            uint256 day = moved + a.movedOn(today);
            if (day > s.capDay()) return DayCapExceeded.selector;
            bytes32 route = _route(payer, signer, payee);
            uint256 total = moved + spent[route].movedIn(s.round());
            if (total > s.capPayee()) return PayeeCapExceeded.selector;
            spent[route] = newSpent(uint96(total), s.round());
            accounts[payer] = a.withBalance(uint96(a.balance() - moved)).withMoved(uint96(day), today);
        }
    }

    function _openChannel(bytes32 id) private view returns (ChannelSlot c) {
        c = channels[id];
        require(c.state() == OPEN, NotOpen());
    }

    /// Raises the deposit; who pays is said by the caller.
    function _raise(bytes32 id, uint96 deposit) private returns (uint96 added) {
        ChannelSlot c = _openChannel(id);
        require(c.closeAt() == 0, AlreadyClosing());
        require(deposit > c.deposit(), DepositNotRaised());
        unchecked {
            added = deposit - c.deposit();
        }
        channels[id] = c.withDeposit(deposit);
        emit ToppedUp(id, deposit);
    }

    function _claim(address payee, Claim calldata row) private returns (bytes32 id, uint96 part, bytes4 refusal) {
        id = Typed.channelId(row.payer, payee, address(TOKEN), row.salt, row.signer, address(this));
        ChannelSlot c = channels[id];
        if (c.state() != OPEN) return (id, 0, NotOpen.selector);
        part = _claimable(c, row.cumulative);
        if (part == 0) return (id, 0, StaleVoucher.selector);
        if (!_recovers(row.signer, Typed.voucher(id, row.cumulative), row.r, row.vs)) {
            return (id, 0, BadSignature.selector);
        }
        unchecked {
            channels[id] = c.withClaimed(c.claimed() + part);
        }
    }

    function _claimable(ChannelSlot c, uint128 cumulative) private pure returns (uint96) {
        uint256 up = cumulative < c.deposit() ? cumulative : c.deposit();
        unchecked {
            return up > c.claimed() ? uint96(up - c.claimed()) : 0;
        }
    }

    function _earn(address payee, uint256 amount, uint256 vouchers) private {
        if (amount == 0) return;
        earned[payee] += amount;
        Usage storage u = usages[payee][block.timestamp / EPOCH];
        u.amount += uint128(amount);
        u.vouchers += uint64(vouchers);
        emit Claimed(payee, amount, vouchers);
    }

    function _requestClose(bytes32 id) private {
        ChannelSlot c = _openChannel(id);
        require(c.closeAt() == 0, AlreadyClosing());
        uint40 closeAt = uint40(block.timestamp) + challengeDelay();
        channels[id] = c.withCloseAt(closeAt);
        emit CloseRequested(id, closeAt);
    }

    function _close(bytes32 id, address payer) private {
        ChannelSlot c = _openChannel(id);
        uint96 refund;
        unchecked {
            refund = c.deposit() - c.claimed();
        }
        channels[id] = c.asClosed();
        if (refund != 0) _add(payer, refund);
        emit Closed(id, c.claimed(), refund);
    }

    function _payout(address payee, address to) private returns (uint256 amount) {
        require(to != address(0), ZeroAddress());
        uint256 gross = earned[payee];
        require(gross != 0, NothingToPay());
        uint256 fee = gross * feeBps() / 10_000;
        earned[payee] = 0;
        treasuryEarned += fee;
        unchecked {
            amount = gross - fee;
        }
        emit PaidOut(payee, to, amount, fee);
        _pay(to, amount);
    }

    /// Whether `signer` signed; never so for the zero address, which is what a bad signature recovers to.
    function _recovers(address signer, bytes32 structHash, bytes32 r, bytes32 vs) private view returns (bool) {
        return signer != address(0) && ECDSA.tryRecover(_hashTypedData(structHash), r, vs) == signer;
    }

    function _revertWith(bytes4 refusal) private pure {
        if (refusal == 0) return;
        assembly ("memory-safe") {
            mstore(0, refusal)
            revert(0, 4)
        }
    }

    function _domainNameAndVersion() internal pure override returns (string memory, string memory) {
        return ("EVM Payment Channel", "1");
    }
}
