// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Pam1} from "../../src/libraries/Pam1.sol";
import {Reader} from "../Reader.sol";
import {Signed} from "../Signed.sol";

contract Pam1Test is Signed {
    Reader private reader = new Reader();
    uint256 private root;
    uint256 private operational;
    bytes32 private id;

    function setUp() public {
        root = rootSecret();
        operational = operationalSecret();
        id = providerOf(root);
    }

    // ------------------------------------------------------------------------------------------------ vectors

    function test_opens_the_vectors_of_the_protocol() public {
        Pam1.Cert memory cert = reader.openCert(vector("cert"), rootPoint());
        (uint256 x, uint256 y) = vm.publicKeyP256(operational);
        assertEq(cert.operational.x, bytes32(x));
        assertEq(cert.operational.y, bytes32(y));
        (uint64 seq, bytes32 bhash, Pam1.Cert memory inner) = reader.openBundle(vector("bundle"), id, rootPoint());
        assertEq(bhash, bytes32(vector("bhash")));
        assertEq(abi.encode(inner), abi.encode(cert));
        assertGt(seq, 1_700_000_000);
        (bytes32 cb,) = reader.openReceipt(vector("receipt"), id, cert);
        assertEq(cb, bytes32(vector("channel_binding")));
    }

    /// Every byte of a vector matters: no other bytes are the same object.
    function test_refuses_every_flipped_byte() public {
        bytes memory wire = vector("cert");
        Pam1.Point memory point = rootPoint();
        for (uint256 i; i < wire.length; ++i) {
            wire[i] ^= 0x01;
            (bool ok,) = address(reader).staticcall(abi.encodeCall(Reader.openCert, (wire, point)));
            assertFalse(ok, vm.toString(i));
            wire[i] ^= 0x01;
        }
    }

    function test_refuses_every_truncation() public {
        bytes memory wire = vector("receipt");
        Pam1.Cert memory cert = reader.openCert(vector("cert"), rootPoint());
        for (uint256 length; length < wire.length; ++length) {
            bytes memory part = wire;
            assembly ("memory-safe") {
                part := mload(0x40)
                mstore(part, length)
                mcopy(add(part, 0x20), add(wire, 0x20), length)
                mstore(0x40, and(add(add(part, length), 0x3f), not(0x1f)))
            }
            vm.expectRevert(Pam1.Malformed.selector);
            reader.openReceipt(part, id, cert);
        }
    }

    // ------------------------------------------------------------------------------------------------ envelope

    function test_refuses_what_is_too_large() public {
        Pam1.Point memory point = rootPoint();
        vm.expectRevert(Pam1.TooLarge.selector);
        reader.openCert(new bytes(8_193), point);
        vm.expectRevert(Pam1.Malformed.selector);
        reader.openCert(new bytes(8_192), point);
    }

    function test_refuses_another_type() public {
        bytes memory wire = vector("receipt");
        Pam1.Point memory point = rootPoint();
        vm.expectRevert(abi.encodeWithSelector(Pam1.WrongType.selector, 1, 6));
        reader.openCert(wire, point);
    }

    function test_refuses_a_broken_envelope() public {
        bytes memory body = map(certFields(root, operational, 7, 1_800_000_000));
        bytes memory sig = string_(new bytes(64));
        envelope(bytes.concat(hex"82", number(1), string_(body)));
        envelope(bytes.concat(hex"84", number(1), string_(body), sig, hex"00"));
        envelope(bytes.concat(hex"a3", number(1), string_(body), sig));
        envelope(bytes.concat(hex"83", hex"4101", string_(body), sig));
        envelope(bytes.concat(hex"83", number(1), hex"6161", sig));
        envelope(bytes.concat(hex"83", number(1), string_(body), string_(new bytes(63))));
        envelope(bytes.concat(hex"83", number(1), string_(body), sig, hex"00"));
        envelope("");
    }

    function envelope(bytes memory wire) private {
        Pam1.Point memory point = rootPoint();
        vm.expectRevert(Pam1.Malformed.selector);
        reader.openCert(wire, point);
    }

    // ------------------------------------------------------------------------------------------------ certificates

    function test_opens_a_certificate() public {
        Pam1.Cert memory cert = reader.openCert(certOf(good()), rootPoint());
        assertEq(cert.opSeq, 7);
        assertEq(cert.notAfter, 1_800_000_000);
        cert = reader.openCert(certOf(certFields(root, operational, type(uint32).max, 1 << 40)), rootPoint());
        assertEq(cert.opSeq, type(uint32).max);
        assertEq(cert.notAfter, 1 << 40);
    }

    function test_passes_over_extensions_of_a_certificate() public {
        Field[] memory f = more(good());
        f[7] = Field(64, hex"a10102");
        reader.openCert(certOf(f), rootPoint());
    }

    function test_refuses_a_certificate_of_another_root() public {
        bytes memory wire = certOf(good());
        (uint256 x, uint256 y) = vm.publicKeyP256(operational);
        vm.expectRevert(Pam1.Unauthentic.selector);
        reader.openCert(wire, Pam1.Point(bytes32(x), bytes32(y)));
        // Signed by the root, but naming another one.
        Field[] memory f = good();
        f[2].value = string_(compressed(operational));
        certFails(f, Pam1.WrongRoot.selector);
        // The same abscissa, the other ordinate.
        f[2].value = string_(compressed(root));
        f[2].value[2] ^= 0x01;
        certFails(f, Pam1.WrongRoot.selector);
    }

    function test_refuses_a_certificate_with_a_wrong_field() public {
        Field[] memory f = good();
        f[0].value = number(2);
        certFails(f, Pam1.Malformed.selector);
        f = good();
        f[1].value = number(2);
        certFails(f, Pam1.Malformed.selector);
        f = good();
        f[2].value = string_(new bytes(32));
        certFails(f, Pam1.Malformed.selector);
        f = good();
        f[3].value = string_(bytes.concat(hex"04", new bytes(32)));
        certFails(f, Pam1.NotOnCurve.selector);
        f = good();
        f[4].value = number(uint256(type(uint32).max) + 1);
        certFails(f, Pam1.Malformed.selector);
        f = good();
        f[5].value = hex"20";
        certFails(f, Pam1.Malformed.selector);
        f = good();
        f[6].key = 5;
        certFails(f, Pam1.Malformed.selector);
        f[6].key = 4;
        certFails(f, Pam1.Malformed.selector);
        // Nothing is missing, nothing unknown is below 64, nothing follows.
        f[6].key = 64;
        certFails(f, Pam1.Malformed.selector);
        f = more(good());
        f[7] = Field(63, number(0));
        certFails(f, Pam1.Malformed.selector);
        // Nothing comes twice, be it the last or the first.
        f[7] = f[6];
        certFails(f, Pam1.Malformed.selector);
        for (uint256 i = 7; i > 0; --i) {
            f[i] = f[i - 1];
        }
        certFails(f, Pam1.Malformed.selector);
        // Nor does an extension come first.
        f[0] = Field(64, number(0));
        certFails(f, Pam1.Malformed.selector);
        bytes memory wire = signedBody(1, "pam1 cert", bytes.concat(map(good()), hex"00"), root);
        Pam1.Point memory point = rootPoint();
        vm.expectRevert(Pam1.Malformed.selector);
        reader.openCert(wire, point);
        wire = signedBody(1, "pam1 cert", hex"80", root);
        vm.expectRevert(Pam1.Malformed.selector);
        reader.openCert(wire, point);
    }

    function test_refuses_the_other_half_of_a_signature() public {
        bytes memory body = map(good());
        (bytes32 r, bytes32 s) = vm.signP256(root, sha256(abi.encodePacked("pam1 cert\x00", body)));
        uint256 n = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551;
        if (uint256(s) <= n / 2) s = bytes32(n - uint256(s));
        bytes memory wire = bytes.concat(hex"8301", string_(body), string_(abi.encodePacked(r, s)));
        Pam1.Point memory point = rootPoint();
        vm.expectRevert(Pam1.Unauthentic.selector);
        reader.openCert(wire, point);
    }

    function good() private view returns (Field[] memory) {
        return certFields(root, operational, 7, 1_800_000_000);
    }

    /// With room for one more.
    function more(Field[] memory f) private pure returns (Field[] memory longer) {
        longer = new Field[](f.length + 1);
        for (uint256 i; i < f.length; ++i) {
            longer[i] = f[i];
        }
    }

    function certOf(Field[] memory f) private view returns (bytes memory) {
        return signed(1, "pam1 cert", f, root);
    }

    function certFails(Field[] memory f, bytes4 error) private {
        bytes memory wire = certOf(f);
        Pam1.Point memory point = rootPoint();
        vm.expectRevert(error);
        reader.openCert(wire, point);
    }

    // ------------------------------------------------------------------------------------------------ bundles, receipts

    function test_opens_a_bundle() public {
        (uint64 seq,, Pam1.Cert memory cert) = reader.openBundle(bundleOf(goodBundle(), operational), id, rootPoint());
        assertEq(seq, 9);
        assertEq(cert.opSeq, 7);
        Field[] memory f = bundleFields(id, certOf(good()), 1 << 40, new bytes(32));
        f[4].key = 15;
        (seq,,) = reader.openBundle(bundleOf(f, operational), id, rootPoint());
        assertEq(seq, 1 << 40);
    }

    function test_refuses_a_bundle_with_a_wrong_field() public {
        Field[] memory f = goodBundle();
        f[0].value = number(0);
        bundleFails(f, Pam1.Malformed.selector);
        f = goodBundle();
        f[1].value = string_(new bytes(32));
        bundleFails(f, Pam1.WrongProvider.selector);
        f = goodBundle();
        f[2].value = number(1);
        bundleFails(f, Pam1.Malformed.selector);
        f = goodBundle();
        f[3].value = string_("");
        bundleFails(f, Pam1.Malformed.selector);
        f = goodBundle();
        f[3].key = 2;
        bundleFails(f, Pam1.Malformed.selector);
        f = goodBundle();
        f[3].key = 4;
        f[4].key = 5;
        bundleFails(f, Pam1.Malformed.selector);
        f = goodBundle();
        f[5].key = 16;
        bundleFails(f, Pam1.Malformed.selector);
        f = goodBundle();
        f[5].value = hex"f6";
        bundleFails(f, Pam1.Malformed.selector);
        bytes memory wire = bundleOf(goodBundle(), root);
        Pam1.Point memory point = rootPoint();
        vm.expectRevert(Pam1.Unauthentic.selector);
        reader.openBundle(wire, id, point);
    }

    function goodBundle() private view returns (Field[] memory) {
        return bundleFields(id, certOf(good()), 9, new bytes(32));
    }

    function bundleOf(Field[] memory f, uint256 by) private pure returns (bytes memory) {
        return signed(2, "pam1 bundle", f, by);
    }

    function bundleFails(Field[] memory f, bytes4 error) private {
        bytes memory wire = bundleOf(f, operational);
        Pam1.Point memory point = rootPoint();
        vm.expectRevert(error);
        reader.openBundle(wire, id, point);
    }

    function test_opens_a_receipt() public {
        Pam1.Cert memory cert = reader.openCert(certOf(good()), rootPoint());
        (bytes32 cb,) = reader.openReceipt(receiptOf(goodReceipt(), operational), id, cert);
        assertEq(cb, CB);
    }

    function test_refuses_a_receipt_with_a_wrong_field() public {
        Field[] memory f = goodReceipt();
        f[0].value = number(0);
        receiptFails(f, Pam1.Malformed.selector);
        f = goodReceipt();
        f[1].value = string_(new bytes(32));
        receiptFails(f, Pam1.WrongProvider.selector);
        f = goodReceipt();
        f[2].value = number(8);
        receiptFails(f, Pam1.Malformed.selector);
        f = goodReceipt();
        f[3].value = string_(new bytes(31));
        receiptFails(f, Pam1.Malformed.selector);
        f = goodReceipt();
        f[3].key = 5;
        receiptFails(f, Pam1.Malformed.selector);
        f = goodReceipt();
        f[4].key = 16;
        receiptFails(f, Pam1.Malformed.selector);
        bytes memory wire = receiptOf(goodReceipt(), root);
        Pam1.Cert memory cert = reader.openCert(certOf(good()), rootPoint());
        vm.expectRevert(Pam1.Unauthentic.selector);
        reader.openReceipt(wire, id, cert);
    }

    function goodReceipt() private view returns (Field[] memory) {
        return receiptFields(id, 7, CB, 100);
    }

    function receiptOf(Field[] memory f, uint256 by) private pure returns (bytes memory) {
        return signed(6, "pam1 receipt", f, by);
    }

    function receiptFails(Field[] memory f, bytes4 error) private {
        bytes memory wire = receiptOf(f, operational);
        Pam1.Cert memory cert = reader.openCert(certOf(good()), rootPoint());
        vm.expectRevert(error);
        reader.openReceipt(wire, id, cert);
    }

    // ------------------------------------------------------------------------------------------------ points

    function testFuzz_decompresses_every_key(uint256 secret) public {
        secret = bound(secret, 1, 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632550);
        (uint256 x, uint256 y) = vm.publicKeyP256(secret);
        Pam1.Point memory p = reader.decompress(compressed(secret));
        assertEq(p.x, bytes32(x));
        assertEq(p.y, bytes32(y));
    }

    function test_refuses_points_off_the_curve() public {
        // 1 is no abscissa of P-256; an abscissa of P or more is none of the field.
        bytes32[3] memory wrong = [bytes32(uint256(1)), bytes32(uint256(0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF)), bytes32(type(uint256).max)];
        for (uint256 i; i < wrong.length; ++i) {
            vm.expectRevert(Pam1.NotOnCurve.selector);
            reader.decompress(bytes.concat(hex"02", wrong[i]));
        }
    }

    // ------------------------------------------------------------------------------------------------ CBOR

    /// The same cases as the reader of the Rust core has, without those of UTF-8.
    function test_only_the_deterministic_profile_reads() public view {
        bytes[12] memory right = [
            bytes(hex"17"), hex"1818", hex"190100", hex"20", hex"3818", hex"3bffffffffffffffff", hex"420102",
            hex"626162", hex"820102", hex"a201020304", hex"8181818100", hex"a10000"
        ];
        for (uint256 i; i < right.length; ++i) {
            assertTrue(reader.isCanonical(right[i]), vm.toString(right[i]));
        }
        bytes[27] memory wrong = [
            bytes(""), hex"1817", hex"190018", hex"1a00000100", hex"3817", hex"58020102", hex"780161", hex"980100",
            hex"b8010000", hex"5f4101ff", hex"7f6161ff", hex"9f01ff", hex"bf0102ff", hex"a203020104", hex"a201020104",
            hex"a1616101", hex"f5", hex"f6", hex"f90000", hex"c000", hex"4201", hex"818181818100",
            hex"9bffffffffffffffff", hex"0101", hex"1b00000000ffffffff", hex"19",
            hex"1cffffffffffffffffffffffffffffffff"
        ];
        for (uint256 i; i < wrong.length; ++i) {
            try reader.isCanonical(wrong[i]) returns (bool whole) {
                assertFalse(whole, vm.toString(wrong[i]));
            } catch (bytes memory reason) {
                assertEq(bytes4(reason), Pam1.Malformed.selector);
            }
        }
    }

    /// It is refused there, and not only where the bytes end.
    function test_refuses_a_string_that_runs_past_the_end() public {
        vm.expectRevert(Pam1.Malformed.selector);
        reader.isCanonical(hex"4201");
    }

    function testFuzz_never_panics(bytes calldata any) public view {
        try reader.isCanonical(any) {}
        catch (bytes memory reason) {
            assertEq(bytes4(reason), Pam1.Malformed.selector);
        }
    }
}
