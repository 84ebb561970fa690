//! A client's memory of providers under attack: rollback, replay, equivocation, wrong clocks, squatted handles, floods.

use privacyai::{
    announcement::{
        bundle::KeyBundle,
        cert::Cert,
        heartbeat::{Heartbeat, Status, VALID_MS},
        registry::{Heard, MAX_PROVIDERS, Registry},
    },
    client::{Client, Effect, Event, Input},
    effect::{Millis, Row},
    error::ErrorKind,
    identity::{ProviderId, RootKey},
    topic,
};
use privacyai_tests::exchange::{NOW, NOW_S, Provider, rng};

const HOUR_S: u64 = 3_600;

fn beat(provider: &Provider, ts: Millis) -> Vec<u8> {
    provider.heartbeat(ts).sign(&provider.operational, &mut rng(90))
}

fn wire(provider: &Provider) -> Vec<u8> {
    provider.signed_bundle.encode()
}

/// A registry that knows this provider, online.
fn knowing(provider: &Provider) -> Registry {
    let mut registry = Registry::default();
    assert_eq!(registry.accept(&wire(provider), "node", NOW), Ok(Heard::Changed(provider.id)));
    assert_eq!(registry.accept(&beat(provider, NOW), "node", NOW), Ok(Heard::Changed(provider.id)));
    registry
}

fn stored(registry: &mut Registry) -> Vec<Row> {
    let rows = registry.take_batch().into_iter();
    rows.filter_map(|write| Some(Row { table: write.table, key: write.key, value: write.value? })).collect()
}

fn kind(result: Result<Heard, privacyai::error::Error>) -> ErrorKind {
    result.expect_err("must be refused").kind()
}

#[test]
fn bundle_and_heartbeat_in_any_order_make_a_provider_usable() {
    let provider = Provider::derive(1);
    let registry = knowing(&provider);
    let seen = registry.seen(&provider.id, NOW).unwrap();
    assert!(seen.usable && seen.status == Status::Busy && seen.handle == "gpt-provider" && seen.models.len() == 2);
    assert_eq!(registry.target(&provider.id, NOW), Some(provider.target()));

    let mut registry = Registry::default();
    assert_eq!(registry.accept(&beat(&provider, NOW), "node", NOW), Ok(Heard::UnknownBundle(provider.id)));
    assert!(registry.seen(&provider.id, NOW).is_none());
    registry.accept(&wire(&provider), "node", NOW).unwrap();
    assert!(registry.seen(&provider.id, NOW).unwrap().usable);
}

#[test]
fn a_restart_within_a_heartbeats_life_knows_at_once_whom_it_can_ask() {
    let provider = Provider::derive(1);
    let mut registry = knowing(&provider);
    let rows = stored(&mut registry);
    let restored = |now: u64| {
        let mut again = Registry::default();
        again.restore(&rows);
        (again.seen(&provider.id, Millis(now)).unwrap(), again)
    };
    let (seen, mut again) = restored(NOW.0 + VALID_MS);
    assert!(seen.usable && seen.models.len() == 2);
    assert_eq!(again.target(&provider.id, NOW), Some(provider.target()));
    assert_eq!(kind(again.accept(&beat(&provider, NOW), "node", NOW)), ErrorKind::Untimely, "no replay");
    assert!(!restored(NOW.0 + VALID_MS + 1).0.usable);
}

#[test]
fn time_alone_ends_use() {
    let provider = Provider::derive(1);
    let mut registry = knowing(&provider);
    let end = registry.next_expiry(NOW).unwrap();
    assert_eq!(end, Millis(NOW.0 + VALID_MS + 1));
    assert_eq!(registry.expired(Millis(end.0 - 1)), []);
    assert_eq!(registry.expired(end), [provider.id]);
    assert_eq!(registry.expired(end), []);
    assert!(registry.target(&provider.id, end).is_none());
    assert_eq!(registry.seen(&provider.id, end).unwrap().status, Status::Unknown);

    let late = Millis((provider.bundle.use_until + 1) * 1_000);
    registry.accept(&beat(&provider, late), "node", late).unwrap();
    assert!(!registry.seen(&provider.id, late).unwrap().usable, "a fresh heartbeat does not renew an old prekey");
}

#[test]
fn older_and_repeated_announcements_change_nothing() {
    let old = Provider::derive(1);
    let later = Millis((NOW_S + HOUR_S) * 1_000);
    let new = Provider::derive_at(1, NOW_S + HOUR_S, old.bhash());
    let mut registry = knowing(&old);
    registry.accept(&wire(&new), "node", later).unwrap();
    registry.accept(&beat(&new, later), "node", later).unwrap();
    assert_eq!(registry.accept(&wire(&new), "node", later), Ok(Heard::Known));
    assert_eq!(kind(registry.accept(&wire(&old), "node", later)), ErrorKind::Untimely);
    assert_eq!(kind(registry.accept(&beat(&new, later), "node", later)), ErrorKind::Untimely);
    assert_eq!(kind(registry.accept(&beat(&old, Millis(later.0 + 1)), "node", later)), ErrorKind::Untimely);
    // A restart forgets nothing of it.
    let mut again = Registry::default();
    again.restore(&stored(&mut registry));
    assert_eq!(kind(again.accept(&wire(&old), "node", NOW)), ErrorKind::Untimely);
    assert_eq!(again.accept(&wire(&new), "node", later), Ok(Heard::Known));
    again.accept(&beat(&new, Millis(later.0 + 1)), "node", later).unwrap();
    assert_eq!(again.target(&new.id, later), registry.target(&new.id, later));
}

#[test]
fn consecutive_bundles_must_name_the_one_before() {
    let first = Provider::derive(1);
    let mut registry = knowing(&first);
    let follow = |prev| {
        let bundle = KeyBundle { seq: first.bundle.seq + 1, prev, ..first.bundle.clone() };
        bundle.sign(&first.operational, &mut rng(91)).encode()
    };
    assert_eq!(kind(registry.accept(&follow([9; 32]), "node", NOW)), ErrorKind::Unauthentic);
    assert_eq!(registry.accept(&follow(first.bhash()), "node", NOW), Ok(Heard::Changed(first.id)));
}

#[test]
fn two_bundles_of_one_sequence_are_proof() {
    let provider = Provider::derive(1);
    let mut registry = knowing(&provider);
    let second = KeyBundle { max_request: 3_300, ..provider.bundle.clone() };
    let second = second.sign(&provider.operational, &mut rng(92)).encode();
    assert_eq!(registry.accept(&second, "node", NOW), Ok(Heard::Changed(provider.id)));
    let check = |registry: &mut Registry| {
        let seen = registry.seen(&provider.id, NOW).unwrap();
        assert!(seen.equivocated && !seen.usable && registry.target(&provider.id, NOW).is_none());
        assert_eq!(registry.equivocation(&provider.id), Some((&wire(&provider)[..], &second[..])));
        let next = Provider::derive_at(1, NOW_S + HOUR_S, provider.bhash());
        let later = Millis((NOW_S + HOUR_S) * 1_000);
        assert_eq!(kind(registry.accept(&wire(&next), "node", later)), ErrorKind::Equivocated);
        assert_eq!(kind(registry.accept(&beat(&provider, Millis(NOW.0 + 1)), "node", NOW)), ErrorKind::Equivocated);
    };
    check(&mut registry);
    let mut again = Registry::default();
    again.restore(&stored(&mut registry));
    check(&mut again);
}

#[test]
fn strangers_cannot_speak_for_a_provider() {
    let (provider, other) = (Provider::derive(1), Provider::derive(50));
    let mut registry = knowing(&provider);
    // Another's certificate, and another's signature.
    let foreign =
        KeyBundle { cert: other.cert.clone(), seq: NOW_S + 1, prev: provider.bhash(), ..provider.bundle.clone() };
    assert_eq!(
        kind(registry.accept(&foreign.sign(&other.operational, &mut rng(93)).encode(), "node", NOW)),
        ErrorKind::Unauthentic
    );
    let forged = KeyBundle { seq: NOW_S + 1, prev: provider.bhash(), ..provider.bundle.clone() };
    assert_eq!(
        kind(registry.accept(&forged.sign(&other.operational, &mut rng(93)).encode(), "node", NOW)),
        ErrorKind::Unauthentic
    );
    let heartbeat = provider.heartbeat(Millis(NOW.0 + 1)).sign(&other.operational, &mut rng(93));
    assert_eq!(kind(registry.accept(&heartbeat, "node", NOW)), ErrorKind::Unauthentic);
    let revocation = provider.revocation().sign(&other.root, &mut rng(93));
    assert_eq!(kind(registry.accept(&revocation, "node", NOW)), ErrorKind::Unauthentic);
    assert!(registry.seen(&provider.id, NOW).unwrap().usable);
    // The root key can revoke.
    let revocation = provider.revocation().sign(&provider.root, &mut rng(93));
    assert_eq!(registry.accept(&revocation, "node", NOW), Ok(Heard::Changed(provider.id)));
    assert!(!registry.seen(&provider.id, NOW).unwrap().usable);
    assert_eq!(registry.accept(&revocation, "node", NOW), Ok(Heard::Known));
    let next = Provider::derive_at(1, NOW_S + HOUR_S, provider.bhash());
    assert_eq!(kind(registry.accept(&wire(&next), "node", Millis((NOW_S + HOUR_S) * 1_000))), ErrorKind::Untimely);
}

#[test]
fn a_wrong_clock_is_told_and_never_corrected() {
    let providers = [Provider::derive(1), Provider::derive(50)];
    for offset_s in [-7_200i64, -600, 600, 7_200] {
        let ours = |ms: u64| Millis(ms.checked_add_signed(offset_s * 1_000).unwrap());
        let mut registry = Registry::default();
        for round in 0..2 {
            let ts = NOW.0 + 1_000 + round * 28_000;
            for provider in &providers {
                let _ = registry.accept(&wire(provider), "node", ours(ts));
                assert!(registry.accept(&beat(provider, Millis(ts)), "node", ours(ts)).is_err(), "offset {offset_s}");
            }
        }
        let told = registry.clock_offset(ours(NOW.0 + 29_000));
        assert_eq!(told, Some(offset_s), "offset {offset_s}");
        assert!(providers.iter().all(|provider| registry.target(&provider.id, ours(NOW.0)).is_none()));
    }
    let mut registry = knowing(&providers[0]);
    let _ = registry.accept(&beat(&providers[1], Millis(NOW.0 + 600_000)), "node", NOW);
    assert_eq!(registry.clock_offset(NOW), None);
}

#[test]
fn a_handle_stays_with_the_key_that_had_it_first() {
    let (first, second) = (Provider::derive(1), Provider::derive(50));
    let mut registry = knowing(&first);
    let later = Millis(NOW.0 + 1_000);
    registry.accept(&wire(&second), "node", later).unwrap();
    registry.accept(&beat(&second, later), "node", later).unwrap();
    let from = |registry: &Registry, provider: &Provider| registry.seen(&provider.id, later).unwrap().key_changed_from;
    assert_eq!((from(&registry, &first), from(&registry, &second)), (None, Some(first.id)));
    let all = registry.all(later);
    assert_eq!(all.iter().find(|seen| seen.id == second.id).unwrap().key_changed_from, Some(first.id));
    let mut again = Registry::default();
    again.restore(&stored(&mut registry));
    assert_eq!((from(&again, &first), from(&again, &second)), (None, Some(first.id)));
    registry.trust(&second.id);
    assert_eq!((from(&registry, &first), from(&registry, &second)), (None, None));
}

#[test]
fn a_flood_of_newcomers_leaves_the_users_own() {
    let own = Provider::derive(1);
    let mut registry = knowing(&own);
    registry.mark_used(&own.id);
    registry.take_batch();
    let most = MAX_PROVIDERS / 2;
    let mut randomness = rng(94);
    for n in 0..=most as u64 {
        // All with one operational key and prekey: only the names differ.
        let root = RootKey::generate(&mut randomness);
        let cert = Cert { root: root.public(), ..Cert::open(&own.cert).unwrap() }.sign(&root, &mut randomness);
        let bundle = KeyBundle { provider: root.provider_id(), cert, ..own.bundle.clone() };
        let signed = bundle.sign(&own.operational, &mut randomness);
        registry.accept(&signed.encode(), "node", Millis(NOW.0 + n)).unwrap();
    }
    assert_eq!(registry.all(NOW).len(), 1 + most, "newcomers share half of the table");
    assert!(registry.seen(&own.id, NOW).unwrap().usable);
    let (kept, gone): (Vec<_>, Vec<_>) = registry.take_batch().into_iter().partition(|write| write.value.is_some());
    assert_eq!((kept.len(), gone.len()), (most, 1), "the one heard longest ago made way");
}

#[test]
fn heartbeats_of_strangers_hold_no_newcomer_up() {
    let provider = Provider::derive(1);
    let mut client = Client::new();
    let mut hear = |payload: Vec<u8>| {
        let (content_topic, source) = (topic::discovery().into(), "node".into());
        client.handle(Input::Message { content_topic, payload, source }, NOW, &mut rng(95))
    };
    // Nobody can tell whether the signature of an unknown one is good.
    let invented = |n: u64| {
        let id = [n.to_be_bytes(); 4].concat().try_into().expect("32 bytes");
        let heartbeat = Heartbeat { provider: ProviderId(id), ..provider.heartbeat(NOW) };
        heartbeat.sign(&provider.operational, &mut rng(96))
    };
    (0..1_100).for_each(|n| drop(hear(invented(n))));
    hear(beat(&provider, NOW));
    (1_100..2_000).for_each(|n| drop(hear(invented(n))));
    let told = hear(wire(&provider));
    let usable = |effect: &Effect| matches!(effect, Effect::Event(Event::Provider(seen)) if seen.usable && seen.status == Status::Busy);
    assert!(told.iter().any(usable), "{told:?}");
}

#[test]
fn a_key_is_confirmed_by_a_second_node_that_is_not_the_providers_own_too() {
    let provider = Provider::derive(1);
    let bundle = KeyBundle { peer_ids: vec!["own-1".into(), "own-2".into()], ..provider.bundle.clone() };
    let wire = bundle.sign(&provider.operational, &mut rng(94)).encode();
    let confirmed = |sources: &[&str]| {
        let mut registry = Registry::default();
        for source in sources {
            registry.accept(&wire, source, NOW).unwrap();
        }
        let rows = stored(&mut registry);
        let mut again = Registry::default();
        again.restore(&rows);
        let seen = |registry: &Registry| registry.seen(&provider.id, NOW).unwrap().confirmed;
        assert_eq!(seen(&registry), seen(&again), "it is kept");
        seen(&registry)
    };
    assert!(!confirmed(&["a"]));
    assert!(!confirmed(&["a", "a"]));
    assert!(!confirmed(&["own-1", "own-2"]), "both may lie for their provider");
    assert!(confirmed(&["own-1", "a"]));
    assert!(confirmed(&["a", "b"]));

    let mut registry = Registry::default();
    registry.accept(&wire, "a", NOW).unwrap();
    assert_eq!(registry.accept(&wire, "b", NOW), Ok(Heard::Changed(provider.id)));
    assert_eq!(registry.accept(&wire, "c", NOW), Ok(Heard::Known));
    let next = KeyBundle { seq: bundle.seq + 2, ..bundle };
    registry.accept(&next.sign(&provider.operational, &mut rng(95)).encode(), "a", NOW).unwrap();
    assert!(!registry.seen(&provider.id, NOW).unwrap().confirmed, "each new key anew");
}
