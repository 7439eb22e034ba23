//! Wrong addresses, and broken connections.

use std::net::SocketAddr;

use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use windlass_base::error::Coded;
use windlass_client::{RunOptions, Windlass};
use windlass_evidence::artifact::{LogKind, RunStatus};
use windlass_tests::shared_cluster;

use super::support::{Lab, Limits, TOTALS, impatient, shop};

async fn refused(url: &str) -> windlass_client::ClientError {
    Windlass::connect_with(url, impatient()).await.err().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_addresses_are_distinguished() {
    for url in ["", "127.0.0.1:50051", "https://127.0.0.1:1", "http://", "ftp://host:1"] {
        let error = refused(url).await;
        assert_eq!(error.code().0, "WL0714", "{url}: {error}");
    }
    let error = refused("http://user:hunter2@127.0.0.1:1").await;
    assert!(error.code().0 == "WL0714" && !error.to_string().contains("hunter2"), "{error}");

    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = refused(&format!("http://{nobody}")).await;
    assert_eq!((error.code().0, error.is_retryable()), ("WL0715", true), "{error}");

    // The port of the engine: a gRPC server that knows nothing of our service.
    let address = shared_cluster().await.scheduler_address();
    let error = refused(&format!("http://{address}")).await;
    assert_eq!(error.code().0, "WL0716", "{error}");
}

/// Forwards bytes to `to`, and breaks every connection on request.
async fn proxy(to: SocketAddr) -> (SocketAddr, broadcast::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (cut, _) = broadcast::channel(1);
    let cutter = cut.clone();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut cut = cutter.subscribe();
            tokio::spawn(async move {
                let mut server = TcpStream::connect(to).await.unwrap();
                tokio::select! {
                    _ = copy_bidirectional(&mut client, &mut server) => {}
                    _ = cut.recv() => drop(client.shutdown().await),
                }
            });
        }
    });
    (address, cut)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_watched_over_broken_connections() {
    let lab = Lab::start(Limits::default()).await;
    lab.land_orders();
    let dir = tempfile::tempdir().unwrap();
    let project = shop(dir.path(), &TOTALS);
    let (address, cut) = proxy(lab.server.address()).await;
    let windlass = Windlass::connect_with(&format!("http://{address}"), impatient()).await.unwrap();
    let mut handle = windlass.run(&project, &RunOptions::default()).await.unwrap();
    let mut numbers = Vec::new();
    while let Some(event) = handle.events.recv().await {
        numbers.push(event.seq);
        if matches!(event.kind, LogKind::StageStarted { .. } | LogKind::StageCommitted { .. }) {
            let _ = cut.send(());
        }
    }
    assert_eq!(numbers, (0..numbers.len() as u64).collect::<Vec<_>>(), "lines were lost or came twice");
    assert_eq!(handle.wait().await.unwrap().status, RunStatus::Succeeded);
    lab.server.stop().await;
}
