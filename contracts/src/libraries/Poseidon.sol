// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Poseidon over BN254's scalar field with one input, as circomlib and the crate light-poseidon have it.
/// @notice Width 2, 8 full rounds, 56 partial rounds, x^5. It is what makes an identity commitment from its secret.
/// Equal to tests/vectors/poseidon.json.
library Poseidon {
    /// The field: BN254's scalar field.
    uint256 internal constant P = 0x30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001;

    // The mixing matrix, row by row.
    uint256 private constant M00 = 0x066f6f85d6f68a85ec10345351a23a3aaf07f38af8c952a7bceca70bd2af7ad5;
    uint256 private constant M01 = 0x2b9d4b4110c9ae997782e1509b1d0fdb20a7c02bbd8bea7305462b9f8125b1e8;
    uint256 private constant M10 = 0x0cc57cdbb08507d62bf67a4493cc262fb6c09d557013fff1f573f431221f8ff9;
    uint256 private constant M11 = 0x1274e649a32ed355a31a6ed69724e1adade857e86eb5c3a121bcd147943203c8;

    /// @notice The hash of `input`, which counts modulo P.
    /// @dev In a partial round only the first word meets x^5, so the second word's constant passes on linearly: it is
    /// carried into the next round's constants here, which leaves one a round. Words are kept below 3 P, which fits, and
    /// are reduced at the end only. Loops, since unrolled rounds fill half a contract.
    function hash1(uint256 input) internal pure returns (uint256 digest) {
        bytes memory constants = _constants();
        assembly ("memory-safe") {
            function power5(x) -> y {
                y := mulmod(x, x, P)
                y := mulmod(mulmod(y, y, P), x, P)
            }

            // Four full rounds from the constants at `c`.
            function fulls(a, b, c) -> x, y {
                x := a
                y := b
                for { let end := add(c, 0x100) } lt(c, end) { c := add(c, 0x40) } {
                    a := power5(add(x, mload(c)))
                    b := power5(add(y, mload(add(c, 0x20))))
                    x := add(mulmod(a, M00, P), mulmod(b, M01, P))
                    y := add(mulmod(a, M10, P), mulmod(b, M11, P))
                }
            }

            let c := add(constants, 0x20)
            let a, b := fulls(0, mod(input, P), c)
            c := add(c, 0x100)
            for { let end := add(c, 0x700) } lt(c, end) { c := add(c, 0x20) } {
                let x := add(a, mload(c))
                let y := mulmod(x, x, P)
                x := mulmod(mulmod(y, y, P), x, P)
                a := add(mulmod(x, M00, P), mulmod(b, M01, P))
                b := add(mulmod(x, M10, P), mulmod(b, M11, P))
            }
            a, b := fulls(a, b, c)
            digest := mod(a, P)
        }
    }

    /// Two a round for 4 full rounds, one for 56 partial ones, two for 4 full ones.
    function _constants() private pure returns (bytes memory) {
        return
            hex"09c46e9ec68e9bd4fe1faaba294cba38a71aa177534cdd1b6c7dc0dbd0abd7a7"
            hex"0c0356530896eec42a97ed937f3135cfc5142b3ae405b8343c1d83ffa604cb81"
            hex"1e28a1d935698ad1142e51182bb54cf4a00ea5aabd6268bd317ea977cc154a30"
            hex"27af2d831a9d2748080965db30e298e40e5757c3e008db964cf9e2b12b91251f"
            hex"1e6f11ce60fc8f513a6a3cfe16ae175a41291462f214cd0879aaf43545b74e03"
            hex"2a67384d3bbd5e438541819cb681f0be04462ed14c3613d8f719206268d142d3"
            hex"0b66fdf356093a611609f8e12fbfecf0b985e381f025188936408f5d5c9f45d0"
            hex"012ee3ec1e78d470830c61093c2ade370b26c83cc5cebeeddaa6852dbdb09e21"
            hex"0252ba5f6760bfbdfd88f67f8175e3fd6cd1c431b099b6bb2d108e7b445bb1b9"
            hex"14bbcc09e703e3427bd25e00ecd88081e5ddee6c811e2431d2eb69b9518e08aa"
            hex"00568d63d37150e7187a59c5ee8404e1219f41d602d80dc3358c6783d2dbd035"
            hex"03177dfaca71068d985328710a88ec2f0f429a2fdc4aecade73e876cb19c9774"
            hex"1e6ff67d661b5614d6e260e8c13228769d8a32a610b220922ecd155489b12dff"
            hex"041ac5f5f3e532239b7fa84acf16df11ddf5ee0abce8498e8429ad348f1d1201"
            hex"1f117d95fe27b369fbe0c719e2fb592894c479ac9e60fd6d5d1e537dce736476"
            hex"12600a0f63a96ac55e524ce961f876356fbb994d02f99bbd858b98b2ae9743e0"
            hex"0be4294a45cb7aa1cd6ed12acc4ebcf7787c263d0a33fa0f2888277849a91b9a"
            hex"2ae32ce5aa7389669f1458dbb7c53af58dce7f7438070a8b1110ed964fc3c5c9"
            hex"0d35197372ef571058ebf7d5565cc3de0205146f7cccef724501c71909935877"
            hex"1f02b1f599ab28953b39d9e02d1456decca94c7cf781a6cd8ef28703a33f0170"
            hex"1b951daa5d6245af91e03163a803b7b9693e88c9763174d9dbadc05818872815"
            hex"2d7d43f8e177aef64395c3ced37a360cc0b5eedc618a23107cdb631f68393a20"
            hex"1f48760846615a4738581635c1bff0bc5dc53c91e30ca92967588d5d6d49731c"
            hex"2a4be168478e4087f9b28b2e897f827fb8fc4db70f77e10b87f9ef32170fc4d1"
            hex"071ade176fc3933c899a36c86fdc61367f620a24f132735bbe55e1e1f616af7c"
            hex"008e13e4071af13d9eabc7847e20dad316db354c3fb306f64579d248aa662824"
            hex"2bd672ca8798f207e0f0b4823f63d8c247c2b2ea572652f96afbcec0174fe8f9"
            hex"27459a2627af16ba72b697131cd65bf6b418402e7c7bb26fe102d81a695989ab"
            hex"1e437d1ba889ad395cb017b084c5f25fda97f5c5d25b814145441b1abd5c4689"
            hex"2595bf1f6ebe73c468902e7e0330b4b3f3f8e7a9fbc5883b72a35ead8530c651"
            hex"218bfd98fcc20bca2e22537b219f233e02a058525403f7983262630c0276e16e"
            hex"0d9c93d4ebc41ce211ccfcf990f22f8165e40193dc695e04931975c59a327b86"
            hex"0f1d342ae5b420192891621f5051d08db5fe7a1973182caf64504190c0657a88"
            hex"2dcf2e18a06b567c8b9b75fcf7ce5c72e36cd4ab5c1ecb2f1cba631925a30145"
            hex"17203a27d896029d73587e81606fdd5cb972653d1b7f4e679d0ba705e86d471a"
            hex"16a703dfaeecc3842ad646e5ef9453bd0a589e74ef690131938e3766f6f5a4c7"
            hex"1855aa2c385d0f7788725f5f6e98d425955ddc2c6351fa5ddfd7955f9c37ee03"
            hex"1d9490ca25beaff104ad469e9350cf8691e7ed5c5ad8ee3ce2b775a4c649d0f9"
            hex"1a7fb454b9c2184a70a22e7f12c12290b6146c2448c536bb77acbffe05237e8c"
            hex"18e952a8225003fab88d6aab9b4584750de1f5d630d5644a7e85ef0d19bfeb32"
            hex"195b2a6671916fb63a317c99e22b4c61d8a46535d0fe49c8dc5fa8151b460712"
            hex"0a619786d3ec399bf09e902d260fe361d765c707af35f78b8094e21d488ec44a"
            hex"2561f0a0e1821f9b497b2d22563209b3f46d816a39bef9fe86c44e3805dd8f30"
            hex"2d0e2b97642678b0c36d516d485e9172de1646c13f6746cf432107e3fc32ee18"
            hex"11766f50e25aea9b7c4c46c54eab6d6d758244952ed100bb72e4350bd1c00c54"
            hex"1ef6061d5849fc120d9775a77964a9a0c6547bbadd8b01907b37d668de4533ee"
            hex"094d74bdd54d536d2adffd89e6846b521bfd2537f33696974a81d357e4bb19a3"
            hex"0e2d1b52fb188277eb50f6ac39efc24fe73bdb999584b1a2f15ee0db4b71f64e"
            hex"203b08276360a58628245a8f143bf1a75cb06428a7faeddcd4dfa9d0c07e471d"
            hex"024084f26723958e937b2ea00a36232bb3666ffac9524d6be666ededc981ef8a"
            hex"28bdf5765cfb584c40f18057fe2df49cb1bc2e0306b1def856563c0d95eaa623"
            hex"0a5a3aa4a1f89864b8e13e72d79fc38e5d8c64e5ca1adbe37e40a99739878bc6"
            hex"2b25029d20fbba65124f823f696791946a90d9d03032cf145659b2f4229c314e"
            hex"0a0dd7e54520467da6e7cd70a74e27542a31201771d29fac2e7219b4d3e51ec1"
            hex"21eb3fc32665890cb2df625170430c476a39474baa6300ea29669b17276ccb19"
            hex"1b87bcaf42eebe96d12eeae390f9f2a3439f30fa4528a4485f236c2ec5a1eebf"
            hex"0bdcae0c3f031df166f417efca03967f7de3b345a896f69891966e5cbdb847ae"
            hex"1e3a85ecb2d08135e327469289ad03cbf81a97ce7668a5edd30e82606db88a69"
            hex"2c8b4f2195d7c98d063ae6a6cdfe7eb9eee1a9a5180c319ef69d6c65573a599d"
            hex"2b4bf35cf75b60446ca5b807671f41543874bf33879b26a832272f0bf370b0f8"
            hex"08992d845bb2da7c7aec23c6366a81fb7be17404631157c326a771e2a208fff1"
            hex"1012e8700b588925fa5b51a3fed46fc6aa33b792fd02e00aff6bdc76285a3927"
            hex"0c08dcd3841ae2de0739809e3b9d56ef0f70761b8cb0c22953af1eebbfd091a7"
            hex"0ba933c72f3d52d8a795d50d34679f3a012c2b411bffe837e02e65760ad199c9"
            hex"2dd1f003be2c9ad62d501ae82eaf1b97b33118064a903b11c059a3de6cc11048"
            hex"2cd8af09cb4e853c530ed3fa0515e7c7efb690b8450e7737caf5f452e7313e78"
            hex"1408c316e6014e1a91d4cf6b6e0de73eda624f8380df1c875f5c29f7bfe2f646"
            hex"1667f3fe2edbe850248abe42b543093b6c89f1f773ef285341691f39822ef5bd"
            hex"13bf7c5d0d2c4376a48b0a03557cdf915b81718409e5c133424c69576500fe37"
            hex"07620a6dfb0b6cec3016adf3d3533c24024b95347856b79719bc0ba743a62c2c"
            hex"1574c7ef0c43545f36a8ca08bdbdd8b075d2959e2f322b731675de3e1982b4d0"
            hex"269e4b5b7a2eb21afd567970a717ceec5bd4184571c254fdc06e03a7ff8378f0";
    }
}
