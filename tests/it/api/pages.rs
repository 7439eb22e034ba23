//! `windlass ui` shows the runs of a cluster.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use windlass_client::RunOptions;
use windlass_tests::processes::http_get;

use super::support::{Lab, Limits, TOTALS, shop};
use crate::command::binary;

/// The command, until it is dropped.
struct Pages(Child);

impl Pages {
    /// Serves the runs of a project on a cluster; returns where.
    fn serve(url: &str, project: &Path) -> (Self, SocketAddr) {
        let mut command = Command::new(binary());
        command.args(["--cluster", url, "--project"]).arg(project).args(["ui", "--port", "0"]);
        let mut child = command.env_remove("WINDLASS_HOME").stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let pages = Self(child);
        let (_, rest) = line.split_once("http://").unwrap();
        let (address, _) = rest.split_once('/').unwrap();
        (pages, address.parse().unwrap())
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_runs_of_a_cluster_are_shown() {
    let lab = Lab::start(Limits::default()).await;
    lab.land_orders();
    let dir = tempfile::tempdir().unwrap();
    let project = shop(dir.path(), &TOTALS);
    let windlass = lab.connect().await;
    let record = windlass.run(&project, &RunOptions::default()).await.unwrap().wait().await.unwrap();
    let (url, run_id) = (lab.url.clone(), record.run_id.clone());
    let asked = tokio::task::spawn_blocking(move || {
        let (_pages, address) = Pages::serve(&url, dir.path());
        let get = |path: &str| http_get(address, path).unwrap();
        for (path, part) in [
            ("/".to_owned(), format!("/runs/{run_id}\"")),
            (format!("/runs/{run_id}"), format!("/runs/{run_id}/stages/totals\"")),
            (format!("/runs/{run_id}/stages/paid"), "WHERE amount &#62;= $least".to_owned()),
            (format!("/runs/{run_id}/stages/totals"), "Engine stage 1".to_owned()),
            ("/tables".to_owned(), "/tables/totals\"".to_owned()),
            ("/lineage".to_owned(), "orders".to_owned()),
        ] {
            let (status, page) = get(&path);
            assert!(status == 200 && page.contains(&part), "{path}: {status}, no {part}: {page}");
        }
        assert_eq!(get(&format!("/runs/{}", "0".repeat(32))).0, 404);
    });
    asked.await.unwrap();
    lab.server.stop().await;
}
