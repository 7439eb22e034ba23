//! Credentials appear in no file, log or error.

use std::fs;

use serde_json::Value;
use windlass_tests::{Answer, StorageProxy, StorageServer};

use super::lake::{Lake, files_below, output_text};

const KEY: &str = "AKIAWINDLASSTESTKEY1";
const SECRET: &str = "Very/Secret+Windlass=Value2";

pub(crate) fn with_credentials(mut environment: Vec<(&'static str, String)>) -> Vec<(&'static str, String)> {
    environment.retain(|(name, _)| !matches!(*name, "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY"));
    environment.push(("AWS_ACCESS_KEY_ID", KEY.to_owned()));
    environment.push(("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()));
    environment
}

pub(crate) fn holds_a_secret(content: &[u8]) -> bool {
    [KEY, SECRET].iter().any(|secret| content.windows(secret.len()).any(|window| window == secret.as_bytes()))
}

/// No object, no file and no output contains the credentials.
pub(crate) async fn check(lake: &Lake, printed: &[String]) {
    for text in printed {
        let line = text.lines().find(|line| holds_a_secret(line.as_bytes()));
        assert!(line.is_none(), "a secret was reported: {}", line.unwrap_or_default());
    }
    for file in files_below(lake.dir.path()) {
        assert!(!holds_a_secret(&fs::read(&file).unwrap()), "{} holds a secret", file.display());
    }
    for path in lake.objects("home").await {
        assert!(!holds_a_secret(&lake.get(&path).await), "{path} holds a secret");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_reveals_no_credentials() {
    let Some(server) = StorageServer::start() else { return };
    let lake = Lake::new(&server).await;
    let environment = with_credentials(server.environment());
    let mut printed = Vec::new();
    for args in [
        vec!["-vvv", "run", "--events"],
        vec!["-vvv", "plan", "--output", "json"],
        vec!["-vvv", "query", "SELECT * FROM totals"],
        vec!["-vvv", "runs", "log", "--level", "debug"],
    ] {
        let output = lake.windlass(&environment).args(&args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", output_text(&output));
        assert!(output.stderr.len() > 1_000, "{args:?} logs nothing, so this test shows nothing");
        printed.push(output_text(&output));
    }
    check(&lake, &printed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_run_says_why_and_nothing_of_its_credentials() {
    let Some(server) = StorageServer::start() else { return };
    let lake = Lake::new(&server).await;
    // The store repeats the key when it refuses a request, as S3 does.
    for (refused, code) in [("/lake/in/customers/", "WL0401"), ("/lake/home/tables/totals/day", "WL0439")] {
        let proxy = StorageProxy::start(server.address(), move |request| {
            request.target.contains(refused).then(|| Answer::forbidden(KEY))
        });
        let environment = with_credentials(proxy.environment());
        let output = lake.windlass(&environment).args(["-vvv", "run", "--output", "json"]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", output_text(&output));
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        let stages = document["run"]["stages"].as_array().into_iter().flatten();
        let failure = stages.map(|stage| &stage["failure"]).find(|failure| failure.is_object());
        let failure = failure.unwrap_or(&document["error"]);
        assert_eq!((&failure["code"], &failure["retryable"]), (&code.into(), &false.into()), "{document}");
        let message = failure["message"].as_str().unwrap();
        assert!(message.contains("InvalidAccessKeyId") && message.contains("***"), "{message}");
        assert!(failure["help"].is_string(), "{document}");
        assert!(proxy.seen().iter().any(|(_, answered)| *answered), "the store refused nothing");
        check(&lake, &[output_text(&output)]).await;
    }
}
