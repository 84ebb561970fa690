// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {InferenceChannels} from "../src/InferenceChannels.sol";
import {InferenceToken} from "../src/InferenceToken.sol";
import {Funding} from "../src/Funding.sol";
import {IParams} from "../src/interfaces/IParams.sol";
import {Keys} from "../src/libraries/Keys.sol";
import {Ledger} from "../src/Ledger.sol";
import {Params} from "../src/Params.sol";
import {Typed} from "../src/libraries/Typed.sol";

/// @title The token, the parameters and the channels, with people who have keys.
abstract contract Base is Test {
    /// Somebody with a private key.
    struct Person {
        address at;
        uint256 key;
    }

    bytes32 internal constant RECEIVE = keccak256(
        "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );
    uint40 internal constant DELAY = 1 days;
    uint40 internal constant FOREVER = type(uint40).max;

    InferenceToken internal token;
    Params internal params;
    InferenceChannels internal channels;

    address internal governance = makeAddr("governance");
    address internal treasury = makeAddr("treasury");
    address internal relayer = makeAddr("relayer");
    Person internal payer;
    Person internal session;
    Person internal payee;
    Person internal stranger;

    function setUp() public virtual {
        vm.warp(1_800_000_000);
        payer = person("payer");
        session = person("session");
        payee = person("payee");
        stranger = person("stranger");
        token = new InferenceToken(address(this));
        params = new Params(governance, 0, initialParams());
        channels = new InferenceChannels(token, treasury, params, 1 hours, 1 days, 7 days);
        token.transfer(payer.at, 1_000_000e18);
        vm.prank(payer.at);
        token.approve(address(channels), type(uint256).max);
    }

    function person(string memory name) internal returns (Person memory p) {
        (p.at, p.key) = makeAddrAndKey(name);
    }

    function initialParams() internal pure returns (Params.Initial[] memory p) {
        p = new Params.Initial[](2);
        p[0] = Params.Initial(Keys.FEE_BPS, 300, 0, 1_000);
        p[1] = Params.Initial(Keys.CHALLENGE_DELAY, 1 days, 1 hours, 1 days);
    }

    // ------------------------------------------------------------------------------------------------ signatures

    function compact(Person memory by, bytes32 structHash) internal view returns (bytes32 r, bytes32 vs) {
        return vm.signCompact(by.key, channels.hashTypedData(structHash));
    }

    function long(Person memory by, bytes32 structHash) internal view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(by.key, channels.hashTypedData(structHash));
        return abi.encodePacked(r, s, v);
    }

    /// The other signature of the same key over the same hash, which anybody can make of the first.
    function malleable(bytes memory word) internal pure returns (bytes memory) {
        (bytes32 r, uint256 s, uint8 v) = parts(word);
        return abi.encodePacked(r, 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141 - s, v ^ 7);
    }

    /// Whether the chain's own `ecrecover`, which takes both, names `by`.
    function recovers(address by, bytes32 structHash, bytes memory word) internal view returns (bool) {
        (bytes32 r, uint256 s, uint8 v) = parts(word);
        return ecrecover(channels.hashTypedData(structHash), v, r, bytes32(s)) == by;
    }

    function parts(bytes memory word) private pure returns (bytes32 r, uint256 s, uint8 v) {
        (r, s) = abi.decode(word, (bytes32, uint256));
        v = uint8(word[64]);
    }

    /// An ERC-3009 authorization of `by` to `to`.
    function authorized(Person memory by, address to, uint256 value, bytes32 nonce)
        internal
        view
        returns (Funding.Authorization memory)
    {
        return authorized(by, to, value, FOREVER, nonce);
    }

    function authorized(Person memory by, address to, uint256 value, uint256 validBefore, bytes32 nonce)
        internal
        view
        returns (Funding.Authorization memory a)
    {
        bytes32 hash = keccak256(abi.encode(RECEIVE, by.at, to, value, 0, validBefore, nonce));
        a.from = by.at;
        a.validBefore = validBefore;
        (a.r, a.vs) = vm.signCompact(by.key, keccak256(abi.encodePacked("\x19\x01", token.DOMAIN_SEPARATOR(), hash)));
    }

    /// A permit (ERC-2612) of `by` for `to`.
    function permitted(Person memory by, address to, uint256 value) internal view returns (Funding.Permit memory p) {
        bytes32 hash = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                by.at,
                to,
                value,
                token.nonces(by.at),
                uint256(FOREVER)
            )
        );
        p.deadline = FOREVER;
        (p.v, p.r, p.s) = vm.sign(by.key, keccak256(abi.encodePacked("\x19\x01", token.DOMAIN_SEPARATOR(), hash)));
    }

    // ------------------------------------------------------------------------------------------------ channels

    function keyOf(bytes32 salt) internal view returns (InferenceChannels.Key memory) {
        return InferenceChannels.Key(payer.at, payee.at, session.at, salt);
    }

    function terms(uint96 capPayee, uint96 capDay) internal view returns (Ledger.Terms memory) {
        return Ledger.Terms(session.at, capPayee, capDay, uint40(block.timestamp + 30 days));
    }

    /// A funded payer with a session of wide caps.
    function funded(uint96 amount) internal {
        vm.startPrank(payer.at);
        channels.fund(payer.at, amount);
        channels.setSession(terms(type(uint96).max, type(uint96).max));
        vm.stopPrank();
    }

    function opened(bytes32 salt, uint96 amount) internal returns (bytes32 id) {
        vm.prank(payer.at);
        return channels.open(payee.at, session.at, salt, amount);
    }

    function opening(InferenceChannels.Key memory key, uint96 amount, uint96 fee)
        internal
        view
        returns (InferenceChannels.Opening memory o)
    {
        o = InferenceChannels.Opening(key, amount, fee, FOREVER, 0, 0);
        (o.r, o.vs) = compact(session, Typed.open(channels.idOf(key), amount, fee, FOREVER));
    }

    function voucher(InferenceChannels.Key memory key, uint128 cumulative)
        internal
        view
        returns (InferenceChannels.Claim memory)
    {
        (bytes32 r, bytes32 vs) = compact(session, Typed.voucher(channels.idOf(key), cumulative));
        return InferenceChannels.Claim(key.payer, key.signer, key.salt, cumulative, r, vs);
    }

    function balance(address who) internal view returns (uint96 amount) {
        (amount,) = channels.account(who);
    }
}
