//! Uploads that last longer than their tokens.

use std::fs;

use crate::access::{Nodes, client};
use crate::standard::upload::{entries, upload_as, written};
use crate::support::SOON;

#[tokio::test]
async fn an_upload_whose_token_is_revoked_is_refused_and_keeps_what_was_taken() {
    let nodes = Nodes::start_with(2, &client("journals", "send", ""), &[]).await;
    let (leader, follower) = (nodes.cluster.leader().await, nodes.cluster.follower().await);
    let mut uploads = Vec::new();
    for (place, mark) in [(leader, "at-the-leader"), (follower, "at-the-follower")] {
        let (more, answer) = upload_as(&nodes.cluster, place, "token-of-journals");
        more.send(entries(mark, 0..5)).await.unwrap();
        written(&nodes.cluster, mark, 5).await;
        assert!(!answer.is_finished(), "it goes on");
        uploads.push((place, mark, more, answer));
    }
    fs::write(nodes.file(), client("others", "send", "")).unwrap();
    for (place, mark, more, answer) in uploads {
        // The client sends nothing meanwhile, and does not end.
        let answer = tokio::time::timeout(SOON, answer).await;
        let answer = answer.expect("it is refused in time").unwrap().unwrap();
        assert_eq!(answer.status(), 403, "{mark}");
        let text = answer.text().await.unwrap();
        assert!(text.contains("token"), "{text}");
        drop(more.send(entries(mark, 5..10)).await);
        nodes
            .audited(place, "the refusal is in the audit log", |line| {
                line["what"] == "send journald" && line["outcome"] == "refused"
            })
            .await;
    }
    // What comes later is taken of nobody.
    let (more, answer) = upload_as(&nodes.cluster, leader, "token-of-journals");
    drop(more.send(entries("at-the-leader", 10..15)).await);
    assert_eq!(answer.await.unwrap().unwrap().status(), 403);
    let (more, answer) = upload_as(&nodes.cluster, leader, "token-of-others");
    more.send(entries("of-others", 0..1)).await.unwrap();
    drop(more);
    assert_eq!(answer.await.unwrap().unwrap().status(), 200);
    let output = nodes.cluster.output();
    for mark in ["at-the-leader ", "at-the-follower "] {
        assert_eq!(output.matches(mark).count(), 5, "{output}");
    }
}
