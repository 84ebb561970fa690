//! Golden bytes of everything on the wire, built anew from fixed randomness and read back.

use crate::{
    Check,
    exchange::{NOW, NOW_S, Provider, body, request, rng},
    hex, same,
};
use data_encoding::HEXLOWER;
use privacyai::{
    announcement::{Signed, bundle::KeyBundle, cert::Cert, cert::Revocation, heartbeat::Heartbeat},
    client::Profile,
    envelope::{
        bundle,
        control::{self, Control},
        frame::{FINAL, Frame, PAD},
        padding,
        prompt::{self, ClientKeys, Request},
        response::{Accept, ClientSession, ProviderSession},
    },
    message::{Record, RecordReader, RecordsDigest, Usage},
    network::Network,
    receipt::Receipt,
    topic,
};
use std::collections::BTreeMap;

/// The checks of this file.
pub const CHECKS: &[Check] = &[
    ("golden bytes build anew", build_anew),
    ("golden announcements read back", announcements),
    ("golden exchange opens", exchange),
    ("golden topics and shards", topics),
    ("golden size classes", classes),
];

/// The committed file.
const FILE: &str = include_str!("../vectors/wire.json");

fn file() -> Result<BTreeMap<String, String>, String> {
    serde_json::from_str(FILE).map_err(|error| error.to_string())
}

fn golden(name: &str) -> Result<Vec<u8>, String> {
    hex(file()?.get(name).ok_or(format!("no vector {name}"))?)
}

/// One exchange, both ends in hand.
struct Exchange {
    provider: Provider,
    payload: Vec<u8>,
    keys: ClientKeys,
    answering: ProviderSession,
}

impl Exchange {
    fn derive() -> Result<Self, String> {
        let provider = Provider::derive(1);
        let sealed = request(&provider)?;
        let parsed = Request::decode(&sealed.payload).map_err(text)?;
        let mut context = provider.prekey.decapsulate(&parsed, &provider.id, &provider.bhash()).map_err(text)?;
        let opened = context.open(&parsed).map_err(text)?;
        same("body", opened.body, body())?;
        let answering = opened.keys.respond(&mut rng(21)).map_err(text)?;
        Ok(Self { provider, payload: sealed.payload, keys: sealed.keys, answering })
    }

    fn accept(&self) -> Result<Frame, String> {
        self.answering.seal_accept(0, &Accept::Accepted { estimate_s: 9 }, &mut rng(22)).map_err(text)
    }

    fn asking(&self) -> Result<ClientSession, String> {
        let (accept, session) = self.keys.open_accept(0, &self.accept()?).map_err(text)?;
        same("accept", accept, Accept::Accepted { estimate_s: 9 })?;
        Ok(session)
    }
}

fn records() -> Vec<Record> {
    let usage = Usage { prompt: 12, completion: 345, finish: "stop".into(), source: 1 };
    vec![
        Record::Text("A key that is there before you ask.".into()),
        Record::Json(br#"{"reasoning":"short"}"#.to_vec()),
        Record::Usage(usage),
    ]
}

/// Every object by its name, in hex or, for topics and names, as text.
///
/// # Errors
/// None, unless the protocol is broken.
pub fn derive() -> Result<BTreeMap<String, String>, String> {
    let exchange = Exchange::derive()?;
    let Exchange { provider, payload, keys, answering } = &exchange;
    let session = exchange.asking()?;
    let mut all = BTreeMap::new();
    let mut text_of = |name: &str, value: String| all.insert(name.to_owned(), value);
    text_of("provider_id", provider.id.to_string());
    text_of("fingerprint", provider.id.fingerprint());
    text_of("topic_requests", topic::requests(&provider.id));
    text_of("topic_responses", topic::responses(&provider.id));
    text_of("topic_discovery", topic::discovery().into());
    text_of("shard", topic::shard_of(&provider.id).to_string());
    text_of("invite", invite_network()?.to_invite().map_err(text)?);

    let mut put = |name: &str, bytes: &[u8]| all.insert(name.to_owned(), HEXLOWER.encode(bytes));
    put("root_secret", &provider.root.to_bytes()[..]);
    put("root_public", &provider.root.public());
    put("operational_secret", &provider.operational.to_bytes()[..]);
    put("operational_public", &provider.operational.public());
    put("prekey_public", provider.prekey.public());
    put("kid", &provider.prekey.kid());
    put("cert", &provider.cert);
    put("bundle", &provider.signed_bundle.encode());
    put("bhash", &provider.bhash());
    put("heartbeat", &provider.heartbeat(NOW).sign(&provider.operational, &mut rng(10)));
    put("revocation", &provider.revocation().sign(&provider.root, &mut rng(11)));

    put("body", &body().encode());
    put("request", payload);
    put("rid", &Request::decode(payload).map_err(text)?.rid());
    put("channel_binding", keys.channel_binding());
    put("accept_tag", &keys.accept_tag(0).0);
    put("accept", exchange.accept()?.as_bytes());
    let mut stream = Vec::new();
    let mut digest = RecordsDigest::default();
    for record in records() {
        let bytes = record.encode().map_err(text)?;
        digest.update(&record, &bytes);
        stream.extend(bytes);
    }
    put("records", &stream);
    put("records_digest", &digest.finish());
    let commitments = answering.commit(&digest.finish());
    put("request_commitment", &commitments.request);
    put("response_commitment", &commitments.response);
    let receipt = provider.receipt(*answering.channel_binding(), commitments.request, commitments.response);
    put("receipt", &receipt.sign(&provider.operational, &mut rng(12)));
    put("tag_1_0", &session.tag(1, 0).0);
    put("tag_1_3", &session.tag(1, 3).0);
    put("tag_256_1", &session.tag(256, 1).0);
    let last = answering.seal_frame(1, 0, FINAL, &stream, &mut rng(23)).map_err(text)?;
    put("frame", last.as_bytes());
    let pad = answering.seal_frame(2, 1, PAD, &[], &mut rng(24)).map_err(text)?;
    put("frame_pad", pad.as_bytes());
    let nack = Control::nack([3, 4, 9, 258]).ok_or("nack")?;
    put("control_nack", &session.seal_control(0, &nack, &mut rng(25)).map_err(text)?);
    put("control_cancel", &session.seal_control(1, &Control::Cancel, &mut rng(26)).map_err(text)?);
    put("control_done", &session.seal_control(2, &Control::Done { ok: true }, &mut rng(27)).map_err(text)?);
    put("frame_bundle", &bundle::encode(vec![exchange.accept()?, last, pad], &mut rng(28)).map_err(text)?);
    put("mirror", &session.mirror());
    let refused =
        answering.seal_accept(1, &Accept::Refused { code: 5, retry_after_s: 30 }, &mut rng(29)).map_err(text)?;
    put("accept_refused", refused.as_bytes());
    Ok(all)
}

fn build_anew() -> Result<(), String> {
    let (derived, committed) = (derive()?, file()?);
    for (name, value) in &derived {
        match committed.get(name) {
            Some(expected) => same(name, value, expected)?,
            None => return Err(format!("no vector {name}; it would be {value}")),
        }
    }
    same("count of vectors", derived.len(), committed.len())
}

fn announcements() -> Result<(), String> {
    let provider = Provider::derive(1);
    let cert = Cert::open(&golden("cert")?).map_err(text)?;
    same("providerId", cert.provider(), provider.id)?;
    cert.verify_time(NOW_S).map_err(text)?;
    let signed = Signed::decode(&golden("bundle")?).map_err(text)?;
    signed.verify(&cert.operational).map_err(text)?;
    same("bundle", KeyBundle::decode(&signed).map_err(text)?, provider.bundle.clone())?;
    let signed = Signed::decode(&golden("heartbeat")?).map_err(text)?;
    signed.verify(&cert.operational).map_err(text)?;
    same("heartbeat", Heartbeat::decode(&signed).map_err(text)?, provider.heartbeat(NOW))?;
    let signed = Signed::decode(&golden("revocation")?).map_err(text)?;
    signed.verify(&cert.root).map_err(text)?;
    same("revocation", Revocation::decode(&signed).map_err(text)?, provider.revocation())?;
    let network = invite_network()?;
    same("invite", Network::parse(&file()?["invite"]).map_err(text)?, network)
}

/// The golden bytes open with keys that are derived anew: a second implementation does the same.
fn exchange() -> Result<(), String> {
    let exchange = Exchange::derive()?;
    let Exchange { provider, keys, answering, .. } = &exchange;
    let wire = golden("request")?;
    let parsed = Request::decode(&wire).map_err(text)?;
    let mut context = provider.prekey.decapsulate(&parsed, &provider.id, &provider.bhash()).map_err(text)?;
    same("body", context.open(&parsed).map_err(text)?.body.encode(), golden("body")?)?;

    let (_, session) = keys.open_accept(0, &frame(&golden("accept")?)?).map_err(text)?;
    let restored = ClientSession::restore(&golden("mirror")?).map_err(text)?;
    for session in [&session, &restored] {
        let opened = session.open_frame(1, 0, &frame(&golden("frame")?)?).map_err(text)?;
        same("flags", opened.flags, FINAL)?;
        let mut reader = RecordReader::default();
        reader.push(&opened.data);
        for record in records() {
            same("record", reader.next_record().map_err(text)?, Some(record))?;
        }
        same("end of records", reader.is_between_records(), true)?;
        let commitments = session.commit(&reader.digest().finish());
        let receipt = Receipt::open(&golden("receipt")?, session.operational()).map_err(text)?;
        same("cb", &receipt.cb, session.channel_binding())?;
        same("request commitment", receipt.request_commitment, commitments.request)?;
        same("response commitment", receipt.response_commitment, commitments.response)?;
        same("pad", session.open_frame(2, 1, &frame(&golden("frame_pad")?)?).map_err(text)?.flags, PAD)?;
    }
    let (refused, _) = keys.open_accept(1, &frame(&golden("accept_refused")?)?).map_err(text)?;
    same("refusal", refused, Accept::Refused { code: 5, retry_after_s: 30 })?;

    let nack = control::decode_payload(&golden("control_nack")?).ok_or("control")?;
    same("control tag", nack.tag(), answering.control_tag(0))?;
    let missing: Vec<_> = answering.open_control(0, &nack).map_err(text)?.missing().collect();
    same("nack", missing, vec![3, 4, 9, 258])?;
    let wire = golden("frame_bundle")?;
    let frames: Vec<_> = bundle::decode(&wire).map_err(text)?.collect();
    same("frames", frames.len(), 4)?;
    for name in ["accept", "frame", "frame_pad"] {
        same(name, frames.contains(&frame(&golden(name)?)?), true)?;
    }
    Ok(())
}

fn topics() -> Result<(), String> {
    let committed = file()?;
    let id = committed["provider_id"].parse().map_err(text)?;
    for (name, topic) in [
        ("topic_discovery", topic::Topic::Discovery),
        ("topic_requests", topic::Topic::Requests(id)),
        ("topic_responses", topic::Topic::Responses(id)),
    ] {
        same(name, topic::Topic::parse(&committed[name]), Some(topic))?;
    }
    same("shard", topic::shard_of(&id).to_string(), committed["shard"].clone())
}

fn classes() -> Result<(), String> {
    for (len, padded) in [(9, 10), (100, 104), (1_000, 1_024), (10_000, 10_240), (100_000, 100_352)] {
        same("Padme", padding::padme(len), padded)?;
    }
    for (len, balanced, high) in [(1, 2_048, 2_048), (2_049, 2_176, 3_072), (50_000, 51_200, 65_536)] {
        same("class", padding::class(len, Profile::Balanced), Ok(balanced))?;
        same("class", padding::class(len, Profile::High), Ok(high))?;
    }
    same("largest", padding::class(padding::MAX_PLAINTEXT, Profile::High), Ok(147_456))?;
    // Protocol section 4: up to 1,979 bytes of body travel in 3,227.
    same("smallest message", golden("request")?.len(), padding::MIN_PLAINTEXT + prompt::OVERHEAD)?;
    same("smallest message", padding::MIN_PLAINTEXT + prompt::OVERHEAD, 3_227)
}

fn invite_network() -> Result<Network, String> {
    let mut network = Network::shipped().map_err(text)?;
    network.entry_nodes =
        vec!["/dns4/node.example.org/tcp/443/wss/p2p/16Uiu2HAm4v86W3bmT1BiH6oSPzcsSr24iDQpSN5Qa992BCjjwgrD".into()];
    Ok(network)
}

fn frame(bytes: &[u8]) -> Result<Frame, String> {
    bytes.try_into().map(Frame::from_bytes).map_err(|_| "frame length".into())
}

fn text(error: privacyai::error::Error) -> String {
    error.to_string()
}
