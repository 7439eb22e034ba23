//! Events of OpenLineage: what a server and a file get of good and of failing runs, and that a run needs neither.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use assert_cmd::Command;
use parking_lot::Mutex;
use serde_json::Value;

use super::shop::Shop;

const KEY: &str = "a-key-that-nobody-may-see";

/// A request: its head in lower case, and its body.
type Request = (String, Value);

/// A server that keeps what it is sent, but refuses the first requests.
struct Server {
    address: SocketAddr,
    taken: Arc<Mutex<Vec<Request>>>,
    refused: Arc<Mutex<Vec<Request>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn refusing(first: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (taken, refused) = (Arc::<Mutex<Vec<Request>>>::default(), Arc::<Mutex<Vec<Request>>>::default());
        let is_over = Arc::new(AtomicBool::new(false));
        let (took, said_no, ends) = (Arc::clone(&taken), Arc::clone(&refused), Arc::clone(&is_over));
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                let Some((mut stream, request)) = stream.ok().and_then(read_request) else { continue };
                let is_refused = said_no.lock().len() < first;
                let status = if is_refused { "503 Service Unavailable" } else { "201 Created" };
                (if is_refused { &said_no } else { &took }).lock().push(request);
                let _ = write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            }
        });
        Self { address, taken, refused, is_over, thread: Some(thread) }
    }

    /// The events so far.
    fn events(&self) -> Vec<Value> {
        self.taken.lock().iter().map(|(_, event)| event.clone()).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn read_request(stream: TcpStream) -> Option<(TcpStream, Request)> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let head = head.to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok())?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((stream, (head, serde_json::from_slice(&body).ok()?)))
}

/// `windlass run` with events sent to `url`.
fn run(shop: &Shop, url: &str) -> Command {
    let mut command = shop.windlass(&["run", "--output", "json"]);
    command.env("WINDLASS_OPENLINEAGE_URL", url).env("WINDLASS_OPENLINEAGE_API_KEY", KEY).env("NO_PROXY", "127.0.0.1");
    command.env_remove("WINDLASS_OPENLINEAGE_NAMESPACE");
    command
}

/// The record of a run that ends with `code`.
fn record(command: &mut Command, code: i32) -> Value {
    let output = command.assert().code(code).get_output().clone();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    document["run"].clone()
}

/// The types of a job's events, in order.
fn types<'e>(events: &'e [Value], job: &str) -> Vec<&'e str> {
    let of_job = events.iter().filter(|event| event["job"]["name"] == job);
    of_job.map(|event| event["eventType"].as_str().unwrap()).collect()
}

fn last<'e>(events: &'e [Value], job: &str) -> &'e Value {
    events.iter().rfind(|event| event["job"]["name"] == job).unwrap()
}

/// Whether a file below a folder contains a text.
fn contains(folder: &Path, part: &str) -> bool {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).any(|path| match path.is_dir() {
        true => contains(&path, part),
        false => String::from_utf8_lossy(&fs::read(&path).unwrap()).contains(part),
    })
}

#[test]
fn a_server_gets_the_events_of_a_run_although_it_refuses_the_first() {
    let (shop, server) = (Shop::new(), Server::refusing(2));
    let record = record(&mut run(&shop, &format!("http://{}", server.address)), 0);
    assert!(record["warnings"].is_null(), "{record}");
    let events = server.events();
    let refused = server.refused.lock().clone();
    assert_eq!(refused.len(), 2);
    assert!(
        refused.iter().all(|(_, event)| *event == events[0]),
        "what was refused is sent again, before anything else"
    );
    for (head, _) in server.taken.lock().iter() {
        assert!(head.starts_with("post /api/v1/lineage http/1.1"), "{head}");
        assert!(head.contains(&format!("authorization: bearer {KEY}")), "{head}");
        assert!(head.contains("content-type: application/json"), "{head}");
    }

    assert_eq!((&events[0]["eventType"], &events[0]["job"]["name"]), (&"START".into(), &"shop".into()));
    for job in ["shop", "shop.orders_clean", "shop.totals_of_each_customer"] {
        assert_eq!(types(&events, job), ["START", "COMPLETE"], "{job}");
    }
    assert_eq!(events.last().unwrap()["job"]["name"], "shop");
    let run_id = events[0]["run"]["runId"].as_str().unwrap();
    assert_eq!(run_id.replace('-', ""), record["run_id"].as_str().unwrap());
    let (clean, totals) = (last(&events, "shop.orders_clean"), last(&events, "shop.totals_of_each_customer"));
    assert_eq!(totals["run"]["facets"]["parent"]["run"]["runId"], run_id);
    assert!(totals["job"]["facets"]["sql"]["query"].as_str().unwrap().contains("GROUP BY customer"));
    assert_eq!(clean["job"]["facets"]["tags"]["tags"][0]["value"], "clean");
    // What one stage writes, the next one reads.
    let (output, input) = (&clean["outputs"][0], &totals["inputs"][0]);
    assert_eq!((&output["namespace"], &output["name"]), (&input["namespace"], &input["name"]));
    assert_eq!(output["facets"]["version"], input["facets"]["version"]);
    assert_eq!(output["outputFacets"]["outputStatistics"]["rowCount"], 2);
    let assertion = &output["facets"]["dataQualityAssertions"]["assertions"][0];
    assert_eq!((&assertion["success"], &assertion["actual"]), (&false.into(), &"1".into()));
    let lineage = &totals["outputs"][0]["facets"]["columnLineage"]["fields"]["amount"]["inputFields"][0];
    assert_eq!((&lineage["name"], &lineage["field"]), (&input["name"], &"amount".into()));
    assert_eq!(lineage["transformations"][0]["subtype"], "AGGREGATION");
    assert!(!contains(&shop.dir().join(".windlass/runs"), KEY), "the key is in the bundle");
}

#[test]
fn a_failing_run_says_which_stage_failed_and_why() {
    let (shop, server) = (Shop::new(), Server::refusing(0));
    shop.write("stages/failing.sql", "SELECT 1 / (order_id - order_id) AS x FROM orders");
    record(&mut run(&shop, &format!("http://{}/events", server.address)), 1);
    assert!(server.taken.lock().iter().all(|(head, _)| head.starts_with("post /events http/1.1")));
    let events = server.events();
    assert_eq!(types(&events, "shop.failing"), ["START", "FAIL"]);
    assert_eq!(types(&events, "shop"), ["START", "FAIL"]);
    assert_eq!(types(&events, "shop.orders_clean"), ["START", "COMPLETE"]);
    let (stage, whole) = (last(&events, "shop.failing"), last(&events, "shop"));
    let why = stage["run"]["facets"]["errorMessage"]["message"].as_str().unwrap();
    assert!(why.starts_with("[WL"), "{why}");
    assert!(whole["run"]["facets"]["errorMessage"]["message"].as_str().unwrap().contains("`failing`"), "{whole}");
    assert!(stage["outputs"][0]["facets"].get("version").is_none(), "{stage}");
}

#[test]
fn a_file_gets_an_event_a_line() {
    let shop = Shop::new();
    let file = shop.dir().join("events.jsonl");
    let mut command = run(&shop, &format!("file://{}", file.display()));
    let record = record(command.env("WINDLASS_OPENLINEAGE_NAMESPACE", "prod"), 0);
    assert!(record["warnings"].is_null(), "{record}");
    let lines = fs::read_to_string(&file).unwrap();
    let events: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(types(&events, "shop"), ["START", "COMPLETE"]);
    assert!(events.iter().all(|event| event["job"]["namespace"] == "prod"), "{lines}");
    // A run that has nothing to compute says only that it took place.
    record_again(&shop, &file, events.len());
}

fn record_again(shop: &Shop, file: &Path, before: usize) {
    record(&mut run(shop, &format!("file://{}", file.display())), 0);
    let lines = fs::read_to_string(file).unwrap();
    assert_eq!(lines.lines().count(), before + 2, "{lines}");
}

#[test]
fn fixtures_send_nothing() {
    let shop = Shop::new();
    shop.write(
        "tests/clean.yaml",
        "given:\n  orders: [{ order_id: 1, customer: ada, amount: 20.0, currency: EUR }]\nexpect:\n  orders_clean: [{ order_id: 1 }]\n",
    );
    let file = shop.dir().join("events.jsonl");
    let mut command = shop.windlass(&["test"]);
    command.env("WINDLASS_OPENLINEAGE_URL", format!("file://{}", file.display())).assert().success();
    assert!(!file.exists());
}

#[test]
fn a_run_succeeds_where_nobody_listens() {
    let shop = Shop::new();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ended = record(&mut run(&shop, &format!("http://ada:{KEY}@{closed}/")), 0);
    assert_eq!(ended["status"], "succeeded");
    let warning = ended["warnings"][0].as_str().unwrap();
    assert!(warning.contains(&format!("lineage events were not sent to http://{closed}: ")), "{warning}");
    assert!(!contains(&shop.dir().join(".windlass/runs"), KEY), "the key is in the bundle");

    for url in ["kafka://broker/topic", "not a url"] {
        let ended = record(&mut run(&shop, url), 0);
        let warning = ended["warnings"][0].as_str().unwrap();
        assert!(warning.contains("WINDLASS_OPENLINEAGE_URL"), "{url}: {warning}");
    }
}
