// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Funding} from "./Funding.sol";
import {IParams} from "./interfaces/IParams.sol";
import {IProviderRegistry} from "./interfaces/IProviderRegistry.sol";
import {Keys} from "./libraries/Keys.sol";
import {Pam1} from "./libraries/Pam1.sol";

/// @title Where a provider's stake answers for what it did.
/// @notice Two ways lead to a slash. A *fault* proves itself: two key bundles of one sequence, or two receipts for one
/// channel binding, that differ and are both signed by operational keys of the provider; nobody is asked, and what has
/// answered for one is spared by the next within twice the unbonding. Everything else is a *case*: a reporter puts up a
/// bond, the provider may answer, governance decides. An open case freezes the stake.
/// @dev Every case ends: by a decision within the decision window, or by anyone after it. No case is taken against a
/// provider that has waited out its unbonding, so who leaves is out at the latest `MAX_RESPONSE + MAX_DECISION` after that.
contract QualityCourt is Funding {
    enum Status {
        None,
        Open,
        Upheld,
        Dismissed,
        Expired
    }

    /// A case; the texts stand in the events.
    struct Case {
        bytes32 providerId;
        address reporter;
        uint96 bond;
        /// Until then the provider may answer, and nothing is decided before it has or the time is over.
        uint40 answerBy;
        /// Until then governance may decide; after it anyone ends the case.
        uint40 decideBy;
        /// What it takes of the stake if it is upheld, as voted when it was opened: no vote makes a case that is there worse.
        uint16 slashBps;
        bool answered;
        Status status;
    }

    /// A receipt, and the certificate of the key that signed it.
    struct Story {
        bytes cert;
        bytes receipt;
    }

    /// What cases took of a stake since the first of them, and the most that stood there with that.
    struct Taken {
        uint96 amount;
        uint96 base;
        uint40 since;
    }

    /// After a fault: until when another does not slash at once what has answered, and how much that is.
    struct Pause {
        uint40 until;
        uint96 spared;
    }

    /// Of a slash, the reporter's part; the rest goes to the treasury. Small, so that no provider gains by its own report.
    uint256 public constant REPORTER_BPS = 1_000;
    /// No vote can let one fault, or all cases of one time to leave, take more of a stake.
    uint256 public constant MAX_SLASH_BPS = 5_000;
    /// Nor make a case last longer.
    uint256 public constant MAX_RESPONSE = 14 days;
    uint256 public constant MAX_DECISION = 60 days;
    /// A fault is proven while its certificate is valid, or this long after: later the key's secret proves nothing.
    uint256 public constant MAX_EVIDENCE_AGE = 31 days;
    uint256 private constant BPS = 10_000;

    IProviderRegistry public immutable REGISTRY;
    IParams public immutable PARAMS;
    /// The timelock: the only one that decides.
    address public immutable GOVERNANCE;
    address public immutable TREASURY;

    /// Numbered from 1.
    uint256 public caseCount;
    mapping(uint256 id => Case) internal cases;
    /// How many cases hold a provider's stake.
    mapping(bytes32 providerId => uint256) public openCases;
    /// Bonds and rewards to be taken out.
    mapping(address account => uint256) public owed;
    /// The stake that is left of what answered for a fault. One fault slashes it once; what comes in later has not answered,
    /// or a fault of one's own on a small stake would shield a large one.
    mapping(bytes32 fault => uint96) public answered;
    mapping(bytes32 providerId => Taken) internal taken;
    mapping(bytes32 providerId => Pause) internal pauses;
    /// In which block evidence was announced.
    mapping(bytes32 commitment => uint256) public announced;

    event CaseOpened(
        uint256 indexed id,
        bytes32 indexed providerId,
        address indexed reporter,
        uint96 bond,
        uint40 answerBy,
        uint40 decideBy,
        string uri
    );
    event CaseAnswered(uint256 indexed id, string uri);
    event CaseEnded(uint256 indexed id, Status status, uint96 slashed);
    event FaultProven(bytes32 indexed providerId, bytes32 indexed fault, address indexed reporter, uint96 slashed);
    event EvidenceAnnounced(bytes32 indexed commitment);
    event PaidOut(address indexed account, uint256 amount);

    error NotGovernance(address caller);
    error NotProvider(address caller);
    error NoStake();
    error ProviderLeft();
    error BondTooLow(uint96 maximum, uint96 bond);
    error NotOpen(uint256 id);
    error AlreadyAnswered(uint256 id);
    error TooLate();
    error TooEarly();
    error NothingToPay();
    error AlreadyAnnounced();
    error NotAnnounced();
    error SameContent();
    error DifferentSubject();
    error KeyRevoked(uint32 opSeq, uint32 minOpSeq);
    error EvidenceTooOld();
    error AlreadyPunished(bytes32 fault);
    error FaultTooSoon(uint256 from);

    constructor(IERC20 token, IProviderRegistry registry, IParams params, address governance, address treasury)
        Funding(token)
    {
        require(
            address(registry) != address(0) && address(params) != address(0) && governance != address(0)
                && treasury != address(0),
            ZeroAddress()
        );
        REGISTRY = registry;
        PARAMS = params;
        GOVERNANCE = governance;
        TREASURY = treasury;
    }

    // ------------------------------------------------------------------------------------------------ cases

    /// @notice Opens a case against a provider and freezes its stake. `uri` names the evidence.
    /// @param maxBond what the reporter agrees to put up: a vote may raise the bond meanwhile.
    function open(bytes32 providerId, uint96 maxBond, string calldata uri)
        external
        nonReentrant
        returns (uint256 id)
    {
        require(REGISTRY.stakeOf(providerId) != 0, NoStake());
        uint40 exit = REGISTRY.exitAt(providerId);
        require(exit == 0 || block.timestamp < exit, ProviderLeft());
        uint96 bond = uint96(PARAMS.get(Keys.CASE_BOND)) * 1e18;
        require(bond <= maxBond, BondTooLow(maxBond, bond));
        uint40 answerBy = uint40(block.timestamp + _upTo(Keys.RESPONSE_WINDOW, MAX_RESPONSE));
        uint40 decideBy = uint40(answerBy + _upTo(Keys.DECISION_WINDOW, MAX_DECISION));
        _pull(bond);
        id = ++caseCount;
        uint16 slashBps = uint16(_upTo(Keys.SLASH_BPS, MAX_SLASH_BPS));
        cases[id] = Case(providerId, msg.sender, bond, answerBy, decideBy, slashBps, false, Status.Open);
        emit CaseOpened(id, providerId, msg.sender, bond, answerBy, decideBy, uri);
        ++openCases[providerId];
        // Again with every case: a freeze ends by itself after a time that is longer than any one case.
        REGISTRY.freeze(providerId);
    }

    /// @notice The provider's owner or payee answers, once; `uri` names its evidence. Governance may decide from then on.
    function answer(uint256 id, string calldata uri) external {
        Case storage c = _open(id);
        require(
            msg.sender == REGISTRY.ownerOf(c.providerId) || msg.sender == REGISTRY.payeeOf(c.providerId),
            NotProvider(msg.sender)
        );
        require(!c.answered, AlreadyAnswered(id));
        require(block.timestamp <= c.answerBy, TooLate());
        c.answered = true;
        emit CaseAnswered(id, uri);
    }

    /// @notice Governance decides. Upheld: the stake is slashed, the reporter gets its bond and a part. Dismissed: the bond
    /// is the provider's, for the time its stake was frozen.
    function decide(uint256 id, bool upheld) external {
        require(msg.sender == GOVERNANCE, NotGovernance(msg.sender));
        Case storage c = _open(id);
        require(c.answered || block.timestamp > c.answerBy, TooEarly());
        require(block.timestamp <= c.decideBy, TooLate());
        if (upheld) {
            // A court out of office takes nothing, and its reporters still get their bonds.
            uint256 amount = REGISTRY.court() == address(this) ? _take(c.providerId, c.slashBps) : 0;
            _end(id, c, Status.Upheld, c.reporter, _slash(c.providerId, c.reporter, amount));
        } else {
            _end(id, c, Status.Dismissed, REGISTRY.ownerOf(c.providerId), 0);
        }
    }

    /// @notice Ends a case that nobody decided in time; anyone may. No stake is lost. The bond goes to the provider where it
    /// answered, back to the reporter where it did not.
    function expire(uint256 id) external {
        Case storage c = _open(id);
        require(block.timestamp > c.decideBy, TooEarly());
        _end(id, c, Status.Expired, c.answered ? REGISTRY.ownerOf(c.providerId) : c.reporter, 0);
    }

    // ------------------------------------------------------------------------------------------------ faults

    /// @notice Announces evidence, at least a block before it is shown: who reads it there and copies it comes too late.
    /// @param commitment `evidence(reporter, first, second)`.
    function announce(bytes32 commitment) external {
        require(announced[commitment] == 0, AlreadyAnnounced());
        announced[commitment] = block.number;
        emit EvidenceAnnounced(commitment);
    }

    /// @notice Two key bundles of one sequence that differ: the provider showed clients different keys. Slashes at once.
    function proveBundles(bytes32 providerId, bytes calldata first, bytes calldata second)
        external
        returns (uint96 slashed)
    {
        _shown(first, second);
        Pam1.Point memory root = _root(providerId);
        (uint64 seq, bytes32 hash, Pam1.Cert memory cert) = Pam1.openBundle(first, providerId, root);
        _judge(providerId, cert);
        (uint64 otherSeq, bytes32 otherHash, Pam1.Cert memory otherCert) = Pam1.openBundle(second, providerId, root);
        _judge(providerId, otherCert);
        require(seq == otherSeq, DifferentSubject());
        return _punish(providerId, keccak256(abi.encode(Pam1.KEY_BUNDLE, providerId, seq)), hash, otherHash);
    }

    /// @notice Two receipts for one channel binding that differ: the provider told two stories of one exchange. Slashes at
    /// once.
    function proveReceipts(bytes32 providerId, Story calldata first, Story calldata second)
        external
        returns (uint96 slashed)
    {
        _shown(first.receipt, second.receipt);
        (bytes32 cb, bytes32 hash) = _told(providerId, first);
        (bytes32 otherCb, bytes32 otherHash) = _told(providerId, second);
        require(cb == otherCb, DifferentSubject());
        return _punish(providerId, keccak256(abi.encode(Pam1.RECEIPT, providerId, cb)), hash, otherHash);
    }

    // ------------------------------------------------------------------------------------------------ payout

    /// @notice Pays an account what it is owed; anyone may send it.
    function payout(address account) external nonReentrant returns (uint256 amount) {
        amount = owed[account];
        require(amount != 0, NothingToPay());
        owed[account] = 0;
        emit PaidOut(account, amount);
        _pay(account, amount);
    }

    // ------------------------------------------------------------------------------------------------ views

    /// @notice A case as it stands; all zero for one that never was.
    function caseOf(uint256 id) external view returns (Case memory) {
        return cases[id];
    }

    /// @notice From when a provider's next fault slashes all of its stake at once; until then faults are for cases, or wait,
    /// and slash no more than what came in since the last.
    function faultsFrom(bytes32 providerId) external view returns (uint256) {
        return pauses[providerId].until;
    }

    /// @notice What a reporter announces before it shows two objects.
    function evidence(address reporter, bytes calldata first, bytes calldata second) public pure returns (bytes32) {
        return keccak256(abi.encode(reporter, keccak256(first), keccak256(second)));
    }

    // ------------------------------------------------------------------------------------------------ inside

    function _open(uint256 id) private view returns (Case storage c) {
        c = cases[id];
        require(c.status == Status.Open, NotOpen(id));
    }

    function _end(uint256 id, Case storage c, Status status, address bondTo, uint96 slashed) private {
        c.status = status;
        owed[bondTo] += c.bond;
        emit CaseEnded(id, status, slashed);
        // A court out of office has nothing to unfreeze, and its last cases still end.
        if (--openCases[c.providerId] == 0 && REGISTRY.court() == address(this)) REGISTRY.unfreeze(c.providerId);
    }

    /// What a case takes. Cases together take no more than one may of what stood there, until whoever left at the first of
    /// them is out: else one vote could uphold many and take all.
    function _take(bytes32 providerId, uint256 slashBps) private returns (uint256 amount) {
        Taken memory t = taken[providerId];
        if (block.timestamp > t.since + uint256(REGISTRY.unbonding()) + MAX_RESPONSE + MAX_DECISION) {
            t = Taken(0, 0, uint40(block.timestamp));
        }
        uint256 stake = REGISTRY.stakeOf(providerId);
        uint256 base = Math.max(t.base, stake + t.amount);
        uint256 room = Math.saturatingSub(base * MAX_SLASH_BPS / BPS, t.amount);
        amount = Math.min(stake * slashBps / BPS, room);
        taken[providerId] = Taken(uint96(t.amount + amount), uint96(base), t.since);
    }

    /// Takes a part of the stake. The reporter's part waits here, so that a reporter without code can be paid and one with
    /// code stops nothing.
    function _slash(bytes32 providerId, address reporter, uint256 whole) private returns (uint96 amount) {
        amount = uint96(whole);
        uint96 reward = uint96(uint256(amount) * REPORTER_BPS / BPS);
        if (reward != 0) {
            owed[reporter] += reward;
            REGISTRY.slash(providerId, reward, address(this));
        }
        if (amount != reward) REGISTRY.slash(providerId, amount - reward, TREASURY);
    }

    function _shown(bytes calldata first, bytes calldata second) private view {
        uint256 since = announced[evidence(msg.sender, first, second)];
        require(since != 0 && since < block.number, NotAnnounced());
    }

    function _told(bytes32 providerId, Story calldata story) private view returns (bytes32 cb, bytes32 hash) {
        Pam1.Cert memory by = Pam1.openCert(story.cert, _root(providerId));
        _judge(providerId, by);
        return Pam1.openReceipt(story.receipt, providerId, by);
    }

    function _root(bytes32 providerId) private view returns (Pam1.Point memory root) {
        (root.x, root.y) = REGISTRY.rootKey(providerId);
    }

    /// A revoked key may be in other hands, and a long expired one too: what it signs is a matter for a case. The highest
    /// number revokes every key, itself too: an owner whose root key is stolen can say that nothing is its own any more.
    function _judge(bytes32 providerId, Pam1.Cert memory cert) private view {
        uint32 least = REGISTRY.minOpSeq(providerId);
        require(cert.opSeq >= least && least != type(uint32).max, KeyRevoked(cert.opSeq, least));
        require(block.timestamp <= uint256(cert.notAfter) + MAX_EVIDENCE_AGE, EvidenceTooOld());
    }

    function _punish(bytes32 providerId, bytes32 fault, bytes32 hash, bytes32 otherHash)
        private
        returns (uint96 slashed)
    {
        require(hash != otherHash, SameContent());
        uint256 stake = REGISTRY.stakeOf(providerId);
        require(stake != 0, NoStake());
        uint256 spared = answered[fault];
        require(stake > spared, AlreadyPunished(fault));
        // Whoever has a stolen key makes as many faults as it likes: after the first the owner has a whole unbonding to notice
        // and a whole one to be out with the rest. An honest reporter of a second fault waits, or opens a case.
        Pause memory p = pauses[providerId];
        if (block.timestamp < p.until) {
            spared = Math.max(spared, p.spared);
            require(stake > spared, FaultTooSoon(p.until));
        } else {
            p.until = uint40(block.timestamp + 2 * uint256(REGISTRY.unbonding()));
        }
        uint256 amount = (stake - spared) * _upTo(Keys.SLASH_BPS, MAX_SLASH_BPS) / BPS;
        p.spared = uint96(stake - amount);
        pauses[providerId] = p;
        answered[fault] = p.spared;
        slashed = _slash(providerId, msg.sender, amount);
        emit FaultProven(providerId, fault, msg.sender, slashed);
    }

    /// A voted value, but never above what users were promised.
    function _upTo(bytes32 key, uint256 max) private view returns (uint256 value) {
        value = PARAMS.get(key);
        if (value > max) value = max;
    }
}
