// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Pam1} from "../src/libraries/Pam1.sol";

/// @title The functions of Pam1 from outside.
contract Reader {
    function openCert(bytes calldata wire, Pam1.Point memory root) external view returns (Pam1.Cert memory) {
        return Pam1.openCert(wire, root);
    }

    function openBundle(bytes calldata wire, bytes32 providerId, Pam1.Point memory root)
        external
        view
        returns (uint64, bytes32, Pam1.Cert memory)
    {
        return Pam1.openBundle(wire, providerId, root);
    }

    function openReceipt(bytes calldata wire, bytes32 providerId, Pam1.Cert memory cert)
        external
        view
        returns (bytes32, bytes32)
    {
        return Pam1.openReceipt(wire, providerId, cert);
    }

    function decompress(bytes calldata point) external view returns (Pam1.Point memory) {
        return Pam1.decompress(point);
    }

    function isCanonical(bytes calldata value) external pure returns (bool) {
        return Pam1.isCanonical(value);
    }
}
