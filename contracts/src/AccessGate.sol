// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IVotes} from "@openzeppelin/contracts/governance/utils/IVotes.sol";
import {IAccessGate} from "./interfaces/IAccessGate.sol";
import {IParams} from "./interfaces/IParams.sol";
import {IProviderRegistry} from "./interfaces/IProviderRegistry.sol";
import {InferenceChannels} from "./InferenceChannels.sol";
import {Keys} from "./libraries/Keys.sol";

/// @title Token-gated access by holding, stake or live channel.
/// @dev It keeps nothing and can do nothing; the thresholds are voted.
contract AccessGate is IAccessGate {
    IERC20 public immutable TOKEN;
    IProviderRegistry public immutable PROVIDERS;
    InferenceChannels public immutable CHANNELS;
    IParams public immutable PARAMS;

    error ZeroAddress();

    constructor(IERC20 token, IProviderRegistry providers, InferenceChannels channels, IParams params) {
        require(
            address(token) != address(0) && address(providers) != address(0) && address(channels) != address(0)
                && address(params) != address(0),
            ZeroAddress()
        );
        TOKEN = token;
        PROVIDERS = providers;
        CHANNELS = channels;
        PARAMS = params;
    }

    /// @inheritdoc IAccessGate
    function allowed(address account, bytes32 providerId, InferenceChannels.Key calldata key)
        external
        view
        returns (bool)
    {
        return holds(account) || (providerId != 0 && stakes(account, providerId))
            || (key.payer != address(0) && pays(account, key));
    }

    /// @inheritdoc IAccessGate
    function holds(address account) public view returns (bool) {
        return TOKEN.balanceOf(account) >= _whole(Keys.ACCESS_MINIMUM);
    }

    /// @inheritdoc IAccessGate
    function heldAt(address account, uint256 time) external view returns (bool) {
        return IVotes(address(TOKEN)).getPastVotes(account, time) >= _whole(Keys.ACCESS_MINIMUM);
    }

    /// @inheritdoc IAccessGate
    function stakes(address account, bytes32 providerId) public view returns (bool) {
        // Nobody stakes for a provider that the registry does not know; a channel may still open the gate.
        try PROVIDERS.ownerOf(providerId) returns (address owner) {
            return owner == account && PROVIDERS.bondedOf(providerId) >= _whole(Keys.ACCESS_MINIMUM);
        } catch {
            return false;
        }
    }

    /// @inheritdoc IAccessGate
    function pays(address account, InferenceChannels.Key calldata key) public view returns (bool) {
        if (account != key.payer && account != key.signer) return false;
        (uint256 state, uint96 deposit, uint96 claimed, uint40 closeAt) = CHANNELS.channel(CHANNELS.idOf(key));
        return state == 1 && closeAt == 0 && deposit - claimed >= _whole(Keys.ACCESS_CHANNEL);
    }

    function _whole(bytes32 key) private view returns (uint256) {
        return uint256(PARAMS.get(key)) * 1e18;
    }
}
