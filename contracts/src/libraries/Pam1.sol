// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {P256} from "@openzeppelin/contracts/utils/cryptography/P256.sol";

/// @title Signed objects of PAM/1 (protocol section 2.4): as much of them as proves a fault.
/// @notice Wire is `[type, body, signature]` in deterministic CBOR; the signature is ES256 over `label || 0x00 || body` as
/// it stands. A reader checks what it reads and what it passes over: shortest integers, definite lengths, keys ascending,
/// no floats, no tags, at most `MAX_DEPTH` deep; and it reads no key that it needs twice. Only that a text is UTF-8 and
/// that a field it does not need means something is left to clients: whoever signs such an object has signed it.
library Pam1 {
    /// A key of P-256.
    struct Point {
        bytes32 x;
        bytes32 y;
    }

    /// What a Cert says: the root key lets the operational key sign.
    struct Cert {
        Point operational;
        uint32 opSeq;
        uint64 notAfter;
    }

    /// Where a reader stands in a map or an array, how many entries are left, the last key and the keys below 64 so far.
    struct Cursor {
        uint256 pos;
        uint256 left;
        uint256 last;
        uint256 seen;
    }

    uint256 internal constant CERT = 1;
    uint256 internal constant KEY_BUNDLE = 2;
    uint256 internal constant RECEIPT = 6;
    /// No signed object is larger.
    uint256 internal constant MAX_SIGNED = 8_192;
    uint256 internal constant MAX_DEPTH = 4;

    uint256 private constant UINT = 0;
    uint256 private constant NEGATIVE = 1;
    uint256 private constant BYTES = 2;
    uint256 private constant TEXT = 3;
    uint256 private constant ARRAY = 4;
    uint256 private constant MAP = 5;
    /// Keys from here on are extensions; unknown ones below are refused.
    uint256 private constant FIRST_IGNORABLE_KEY = 64;
    /// The highest key that key bundles and receipts have.
    uint256 private constant LAST_FIELD = 15;
    uint256 private constant ANY = type(uint256).max;
    /// (P + 1) / 4: a root modulo P is a power of this.
    uint256 private constant ROOT_EXPONENT = (P256.P + 1) / 4;

    error TooLarge();
    error Malformed();
    error WrongType(uint256 expected, uint256 found);
    error WrongProvider();
    error WrongRoot();
    error NotOnCurve();
    error Unauthentic();

    // ------------------------------------------------------------------------------------------------ objects

    /// @notice A certificate of this root key, its signature verified. Time is for the caller.
    function openCert(bytes calldata wire, Point memory root) internal view returns (Cert memory cert) {
        (bytes calldata body, bytes calldata signature) = decode(wire, CERT);
        _verify("pam1 cert\x00", body, signature, root);
        Cursor memory c = _map(body);
        while (c.left != 0) {
            uint256 key = _next(c, body);
            if (key == 0 || key == 1) {
                _one(c, body);
            } else if (key == 2) {
                bytes calldata point = _bytes(c, body, 33);
                require(uint8(point[0]) == 2 + (uint256(root.y) & 1) && bytes32(point[1:]) == root.x, WrongRoot());
            } else if (key == 3) {
                cert.operational = decompress(_bytes(c, body, 33));
            } else if (key == 4) {
                uint256 opSeq = _number(c, body);
                require(opSeq <= type(uint32).max, Malformed());
                cert.opSeq = uint32(opSeq);
            } else if (key == 5) {
                _number(c, body);
            } else if (key == 6) {
                cert.notAfter = uint64(_number(c, body));
            } else {
                _extension(c, body, key);
            }
        }
        _finish(c, body, 0x7f);
    }

    /// @notice A key bundle's sequence and the hash of its body, the certificate in it and both signatures verified.
    function openBundle(bytes calldata wire, bytes32 providerId, Point memory root)
        internal
        view
        returns (uint64 seq, bytes32 bhash, Cert memory cert)
    {
        (bytes calldata body, bytes calldata signature) = decode(wire, KEY_BUNDLE);
        Cursor memory c = _map(body);
        while (c.left != 0) {
            uint256 key = _next(c, body);
            if (key == 0) {
                _one(c, body);
            } else if (key == 1) {
                _provider(c, body, providerId);
            } else if (key == 2) {
                cert = openCert(_bytes(c, body, ANY), root);
            } else if (key == 3) {
                seq = uint64(_number(c, body));
            } else {
                _other(c, body, key);
            }
        }
        _finish(c, body, 0xf);
        _verify("pam1 bundle\x00", body, signature, cert.operational);
        bhash = sha256(body);
    }

    /// @notice A receipt's channel binding and the hash of its body, its signature by the certificate's key verified.
    function openReceipt(bytes calldata wire, bytes32 providerId, Cert memory cert)
        internal
        view
        returns (bytes32 cb, bytes32 hash)
    {
        (bytes calldata body, bytes calldata signature) = decode(wire, RECEIPT);
        Cursor memory c = _map(body);
        while (c.left != 0) {
            uint256 key = _next(c, body);
            if (key == 0) {
                _one(c, body);
            } else if (key == 1) {
                _provider(c, body, providerId);
            } else if (key == 2) {
                require(_number(c, body) == cert.opSeq, Malformed());
            } else if (key == 3) {
                cb = bytes32(_bytes(c, body, 32));
            } else {
                _other(c, body, key);
            }
        }
        _finish(c, body, 0xf);
        _verify("pam1 receipt\x00", body, signature, cert.operational);
        hash = sha256(body);
    }

    /// @notice The outer array: nothing is verified but its form and type.
    function decode(bytes calldata wire, uint256 expected)
        internal
        pure
        returns (bytes calldata body, bytes calldata signature)
    {
        require(wire.length <= MAX_SIGNED, TooLarge());
        Cursor memory c = _open(wire, ARRAY);
        require(c.left == 3, Malformed());
        uint256 found = _number(c, wire);
        require(found == expected, WrongType(expected, found));
        body = _bytes(c, wire, ANY);
        signature = _bytes(c, wire, 64);
        require(c.pos == wire.length, Malformed());
    }

    /// @notice The point of a compressed key (SEC 1, section 2.3.4).
    function decompress(bytes calldata compressed) internal view returns (Point memory point) {
        uint256 prefix = uint8(compressed[0]);
        uint256 x = uint256(bytes32(compressed[1:33]));
        require((prefix == 2 || prefix == 3) && x < P256.P, NotOnCurve());
        uint256 square = addmod(mulmod(addmod(mulmod(x, x, P256.P), P256.A, P256.P), x, P256.P), P256.B, P256.P);
        uint256 y = Math.modExp(square, ROOT_EXPONENT, P256.P);
        require(mulmod(y, y, P256.P) == square, NotOnCurve());
        // No point of the curve has y = 0: its order is odd.
        if (y & 1 != prefix & 1) y = P256.P - y;
        return Point(bytes32(x), bytes32(y));
    }

    /// @notice Whether one deterministic value fills `bytes_`; for tests of the reader itself.
    function isCanonical(bytes calldata bytes_) internal pure returns (bool) {
        return _skip(bytes_, 0, 0) == bytes_.length;
    }

    // ------------------------------------------------------------------------------------------------ fields

    function _verify(bytes memory label, bytes calldata body, bytes calldata signature, Point memory key) private view {
        bytes32 digest = sha256(bytes.concat(label, body));
        require(P256.verify(digest, bytes32(signature[:32]), bytes32(signature[32:]), key.x, key.y), Unauthentic());
    }

    /// The body's map.
    function _map(bytes calldata b) private pure returns (Cursor memory) {
        return _open(b, MAP);
    }

    /// The next key; larger than the one before.
    function _next(Cursor memory c, bytes calldata b) private pure returns (uint256 key) {
        key = _number(c, b);
        require(c.seen == 0 && c.last == 0 || key > c.last, Malformed());
        c.last = key;
        --c.left;
        if (key < FIRST_IGNORABLE_KEY) c.seen |= 1 << key;
    }

    /// Nothing follows, and every key of `wanted` was there.
    function _finish(Cursor memory c, bytes calldata b, uint256 wanted) private pure {
        require(c.seen & wanted == wanted && c.pos == b.length, Malformed());
    }

    /// What clients need and a fault does not.
    function _other(Cursor memory c, bytes calldata b, uint256 key) private pure {
        if (key > LAST_FIELD) _extension(c, b, key);
        else c.pos = _skip(b, c.pos, 1);
    }

    function _extension(Cursor memory c, bytes calldata b, uint256 key) private pure {
        require(key >= FIRST_IGNORABLE_KEY, Malformed());
        c.pos = _skip(b, c.pos, 1);
    }

    /// Version and algorithm are 1.
    function _one(Cursor memory c, bytes calldata b) private pure {
        require(_number(c, b) == 1, Malformed());
    }

    function _provider(Cursor memory c, bytes calldata b, bytes32 providerId) private pure {
        require(bytes32(_bytes(c, b, 32)) == providerId, WrongProvider());
    }

    function _number(Cursor memory c, bytes calldata b) private pure returns (uint256 value) {
        uint256 major;
        (major, value, c.pos) = _head(b, c.pos);
        require(major == UINT, Malformed());
    }

    /// A byte string of `length`, or of any.
    function _bytes(Cursor memory c, bytes calldata b, uint256 length) private pure returns (bytes calldata) {
        (uint256 major, uint256 found, uint256 start) = _head(b, c.pos);
        require(major == BYTES && (length == ANY || found == length), Malformed());
        // A length is under 2^64 and so is `start`: the sum does not wrap.
        require(start + found <= b.length, Malformed());
        c.pos = start + found;
        return b[start:start + found];
    }

    /// The head of the array or map that the bytes begin with.
    function _open(bytes calldata b, uint256 expected) private pure returns (Cursor memory c) {
        uint256 major;
        (major, c.left, c.pos) = _head(b, 0);
        require(major == expected, Malformed());
    }

    // ------------------------------------------------------------------------------------------------ CBOR

    /// Passes over one value, `depth` arrays and maps deep, and checks it all the same.
    function _skip(bytes calldata b, uint256 pos, uint256 depth) private pure returns (uint256) {
        (uint256 major, uint256 argument, uint256 next) = _head(b, pos);
        if (major == UINT || major == NEGATIVE) return next;
        if (major == BYTES || major == TEXT) {
            require(next + argument <= b.length, Malformed());
            return next + argument;
        }
        require((major == ARRAY || major == MAP) && depth < MAX_DEPTH, Malformed());
        uint256 last;
        // Every item takes a byte at least: a lying count ends with the bytes.
        for (uint256 i; i < argument; ++i) {
            if (major == MAP) {
                uint256 key;
                uint256 majorOfKey;
                (majorOfKey, key, next) = _head(b, next);
                require(majorOfKey == UINT && (i == 0 || key > last), Malformed());
                last = key;
            }
            next = _skip(b, next, depth + 1);
        }
        return next;
    }

    /// A head: its major type and its argument, which must be in the shortest form. Indefinite lengths have none.
    function _head(bytes calldata b, uint256 pos) private pure returns (uint256 major, uint256 argument, uint256 next) {
        require(pos < b.length, Malformed());
        uint256 first = uint8(b[pos]);
        major = first >> 5;
        argument = first & 0x1f;
        next = pos + 1;
        if (argument < 24) return (major, argument, next);
        require(argument < 28, Malformed());
        uint256 size = 1 << (argument - 24);
        require(next + size <= b.length, Malformed());
        argument = 0;
        for (uint256 i; i < size; ++i) {
            argument = argument << 8 | uint8(b[next + i]);
        }
        // What the next smaller form holds must not come in this one.
        require(argument >= (size == 1 ? 24 : 1 << (size * 4)), Malformed());
        next += size;
    }
}
