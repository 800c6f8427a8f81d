//! Consul's outages, under load: no node exits, nothing is acknowledged without
//! a valid lease, nothing acknowledged is lost, and the service resumes by
//! itself. The outages of one test follow one another on one cluster. Each of
//! them is judged, and prints how long nothing was acknowledged.

use std::time::Duration;

use super::cluster::{Cluster, Consul, LEASE, NODES, SERVERS, say};
use super::gate::Mode;
use super::trace::now;

/// How soon messages are acknowledged again once Consul is back.
const RESUMED: Duration = Duration::from_secs(10);
/// How soon another node acknowledges if the leader has lost Consul and the other
/// nodes: gossip notices it, and its session ends.
const LET_GO: Duration = Duration::from_secs(15);
/// The same if it has lost only Consul: it learns from the other nodes that Consul
/// answers them, and has them release the lock. It takes some 3 s; the session would
/// live for up to twice its TTL of 10 s.
const RELEASED_BY_OTHERS: Duration = Duration::from_secs(9);

/// An outage under way.
struct Outage {
    name: &'static str,
    began: u64,
}

impl Outage {
    fn begins(name: &'static str) -> Self {
        Self { name, began: now() }
    }

    /// Consul is back as of now, so the service must resume. The run then
    /// continues for a while, and is judged.
    async fn ends(self, cluster: &mut Cluster) {
        let back = now();
        let resumed = cluster.acknowledges_after(back, RESUMED).await;
        // Leave time for late effects: sessions that end, members that come
        // back.
        tokio::time::sleep(Duration::from_secs(10)).await;
        cluster.acknowledges(100, RESUMED).await;
        cluster.all_are_ready().await;
        // Waiting for the nodes may take long, and messages are acknowledged
        // meanwhile.
        cluster.traces.read();
        let silence = cluster.traces.silence(self.began, now());
        let verdict = cluster.judge();
        say(&format!(
            "{}: {:.1} s of silence; acknowledged again {:.1} s after Consul was back; {verdict}",
            self.name,
            silence.as_secs_f64(),
            resumed.as_secs_f64(),
        ));
    }
}

/// Fails if anything is acknowledged in this time, except under a lease that
/// was proven just before it.
fn is_silent(cluster: &mut Cluster, from: u64, to: u64) {
    cluster.traces.read();
    let expired = from + u64::try_from(LEASE.as_nanos()).unwrap();
    let count = cluster.traces.between(expired, to);
    assert_eq!(
        count, 0,
        "acknowledged between {expired} and {to}, without a lease"
    );
}

async fn lasts(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// How long the long outages last, in seconds.
fn length() -> u64 {
    std::env::var("SLUICE_OUTAGE_SECONDS").map_or(20, |text| text.parse().expect("seconds"))
}

async fn the_leaders_agent_restarts(cluster: &mut Cluster) {
    let leader = cluster.leader().await;
    let agent = format!("{leader}-agent");
    let outage = Outage::begins("the leader's agent restarts with its state");
    cluster.kill(&agent);
    lasts(3).await;
    cluster.restart(&agent);
    cluster.consul_answers(&leader).await;
    outage.ends(cluster).await;
}

async fn the_leaders_agent_restarts_without_its_state(cluster: &mut Cluster) {
    let leader = cluster.leader().await;
    let agent = format!("{leader}-agent");
    let outage = Outage::begins("the leader's agent restarts without its state");
    cluster.kill(&agent);
    cluster.forget(&agent);
    lasts(3).await;
    cluster.restart(&agent);
    cluster.consul_answers(&leader).await;
    outage.ends(cluster).await;
}

async fn the_only_server_restarts(cluster: &mut Cluster) {
    let outage = Outage::begins("the only server restarts with its state");
    cluster.kill("s1");
    let down = now();
    lasts(3).await;
    is_silent(cluster, down, now());
    cluster.restart("s1");
    cluster.consul_answers("s1").await;
    outage.ends(cluster).await;
}

async fn the_only_server_restarts_without_its_state(cluster: &mut Cluster) {
    let outage = Outage::begins("the only server restarts without its state");
    cluster.kill("s1");
    cluster.forget("s1");
    cluster.restart("s1");
    cluster.consul_answers("s1").await;
    outage.ends(cluster).await;
}

async fn consuls_leader_is_killed(cluster: &mut Cluster) {
    let leader = cluster.consul_leader().await;
    let outage = Outage::begins("Consul's leader is killed");
    cluster.kill(&leader);
    let other = SERVERS.iter().find(|name| **name != leader).unwrap();
    cluster.consul_answers(other).await;
    outage.ends(cluster).await;
}

async fn consul_loses_its_quorum(cluster: &mut Cluster) {
    let outage = Outage::begins("Consul has no quorum");
    cluster.kill("s1");
    cluster.kill("s2");
    let down = now();
    lasts(length()).await;
    is_silent(cluster, down, now());
    cluster.nobody_exited();
    cluster.restart("s1");
    cluster.consul_answers("s3").await;
    outage.ends(cluster).await;
}

async fn most_servers_stand_still(cluster: &mut Cluster) {
    let outage = Outage::begins("most of Consul's servers are frozen");
    cluster.freeze("s1");
    cluster.freeze("s2");
    let still = now();
    lasts(12).await;
    is_silent(cluster, still, now());
    cluster.nobody_exited();
    cluster.thaw("s1");
    cluster.thaw("s2");
    cluster.consul_answers("s3").await;
    outage.ends(cluster).await;
}

async fn the_leader_is_killed_and_comes_back_while_consul_has_no_quorum(cluster: &mut Cluster) {
    let leader = cluster.leader().await;
    let outage = Outage::begins("the leader is killed while Consul has no quorum");
    cluster.kill("s1");
    cluster.kill("s2");
    lasts(3).await;
    cluster.kill(&leader);
    // Its health check passes again before any server learns that it failed.
    cluster.restart(&leader);
    lasts(5).await;
    cluster.restart("s1");
    cluster.consul_answers("s3").await;
    outage.ends(cluster).await;
}

/// Waits until another node acknowledges, and prints how long that took. In the
/// first seconds no session ends, and the leader still waits for answers, so nothing
/// may be acknowledged then.
async fn another_takes_over(
    cluster: &mut Cluster,
    leader: &str,
    outage: &Outage,
    within: Duration,
) {
    let cut = now();
    lasts(2).await;
    is_silent(cluster, cut, now());
    // By then, the old leader's lease has expired.
    let expired = outage.began + 2 * u64::try_from(LEASE.as_nanos()).unwrap();
    let took = cluster.acknowledges_after(expired, within).await + 2 * LEASE;
    let next = cluster.leader().await;
    assert_ne!(next, leader, "it still leads");
    say(&format!(
        "{}: another node acknowledges after {:.1} s",
        outage.name,
        took.as_secs_f64()
    ));
}

async fn the_leaders_agent_is_out_of_its_reach(cluster: &mut Cluster) {
    let leader = cluster.leader().await;
    let outage = Outage::begins("the leader's agent is out of its reach");
    cluster.gate(&leader, Mode::Shut);
    another_takes_over(cluster, &leader, &outage, RELEASED_BY_OTHERS).await;
    cluster.gate(&leader, Mode::Open);
    outage.ends(cluster).await;
}

async fn the_leaders_agent_is_slow(cluster: &mut Cluster) {
    let leader = cluster.leader().await;
    let outage = Outage::begins("the leader's agent answers after 1.5 s");
    // Longer than its lease, so that every proof arrives too late.
    cluster.slow(&leader, Duration::from_millis(1500));
    another_takes_over(cluster, &leader, &outage, RELEASED_BY_OTHERS).await;
    cluster.gate(&leader, Mode::Open);
    outage.ends(cluster).await;
}

async fn the_leaders_agent_is_very_slow(cluster: &mut Cluster) {
    let leader = cluster.leader().await;
    let outage = Outage::begins("the leader's agent answers after 5 s");
    cluster.slow(&leader, Duration::from_secs(5));
    another_takes_over(cluster, &leader, &outage, RELEASED_BY_OTHERS).await;
    cluster.gate(&leader, Mode::Open);
    outage.ends(cluster).await;
}

async fn consul_says_of_living_sessions_that_there_are_none(cluster: &mut Cluster) {
    let outage = Outage::begins("Consul says of living sessions that there are none");
    let epochs = cluster.traces.oracle.epochs();
    assert_eq!(epochs, 1, "this outage comes first on its cluster");
    for node in NODES {
        cluster.gate(node, Mode::Forgetful);
    }
    // Shorter than a TTL: the leader keeps leading, and no node leaves a
    // session behind.
    lasts(8).await;
    for node in NODES {
        cluster.gate(node, Mode::Open);
    }
    outage.ends(cluster).await;
    let now = cluster.traces.oracle.epochs();
    assert_eq!(now, epochs, "the leader must keep its epoch");
    cluster.holds_sessions(2 * NODES.len()).await;
}

/// Cuts the leader's host off from these other hosts.
async fn cut_off(
    cluster: &mut Cluster,
    name: &'static str,
    within: Duration,
    others: impl Fn(&str) -> Vec<&'static str>,
) {
    let leader = cluster.leader().await;
    let others = others(&leader);
    let outage = Outage::begins(name);
    for other in &others {
        cluster.partition(&leader, other);
    }
    another_takes_over(cluster, &leader, &outage, within).await;
    for other in &others {
        cluster.heal(&leader, other);
    }
    outage.ends(cluster).await;
}

async fn the_leaders_host_is_cut_off_from_consuls_servers(cluster: &mut Cluster) {
    let name = "the leader's host is cut off from Consul's servers";
    cut_off(cluster, name, RELEASED_BY_OTHERS, |_| SERVERS.to_vec()).await;
}

async fn the_leaders_host_is_cut_off_from_all_of_the_cluster(cluster: &mut Cluster) {
    let name = "the leader's host is cut off from servers and nodes";
    cut_off(cluster, name, LET_GO, |leader| {
        let all = SERVERS.into_iter().chain(NODES);
        all.filter(|name| *name != leader).collect()
    })
    .await;
}

async fn the_leader_steps_down_while_its_agent_is_busy(cluster: &mut Cluster) {
    let leader = cluster.leader().await;
    let outage = Outage::begins("the leader steps down while its agent answers 429");
    cluster.gate(&leader, Mode::Busy);
    // Its lease lasts long enough for its sink to report that it is fenced.
    cluster.post(&leader, "fence").await;
    cluster.follows(&leader).await;
    // Meanwhile, every attempt to release the lock fails.
    lasts(2).await;
    cluster.gate(&leader, Mode::Open);
    outage.ends(cluster).await;
}

async fn the_leader_is_told_to_end_while_its_agent_is_busy(cluster: &mut Cluster) {
    let leader = cluster.leader().await;
    let outage = Outage::begins("the leader is terminated while its agent answers 429");
    cluster.gate(&leader, Mode::Busy);
    cluster.terminate(&leader).await;
    let ended = now() - outage.began;
    assert!(
        ended < 15_000_000_000,
        "it took {ended} ns to exit without Consul"
    );
    cluster.gate(&leader, Mode::Open);
    cluster.restart(&leader);
    outage.ends(cluster).await;
}

/// Applies a mode to all nodes' calls to Consul for some seconds.
async fn all_gates(cluster: &mut Cluster, name: &'static str, mode: Mode, seconds: u64) {
    let outage = Outage::begins(name);
    for node in NODES {
        cluster.gate(node, mode);
    }
    let shut = now();
    lasts(seconds).await;
    is_silent(cluster, shut, now());
    cluster.nobody_exited();
    for node in NODES {
        cluster.gate(node, Mode::Open);
    }
    outage.ends(cluster).await;
}

async fn consul_is_out_of_reach_for_all(cluster: &mut Cluster) {
    all_gates(
        cluster,
        "Consul is out of reach for all nodes",
        Mode::Shut,
        length(),
    )
    .await;
}

async fn consul_is_slow(cluster: &mut Cluster) {
    let mode = Mode::Slow(Duration::from_secs(5));
    all_gates(cluster, "Consul answers after 5 s", mode, 15).await;
}

async fn consul_is_busy(cluster: &mut Cluster) {
    all_gates(cluster, "Consul answers 429", Mode::Busy, 15).await;
}

/// One test for each of these. It runs its outages one after another on a cluster
/// with this Consul setup.
macro_rules! in_turn {
    ($($test:ident on $consul:ident: $($outage:ident),+;)+) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $test() {
            let mut cluster = Cluster::start(Consul::$consul).await;
            $($outage(&mut cluster).await;)+
            cluster.finish().await;
        })+
    };
}

in_turn! {
    agents_restart on Three:
        the_leaders_agent_restarts,
        the_leaders_agent_restarts_without_its_state,
        consuls_leader_is_killed;
    a_single_server_restarts on One:
        the_only_server_restarts,
        the_only_server_restarts_without_its_state;
    servers_are_lost on Three:
        consul_loses_its_quorum,
        most_servers_stand_still,
        the_leader_is_killed_and_comes_back_while_consul_has_no_quorum;
    the_leader_is_out_of_touch on Three:
        the_leaders_agent_is_out_of_its_reach,
        the_leaders_agent_is_slow,
        the_leaders_agent_is_very_slow;
    the_leaders_host_is_cut_off on Three:
        the_leaders_host_is_cut_off_from_consuls_servers,
        the_leaders_host_is_cut_off_from_all_of_the_cluster;
    answers_mislead on Three:
        consul_says_of_living_sessions_that_there_are_none,
        the_leader_steps_down_while_its_agent_is_busy,
        the_leader_is_told_to_end_while_its_agent_is_busy;
    all_nodes_are_out_of_touch on Three:
        consul_is_out_of_reach_for_all,
        consul_is_slow,
        consul_is_busy;
}
