// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC6372} from "@openzeppelin/contracts/interfaces/IERC6372.sol";
import {Votes} from "@openzeppelin/contracts/governance/utils/Votes.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Courts} from "./Courts.sol";
import {Funding} from "./Funding.sol";
import {IParams} from "./interfaces/IParams.sol";
import {IProviderRegistry} from "./interfaces/IProviderRegistry.sol";
import {Keys} from "./libraries/Keys.sol";
import {RootKeys} from "./RootKeys.sol";

/// @title Providers: who is paid for a root key, and what stands behind it.
/// @notice A provider is a P-256 root key. Its payee proves the key by a root signature that names the payee, and proves
/// itself by sending it. The owner stakes; the stake and its votes stay the owner's, whoever the payee is, until the court
/// takes some of it. Leaving takes UNBONDING, within which the court can still freeze and slash.
/// @dev The root key cannot take the stake, nor can governance: it names the court (see Courts). But whom the root key names
/// as operational key answers with it (see QualityCourt).
contract ProviderRegistry is Courts, Funding, Votes {
    /// A root key and its signature over the binding message.
    struct Root {
        bytes32 qx;
        bytes32 qy;
        bytes32 r;
        bytes32 s;
    }

    /// What a provider is, one slot. `nonce` counts the bindings.
    struct Provider {
        address payee;
        uint32 minOpSeq;
        uint8 tier;
        bool released;
        uint48 nonce;
    }

    /// What stands behind it, one slot: `bonded` is listed and votes, `leaving` still votes and can be slashed.
    struct Stake {
        uint96 bonded;
        uint96 leaving;
        uint40 leavesAt;
    }

    /// Whose it is, and until when a court froze it; a freeze counts only in the term of the court that made it.
    struct Holder {
        address owner;
        uint40 frozenUntil;
        uint40 frozenTerm;
    }

    /// The tier of a provider that governance took off the list.
    uint8 public constant DELISTED = type(uint8).max;
    /// No freeze holds longer without a new one: longer than any case, shorter than for ever.
    uint40 public constant MAX_FREEZE = 90 days;
    uint40 public constant MAX_UNBONDING = 30 days;

    IParams public immutable PARAMS;
    RootKeys public immutable ROOT_KEYS = new RootKeys();
    /// Seconds from `unstake` to `withdraw`.
    uint40 public immutable UNBONDING;

    mapping(bytes32 providerId => Provider) internal providers;
    mapping(bytes32 providerId => Stake) internal stakes;
    mapping(bytes32 providerId => Holder) internal holders;
    mapping(bytes32 providerId => bytes32[2]) internal roots;
    mapping(bytes32 providerId => string) internal uris;
    /// What an account has here in all: its votes, before delegation.
    mapping(address owner => uint256) internal units;

    constructor(IERC20 token, IParams params, address governance, uint40 unbonding_)
        Courts(governance, uint256(unbonding_) + MAX_FREEZE)
        Funding(token)
        EIP712("PrivacyAI Provider Registry", "1")
    {
        require(address(params) != address(0) && governance != address(0), ZeroAddress());
        require(unbonding_ != 0 && unbonding_ <= MAX_UNBONDING, BadBounds());
        PARAMS = params;
        UNBONDING = unbonding_;
    }

    // ------------------------------------------------------------------------------------------------ identity

    /// @notice The id of a root key, protocol section 2.2.
    function idOf(bytes32 qx, bytes32 qy) public pure returns (bytes32) {
        // SEC1, compressed: 2 for an even y, 3 for an odd one.
        return sha256(abi.encodePacked("pam1 pid\x00", uint8(1), uint8(2) + uint8(uint256(qy) & 1), qx));
    }

    /// @notice What a root key signs to bind a payee, protocol section 2.3. The nonce is `nonceOf`.
    function bindingHash(bytes32 providerId, address payee, uint64 nonce) public view returns (bytes32) {
        return sha256(abi.encodePacked("pam1 bind\x00", uint64(block.chainid), address(this), payee, providerId, nonce));
    }

    /// @notice What a root key signs to revoke operational keys below `seq`.
    function revocationHash(bytes32 providerId, uint32 seq) public view returns (bytes32) {
        return sha256(abi.encodePacked("pam1 revoke below\x00", uint64(block.chainid), address(this), providerId, seq));
    }

    /// @notice Registers a root key, the caller as its payee and `owner` as the one who stakes for it.
    function register(Root calldata root, address owner, string calldata uri) external returns (bytes32 providerId) {
        require(owner != address(0), ZeroAddress());
        providerId = idOf(root.qx, root.qy);
        require(providers[providerId].payee == address(0), AlreadyRegistered());
        _bind(providerId, root);
        roots[providerId] = [root.qx, root.qy];
        holders[providerId].owner = owner;
        uris[providerId] = uri;
        emit Registered(providerId, owner, msg.sender, root.qx, root.qy, uri);
    }

    /// @notice Makes the caller the payee by a new root signature, and `owner` the owner. Another owner than before needs
    /// that the one before has nothing here: `release` sees to that.
    function rebind(Root calldata root, address owner) external returns (bytes32 providerId) {
        require(owner != address(0), ZeroAddress());
        providerId = idOf(root.qx, root.qy);
        _known(providerId);
        _bind(providerId, root);
        providers[providerId].released = false;
        if (owner != holders[providerId].owner) {
            require(stakeOf(providerId) == 0, StakeInPlace());
            holders[providerId].owner = owner;
        }
        emit Rebound(providerId, owner, msg.sender);
    }

    /// @notice Hands the record and the stake, with its votes, to another owner.
    function setOwner(bytes32 providerId, address owner) external {
        _onlyOwner(providerId);
        require(owner != address(0), ZeroAddress());
        holders[providerId].owner = owner;
        // First: a delegation moves the votes of all that the account has, which is not said right in between.
        _delegateToSelf(owner);
        uint256 amount = stakeOf(providerId);
        units[msg.sender] -= amount;
        units[owner] += amount;
        _transferVotingUnits(msg.sender, owner, amount);
        emit OwnerSet(providerId, owner);
    }

    /// @notice Sets where the provider's description stands.
    function setUri(bytes32 providerId, string calldata uri) external {
        _ownerOrPayee(providerId);
        uris[providerId] = uri;
        emit UriSet(providerId, uri);
    }

    /// @notice Revokes operational keys below `seq`; it only rises.
    function setMinOpSeq(bytes32 providerId, uint32 seq) external {
        _ownerOrPayee(providerId);
        _raiseMinOpSeq(providerId, seq);
    }

    /// @notice The same by a root signature over `revocationHash`, sent by anyone.
    function revoke(bytes32 providerId, uint32 seq, bytes32 r, bytes32 s) external {
        _known(providerId);
        bytes32[2] storage root = roots[providerId];
        require(ROOT_KEYS.verify(revocationHash(providerId, seq), r, s, root[0], root[1]), BadRootSignature());
        _raiseMinOpSeq(providerId, seq);
    }

    // ------------------------------------------------------------------------------------------------ stake

    /// @notice Stakes the owner's approved tokens.
    function stake(bytes32 providerId, uint96 amount) external nonReentrant {
        _onlyOwner(providerId);
        _pull(amount);
        _stake(providerId, msg.sender, amount);
    }

    /// @notice The same with the owner's permit.
    function stakeWithPermit(bytes32 providerId, uint96 amount, Permit calldata p) external nonReentrant {
        _onlyOwner(providerId);
        _permit(amount, p);
        _pull(amount);
        _stake(providerId, msg.sender, amount);
    }

    /// @notice The same by the owner's authorization of `amount + fee`, sent by anyone for `fee`. Its nonce is
    /// `stakingNonce(providerId, fee)`.
    function stakeWithAuthorization(bytes32 providerId, uint96 amount, uint96 fee, Authorization calldata a)
        external
        nonReentrant
    {
        require(a.from == _ownerOf(providerId), NotOwner());
        require(amount != 0, ZeroAmount());
        _receive(SafeCast.toUint96(uint256(amount) + fee), stakingNonce(providerId, fee), a);
        _stake(providerId, a.from, amount);
        _pay(msg.sender, fee);
    }

    /// @notice The ERC-3009 nonce under which an owner signs `stakeWithAuthorization`.
    function stakingNonce(bytes32 providerId, uint96 fee) public pure returns (bytes32) {
        return keccak256(abi.encode("pam1 stake", providerId, fee));
    }

    /// @notice Begins to take `amount` out. What was leaving already waits anew with it.
    function unstake(bytes32 providerId, uint96 amount) external {
        _onlyOwner(providerId);
        require(amount != 0, ZeroAmount());
        _unbond(providerId, amount);
    }

    /// @notice The payee sends the owner's whole stake on its way out; no more comes in until a new binding. So an owner
    /// that the root key has parted with cannot stay in the way.
    function release(bytes32 providerId) external {
        require(msg.sender == payeeOf(providerId), NotPayee());
        providers[providerId].released = true;
        emit Released(providerId);
        uint96 bonded = stakes[providerId].bonded;
        if (bonded != 0) _unbond(providerId, bonded);
    }

    /// @notice Takes `amount` of what is leaving back into the stake.
    function restake(bytes32 providerId, uint96 amount) external {
        _onlyOwner(providerId);
        require(amount != 0, ZeroAmount());
        require(!providers[providerId].released, StakeReleased());
        Stake memory s = stakes[providerId];
        require(amount <= s.leaving, InsufficientStake());
        s.leaving -= amount;
        s.bonded += amount;
        if (s.leaving == 0) s.leavesAt = 0;
        stakes[providerId] = s;
        emit Restaked(providerId, amount);
    }

    /// @notice Pays the owner what has left; anyone may send it.
    function withdraw(bytes32 providerId) external nonReentrant returns (uint96 amount) {
        address owner = _ownerOf(providerId);
        Stake memory s = stakes[providerId];
        amount = s.leaving;
        require(amount != 0, NothingUnbonding());
        require(block.timestamp >= s.leavesAt, StillUnbonding());
        require(!isFrozen(providerId), StakeFrozen(providerId));
        stakes[providerId] = Stake(s.bonded, 0, 0);
        _burnUnits(owner, amount);
        emit Unstaked(providerId, amount);
        _pay(owner, amount);
    }

    // ------------------------------------------------------------------------------------------------ court

    /// @inheritdoc IProviderRegistry
    function freeze(bytes32 providerId) external onlyCourt {
        _known(providerId);
        Holder storage h = holders[providerId];
        h.frozenUntil = uint40(block.timestamp) + MAX_FREEZE;
        h.frozenTerm = courtTerm;
        emit Frozen(providerId);
    }

    /// @inheritdoc IProviderRegistry
    function unfreeze(bytes32 providerId) external onlyCourt {
        _known(providerId);
        holders[providerId].frozenUntil = 0;
        emit Unfrozen(providerId);
    }

    /// @inheritdoc IProviderRegistry
    function slash(bytes32 providerId, uint96 amount, address to) external onlyCourt nonReentrant {
        address owner = _ownerOf(providerId);
        require(to != address(0), ZeroAddress());
        require(amount != 0, ZeroAmount());
        Stake memory s = stakes[providerId];
        require(amount <= uint256(s.bonded) + s.leaving, InsufficientStake());
        uint96 first = amount < s.bonded ? amount : s.bonded;
        s.bonded -= first;
        s.leaving -= amount - first;
        if (s.leaving == 0) s.leavesAt = 0;
        stakes[providerId] = s;
        _burnUnits(owner, amount);
        emit Slashed(providerId, amount, to);
        _pay(to, amount);
    }

    /// @inheritdoc IProviderRegistry
    function setTier(bytes32 providerId, uint8 tier) external onlyGovernance {
        _known(providerId);
        providers[providerId].tier = tier;
        emit TierSet(providerId, tier);
    }

    // ------------------------------------------------------------------------------------------------ views

    /// @inheritdoc IProviderRegistry
    function ownerOf(bytes32 providerId) external view returns (address) {
        return _ownerOf(providerId);
    }

    /// @inheritdoc IProviderRegistry
    function payeeOf(bytes32 providerId) public view returns (address) {
        _known(providerId);
        return providers[providerId].payee;
    }

    /// @inheritdoc IProviderRegistry
    function stakeOf(bytes32 providerId) public view returns (uint96) {
        _known(providerId);
        Stake memory s = stakes[providerId];
        return s.bonded + s.leaving;
    }

    /// @inheritdoc IProviderRegistry
    function bondedOf(bytes32 providerId) public view returns (uint96) {
        _known(providerId);
        return stakes[providerId].bonded;
    }

    /// @notice What is leaving, and when it may be withdrawn.
    function leavingOf(bytes32 providerId) external view returns (uint96 amount, uint40 leavesAt) {
        _known(providerId);
        return (stakes[providerId].leaving, stakes[providerId].leavesAt);
    }

    /// @inheritdoc IProviderRegistry
    function isListed(bytes32 providerId) external view returns (bool) {
        Provider storage p = providers[providerId];
        // Who has revoked every key has none that answers for a fault.
        return bondedOf(providerId) >= uint256(PARAMS.get(Keys.MIN_STAKE)) * 1e18 && p.tier != DELISTED
            && p.minOpSeq != type(uint32).max;
    }

    /// @inheritdoc IProviderRegistry
    function rootKey(bytes32 providerId) external view returns (bytes32 qx, bytes32 qy) {
        _known(providerId);
        return (roots[providerId][0], roots[providerId][1]);
    }

    /// @inheritdoc IProviderRegistry
    function minOpSeq(bytes32 providerId) external view returns (uint32) {
        _known(providerId);
        return providers[providerId].minOpSeq;
    }

    /// @inheritdoc IProviderRegistry
    function tierOf(bytes32 providerId) external view returns (uint8) {
        _known(providerId);
        return providers[providerId].tier;
    }

    /// @notice Where the provider's description stands.
    function uriOf(bytes32 providerId) external view returns (string memory) {
        _known(providerId);
        return uris[providerId];
    }

    /// @notice The nonce that the next binding signature names; 0 for an id that never registered.
    function nonceOf(bytes32 providerId) external view returns (uint64) {
        return providers[providerId].nonce;
    }

    /// @notice Whether the payee sent the stake out and nothing may be staked until a new binding.
    function isReleased(bytes32 providerId) external view returns (bool) {
        _known(providerId);
        return providers[providerId].released;
    }

    /// @inheritdoc IProviderRegistry
    function isFrozen(bytes32 providerId) public view returns (bool) {
        _known(providerId);
        Holder memory h = holders[providerId];
        return h.frozenTerm == courtTerm && block.timestamp < h.frozenUntil;
    }

    /// @inheritdoc IProviderRegistry
    function unbonding() external view returns (uint40) {
        return UNBONDING;
    }

    /// @inheritdoc IProviderRegistry
    function exitAt(bytes32 providerId) external view returns (uint40) {
        _known(providerId);
        Stake memory s = stakes[providerId];
        return s.bonded == 0 ? s.leavesAt : 0;
    }

    /// @notice What an account has here in all, over its providers, unbonding or not.
    function unitsOf(address owner) external view returns (uint256) {
        return units[owner];
    }

    /// @notice ERC-6372: the clock is the time.
    function clock() public view override(Votes, IERC6372) returns (uint48) {
        return uint48(block.timestamp);
    }

    /// @notice ERC-6372: what the clock counts.
    // solhint-disable-next-line func-name-mixedcase
    function CLOCK_MODE() public pure override(Votes, IERC6372) returns (string memory) {
        return "mode=timestamp";
    }

    // ------------------------------------------------------------------------------------------------ inside

    function _getVotingUnits(address account) internal view override returns (uint256) {
        return units[account];
    }

    function _known(bytes32 providerId) private view {
        require(providers[providerId].payee != address(0), UnknownProvider(providerId));
    }

    function _ownerOf(bytes32 providerId) private view returns (address) {
        _known(providerId);
        return holders[providerId].owner;
    }

    function _onlyOwner(bytes32 providerId) private view {
        require(msg.sender == _ownerOf(providerId), NotOwner());
    }

    function _ownerOrPayee(bytes32 providerId) private view {
        require(msg.sender == _ownerOf(providerId) || msg.sender == providers[providerId].payee, NotOwner());
    }

    /// Binds the caller as payee. The nonce makes every signature good once.
    function _bind(bytes32 providerId, Root calldata root) private {
        Provider storage p = providers[providerId];
        bytes32 hash = bindingHash(providerId, msg.sender, p.nonce);
        require(ROOT_KEYS.verify(hash, root.r, root.s, root.qx, root.qy), BadRootSignature());
        p.payee = msg.sender;
        ++p.nonce;
    }

    function _raiseMinOpSeq(bytes32 providerId, uint32 seq) private {
        require(seq > providers[providerId].minOpSeq, NotRaised());
        providers[providerId].minOpSeq = seq;
        emit MinOpSeqSet(providerId, seq);
    }

    function _stake(bytes32 providerId, address owner, uint96 amount) private {
        require(!providers[providerId].released, StakeReleased());
        stakes[providerId].bonded += amount;
        _delegateToSelf(owner);
        units[owner] += amount;
        _transferVotingUnits(address(0), owner, amount);
        emit Staked(providerId, amount);
    }

    function _unbond(bytes32 providerId, uint96 amount) private {
        Stake memory s = stakes[providerId];
        require(amount <= s.bonded, InsufficientStake());
        s.bonded -= amount;
        s.leaving += amount;
        s.leavesAt = uint40(block.timestamp) + UNBONDING;
        stakes[providerId] = s;
        emit UnbondingStarted(providerId, amount, s.leavesAt);
    }

    /// Undelegated stakes would not vote, and quorums would rot: an owner votes for itself unless it says otherwise.
    function _delegateToSelf(address owner) private {
        if (delegates(owner) == address(0)) _delegate(owner, owner);
    }

    function _burnUnits(address owner, uint256 amount) private {
        units[owner] -= amount;
        _transferVotingUnits(owner, address(0), amount);
    }
}
