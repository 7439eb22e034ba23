//! `windlass ui`: every page of a home with a good and a failed run, as a browser without scripts gets it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use regex::Regex;

use super::reading::state;
use super::shop::{ENDLESS, Shop, text};

/// Markup where the project and its data can have it. None of it may reach a browser as markup.
const BROKEN: &str = "\
/* windlass
description: Fails with <script>alert('description')</script>.
*/
SELECT CAST(customer AS BIGINT) AS number FROM orders
";
const ORDERS: &str =
    "order_id,customer,amount,currency\n1,<script>alert('customer')</script>,20,EUR\n2,bo,40.5,USD\n3,cy,15,<b>X</b>\n";

/// How long anything may take that the test waits for.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The command, serving pages on a free port until it is dropped.
struct Pages {
    child: Child,
    address: SocketAddr,
}

/// An answer to a request.
struct Answer {
    status: u16,
    /// The headers by name, in lower case.
    headers: BTreeMap<String, String>,
    body: String,
}

impl Pages {
    fn of(shop: &Shop) -> Self {
        let mut command = Command::new(super::binary());
        command.arg("--project").arg(shop.dir()).args(["ui", "--port", "0"]).env_remove("WINDLASS_HOME");
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = Regex::new(r"http://([^/]+)/").unwrap().captures(&line).map(|found| found[1].parse().unwrap());
        Self { child, address: address.unwrap_or_else(|| panic!("no address: {line}")) }
    }

    fn ask(&self, method: &str, path: &str, host: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        write!(stream, "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        Answer { status, headers, body: body.to_owned() }
    }

    fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &self.address.to_string())
    }

    /// A page, which must be there and be one.
    fn page(&self, path: &str) -> String {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.check(path);
        answer.body
    }

    /// Everything that can be reached from the first page by links: paths and bodies. All of it must be there.
    fn everything(&self) -> BTreeMap<String, String> {
        let link = Regex::new(r##"(?:href|src)="([^"#][^"]*)""##).unwrap();
        let mut found = BTreeMap::new();
        let mut waiting = vec!["/".to_owned()];
        while let Some(path) = waiting.pop() {
            if found.contains_key(&path) {
                continue;
            }
            let body = self.page(&path);
            for link in link.captures_iter(&body) {
                let link = link[1].replace("&#38;", "&");
                assert!(link.starts_with('/') && !link.starts_with("//"), "{path} leads elsewhere: {link}");
                waiting.push(link);
            }
            found.insert(path, body);
        }
        found
    }
}

impl Answer {
    /// What every answer has, whatever it is about.
    fn check(&self, path: &str) {
        let header = |name: &str| self.headers.get(name).map(String::as_str).unwrap_or_default();
        let kind = match path {
            "/assets/style.css" => "text/css; charset=utf-8",
            "/assets/live.js" => "text/javascript; charset=utf-8",
            "/assets/icon.svg" => "image/svg+xml",
            _ => "text/html; charset=utf-8",
        };
        assert_eq!(header("content-type"), kind, "{path}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        let policy = header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        if kind.starts_with("text/html") {
            let raw = ["<script>alert", "<b>X", "style=\"", "onclick"].iter().find(|raw| self.body.contains(**raw));
            assert_eq!(raw, None, "{path}");
            for part in ["<html lang=\"en\">", "<main id=\"main\"", "<h1>", "</html>"] {
                assert!(self.body.contains(part), "{path} has no {part}: {}", self.body);
            }
        }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A text as a page has it.
fn escaped(text: &str) -> String {
    let mut escaped = text.replace('&', "&#38;");
    for (raw, code) in [('<', "&#60;"), ('>', "&#62;"), ('"', "&#34;"), ('\'', "&#39;")] {
        escaped = escaped.replace(raw, code);
    }
    escaped
}

/// A project with a good run and then a failed one; the ids of both.
fn two_runs(shop: &Shop) -> [String; 2] {
    shop.write("orders.csv", ORDERS);
    shop.windlass(&["run"]).assert().success();
    shop.write("stages/broken.sql", BROKEN);
    shop.windlass(&["run"]).assert().code(1);
    let runs = shop.document(&["runs", "list"]);
    [1, 0].map(|index: usize| runs[index]["run_id"].as_str().unwrap().to_owned())
}

#[test]
fn every_page_is_there_and_changes_nothing() {
    let shop = Shop::new();
    let [good, bad] = two_runs(&shop);
    let before = state(shop.dir());
    let pages = Pages::of(&shop);
    let everything = pages.everything();
    let expected = [
        "/".to_owned(),
        "/tables".to_owned(),
        "/tables/orders_clean".to_owned(),
        "/lineage".to_owned(),
        format!("/runs/{good}"),
        format!("/runs/{good}/stages/totals_of_each_customer"),
        format!("/runs/{bad}/stages/broken"),
        "/assets/style.css".to_owned(),
    ];
    let missing: BTreeSet<_> = expected.iter().filter(|path| !everything.contains_key(*path)).collect();
    assert!(missing.is_empty(), "nothing leads to {missing:?}: {:?}", everything.keys());
    assert_eq!(state(shop.dir()), before, "pages have written something");
}

#[test]
fn a_failure_is_shown_with_its_help_and_the_query() {
    let shop = Shop::new();
    let [good, bad] = two_runs(&shop);
    let shown = shop.document(&["runs", "show", &bad]);
    let stages = shown["stages"].as_array().unwrap();
    let failure = stages.iter().find(|stage| stage["stage"] == "broken").unwrap()["failure"].clone();
    let part = |key: &str| escaped(failure[key].as_str().unwrap());

    let pages = Pages::of(&shop);
    for path in [format!("/runs/{bad}"), format!("/runs/{bad}/stages/broken")] {
        let page = pages.page(&path);
        for part in [part("code"), part("message"), part("help")] {
            assert!(page.contains(&part), "{path}: no {part}: {page}");
        }
    }
    let stage = pages.page(&format!("/runs/{bad}/stages/broken"));
    assert!(stage.contains(&escaped("SELECT CAST(customer AS BIGINT) AS number FROM orders")), "{stage}");
    assert!(stage.contains(&escaped("Fails with <script>alert('description')</script>.")), "{stage}");
    assert!(!stage.contains("its files have changed since the run"), "{stage}");

    // The stage of the good run: why it ran, what it expected, and its operators. The project has other files by now.
    let clean = pages.page(&format!("/runs/{good}/stages/orders_clean"));
    for part in [
        "its table has no rows of a run yet",
        "accepted_values",
        "quarantine",
        "hottest no. 1",
        "logical",
        "its files have changed",
    ] {
        assert!(clean.contains(part), "no {part}: {clean}");
    }
    assert!(clean.contains(&escaped("<b>X</b>")), "no sample: {clean}");
    let run = pages.page(&format!("/runs/{good}"));
    for part in ["succeeded", "Critical path", "class=\"gantt\"", "class=\"graph\"", "orders.csv", "run_finished"] {
        assert!(run.contains(part), "no {part}: {run}");
    }
    assert!(!run.contains("live.js"), "a run that has ended is asked for again");
    let failed = pages.page("/?status=failed");
    assert!(failed.contains(&format!("/runs/{bad}\"")) && !failed.contains(&format!("/runs/{good}\"")), "{failed}");
}

#[test]
fn what_is_not_there_has_a_page_that_says_so() {
    let shop = Shop::new();
    let [good, _] = two_runs(&shop);
    let pages = Pages::of(&shop);
    let unknown = [
        "/nothing".to_owned(),
        "/runs".to_owned(),
        "/runs/latest".to_owned(),
        format!("/runs/{}", "0".repeat(32)),
        format!("/runs/{}", "0".repeat(32)) + "/stages/orders_clean",
        format!("/runs/{good}/stages/nothing"),
        format!("/runs/{good}/stages/orders_clean/more"),
        "/tables/nothing".to_owned(),
        "/runs/..%2f..%2fwindlass.yaml".to_owned(),
        "/runs/../../windlass.yaml".to_owned(),
        "/%ff".to_owned(),
        "/%3Cscript%3Ealert(1)%3C/script%3E".to_owned(),
        "/?before=latest".to_owned(),
    ];
    for path in unknown {
        let answer = pages.get(&path);
        assert_eq!(answer.status, 404, "{path}: {}", answer.body);
        answer.check(&path);
        assert!(answer.body.contains("WL0751") || answer.body.contains("WL0623"), "{path}: {}", answer.body);
    }
    let own = pages.address.to_string();
    for (method, host, status, code) in
        [("POST", own.as_str(), 405, "WL0752"), ("GET", "windlass.example.org", 421, "WL0753")]
    {
        let answer = pages.ask(method, "/", host);
        assert_eq!(answer.status, status, "{}", answer.body);
        assert!(answer.body.contains(code), "{}", answer.body);
    }
}

#[test]
fn a_run_under_way_is_followed_until_it_is_interrupted() {
    let shop = Shop::new();
    shop.write("stages/slow.sql", ENDLESS);
    let mut run = Command::new(super::binary());
    run.arg("--project").arg(shop.dir()).args(["run", "--events"]).env_remove("WINDLASS_HOME");
    let mut run = run.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(run.stdout.take().unwrap()).lines();
    let started = lines.map(Result::unwrap).any(|line| line.contains("stage_started") && line.contains("slow"));
    assert!(started, "the run ended too early");
    let id = shop.document(&["runs", "list"])[0]["run_id"].as_str().unwrap().to_owned();
    let pages = Pages::of(&shop);
    for path in ["/".to_owned(), format!("/runs/{id}"), format!("/runs/{id}/stages/slow")] {
        let page = pages.page(&path);
        assert!(page.contains("live.js") && page.contains("http-equiv=\"refresh\""), "{path}: {page}");
        assert!(page.contains("running"), "{path}: {page}");
    }
    run.kill().unwrap();
    run.wait().unwrap();
    let page = pages.page(&format!("/runs/{id}"));
    assert!(page.contains("interrupted") && !page.contains("live.js"), "{page}");
}

#[test]
fn a_home_without_runs_has_pages_too() {
    let shop = Shop::new();
    let before = state(shop.dir());
    let pages = Pages::of(&shop);
    assert!(pages.page("/").contains("no runs yet"));
    assert!(pages.page("/tables").contains("No run has written a table yet"));
    assert!(pages.page("/lineage").contains("No run has left a lineage yet"));
    assert_eq!(state(shop.dir()), before, "pages have made a home");
}

#[test]
fn a_signal_ends_it_and_strangers_are_not_let_in() {
    let shop = Shop::new();
    let mut pages = Pages::of(&shop);
    pages.page("/");
    let sent = Command::new("kill").args(["-INT", &pages.child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let began = Instant::now();
    let status = loop {
        if let Some(status) = pages.child.try_wait().unwrap() {
            break status;
        }
        assert!(began.elapsed() < TIMEOUT, "it does not end");
        std::thread::sleep(Duration::from_millis(10));
    };
    assert!(status.success(), "{status}");

    let refused = shop.windlass(&["ui", "--bind", "0.0.0.0", "--port", "0"]).assert().code(2).get_output().clone();
    let said = text(&refused.stderr);
    assert!(said.contains("WL0706") && said.contains("other machines") && said.contains("--insecure"), "{said}");
    let document = shop.windlass(&["ui", "--output", "json"]).assert().code(2).get_output().clone();
    assert!(text(&document.stdout).contains("WL0706"), "{document:?}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let refused = shop.windlass(&["ui", "--port", &port]).assert().code(1).get_output().clone();
    assert!(text(&refused.stderr).contains("WL0754"), "{refused:?}");
}
