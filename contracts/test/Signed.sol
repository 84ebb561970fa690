// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";
import {Pam1} from "../src/libraries/Pam1.sol";
import {Roots} from "./Roots.sol";

/// @title Signed objects of PAM/1 as a provider would make them, and those of the protocol's vectors.
abstract contract Signed is Test, Roots {
    /// One entry of a map, encoded.
    struct Field {
        uint256 key;
        bytes value;
    }

    bytes32 internal constant CB = keccak256("channel binding");

    string private json;

    // ------------------------------------------------------------------------------------------------ vectors

    function vector(string memory name) internal returns (bytes memory) {
        if (bytes(json).length == 0) json = vm.readFile("../tests/vectors/wire.json");
        return vm.parseBytes(string.concat("0x", vm.parseJsonString(json, string.concat(".", name))));
    }

    function rootSecret() internal returns (uint256) {
        return uint256(bytes32(vector("root_secret")));
    }

    function operationalSecret() internal returns (uint256) {
        return uint256(bytes32(vector("operational_secret")));
    }

    function rootPoint() internal returns (Pam1.Point memory p) {
        (uint256 x, uint256 y) = vm.publicKeyP256(rootSecret());
        return Pam1.Point(bytes32(x), bytes32(y));
    }

    // ------------------------------------------------------------------------------------------------ objects

    function compressed(uint256 secret) internal pure returns (bytes memory) {
        (uint256 x, uint256 y) = vm.publicKeyP256(secret);
        return abi.encodePacked(uint8(2 + (y & 1)), x);
    }

    function providerOf(uint256 secret) internal pure returns (bytes32) {
        return sha256(abi.encodePacked("pam1 pid\x00", uint8(1), compressed(secret)));
    }

    function certFields(uint256 root, uint256 operational, uint256 opSeq, uint256 notAfter)
        internal
        pure
        returns (Field[] memory f)
    {
        f = new Field[](7);
        f[0] = Field(0, number(1));
        f[1] = Field(1, number(1));
        f[2] = Field(2, string_(compressed(root)));
        f[3] = Field(3, string_(compressed(operational)));
        f[4] = Field(4, number(opSeq));
        f[5] = Field(5, number(notAfter - 30 days));
        f[6] = Field(6, number(notAfter));
    }

    function bundleFields(bytes32 providerId, bytes memory cert, uint256 seq, bytes memory prev)
        internal
        pure
        returns (Field[] memory f)
    {
        f = new Field[](6);
        f[0] = Field(0, number(1));
        f[1] = Field(1, string_(abi.encodePacked(providerId)));
        f[2] = Field(2, string_(cert));
        f[3] = Field(3, number(seq));
        f[4] = Field(4, string_(prev));
        // [{1: -1}, "a", h'0102']: what prekeys and registrations are made of, and a negative number.
        f[5] = Field(64, hex"83a10120" hex"6161" hex"420102");
    }

    function receiptFields(bytes32 providerId, uint256 opSeq, bytes32 cb, uint256 tokens)
        internal
        pure
        returns (Field[] memory f)
    {
        f = new Field[](6);
        f[0] = Field(0, number(1));
        f[1] = Field(1, string_(abi.encodePacked(providerId)));
        f[2] = Field(2, number(opSeq));
        f[3] = Field(3, string_(abi.encodePacked(cb)));
        f[4] = Field(7, number(tokens));
        f[5] = Field(64, hex"a0");
    }

    function signed(uint256 kind, string memory label, Field[] memory fields, uint256 secret)
        internal
        pure
        returns (bytes memory)
    {
        return signedBody(kind, label, map(fields), secret);
    }

    function signedBody(uint256 kind, string memory label, bytes memory body, uint256 secret)
        internal
        pure
        returns (bytes memory)
    {
        (bytes32 r, bytes32 s) = signedBy(secret, sha256(abi.encodePacked(label, uint8(0), body)));
        return bytes.concat(hex"83", number(kind), string_(body), string_(abi.encodePacked(r, s)));
    }

    // ------------------------------------------------------------------------------------------------ CBOR

    function number(uint256 value) internal pure returns (bytes memory) {
        return head(0, value);
    }

    function string_(bytes memory value) internal pure returns (bytes memory) {
        return bytes.concat(head(2, value.length), value);
    }

    function map(Field[] memory fields) internal pure returns (bytes memory out) {
        out = head(5, fields.length);
        for (uint256 i; i < fields.length; ++i) {
            out = bytes.concat(out, number(fields[i].key), fields[i].value);
        }
    }

    function head(uint256 major, uint256 value) internal pure returns (bytes memory) {
        uint8 m = uint8(major << 5);
        if (value < 24) return abi.encodePacked(m | uint8(value));
        if (value <= type(uint8).max) return abi.encodePacked(m | 24, uint8(value));
        if (value <= type(uint16).max) return abi.encodePacked(m | 25, uint16(value));
        if (value <= type(uint32).max) return abi.encodePacked(m | 26, uint32(value));
        return abi.encodePacked(m | 27, uint64(value));
    }
}
