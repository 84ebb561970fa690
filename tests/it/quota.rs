//! The day's free requests as the client machine counts them: before anything leaves, over restarts, given back where
//! nobody accepted.

use crate::health::target;
use crate::network::{FAST_MODEL, add, discovered, ends, machine, offer, question};
use privacyai::{
    client::{Ask, AskId, Choice, Effect, End, Event, Input, Profile},
    effect::{Millis, Table},
    envelope::prompt::seal_request,
    error::Code,
    identity::ProviderId,
    message::Body,
    provider::{Admission, Applicant, Denied, Note, Open, Rule},
    quota::{DAY_MS, Left},
    topic,
};
use privacyai_tests::memory_network::{Faults, Network, Pace};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use std::{collections::BTreeSet, sync::mpsc};

fn market(seed: u64) -> Network {
    let mut network = Network::new(seed, Faults::NONE);
    add(&mut network, "one", FAST_MODEL);
    let client = network.add_client();
    network.client(client, Input::FreeDaily(3));
    discovered(&mut network, client, 1);
    network
}

fn ask(network: &mut Network, id: u64) -> End {
    let ask = question(id, Choice::Automatic, Profile::Fast);
    network.ask(0, ask.clone());
    ends(network, 0, &[ask.id]).remove(0)
}

fn left(network: &Network) -> Left {
    let told = network.clients[0].events.iter().rev().find_map(|event| match event {
        Event::Free(left) => Some(*left),
        _ => None,
    });
    told.expect("it is always told")
}

#[test]
fn three_questions_a_day_and_the_fourth_leaves_nothing_on_the_wire() {
    let mut network = market(41);
    for (n, free) in [(1, 2), (2, 1), (3, 0)] {
        assert_eq!(ask(&mut network, n), End::Complete);
        assert_eq!(left(&network).free(), free);
    }
    network.capture = true;
    assert_eq!(ask(&mut network, 4), End::Limit);
    let asked = |network: &Network| network.captured.iter().any(|message| message.content_topic.ends_with("/requests"));
    assert!(!asked(&network));
    let wait = left(&network).reset.0 - network.now.0;
    assert!(wait <= DAY_MS);
    network.run_for(wait);
    assert_eq!(left(&network).free(), 3, "a new day is told without being asked");
    discovered(&mut network, 0, 1);
    assert_eq!(ask(&mut network, 5), End::Complete);
}

#[test]
fn two_windows_at_once_cannot_spend_the_same_one() {
    let mut network = market(42);
    for id in 0..5 {
        network.ask(0, question(id, Choice::Automatic, Profile::Fast));
    }
    let all: Vec<AskId> = (0..5).map(AskId).collect();
    let ends = ends(&mut network, 0, &all);
    assert_eq!(ends.iter().filter(|end| **end == End::Limit).count(), 2, "{ends:?}");
}

#[test]
fn a_restart_keeps_the_count() {
    let mut network = market(43);
    assert_eq!(ask(&mut network, 1), End::Complete);
    network.restart_client(0);
    network.client(0, Input::FreeDaily(3));
    assert_eq!(left(&network).free(), 2);
    discovered(&mut network, 0, 1);
    assert_eq!(ask(&mut network, 2), End::Complete);
    assert_eq!(ask(&mut network, 3), End::Complete);
    network.restart_client(0);
    network.client(0, Input::FreeDaily(3));
    assert_eq!(ask(&mut network, 4), End::Limit);
}

#[test]
fn the_unit_is_on_disk_before_the_question_leaves() {
    let mut network = market(50);
    let node = &mut network.clients[0];
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let effects = node.client.handle(Input::Ask(question(1, Choice::Automatic, Profile::Fast)), network.now, &mut rng);
    let at = |find: fn(&Effect) -> bool| effects.iter().position(find).expect("it is there");
    let stored =
        at(|effect| matches!(effect, Effect::Persist(batch) if batch.iter().any(|it| it.table == Table::Quota)));
    assert!(stored < at(|effect| matches!(effect, Effect::Publish { .. })));
}

#[test]
fn what_nobody_accepted_is_given_back() {
    let mut network = market(44);
    network.stop_provider(0);
    assert_eq!(ask(&mut network, 1), End::Silent);
    assert_eq!(left(&network).free(), 3);
    let none = Ask { model: Some("none".into()), ..question(2, Choice::Automatic, Profile::Fast) };
    network.ask(0, none.clone());
    assert_eq!(ends(&mut network, 0, &[none.id]), [End::NoProvider]);
    assert_eq!(left(&network).free(), 3);
}

#[test]
fn what_was_accepted_and_failed_stays_open_to_the_same_provider_and_then_shows_as_lost() {
    let mut network = market(45);
    network.providers[0].pace = Pace { first_ms: 400, token_ms: 1 };
    network.providers[0].fails = Some((10, 3));
    let failed = |end: &End| matches!(end, End::Error { code: 10, .. });
    assert!(failed(&ask(&mut network, 1)));
    let open = left(&network);
    assert_eq!((open.free(), open.open, open.lost), (2, 1, 0));
    let two = add(&mut network, "two", FAST_MODEL);
    discovered(&mut network, 0, 2);
    let again = |choice| Ask { unit: Some(AskId(1)), choice, ..question(2, Choice::Automatic, Profile::Fast) };
    // Its unit is open to the provider that accepted it and to no other, which takes another one.
    network.ask(0, again(Choice::Pinned(two)));
    assert_eq!(ends(&mut network, 0, &[AskId(2)]), [End::Complete]);
    assert_eq!((left(&network).free(), left(&network).open), (1, 1));
    network.providers[0].fails = None;
    let third = Ask { id: AskId(3), ..again(Choice::Automatic) };
    network.ask(0, third.clone());
    assert_eq!(ends(&mut network, 0, &[third.id]), [End::Complete]);
    let one = machine("one", Vec::new()).id();
    let answered =
        |event: &Event| matches!(event, Event::Accepted { ask, provider, .. } if *ask == third.id && *provider == one);
    assert!(network.clients[0].events.iter().any(answered));
    assert_eq!((left(&network).free(), left(&network).open), (1, 0));

    network.providers[0].fails = Some((10, 3));
    network.providers[1].fails = Some((10, 3));
    assert!(failed(&ask(&mut network, 5)));
    assert_eq!(left(&network).open, 1);
    network.run_for(4_441_000);
    assert_eq!((left(&network).open, left(&network).lost), (0, 1));
}

#[test]
fn a_retry_never_ends_in_nobody_while_somebody_can_answer() {
    let mut network = market(51);
    network.providers[0].fails = Some((10, 3));
    assert!(matches!(ask(&mut network, 1), End::Error { code: 10, .. }));
    let until = network.clients[0].client.open_until(AskId(1));
    // Who accepted it is gone.
    network.stop_provider(0);
    let two = add(&mut network, "two", FAST_MODEL);
    discovered(&mut network, 0, 2);
    network.run_for(180_000);
    let again = |id, choice| Ask { unit: Some(AskId(1)), choice, ..question(id, Choice::Automatic, Profile::Fast) };
    for ask in [again(2, Choice::Automatic), again(3, Choice::Pinned(two))] {
        network.ask(0, ask.clone());
        assert_eq!(ends(&mut network, 0, &[ask.id]), [End::Complete]);
    }
    assert_eq!((left(&network).free(), left(&network).open), (0, 1));
    // Nothing else is left: it is asked of those that it is open to, in vain, and is open no longer for it.
    network.ask(0, again(4, Choice::Automatic));
    assert_ne!(ends(&mut network, 0, &[AskId(4)]), [End::Limit]);
    assert_eq!(network.clients[0].client.open_until(AskId(4)), until);
    network.ask(0, Ask { unit: Some(AskId(4)), ..again(5, Choice::Pinned(two)) });
    assert_eq!(ends(&mut network, 0, &[AskId(5)]), [End::Limit]);
}

/// A market whose first provider admits by this.
fn admitting(seed: u64, admission: Admission, places: u32) -> (Network, ProviderId) {
    let mut network = Network::new(seed, Faults::NONE);
    network.capture = true;
    let machine = machine("one", vec![offer("m", 1, places)]).with_admission(admission);
    let id = machine.id();
    network.add_provider(machine, FAST_MODEL);
    let client = network.add_client();
    network.client(client, Input::FreeDaily(3));
    discovered(&mut network, client, 1);
    (network, id)
}

#[test]
fn a_provider_over_its_rate_refuses_before_it_accepts_and_the_unit_comes_back() {
    let (mut network, one) = admitting(46, Admission::new(2, Open), 9);
    assert_eq!([ask(&mut network, 1), ask(&mut network, 2)], [End::Complete, End::Complete]);
    let End::Error { code: 5, retry_after } = ask(&mut network, 3) else { panic!("it is over its rate") };
    assert_eq!((left(&network).free(), left(&network).open, network.providers[0].jobs), (1, 0, 2));
    assert!(network.providers[0].notes.contains(&Note::Refused(5)));
    // It is full, not broken: nothing keeps the next question from it, and after the pause it is taken.
    let health = network.clients[0].client.health(&one, "m").expect("it was asked");
    assert_eq!(
        (health.success_permille(), health.passage(network.now)),
        (Some(1_000), privacyai::health::Passage::Closed)
    );
    network.run_for(u64::from(retry_after) * 1_000);
    assert_eq!(ask(&mut network, 4), End::Complete);
    assert_eq!(left(&network).free(), 0);
}

#[test]
fn over_one_providers_rate_the_next_one_answers() {
    let (mut network, one) = admitting(47, Admission::new(1, Open), 9);
    assert_eq!(ask(&mut network, 1), End::Complete);
    add(&mut network, "two", FAST_MODEL);
    discovered(&mut network, 0, 2);
    let sticky = Ask { last: Some(one), ..question(2, Choice::Automatic, Profile::Fast) };
    network.ask(0, sticky.clone());
    assert_eq!(ends(&mut network, 0, &[sticky.id]), [End::Complete]);
    assert_eq!((network.providers[0].jobs, network.providers[1].jobs, left(&network).free()), (1, 1, 1));
}

/// Lets in each proof once, and tells what it was asked.
struct Once {
    used: BTreeSet<Vec<u8>>,
    asked: mpsc::Sender<(Vec<u8>, [u8; 32])>,
}

impl Rule for Once {
    fn judge(&mut self, applicant: &Applicant<'_>, _: Millis) -> Result<(), Denied> {
        let _ = self.asked.send((applicant.proof.to_vec(), *applicant.cb));
        let code = match applicant.proof {
            [] => Code::PaymentRequired,
            proof if self.used.insert(proof.to_vec()) => return Ok(()),
            _ => Code::PaymentInvalid,
        };
        Err(Denied { code, retry_after_s: 0 })
    }
}

#[test]
fn a_rule_sees_the_proof_and_its_binding_last_and_once() {
    let (asked, told) = mpsc::channel();
    let rule = Once { used: BTreeSet::new(), asked };
    let (mut network, one) = admitting(48, Admission::new(0, rule), 0);
    // A client that proves nothing hears so before anything is accepted, and keeps its unit.
    assert_eq!(ask(&mut network, 1), End::Error { code: 6, retry_after: 0 });
    assert_eq!((left(&network).free(), network.providers[0].jobs), (3, 0));
    let bare = told.try_iter().map(|(proof, _)| proof).collect::<Vec<_>>();
    assert_eq!(bare, [Vec::<u8>::new()]);
    let target = target(&network, &one);
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let content = question(2, Choice::Automatic, Profile::Fast).content;
    let mut send = |network: &mut Network, proof: &[u8], copies: usize| {
        let mut body = Body::infer(network.now, "m".into(), content.clone(), Profile::Fast);
        body.proof = proof.to_vec();
        let sealed = seal_request(&target, &body, &mut rng).expect("it fits");
        for _ in 0..copies {
            network.inject(&topic::requests(&one), &sealed.payload);
        }
        network.run_for(50);
        *sealed.keys.channel_binding()
    };
    // One byte string each, as CBOR has it. Copies of a request are no second request.
    let (first, second) = ([0x42, 1, 1], [0x42, 2, 2]);
    let cb = send(&mut network, &first, 5);
    assert_eq!(told.try_iter().collect::<Vec<_>>(), [(first.to_vec(), cb)]);
    assert_eq!(network.providers[0].jobs, 1);
    // It is full: the rule is not asked, so nothing is used up.
    send(&mut network, &second, 1);
    assert_eq!((told.try_iter().count(), network.providers[0].jobs), (0, 1));
    network.run_for(30_000);
    send(&mut network, &first, 1);
    send(&mut network, &second, 1);
    assert_eq!(told.try_iter().count(), 2);
    assert_eq!(network.providers[0].jobs, 2, "one was used");
    let refused: Vec<&Note> =
        network.providers[0].notes.iter().filter(|note| matches!(note, Note::Refused(_))).collect();
    assert_eq!(refused, [&Note::Refused(6), &Note::Refused(5), &Note::Refused(7)]);
}

#[test]
fn a_flood_under_one_prekey_is_held_to_its_rate() {
    let (mut network, one) = admitting(49, Admission::new(60, Open), 1_000);
    let target = target(&network, &one);
    let mut rng = ChaCha8Rng::seed_from_u64(10);
    for _ in 0..400 {
        let body = Body::infer(network.now, "m".into(), b"{}".to_vec(), Profile::Fast);
        let sealed = seal_request(&target, &body, &mut rng).expect("it fits");
        network.inject(&topic::requests(&one), &sealed.payload);
        network.run_for(20);
    }
    network.run_for(100);
    let taken = network.providers[0].jobs;
    assert!((67..=69).contains(&taken), "{taken} in 8 s");
}
