//! Wycheproof's cases of the primitives that the protocol is built from, at the versions that are locked.

use aes_gcm::{
    Aes128Gcm, Aes256Gcm, KeyInit,
    aead::{AeadCore, AeadInOut, Nonce, Tag, consts::U12},
};
use hkdf::Hkdf;
use p256::{
    PublicKey, SecretKey,
    ecdsa::{Signature, VerifyingKey, signature::Verifier},
};
use sha2::Sha256;
use wycheproof::{TestResult, aead, ecdh, ecdsa, hkdf as hkdf_cases};

/// Fails when a case comes out otherwise than it must; returns how many were run.
fn check<'a>(cases: impl Iterator<Item = (usize, &'a TestResult, bool)>) -> usize {
    cases
        .map(|(id, expected, passed)| match expected {
            TestResult::Valid => assert!(passed, "case {id} is valid"),
            TestResult::Invalid => assert!(!passed, "case {id} is invalid"),
            TestResult::Acceptable => {}
        })
        .count()
}

fn opens<C: KeyInit + AeadInOut + AeadCore<NonceSize = U12>>(test: &aead::Test) -> bool {
    let (Ok(cipher), Ok(nonce), Ok(tag)) =
        (C::new_from_slice(&test.key), Nonce::<C>::try_from(&test.nonce[..]), Tag::<C>::try_from(&test.tag[..]))
    else {
        return false;
    };
    let mut text = test.ct.to_vec();
    let opened = cipher.decrypt_inout_detached(&nonce, &test.aad, text.as_mut_slice().into(), &tag).is_ok();
    opened && text == **test.pt
}

#[test]
fn aes_gcm_cases() {
    let set = aead::TestSet::load(aead::TestName::AesGcm).unwrap();
    let groups = set.test_groups.iter().filter(|group| group.nonce_size == 96 && group.key_size != 192);
    let cases = groups.flat_map(|group| {
        group.tests.iter().map(|test| {
            let opened = if group.key_size == 128 { opens::<Aes128Gcm>(test) } else { opens::<Aes256Gcm>(test) };
            (test.tc_id, &test.result, opened)
        })
    });
    assert!(check(cases) >= 100);
}

#[test]
fn ecdh_cases() {
    let set = ecdh::TestSet::load(ecdh::TestName::EcdhSecp256r1Ecpoint).unwrap();
    let cases = set.test_groups.iter().flat_map(|group| &group.tests).map(|test| {
        let shared = || {
            let public = PublicKey::from_sec1_bytes(&test.public_key).ok()?;
            // A scalar is given with leading zeros or without.
            let digits: Vec<u8> = test.private_key.iter().copied().skip_while(|b| *b == 0).collect();
            let mut scalar = [0; 32];
            scalar.get_mut(32usize.checked_sub(digits.len())?..)?.copy_from_slice(&digits);
            let secret = SecretKey::from_slice(&scalar).ok()?;
            Some(p256::ecdh::diffie_hellman(secret.to_nonzero_scalar(), public.as_affine()))
        };
        let passed = shared().is_some_and(|shared| shared.raw_secret_bytes()[..] == test.shared_secret[..]);
        (test.tc_id, &test.result, passed)
    });
    assert!(check(cases) >= 200);
}

#[test]
fn ecdsa_cases() {
    let set = ecdsa::TestSet::load(ecdsa::TestName::EcdsaSecp256r1Sha256P1363).unwrap();
    let cases = set.test_groups.iter().flat_map(|group| {
        group.tests.iter().map(|test| {
            let verified = VerifyingKey::from_sec1_bytes(&group.key.key)
                .and_then(|key| key.verify(&test.msg, &Signature::from_slice(&test.sig)?));
            (test.tc_id, &test.result, verified.is_ok())
        })
    });
    assert!(check(cases) >= 200);
}

#[test]
fn hkdf_cases() {
    let set = hkdf_cases::TestSet::load(hkdf_cases::TestName::HkdfSha256).unwrap();
    let cases = set.test_groups.iter().flat_map(|group| &group.tests).map(|test| {
        let mut okm = vec![0; test.size];
        let expanded = Hkdf::<Sha256>::new(Some(&test.salt), &test.ikm).expand(&test.info, &mut okm).is_ok();
        (test.tc_id, &test.result, expanded && okm == **test.okm)
    });
    assert!(check(cases) >= 80);
}
