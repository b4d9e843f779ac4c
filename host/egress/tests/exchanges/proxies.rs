//! Proxy variables mean nothing: whoever sets them would read every secret.

use crate::support::{End, ends, get, listen, transport};
use fusebox_simulator::Simulator;
use std::process::Stdio;
use std::time::Duration;

const VARIABLES: [&str; 6] = [
    "http_proxy",
    "HTTP_PROXY",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
];

#[tokio::test]
#[ignore = "runs in a process of its own, with proxy variables"]
async fn in_a_process_with_proxy_variables() {
    let simulator = Simulator::start(0).await.unwrap();
    let end = ends(&transport(), get(simulator.ports().search, "/v1/query?q=retry&limit=1")).await;
    assert!(matches!(end, End::Answer(200, _)), "{end:?}");
}

#[tokio::test]
async fn proxy_variables_are_ignored() {
    let (proxy, port) = listen().await;
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--ignored", "--exact", "proxies::in_a_process_with_proxy_variables"]);
    for name in VARIABLES {
        child.env(name, format!("http://127.0.0.1:{port}"));
    }
    let output = child.stdin(Stdio::null()).output().await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    assert!(
        tokio::time::timeout(Duration::from_millis(50), proxy.accept())
            .await
            .is_err()
    );
}
