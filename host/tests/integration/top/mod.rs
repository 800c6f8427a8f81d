//! `sluice top` in a terminal, beside a cluster.

mod grid;
mod pty;

use rustix::process::Signal;

use self::pty::Pty;
use crate::operator::{nodes, token_file};
use crate::support::{Cluster, SOON, eventually, sluice};

/// Ctrl-C, which is a key like any other while the terminal is taken.
const CONTROL_C: &[u8] = b"\x03";

#[tokio::test]
async fn it_shows_the_cluster_and_its_records_until_a_key_quits() {
    let cluster = nodes(2, &[]).await;
    let leader = cluster.node(cluster.leader().await);
    let follower = cluster.node(cluster.follower().await);
    let file = token_file(cluster.folder.path(), "viewer");
    let (pty, url) = (Pty::open(), follower.url(""));
    let before = pty.modes();
    assert!(pty.echoes());
    let arguments = ["--url", &url, "--token-file", &file, "--interval", "250ms"];
    let mut top = pty.top(&cluster, &arguments, &[("CONSUL_HTTP_ADDR", "127.0.0.1:1")]);
    let heading = format!("leader: {}", leader.name);
    pty.shows(&top, &[&heading, "epoch: ", "lease: ", " ms"])
        .await;
    pty.shows(&top, &[&leader.name, "leader", "running", "builtin:stdout"])
        .await;
    pty.shows(&top, &[&follower.name, "follower"]).await;
    pty.shows(&top, &["q quit"]).await;
    assert!(!pty.echoes() && !pty.shown().has_cursor);
    assert!(pty.shown().was_colored);

    // Only what passes while it watches is shown.
    eventually("a record is shown", SOON, || async {
        let sent = cluster.http.post(leader.url("/api/v1/log"));
        let sent = sent.bearer_auth("token-of-web").body("passes by");
        assert_eq!(sent.send().await.unwrap().status(), 200);
        let shown = pty.shown();
        match shown.has(&["delivered", "passes by"]) {
            true => Ok(()),
            false => Err(shown.text()),
        }
    })
    .await;

    pty.resize(40, 16);
    eventually("a narrow screen shows less", SOON, || async {
        let shown = pty.shown();
        match shown.has(&["NODE", "ROLE", "LEASE", "QUEUE"]) && !shown.has(&["EPOCH"]) {
            true => Ok(()),
            false => Err(shown.text()),
        }
    })
    .await;
    pty.press(b"?");
    pty.shows(&top, &["q, Esc, Ctrl-C", "quit"]).await;
    pty.press(b"?");
    pty.shows(&top, &["delivered", "passes by"]).await;
    pty.press(b"q");
    assert!(top.wait(SOON).await.success());
    pty.is_given_back().await;
    assert_eq!(pty.modes(), before);
    assert_eq!(top.stderr(), "");
}

#[tokio::test]
async fn signals_give_the_terminal_back_and_no_color_is_obeyed() {
    let cluster = Cluster::start(1, &[]).await;
    cluster.leader().await;
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let pty = Pty::open();
        let before = pty.modes();
        let mut top = pty.top(&cluster, &[], &[("NO_COLOR", "1")]);
        pty.shows(&top, &["leader", "running"]).await;
        assert!(!pty.echoes());
        top.signal(signal);
        assert!(top.wait(SOON).await.success(), "{signal:?}");
        pty.is_given_back().await;
        assert_eq!(pty.modes(), before, "{signal:?}");
        assert!(!pty.shown().was_colored);
    }
}

#[tokio::test]
async fn a_terminal_that_takes_nothing_does_not_keep_it() {
    let cluster = Cluster::start(1, &[]).await;
    cluster.leader().await;
    let pty = Pty::open();
    let before = pty.modes();
    let mut top = pty.top(&cluster, &["--interval", "250ms"], &[]);
    pty.shows(&top, &["leader", "running"]).await;
    pty.stop();
    // Keys are read until there is something to write.
    eventually("it waits for the terminal", SOON, || async {
        pty.press(b"s");
        match pty.unread() {
            3.. => Ok(()),
            unread => Err(format!("{unread} keys are not read")),
        }
    })
    .await;
    top.signal(Signal::TERM);
    assert!(top.wait(SOON).await.success());
    assert_eq!(pty.modes(), before);
    pty.go_on();
}

#[tokio::test]
async fn nodes_that_do_not_answer_and_old_data_are_shown_as_such() {
    let cluster = nodes(2, &[]).await;
    let leader = cluster.node(cluster.leader().await);
    let follower = cluster.node(cluster.follower().await);
    let file = token_file(cluster.folder.path(), "viewer");
    let (pty, url) = (Pty::open(), leader.url(""));
    let arguments = ["--url", &url, "--token-file", &file, "--interval", "250ms"];
    let mut top = pty.top(&cluster, &arguments, &[]);
    pty.shows(&top, &["follower"]).await;
    follower.process.signal(Signal::STOP);
    pty.shows(&top, &["no answer"]).await;
    follower.process.signal(Signal::CONT);
    leader.process.signal(Signal::KILL);
    pty.shows(&top, &["leader: ", " s old]"]).await;
    pty.shows(&top, &["failed to ask the node at"]).await;
    pty.shows(&top, &["records", "failed to"]).await;
    pty.press(CONTROL_C);
    assert!(top.wait(SOON).await.success());
    pty.is_given_back().await;
}

#[tokio::test]
async fn without_a_terminal_or_a_node_it_says_what_to_do() {
    let cluster = Cluster::start(1, &[]).await;
    let (code, out, err) = sluice(&cluster, &["top"]).await;
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
    for part in ["not a terminal", "sluice status", "sluice tail"] {
        assert!(err.contains(part), "{err}");
    }
    let (pty, url) = (Pty::open(), "http://127.0.0.1:1");
    let mut top = pty.top(&cluster, &["--url", url], &[]);
    assert_eq!(top.wait(SOON).await.code(), Some(1));
    let err = top.stderr();
    assert!(
        err.contains("failed to ask the node at http://127.0.0.1:1"),
        "{err}"
    );
    assert!(!pty.shown().is_taken);
}
