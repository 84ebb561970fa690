//! Nothing that was changed on its way is taken for the truth, and nothing that arrives makes a decoder panic.

use privacyai::{
    announcement::{Signed, bundle::KeyBundle, cert::Cert, heartbeat::Heartbeat, registry::Registry},
    client::Profile,
    effect::Millis,
    envelope::{
        bundle,
        control::{self, Control},
        frame::{ATTEMPTS, FINAL, Frame},
        padding::MAX_PLAINTEXT,
        prompt::{PREKEY_ERASE_S, Prekeys, Request, seal_request},
        response::{Accept, ClientSession},
    },
    error::ErrorKind,
    identity::{OperationalKey, verify},
    message::{Body, Record, RecordReader},
    network::Network,
    receipt::Receipt,
    replay::{Contexts, ReplayCache},
    topic::Topic,
};
use privacyai_tests::{
    exchange::{NOW, NOW_S, Provider, body, request, rng},
    rounds,
};
use proptest::prelude::*;

/// Every byte of `bytes` changed in turn: `refused` must say yes to each.
fn flip_each(what: &str, bytes: &[u8], refused: impl Fn(&[u8]) -> bool) {
    let mut copy = bytes.to_vec();
    for i in 0..copy.len() {
        copy[i] ^= 1 << (i % 8);
        assert!(refused(&copy), "{what}: byte {i} changed and taken");
        copy[i] = bytes[i];
    }
    assert!(!refused(&copy), "{what}: the true one must be taken");
}

#[test]
fn changed_requests_do_not_open() {
    let provider = Provider::derive(1);
    let sealed = request(&provider).unwrap();
    let mut prekeys = Prekeys::default();
    prekeys.insert(Provider::derive(1).prekey, provider.bhash());
    let open = |payload: &[u8]| {
        let parsed = Request::decode(payload).ok()?;
        let (prekey, bhash) = prekeys.find(parsed.kid())?;
        prekey.decapsulate(&parsed, &provider.id, bhash).ok()?.open(&parsed).ok()
    };
    // The head in full, of the ciphertext a sample: each try costs a decapsulation.
    let refused = |i: usize| {
        let mut copy = sealed.payload.clone();
        copy[i] ^= 1 << (i % 8);
        open(&copy).is_none()
    };
    let len = sealed.payload.len();
    assert!((0..80).chain((80..len).step_by(61)).chain([len - 1]).all(refused));
    assert!(open(&sealed.payload).is_some());
    assert!(open(&sealed.payload[..len - 1]).is_none());
    assert!(open(&[&sealed.payload[..], &[0]].concat()).is_none());

    // Bound to the provider, to the bundle and so to the topic.
    let parsed = Request::decode(&sealed.payload).unwrap();
    let other = Provider::derive(50);
    for (id, bhash) in [(other.id, provider.bhash()), (provider.id, other.bhash())] {
        let opened = provider.prekey.decapsulate(&parsed, &id, &bhash).and_then(|mut context| context.open(&parsed));
        assert_eq!(opened.map(drop).unwrap_err().kind(), ErrorKind::Unauthentic);
    }
}

#[test]
fn a_mangled_copy_does_not_block_the_real_request() {
    let provider = Provider::derive(1);
    let sealed = request(&provider).unwrap();
    let mut mangled = sealed.payload.clone();
    *mangled.last_mut().unwrap() ^= 1;
    let (mut contexts, mut replay) = (Contexts::default(), ReplayCache::default());
    let bad = Request::decode(&mangled).unwrap();
    let mut context = provider.prekey.decapsulate(&bad, &provider.id, &provider.bhash()).unwrap();
    assert!(context.open(&bad).is_err());
    contexts.keep(bad.rid(), context, NOW);

    let good = Request::decode(&sealed.payload).unwrap();
    assert_eq!(good.rid(), bad.rid());
    let mut context = contexts.take(&good.rid(), NOW).expect("kept");
    let opened = context.open(&good).unwrap();
    assert_eq!(opened.body, body());
    assert!(replay.insert(good.rid(), &opened.body, NOW).is_ok());
    for _ in 0..1_000 {
        assert!(replay.contains(&good.rid()) && replay.insert(good.rid(), &opened.body, NOW).is_err());
    }
    contexts.keep(good.rid(), context, NOW);
    assert!(contexts.take(&good.rid(), Millis(NOW.0 + 60_000)).is_none(), "contexts are erased after a minute");
}

#[test]
fn prekeys_are_erased_and_sizes_are_held() {
    let provider = Provider::derive(1);
    let mut prekeys = Prekeys::default();
    let kid = provider.prekey.kid();
    prekeys.insert(Provider::derive(1).prekey, provider.bhash());
    prekeys.erase(NOW_S + PREKEY_ERASE_S - 1);
    assert!(prekeys.find(&kid).is_some());
    prekeys.erase(NOW_S + PREKEY_ERASE_S);
    assert!(prekeys.find(&kid).is_none());

    let seal = |len: usize, profile| {
        let big = Body::infer(NOW, String::new(), vec![b' '; len], profile);
        seal_request(&provider.target(), &big, &mut rng(60)).map(|sealed| sealed.payload.len())
    };
    for profile in [Profile::Balanced, Profile::Fast, Profile::High] {
        assert!(seal(MAX_PLAINTEXT - 200, profile).is_ok());
        assert_eq!(seal(MAX_PLAINTEXT, profile).unwrap_err().kind(), ErrorKind::TooLarge);
    }
    let mut narrow = provider.target();
    narrow.max_request = 3_226;
    assert_eq!(seal_request(&narrow, &body(), &mut rng(60)).map(drop).unwrap_err().kind(), ErrorKind::TooLarge);
}

#[test]
fn changed_answers_do_not_open() {
    let provider = Provider::derive(1);
    let sealed = request(&provider).unwrap();
    let parsed = Request::decode(&sealed.payload).unwrap();
    let open = || provider.prekey.decapsulate(&parsed, &provider.id, &provider.bhash()).unwrap().open(&parsed).unwrap();
    let answering = open().keys.respond(&mut rng(61)).unwrap();
    let replica = open().keys.respond(&mut rng(62)).unwrap();
    let accept = Accept::Accepted { estimate_s: 0 };
    let first = answering.seal_accept(0, &accept, &mut rng(63)).unwrap();
    let as_frame = |bytes: &[u8]| Frame::from_bytes(bytes.try_into().unwrap());
    flip_each("accept", first.as_bytes(), |bytes| sealed.keys.open_accept(0, &as_frame(bytes)).is_err());
    let (_, session) = sealed.keys.open_accept(0, &first).unwrap();

    let frame = answering.seal_frame(1, 0, FINAL, b"data", &mut rng(64)).unwrap();
    flip_each("frame", frame.as_bytes(), |bytes| session.open_frame(1, 0, &as_frame(bytes)).is_err());
    assert!(session.open_frame(2, 0, &frame).is_err() && session.open_frame(1, 1, &frame).is_err());
    // A replica's answer to the same request has other keys: the pinned one is never mixed with it.
    let foreign = replica.seal_frame(1, 0, FINAL, b"data", &mut rng(64)).unwrap();
    assert!(session.open_frame(1, 0, &foreign).is_err());
    assert!(answering.seal_frame(0, 0, 0, b"", &mut rng(64)).is_err());

    let payload = session.seal_control(7, &Control::Cancel, &mut rng(65)).unwrap();
    flip_each("control", &payload, |bytes| {
        control::decode_payload(bytes).is_none_or(|frame| answering.open_control(7, &frame).is_err())
    });
    let frame = control::decode_payload(&payload).unwrap();
    assert!(answering.open_control(8, &frame).is_err() && replica.open_control(7, &frame).is_err());

    // The directions do not mix, and no frame ever repeats its bytes.
    let mut seen = std::collections::BTreeSet::new();
    let mut randomness = rng(66);
    for attempt in 0..ATTEMPTS {
        for i in 1..20 {
            let frame = answering.seal_frame(i, attempt, 0, b"", &mut randomness).unwrap();
            assert!(seen.insert(frame.tag()) && answering.control_tag(i) != frame.tag());
        }
    }
}

#[test]
fn changed_receipts_and_announcements_do_not_verify() {
    let provider = Provider::derive(1);
    let key = provider.operational.public();
    let receipt = provider.receipt([1; 32], [2; 32], [3; 32]);
    let wire = receipt.sign(&provider.operational, &mut rng(70));
    assert_eq!(Receipt::open(&wire, &key), Ok(receipt));
    flip_each("receipt", &wire, |bytes| Receipt::open(bytes, &key).is_err());
    flip_each("certificate", &provider.cert, |bytes| Cert::open(bytes).is_err());

    let refused = |bytes: &[u8]| Registry::default().accept(bytes, "node", NOW).is_err();
    let bundle = provider.signed_bundle.encode();
    let sample: Vec<usize> = (0..60).chain((60..bundle.len()).step_by(37)).collect();
    for i in sample {
        let mut copy = bundle.clone();
        copy[i] ^= 1 << (i % 8);
        assert!(refused(&copy), "bundle: byte {i} changed and taken");
    }
    let mut known = Registry::default();
    known.accept(&bundle, "node", NOW).unwrap();
    let heartbeat = provider.heartbeat(NOW).sign(&provider.operational, &mut rng(71));
    let signed = Signed::decode(&heartbeat).unwrap();
    flip_each("heartbeat", &heartbeat, |bytes| Signed::decode(bytes).and_then(|it| it.verify(&key)).is_err());
    assert!(Heartbeat::decode(&signed).is_ok() && KeyBundle::decode(&signed).is_err());
}

#[test]
fn signatures_with_high_s_are_refused() {
    let key = OperationalKey::generate(&mut rng(80));
    let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let order = data_encoding::HEXLOWER.decode(order.as_bytes()).unwrap();
    let mut randomness = rng(81);
    for _ in 0..16 {
        let low = key.sign("pam1 hb", b"body", &mut randomness);
        assert!(verify(&key.public(), "pam1 hb", b"body", &low).is_ok());
        assert!(verify(&key.public(), "pam1 cert", b"body", &low).is_err(), "the label is signed");
        // n - s verifies as well in plain ECDSA.
        let mut high = low;
        let mut borrow = 0i16;
        for i in (0..32).rev() {
            let difference = i16::from(order[i]) - i16::from(low[32 + i]) - borrow;
            borrow = i16::from(difference < 0);
            high[32 + i] = difference.rem_euclid(256) as u8;
        }
        assert!(verify(&key.public(), "pam1 hb", b"body", &high).is_err());
    }
}

fn decode_everything(bytes: &[u8]) {
    let _ = Registry::default().accept(bytes, "node", NOW);
    let _ = Cert::open(bytes);
    if let Ok(signed) = Signed::decode(bytes) {
        let _ = (KeyBundle::decode(&signed), Heartbeat::decode(&signed));
    }
    let _ = Request::decode(bytes).map(|request| request.rid());
    let _ = Body::decode(bytes);
    let _ = bundle::decode(bytes).map(Iterator::count);
    let _ = control::decode_payload(bytes);
    let _ = Control::decode(bytes).map(|control| control.missing().count());
    let _ = ClientSession::restore(bytes).map(drop);
    let mut reader = RecordReader::default();
    reader.push(bytes);
    while let Ok(Some(_)) = reader.next_record() {}
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = (Network::parse(text), Topic::parse(text));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(rounds(256)) })]

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        decode_everything(&bytes);
    }

    #[test]
    fn no_change_of_true_bytes_makes_a_decoder_panic(at in any::<prop::sample::Index>(), with in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let provider = Provider::derive(1);
        for wire in [
            provider.heartbeat(NOW).sign(&provider.operational, &mut rng(82)),
            body().encode(),
            provider.cert.clone(),
        ] {
            let mut copy = wire.clone();
            let i = at.index(copy.len());
            copy[i] = with;
            copy.truncate(cut.index(copy.len() + 1).max(i + 1));
            decode_everything(&copy);
        }
    }

    #[test]
    fn records_read_back_from_any_cuts(texts in proptest::collection::vec(".{0,80}", 0..12), size in 1usize..500) {
        let records: Vec<_> = texts.into_iter().map(Record::Text).collect();
        let stream: Vec<u8> = records.iter().flat_map(|record| record.encode().unwrap()).collect();
        let (mut reader, mut read) = (RecordReader::default(), Vec::new());
        for data in stream.chunks(size) {
            reader.push(data);
            while let Some(record) = reader.next_record().unwrap() {
                read.push(record);
            }
        }
        prop_assert_eq!(read, records);
    }
}
