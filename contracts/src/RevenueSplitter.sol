// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {InferenceChannels} from "./InferenceChannels.sol";
import {ProviderRegistry} from "./ProviderRegistry.sol";

/// @title A provider's income, split between its operator, the owner of its hardware, its referrer and a treasury.
/// @notice Shares are fixed at construction. Whatever ERC-20 stands here belongs to the holders by their shares, and each
/// takes its own out, when and where it likes; one that cannot be paid holds nobody up. As the payee of channels it is paid
/// by `InferenceChannels.payoutOf(splitter)`, which anyone may send.
/// @dev The operator has three powers: to bind the splitter as a provider's payee, to release the stake of one, and to close
/// channels in the payers' favour. It can move no token, which is also why the splitter answers no ERC-1271: a signature in its name could.
contract RevenueSplitter is ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// Somebody's part, in basis points.
    struct Share {
        address holder;
        uint16 bps;
    }

    uint256 public constant MAX_SHARES = 16;
    /// Who runs the provider.
    address public immutable OPERATOR;

    address[] internal holderList;
    mapping(address holder => uint256) public bpsOf;
    /// What was paid of a token, to all and to each.
    mapping(IERC20 token => uint256) public released;
    mapping(IERC20 token => mapping(address holder => uint256)) public releasedTo;

    event Released(IERC20 indexed token, address indexed holder, address indexed to, uint256 amount);

    error ZeroAddress();
    error ZeroShare();
    error TooManyShares();
    error DuplicateHolder();
    error BadSum();
    error NotOperator();
    error NothingDue();

    constructor(address operator, Share[] memory shares) {
        require(operator != address(0), ZeroAddress());
        require(shares.length <= MAX_SHARES, TooManyShares());
        OPERATOR = operator;
        uint256 sum;
        for (uint256 i; i < shares.length; ++i) {
            (address holder, uint256 bps) = (shares[i].holder, shares[i].bps);
            require(holder != address(0), ZeroAddress());
            require(bps != 0, ZeroShare());
            require(bpsOf[holder] == 0, DuplicateHolder());
            bpsOf[holder] = bps;
            holderList.push(holder);
            sum += bps;
        }
        require(sum == 10_000, BadSum());
    }

    /// @notice Pays the caller what is due to it, to `to`.
    function release(IERC20 token, address to) external nonReentrant returns (uint256 amount) {
        require(to != address(0), ZeroAddress());
        return _release(token, msg.sender, to);
    }

    /// @notice Pays a holder what is due to it; anyone may send it.
    function releaseOf(IERC20 token, address holder) external nonReentrant returns (uint256 amount) {
        return _release(token, holder, holder);
    }

    /// @notice What a holder can take out now. A token whose balances shrink pays less than it would have, never more than
    /// a holder's part.
    function due(IERC20 token, address holder) public view returns (uint256) {
        uint256 part = (token.balanceOf(address(this)) + released[token]) * bpsOf[holder] / 10_000;
        uint256 paid = releasedTo[token][holder];
        return part > paid ? part - paid : 0;
    }

    /// @notice Everybody with a share, in the order of construction.
    function holders() external view returns (address[] memory) {
        return holderList;
    }

    // ------------------------------------------------------------------------------------------------ operator

    /// @notice Makes the splitter the payee of a root key that signed so, and `owner` the owner of its stake; `uri` counts
    /// for a key that is new to the registry.
    function bind(ProviderRegistry registry, ProviderRegistry.Root calldata root, address owner, string calldata uri)
        external
    {
        require(msg.sender == OPERATOR, NotOperator());
        if (registry.nonceOf(registry.idOf(root.qx, root.qy)) == 0) registry.register(root, owner, uri);
        else registry.rebind(root, owner);
    }

    /// @notice Sends a former owner's stake on its way out: see `ProviderRegistry.release`.
    function releaseStake(ProviderRegistry registry, bytes32 providerId) external {
        require(msg.sender == OPERATOR, NotOperator());
        registry.release(providerId);
    }

    /// @notice Closes a channel of the splitter: what it has not claimed goes back to the payer.
    function closeToLedger(InferenceChannels channels, address payer, address signer, bytes32 salt) external {
        require(msg.sender == OPERATOR, NotOperator());
        channels.closeToLedger(payer, signer, salt);
    }

    // ------------------------------------------------------------------------------------------------ inside

    /// The books are written before the token is called.
    function _release(IERC20 token, address holder, address to) private returns (uint256 amount) {
        amount = due(token, holder);
        require(amount != 0, NothingDue());
        released[token] += amount;
        releasedTo[token][holder] += amount;
        emit Released(token, holder, to, amount);
        token.safeTransfer(to, amount);
    }
}
