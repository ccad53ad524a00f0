//! Names are resolved as `huggingface_hub` would, against a small Hub on this machine.

#![allow(clippy::unwrap_used)]

mod common;

use saltus_checkpoint::{Checkpoint, Hub, Progress, resolve};
use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    path::Path,
    sync::{Arc, Mutex},
};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A server of files by path; keeps what it was asked. A path `PATH>ELSEWHERE` sends on.
struct Server {
    endpoint: String,
    asked: Arc<Mutex<Vec<String>>>,
}

fn serve(files: BTreeMap<String, Vec<u8>>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = asked.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let path = lines.next().unwrap().unwrap().split(' ').nth(1).unwrap().to_owned();
            let headers: Vec<String> = lines.map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
            let header = |name: &str| {
                let line = headers.iter().find(|line| line.to_lowercase().starts_with(name))?;
                Some(line.split_once(": ")?.1.to_owned())
            };
            let from = header("range")
                .map(|range| range.trim_start_matches("bytes=").trim_end_matches('-').parse::<usize>().unwrap());
            let token = header("authorization").unwrap_or_default();
            log.lock().unwrap().push(format!("{path} {} {token}", from.unwrap_or(0)).trim_end().to_owned());
            let answer = match files.get(&path) {
                Some(body) => {
                    let status = if from.is_some() { "206 Partial Content" } else { "200 OK" };
                    let body = &body[from.unwrap_or(0)..];
                    let head =
                        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                    [head.as_bytes(), body].concat()
                }
                None => match files.keys().find_map(|key| key.strip_prefix(&format!("{path}>"))) {
                    Some(other) => format!(
                        "HTTP/1.1 302 Found\r\nlocation: {other}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                    )
                    .into_bytes(),
                    None => b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_vec(),
                },
            };
            stream.write_all(&answer).unwrap();
        }
    });
    Server { endpoint, asked }
}

/// A model on the Hub: file name and contents.
fn model(files: &[(&str, Vec<u8>)]) -> BTreeMap<String, Vec<u8>> {
    let mut served = BTreeMap::new();
    let mut siblings = Vec::new();
    for (number, (name, bytes)) in files.iter().enumerate() {
        let (short, long) = (format!("{number:040x}"), format!("{number:064x}"));
        let large = name.ends_with(".safetensors").then(|| serde_json::json!({ "sha256": long }));
        siblings.push(serde_json::json!({ "rfilename": name, "size": bytes.len(), "blobId": short, "lfs": large }));
        served.insert(format!("/org/name/resolve/{COMMIT}/{name}"), bytes.clone());
    }
    let listing = serde_json::json!({ "sha": COMMIT, "siblings": siblings }).to_string().into_bytes();
    for revision in ["main", "step3000", "refs%2Fpr%2F1", COMMIT] {
        served.insert(format!("/api/models/org/name/revision/{revision}?blobs=true"), listing.clone());
    }
    served
}

fn files() -> Vec<(&'static str, Vec<u8>)> {
    let index = r#"{"weight_map":{"a":"1.safetensors","b":"2.safetensors"}}"#;
    vec![
        ("README.md", b"not needed".to_vec()),
        ("config.json", b"{}".to_vec()),
        ("tokenizer.json", common::tokenizer_json().into()),
        ("model.safetensors.index.json", index.into()),
        ("1.safetensors", common::safetensors(&[("a", "F32", &[2], 8)])),
        ("2.safetensors", common::safetensors(&[("b", "F32", &[700_000], 2_800_000)])),
        ("pytorch_model.bin", b"not needed".to_vec()),
    ]
}

fn hub<'a>(cache: &Path, endpoint: &str, progress: &'a (dyn Fn(Progress) + Sync)) -> Hub<'a> {
    Hub { cache: cache.into(), endpoint: endpoint.into(), token: Some("hf_x".into()), offline: false, progress }
}

#[test]
fn a_name_is_downloaded_once_and_then_needs_no_network() {
    let cache = tempfile::tempdir().unwrap();
    let server = serve(model(&files()));
    let seen = Mutex::new(BTreeMap::new());
    let progress = |p: Progress| {
        let before = seen.lock().unwrap().insert(p.file.to_owned(), p.done);
        assert!(before.unwrap_or(0) <= p.done && p.done <= p.total);
    };
    let folder = resolve("org/name@step3000", &hub(cache.path(), &server.endpoint, &progress)).unwrap();
    assert_eq!(folder, cache.path().join("models--org--name/snapshots").join(COMMIT));
    let checkpoint = Checkpoint::open(&folder).unwrap();
    assert_eq!(checkpoint.tensors().count(), 2);
    checkpoint.tokenizer().unwrap();
    assert_eq!(seen.lock().unwrap()["2.safetensors"], files()[5].1.len() as u64);
    // What is not needed is not fetched, and the token goes with each question.
    let asked = server.asked.lock().unwrap().clone();
    assert!(
        asked.iter().all(|line| !line.contains("README") && !line.contains("pytorch") && line.ends_with("Bearer hf_x")),
        "{asked:?}"
    );
    // The layout of huggingface_hub: blobs by hash, links to them, the revision's commit.
    let repository = cache.path().join("models--org--name");
    assert_eq!(fs::read_to_string(repository.join("refs/step3000")).unwrap(), COMMIT);
    assert_eq!(fs::read(repository.join("blobs").join(format!("{:064x}", 4))).unwrap(), files()[4].1);
    // Again, by revision and by commit, offline.
    for name in ["org/name@step3000", &format!("org/name@{COMMIT}")] {
        let offline = Hub { offline: true, ..hub(cache.path(), "", &|_| {}) };
        assert_eq!(resolve(name, &offline).unwrap(), folder);
    }
}

#[test]
fn an_interrupted_download_goes_on_where_it_ended() {
    let cache = tempfile::tempdir().unwrap();
    let server = serve(model(&files()));
    let blobs = cache.path().join("models--org--name/blobs");
    fs::create_dir_all(&blobs).unwrap();
    fs::write(blobs.join(format!("{:064x}.incomplete", 5)), &files()[5].1[..1000]).unwrap();
    let folder = resolve("org/name", &hub(cache.path(), &server.endpoint, &|_| {})).unwrap();
    assert_eq!(fs::read(folder.join("2.safetensors")).unwrap(), files()[5].1);
    assert!(server.asked.lock().unwrap().iter().any(|line| line.contains("2.safetensors 1000")));
}

#[test]
fn the_token_stays_with_the_hub() {
    let store = serve([("/blob".to_owned(), b"{\"x\": 1}".to_vec())].into());
    let mut served = model(&files());
    let config = format!("/org/name/resolve/{COMMIT}/config.json");
    served.remove(&config);
    served.insert(format!("{config}>{}/blob", store.endpoint.replace("127.0.0.1", "localhost")), Vec::new());
    // The size that the list gives is that of `{}`: what comes is of another, and is refused.
    let hub_server = serve(served);
    let cache = tempfile::tempdir().unwrap();
    let error = resolve("org/name", &hub(cache.path(), &hub_server.endpoint, &|_| {})).unwrap_err();
    assert!(error.problem.contains("expected 2 bytes, found"), "{error}");
    assert_eq!(*store.asked.lock().unwrap(), ["/blob 0"]);
}

#[test]
fn what_the_hub_does_not_have_is_said() {
    let cache = tempfile::tempdir().unwrap();
    let server = serve(model(&[("config.json", b"{}".to_vec()), ("pytorch_model.bin", vec![1])]));
    let error = |name: &str| resolve(name, &hub(cache.path(), &server.endpoint, &|_| {})).unwrap_err();
    assert!(error("org/name").problem.contains("found config.json, pytorch_model.bin"));
    assert!(error("org/name@absent").problem.contains("found no such one"));
    assert!(error("other/name").problem.contains("found no such one"));
}
