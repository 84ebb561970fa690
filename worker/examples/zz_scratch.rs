use privacyai_worker::inference::catalogue::*;
use privacyai_worker::inference::embedded::*;
use privacyai_worker::inference::*;
use std::time::Instant;
#[tokio::main]
async fn main() {
    limit_threads(1).unwrap();
    let entry = Entry::find("smollm2").unwrap();
    let t = Instant::now();
    let path = pull(entry, &cache_folder().unwrap(), Quant::F16, None, &mut |l| eprintln!("{l}")).unwrap();
    eprintln!("pull {:?}", t.elapsed());
    let t = Instant::now();
    let b = Embedded::load(&Settings{path, context: 2048, system: Some("You are a helpful assistant.".into())}).unwrap();
    eprintln!("load {:?}", t.elapsed());
    for (q, n) in [("What is the capital of France?".to_string(), 30), ("word ".repeat(400), 1), ("Tell me about rain.".to_string(), 100)] {
        let mut r = ChatRequest::parse(serde_json::json!({"messages":[{"role":"user","content":q}],"max_tokens":n,"temperature":0}).to_string().as_bytes()).unwrap();
        r.prepend_system("You are a helpful assistant.");
        let (tx, mut rx) = tokio::sync::mpsc::channel(8);
        let t = Instant::now();
        let c = async { let mut first=None; let mut s=String::new(); while let Some(k)=rx.recv().await { first.get_or_insert(t.elapsed()); match k { Token::Text(x)=>s.push_str(&x), Token::Usage(u)=>eprintln!("{u:?}"), _=>{} } } eprintln!("first {first:?} {s:?}"); };
        let (e,_) = tokio::join!(b.infer(r, tx, Default::default()), c);
        eprintln!("{e:?} total {:?}", t.elapsed());
    }
    let s = std::fs::read_to_string("/proc/self/status").unwrap();
    eprintln!("{}", s.lines().find(|l| l.starts_with("VmRSS")).unwrap());
}
