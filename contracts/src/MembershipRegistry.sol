// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {ECDSA} from "solady/utils/ECDSA.sol";
import {EIP712} from "solady/utils/EIP712.sol";
import {Funding} from "./Funding.sol";
import {IParams} from "./interfaces/IParams.sol";
import {IProviderRegistry} from "./interfaces/IProviderRegistry.sol";
import {Leaves} from "./Leaves.sol";
import {Keys} from "./libraries/Keys.sol";
import {Poseidon} from "./libraries/Poseidon.sol";
import {ACTIVE, DEPOSIT, INVITATION, LEAVING, OPEN_DOOR, SLASHED, STAKE, SeatSlot} from "./libraries/Seats.sol";

/// @title The members who may use the free daily quota, as the leaves of a tree that is not on the chain.
/// @notice A member is a commitment, Poseidon1(secret), with a tier and a last day. Four doors lead in: a deposit, a
/// provider's stake, an invitation that a sponsor's deposit covers, and an open door with a puzzle. Door and payer are
/// public, no use is. One who uses a number twice reveals its secret, and whoever sends it here takes the seat.
/// @dev No door reads a bare balance, which moved through many accounts would open many seats. A stake opens another once it
/// has unbonded and is another provider's; the seat it left stands until anyone expires it, its days at most. Governance sets
/// prices, caps and the limit, and can touch no deposit and no seat.
contract MembershipRegistry is Leaves, Funding, EIP712 {
    /// A sponsor's word: whoever holds `key` may take a seat at its cost, once, if its deposit is `maxCover` at most by then:
    /// a vote may have raised the price. The sender gets `fee` besides. The invited can have the seat slashed, which
    /// takes the deposit and gives INVITATION_REPORTER_BPS of it to who reports.
    struct Invitation {
        address sponsor;
        address key;
        uint16 tier;
        uint32 validUntil;
        uint96 maxCover;
        uint96 fee;
        uint40 deadline;
    }

    /// The seat that a provider's stake opens: one at a time, and the next not before `freeAt`.
    struct StakeDoor {
        address owner;
        uint40 freeAt;
    }

    /// Who sends an exit for a fee that is paid with the deposit.
    struct Errand {
        address relayer;
        uint96 fee;
    }

    bytes32 internal constant INVITATION_TYPE = keccak256(
        "Invitation(address sponsor,address key,uint16 tier,uint32 validUntil,uint96 maxCover,uint96 fee,uint40 deadline)"
    );
    bytes32 internal constant ACCEPT_TYPE = keccak256("Accept(bytes32 invitation,uint256 commitment)");
    bytes32 internal constant EXIT_TYPE = keccak256("Exit(uint256 commitment,uint96 fee,uint40 deadline)");

    uint16 public constant MAX_TIER = 64;
    /// Days that a seat of a door lasts: the open one's, a stake's between two renewals, an invitation's at most.
    uint32 public constant OPEN_DAYS = 30;
    uint32 public constant STAKE_DAYS = 90;
    uint32 public constant INVITATION_DAYS = 365;
    /// A deposit's seat lasts as long as the deposit.
    uint32 public constant NEVER = type(uint32).max;
    /// The reporter's part of a slashed deposit; a higher one would make slashing oneself a free exit.
    uint256 public constant REPORTER_BPS = 5_000;
    /// The same of an invitation's, which is not the invited's own: half of it would be a gift to whoever is invited. The rest
    /// is burnt and does not go back, or a sponsor could invite itself and cheat for nothing.
    uint256 public constant INVITATION_REPORTER_BPS = 1_000;
    /// The least difficulty of the open door's puzzle, but on a development chain.
    uint256 public constant MIN_PUZZLE_BITS = 16;
    uint256 internal constant DEVELOPMENT_CHAIN = 31337;
    /// Where burnt deposits go: the token has no way to burn.
    address public constant BURNT = 0x000000000000000000000000000000000000dEaD;
    uint40 public constant MAX_EXIT_DELAY = 30 days;

    IParams public immutable PARAMS;
    IProviderRegistry public immutable PROVIDERS;
    /// Seconds from `requestExit` to `withdraw`: the current and the previous epoch, gossip and clocks, in production.
    uint40 public immutable EXIT_DELAY;

    /// The payer of a deposit, the sponsor of an invitation, the provider of a stake; once slashed, the reporter.
    mapping(uint256 commitment => bytes32) internal holders;
    mapping(uint256 commitment => Errand) internal errands;
    mapping(bytes32 providerId => StakeDoor) internal stakeDoors;
    /// What a sponsor has here that covers no seat yet.
    mapping(address sponsor => uint96) public sponsorBalance;
    mapping(address sponsor => mapping(address key => bool)) public invitationSpent;
    /// In which block a slash was committed.
    mapping(bytes32 hash => uint256) internal commits;

    event Joined(uint256 indexed commitment, uint8 door, bytes32 indexed holder, uint96 cover);
    event ToppedUp(uint256 indexed commitment, uint96 cover);
    event ExitRequested(uint256 indexed commitment, uint40 exitAt);
    event Withdrawn(uint256 indexed commitment, address indexed payer, uint96 amount);
    event Slashed(uint256 indexed commitment, address indexed reporter, uint256 secret);
    event Collected(uint256 indexed commitment, address indexed reporter, uint256 reward, uint256 burnt);
    event SponsorFunded(address indexed sponsor, uint96 amount);
    event SponsorWithdrawn(address indexed sponsor, address indexed to, uint96 amount);
    event InvitationSpent(address indexed sponsor, address indexed key);

    error BadBounds();
    error BadTier();
    error StaleBlock();
    error PuzzleUnsolved();
    error DoorClosed();
    error NotOwner();
    error StakeTooSmall();
    error StakeDoorTaken();
    error StakeStands();
    error Expired();
    error BadDate();
    error BadSignature();
    error SpentInvitation();
    error CoverTooHigh(uint96 maximum, uint96 cover);
    error InsufficientBalance();
    error NotPayer();
    error NotActive();
    error NotLeaving();
    error NotSlashed();
    error NotMember();
    error NotCommitted();
    error AlreadyCommitted();
    error TooEarly();
    error FeeAboveCover();

    constructor(IERC20 token, IParams params, IProviderRegistry providers, uint40 exitDelay) Funding(token) {
        require(address(params) != address(0) && address(providers) != address(0), ZeroAddress());
        require(exitDelay != 0 && exitDelay <= MAX_EXIT_DELAY, BadBounds());
        PARAMS = params;
        PROVIDERS = providers;
        EXIT_DELAY = exitDelay;
    }

    // ------------------------------------------------------------------------------------------------ open door

    /// @notice A seat of tier 1 for OPEN_DAYS, for a puzzle's solution; anyone may send it. `number` is one of the last 256
    /// blocks, so that no stock of solutions is laid in. The door gives MAX_OPEN_SEATS, ever.
    function joinOpen(uint256 commitment, uint256 number, uint256 nonce) external {
        bytes32 recent = blockhash(number);
        require(recent != 0, StaleBlock());
        require(uint256(puzzleHash(commitment, recent, nonce)) >> (256 - puzzleBits()) == 0, PuzzleUnsolved());
        uint32 day = today();
        Head memory h = head;
        if (h.day != day) (h.day, h.openSeats) = (day, 0);
        require(h.openSeats < PARAMS.get(Keys.OPEN_SEATS_DAILY), DoorClosed());
        require(h.openEver < MAX_OPEN_SEATS, OpenDoorSpent());
        ++h.openSeats;
        ++h.openEver;
        _take(commitment, h, 0, 1, day + OPEN_DAYS, OPEN_DOOR);
    }

    /// @notice What must begin with `puzzleBits` zero bits.
    function puzzleHash(uint256 commitment, bytes32 recent, uint256 nonce) public pure returns (bytes32) {
        return keccak256(abi.encode(commitment, recent, nonce));
    }

    /// @notice The puzzle's difficulty now.
    function puzzleBits() public view returns (uint256 bits) {
        bits = PARAMS.get(Keys.PUZZLE_BITS);
        if (bits < MIN_PUZZLE_BITS && block.chainid != DEVELOPMENT_CHAIN) bits = MIN_PUZZLE_BITS;
    }

    // ------------------------------------------------------------------------------------------------ deposit

    /// @notice A seat of tier 2 or more for the caller's approved tokens, which come back after the exit.
    function joinByDeposit(uint256 commitment, uint16 tier) external nonReentrant {
        _joinByDeposit(commitment, tier);
    }

    /// @notice The same with the caller's permit.
    function joinByDepositWithPermit(uint256 commitment, uint16 tier, Permit calldata p) external nonReentrant {
        _permit(depositFor(tier), p);
        _joinByDeposit(commitment, tier);
    }

    /// @notice The same by an authorization of the deposit and `fee`, sent by anyone for `fee`. Its nonce is
    /// `joiningNonce(..)`: the sender can change neither the seat nor its reward.
    function joinByAuthorization(uint256 commitment, uint16 tier, uint96 fee, Authorization calldata a)
        external
        nonReentrant
    {
        require(tier > 1, BadTier());
        uint96 amount = depositFor(tier);
        _receive(SafeCast.toUint96(uint256(amount) + fee), joiningNonce(commitment, tier, fee), a);
        _sit(commitment, amount, tier, NEVER, DEPOSIT, bytes32(uint256(uint160(a.from))));
        _pay(msg.sender, fee);
    }

    /// @notice The ERC-3009 nonce under which a payer signs `joinByAuthorization`.
    function joiningNonce(uint256 commitment, uint16 tier, uint96 fee) public pure returns (bytes32) {
        return keccak256(abi.encode("pam1 join", commitment, tier, fee));
    }

    // ------------------------------------------------------------------------------------------------ stake

    /// @notice A seat for the owner of a provider's stake, one a provider, good for STAKE_DAYS and then renewed by `topUp`.
    /// It ends with the stake: see `expire`.
    function joinByStake(uint256 commitment, uint16 tier, bytes32 providerId) external {
        require(msg.sender == PROVIDERS.ownerOf(providerId), NotOwner());
        uint96 amount = _stakeFor(providerId, tier);
        StakeDoor storage d = stakeDoors[providerId];
        require(block.timestamp >= d.freeAt, StakeDoorTaken());
        d.owner = msg.sender;
        d.freeAt = type(uint40).max;
        _sit(commitment, amount, tier, today() + STAKE_DAYS, STAKE, providerId);
    }

    /// @notice Ends the seat of a stake that is gone, smaller than its tier needs, or another's; anyone may.
    function expire(uint256 commitment) external {
        SeatSlot s = seats[commitment];
        require(s.state() == ACTIVE && s.door() == STAKE, NotActive());
        bytes32 providerId = holders[commitment];
        require(
            PROVIDERS.bondedOf(providerId) < s.cover()
                || PROVIDERS.ownerOf(providerId) != stakeDoors[providerId].owner,
            StakeStands()
        );
        _leave(commitment, s);
    }

    // ------------------------------------------------------------------------------------------------ invitation

    /// @notice Funds the caller's invitations from its approved tokens.
    function fundInvitations(uint96 amount) external nonReentrant {
        _fundInvitations(amount);
    }

    /// @notice The same with the caller's permit.
    function fundInvitationsWithPermit(uint96 amount, Permit calldata p) external nonReentrant {
        _permit(amount, p);
        _fundInvitations(amount);
    }

    /// @notice Takes out what covers no seat, at once. Invitations that it would have covered fail.
    function withdrawInvitations(address to, uint96 amount) external nonReentrant {
        require(to != address(0), ZeroAddress());
        require(amount != 0, ZeroAmount());
        _spend(msg.sender, amount);
        emit SponsorWithdrawn(msg.sender, to, amount);
        _pay(to, amount);
    }

    /// @notice Takes an invitation of the caller back.
    function revokeInvitation(address key) external {
        invitationSpent[msg.sender][key] = true;
        emit InvitationSpent(msg.sender, key);
    }

    /// @notice A seat that the sponsor's deposit covers: by the sponsor's signature over the invitation and the invited
    /// key's over that invitation's digest and the commitment, sent by anyone. The sponsor is its payer: it may end it, and a slash takes its deposit.
    function joinByInvitation(
        uint256 commitment,
        Invitation calldata i,
        bytes calldata signature,
        bytes32 r,
        bytes32 vs
    ) external nonReentrant {
        require(block.timestamp <= i.deadline, Expired());
        require(today() <= i.validUntil && i.validUntil <= today() + INVITATION_DAYS, BadDate());
        require(!invitationSpent[i.sponsor][i.key], SpentInvitation());
        bytes32 invited = _hashTypedData(keccak256(abi.encode(INVITATION_TYPE, i)));
        require(SignatureChecker.isValidSignatureNow(i.sponsor, invited, signature), BadSignature());
        bytes32 accepted = _hashTypedData(keccak256(abi.encode(ACCEPT_TYPE, invited, commitment)));
        require(i.key != address(0) && ECDSA.tryRecover(accepted, r, vs) == i.key, BadSignature());
        invitationSpent[i.sponsor][i.key] = true;
        emit InvitationSpent(i.sponsor, i.key);
        uint96 amount = depositFor(i.tier);
        require(amount <= i.maxCover, CoverTooHigh(i.maxCover, amount));
        _spend(i.sponsor, uint256(amount) + i.fee);
        _sit(commitment, amount, i.tier, i.validUntil, INVITATION, bytes32(uint256(uint160(i.sponsor))));
        _pay(msg.sender, i.fee);
    }

    // ------------------------------------------------------------------------------------------------ seats

    /// @notice Gives a seat another tier and its full time, by its payer: a deposit's or an invitation's tier rises at
    /// today's price, a stake's is what the stake is good for.
    function topUp(uint256 commitment, uint16 tier) external nonReentrant {
        SeatSlot s = seats[commitment];
        require(s.state() == ACTIVE, NotActive());
        require(msg.sender == _payerOf(commitment, s), NotPayer());
        uint96 amount;
        uint32 until;
        if (s.door() == STAKE) {
            bytes32 providerId = holders[commitment];
            require(msg.sender == PROVIDERS.ownerOf(providerId), NotOwner());
            amount = _stakeFor(providerId, tier);
            until = today() + STAKE_DAYS;
        } else {
            require(tier >= s.tier(), BadTier());
            amount = depositFor(tier);
            if (amount < s.cover()) amount = s.cover();
            uint96 more = amount - s.cover();
            if (s.door() == INVITATION) {
                _spend(msg.sender, more);
                until = today() + INVITATION_DAYS;
            } else {
                if (more != 0) _pull(more);
                until = NEVER;
            }
        }
        seats[commitment] = s.withLeaf(tier, until).withCover(amount);
        emit ToppedUp(commitment, amount);
        _leaf(commitment, s.index(), tier, until);
    }

    /// @notice Ends a seat by its payer. The leaf goes at once; the deposit can be slashed for EXIT_DELAY more. Losing the
    /// secret does not lose the deposit.
    function requestExit(uint256 commitment) external {
        SeatSlot s = seats[commitment];
        require(s.state() == ACTIVE, NotActive());
        require(msg.sender == _payerOf(commitment, s), NotPayer());
        _leave(commitment, s);
    }

    /// @notice The same by the payer's signature, sent by anyone for `fee`, which is paid with the deposit, later: paid at
    /// once it would let a cheater take its deposit out from under a slash.
    function requestExitFor(uint256 commitment, uint96 fee, uint40 deadline, bytes calldata signature) external {
        require(block.timestamp <= deadline, Expired());
        SeatSlot s = seats[commitment];
        require(s.state() == ACTIVE, NotActive());
        require(fee <= _refund(s), FeeAboveCover());
        bytes32 hash = _hashTypedData(keccak256(abi.encode(EXIT_TYPE, commitment, fee, deadline)));
        require(SignatureChecker.isValidSignatureNow(_payerOf(commitment, s), hash, signature), BadSignature());
        if (fee != 0) errands[commitment] = Errand(msg.sender, fee);
        _leave(commitment, s);
    }

    /// @notice Pays the deposit back to the payer once the exit's time has come; anyone may send it.
    function withdraw(uint256 commitment) external nonReentrant returns (uint96 amount) {
        SeatSlot s = seats[commitment];
        require(s.state() == LEAVING, NotLeaving());
        require(block.timestamp >= s.exitAt(), TooEarly());
        address payer = _payerOf(commitment, s);
        Errand memory e = errands[commitment];
        amount = _refund(s) - e.fee;
        seats[commitment] = s.asGone();
        emit Withdrawn(commitment, payer, amount);
        _pay(e.relayer, e.fee);
        _pay(payer, amount);
    }

    // ------------------------------------------------------------------------------------------------ slashing

    /// @notice Commits to a slash: `hash` = keccak256(secret, reporter, salt), a word each. It hides the secret from who
    /// would send it first.
    function commitSlash(bytes32 hash) external {
        require(commits[hash] == 0, AlreadyCommitted());
        commits[hash] = block.number;
    }

    /// @notice Reveals a member's secret, a block after the commitment to it: the seat is gone, and what covered it is
    /// shared out by `collect`. The stake of that provider opens this door never again, whoever owns it by then; but a seat
    /// whose exit is over takes nothing from the stake's next one.
    function revealSlash(uint256 secret, bytes32 salt) external {
        bytes32 hash = keccak256(abi.encode(secret, msg.sender, salt));
        uint256 number = commits[hash];
        require(number != 0, NotCommitted());
        require(block.number > number, TooEarly());
        commits[hash] = 0;
        uint256 commitment = Poseidon.hash1(secret);
        SeatSlot s = seats[commitment];
        uint8 state = s.state();
        require(state == ACTIVE || state == LEAVING, NotMember());
        if (s.door() == STAKE) {
            if (state == ACTIVE || block.timestamp < s.exitAt()) {
                stakeDoors[holders[commitment]].freeAt = type(uint40).max;
            }
            seats[commitment] = s.asGone();
        } else if (s.cover() != 0) {
            holders[commitment] = bytes32(uint256(uint160(msg.sender)));
            seats[commitment] = s.asSlashed();
        } else {
            seats[commitment] = s.asGone();
        }
        emit Slashed(commitment, msg.sender, secret);
        if (state == ACTIVE) _leaf(commitment, s.index(), 0, 0);
    }

    /// @notice Shares a slashed deposit out: the reporter's part, the rest burnt; anyone may send it.
    function collect(uint256 commitment) external nonReentrant returns (uint256 reward) {
        SeatSlot s = seats[commitment];
        require(s.state() == SLASHED, NotSlashed());
        address reporter = address(uint160(uint256(holders[commitment])));
        reward = s.cover() * (s.door() == INVITATION ? INVITATION_REPORTER_BPS : REPORTER_BPS) / 10_000;
        uint256 burnt = s.cover() - reward;
        seats[commitment] = s.asGone();
        emit Collected(commitment, reporter, reward, burnt);
        _pay(reporter, reward);
        _pay(BURNT, burnt);
    }

    // ------------------------------------------------------------------------------------------------ views

    /// @notice A seat as it stands. `state`: 0 never taken, 1 active, 2 leaving, 3 gone, 4 slashed. `door`: 1 open,
    /// 2 deposit, 3 stake, 4 invitation. `cover`: the deposit behind it, or the stake that it needs.
    function seat(uint256 commitment)
        external
        view
        returns (uint8 state, uint8 door, uint16 tier, uint32 validUntil, uint32 index, uint40 exitAt, uint96 cover)
    {
        SeatSlot s = seats[commitment];
        return (s.state(), s.door(), s.tier(), s.validUntil(), s.index(), s.exitAt(), s.cover());
    }

    /// @notice Who may end a seat and gets its deposit back; zero for the open door.
    function payerOf(uint256 commitment) external view returns (address) {
        return _payerOf(commitment, seats[commitment]);
    }

    /// @notice The seats that the open door still gives today.
    function openSeatsLeft() external view returns (uint256 left) {
        Head memory h = head;
        uint256 given = h.day == today() ? h.openSeats : 0;
        left = Math.saturatingSub(PARAMS.get(Keys.OPEN_SEATS_DAILY), given);
        left = Math.min(left, Math.min(MAX_OPEN_SEATS - h.openEver, MAX_SEATS - h.next));
    }

    /// @notice The seat that a provider's stake opened: its owner, and from when the stake may open another.
    function stakeDoor(bytes32 providerId) external view returns (address owner, uint40 freeAt) {
        return (stakeDoors[providerId].owner, stakeDoors[providerId].freeAt);
    }

    /// @notice What a seat of `tier` must have behind it at today's price: tier 2 the price, each further tier as much
    /// again, tier 1, which only an invitation gives, half.
    function depositFor(uint16 tier) public view returns (uint96) {
        require(tier != 0 && tier <= MAX_TIER, BadTier());
        uint256 price = uint256(PARAMS.get(Keys.SEAT_DEPOSIT)) * 1e18;
        return SafeCast.toUint96(tier == 1 ? price / 2 : price * (tier - 1));
    }

    /// @notice The requests that a seat of tier 1 has in `epoch`, as far as it is decided. A change begins with a day, but
    /// where parameters have no delay: there the day's last word counts.
    function limitAt(uint32 epoch) external view returns (uint64) {
        return PARAMS.valueAt(Keys.FREE_DAILY, (uint256(epoch) + 1) * 1 days - 1);
    }

    /// @notice The hash that is signed for a struct hash: EIP-712 with this contract's domain.
    function hashTypedData(bytes32 structHash) external view returns (bytes32) {
        return _hashTypedData(structHash);
    }

    // ------------------------------------------------------------------------------------------------ inside

    function _joinByDeposit(uint256 commitment, uint16 tier) private {
        require(tier > 1, BadTier());
        uint96 amount = depositFor(tier);
        _pull(amount);
        _sit(commitment, amount, tier, NEVER, DEPOSIT, bytes32(uint256(uint160(msg.sender))));
    }

    function _fundInvitations(uint96 amount) private {
        _pull(amount);
        sponsorBalance[msg.sender] += amount;
        emit SponsorFunded(msg.sender, amount);
    }

    function _spend(address sponsor, uint256 amount) private {
        uint96 balance = sponsorBalance[sponsor];
        require(balance >= amount, InsufficientBalance());
        unchecked {
            sponsorBalance[sponsor] = uint96(balance - amount);
        }
    }

    /// A seat that something covers.
    function _sit(uint256 commitment, uint96 amount, uint16 tier, uint32 until, uint8 door, bytes32 holder) private {
        holders[commitment] = holder;
        emit Joined(commitment, door, holder, amount);
        _take(commitment, head, amount, tier, until, door);
    }

    function _leave(uint256 commitment, SeatSlot s) private {
        uint40 time = uint40(block.timestamp) + EXIT_DELAY;
        seats[commitment] = s.asLeaving(time);
        if (s.door() == STAKE) stakeDoors[holders[commitment]].freeAt = time;
        emit ExitRequested(commitment, time);
        _leaf(commitment, s.index(), 0, 0);
    }

    function _stakeFor(bytes32 providerId, uint16 tier) private view returns (uint96 amount) {
        require(tier > 1, BadTier());
        amount = depositFor(tier);
        require(PROVIDERS.bondedOf(providerId) >= amount, StakeTooSmall());
    }

    /// What comes back to the payer in the end: nothing where the cover stands elsewhere.
    function _refund(SeatSlot s) private pure returns (uint96) {
        return s.door() == STAKE ? 0 : s.cover();
    }

    function _payerOf(uint256 commitment, SeatSlot s) private view returns (address) {
        bytes32 holder = holders[commitment];
        return s.door() == STAKE ? stakeDoors[holder].owner : address(uint160(uint256(holder)));
    }

    function _domainNameAndVersion() internal pure override returns (string memory, string memory) {
        return ("PrivacyAI Membership", "1");
    }
}
