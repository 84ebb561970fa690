// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Base} from "./Base.sol";
import {InferenceChannels} from "../src/InferenceChannels.sol";
import {InferenceToken} from "../src/InferenceToken.sol";
import {IParams} from "../src/interfaces/IParams.sol";
import {IProviderRegistry} from "../src/interfaces/IProviderRegistry.sol";
import {Ledger} from "../src/Ledger.sol";
import {MembershipRegistry} from "../src/MembershipRegistry.sol";
import {ProviderRegistry} from "../src/ProviderRegistry.sol";
import {Typed} from "../src/libraries/Typed.sol";

/// @title The types of what members sign, which their registry keeps to itself.
contract MemberTypes is MembershipRegistry {
    constructor(address all) MembershipRegistry(IERC20(all), IParams(all), IProviderRegistry(all), 1) {}

    function types() external pure returns (bytes32 invitation, bytes32 accept, bytes32 exit) {
        return (INVITATION_TYPE, ACCEPT_TYPE, EXIT_TYPE);
    }
}

/// @title Ids and digests equal those in tests/vectors/contracts.json, which Rust checks natively and on wasm32.
/// @dev `WRITE_VECTORS=1 forge test --mc VectorsTest` writes the file; a vector is only ever added.
contract VectorsTest is Base {
    string private constant FILE = "../tests/vectors/contracts.json";
    /// Of the vectors alone; nothing is deployed there.
    address private constant CHANNELS = 0x1111111111111111111111111111111111111111;
    address private constant TOKEN = 0x2222222222222222222222222222222222222222;
    address private constant PAYER = 0x3333333333333333333333333333333333333333;
    address private constant PAYEE = 0x4444444444444444444444444444444444444444;
    address private constant SIGNER = 0x5555555555555555555555555555555555555555;
    address private constant REGISTRY = 0x6666666666666666666666666666666666666666;
    address private constant MEMBERS = 0x7777777777777777777777777777777777777777;
    bytes32 private constant PERMIT =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
    bytes32 private constant SALT = keccak256("salt");

    function test_ids_and_digests() public {
        deployCodeTo("InferenceChannels.sol", abi.encode(TOKEN, treasury, params, 1 hours, 1 days, 7 days), CHANNELS);
        InferenceChannels c = InferenceChannels(CHANNELS);
        bytes32 id = c.idOf(InferenceChannels.Key(PAYER, PAYEE, SIGNER, SALT));
        Ledger.Terms memory terms = Ledger.Terms(SIGNER, 5e18, 7e18, 1_900_000_000);

        check("channelId", id);
        check("voucher", c.hashTypedData(Typed.voucher(id, 123_456_789)));
        check("close", c.hashTypedData(Typed.close(id, 123_456_789)));
        check("open", c.hashTypedData(Typed.open(id, 10e18, 0.01e18, 1_900_000_000)));
        check("topUp", c.hashTypedData(Typed.topUp(id, 20e18, 0.01e18, 1_900_000_000)));
        check("requestClose", c.hashTypedData(Typed.requestClose(id, 0.01e18, 1_900_000_000)));
        check("withdraw", c.hashTypedData(Typed.withdraw(PAYER, PAYEE, 3e18, 0.01e18, 1_900_000_000, 7)));
        bytes32 session = keccak256(
            abi.encode(
                Typed.SESSION, PAYER, SIGNER, terms.capPayee, terms.capDay, terms.expiry, 0.01e18, 1_900_000_000, 7
            )
        );
        check("session", c.hashTypedData(session));
        check("openingNonce", c.openingNonce(id, 0.01e18));
        check("fundingNonce", c.fundingNonce(0.01e18, terms, SALT));
        providers();
        members();
        if (vm.envOr("WRITE_VECTORS", false)) vm.writeJson(written, FILE);
    }

    function providers() private {
        deployCodeTo("ProviderRegistry.sol", abi.encode(TOKEN, params, treasury, 7 days), REGISTRY);
        ProviderRegistry registry = ProviderRegistry(REGISTRY);
        check("binding", registry.bindingHash(keccak256("provider"), PAYEE, 7));
        check("revocation", registry.revocationHash(keccak256("provider"), 7));
        bytes32 nonce = registry.stakingNonce(keccak256("provider"), 0.01e18);
        check("stakingNonce", nonce);
        deployCodeTo("InferenceToken.sol", abi.encode(treasury), TOKEN);
        bytes32 permit = keccak256(abi.encode(PERMIT, PAYER, REGISTRY, 3e18, 7, 1_900_000_000));
        bytes32 domain = InferenceToken(TOKEN).DOMAIN_SEPARATOR();
        check("permit", keccak256(abi.encodePacked(hex"1901", domain, permit)));
        bytes32 authorization = keccak256(abi.encode(RECEIVE, PAYER, REGISTRY, 3.01e18, 0, 1_900_000_000, nonce));
        check("authorization", keccak256(abi.encodePacked(hex"1901", domain, authorization)));
    }

    function members() private {
        deployCodeTo("Vectors.t.sol:MemberTypes", abi.encode(TOKEN), MEMBERS);
        MemberTypes m = MemberTypes(MEMBERS);
        (bytes32 invitation, bytes32 accept, bytes32 exit) = m.types();
        uint256 commitment = 123_456_789;
        bytes32 i = keccak256(abi.encode(invitation, PAYER, SIGNER, 2, 20_000, 100e18, 0.01e18, 1_900_000_000));
        i = m.hashTypedData(i);
        check("invitation", i);
        check("accept", m.hashTypedData(keccak256(abi.encode(accept, i, commitment))));
        check("exit", m.hashTypedData(keccak256(abi.encode(exit, commitment, 0.01e18, 1_900_000_000))));
        check("joiningNonce", m.joiningNonce(commitment, 2, 0.01e18));
    }

    string private written;

    function check(string memory name, bytes32 value) private {
        if (vm.envOr("WRITE_VECTORS", false)) {
            written = vm.serializeBytes32("vectors", name, value);
        } else {
            assertEq(vm.parseJsonBytes32(vm.readFile(FILE), string.concat(".", name)), value, name);
        }
    }
}
