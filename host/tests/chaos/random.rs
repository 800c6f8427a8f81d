//! Random faults under load, judged by both oracles. Run them for longer with
//! `make chaos SEED=… MINUTES=…`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::cluster::{Ack, Cluster, Consul, NATS, NODES, SERVERS, say};
use super::gate::Mode;
use super::plan::{Fault, Step, Way, Whom, plan};
use super::trace::now;

/// How soon messages are acknowledged again once Consul and NATS answer: a session
/// may have to expire first, which takes up to twice its TTL of 10 s.
const RESUMED: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn faults_at_random() {
    faults(Ack::Sink, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_at_random_over_a_replicated_journal() {
    faults(Ack::Replicated, " JOURNAL=nats").await;
}

/// `setting` is what `make chaos` needs besides the seed and the length.
async fn faults(ack: Ack, setting: &str) {
    let seed = variable("SLUICE_CHAOS_SEED", 1);
    let minutes = variable("SLUICE_CHAOS_MINUTES", 2);
    say(&format!(
        "chaos: seed {seed}, {minutes} minutes; again with: make chaos{setting} SEED={seed} MINUTES={minutes}"
    ));
    println!("the plan of seed {seed}, as far as it was followed:");
    let mut cluster = Cluster::start_with(Consul::Three, ack).await;
    let (started, began) = (Instant::now(), now());
    let length = Duration::from_secs(60 * minutes);
    let (mut steps, mut resumed) = (0, Vec::new());
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for step in plan(seed, ack) {
        if started.elapsed() + step.lasts > length {
            break;
        }
        println!("{:8.3} {step}", started.elapsed().as_secs_f64());
        for fault in &step.faults {
            *kinds.entry(fault.kind()).or_default() += 1;
        }
        follow(&mut cluster, &step).await;
        if step.settles {
            resumed.push(settled(&mut cluster).await);
        }
        cluster.nobody_exited();
        cluster.one_acknowledges();
        cluster.stays_within_bounds().await;
        tokio::time::sleep(step.calm).await;
        steps += 1;
    }
    println!("{:8.3} the end", started.elapsed().as_secs_f64());
    settled(&mut cluster).await;
    cluster.all_are_ready().await;
    let silence = cluster.traces.silence(began, now());
    let length = started.elapsed().as_secs_f64();
    resumed.sort();
    let verdict = cluster.finish().await;
    say(&format!(
        "chaos: seed {seed}, {steps} steps in {length:.0} s; acknowledged again {:?} after Consul \
         and NATS were back in the median, {:?} at most; at most {:.1} s of silence; {verdict}\n\
         faults: {kinds:?}",
        resumed.get(resumed.len() / 2).copied().unwrap_or_default(),
        resumed.last().copied().unwrap_or_default(),
        silence.as_secs_f64(),
    ));
}

/// Waits until Consul and NATS are back, and messages are acknowledged. Returns how
/// long the latter took.
async fn settled(cluster: &mut Cluster) -> Duration {
    let undone = Instant::now();
    for node in NODES {
        cluster.consul_answers(node).await;
    }
    let consul = undone.elapsed();
    cluster.nats_is_whole().await;
    let all = undone.elapsed();
    let took = cluster.acknowledges_after(now(), RESUMED).await;
    println!(
        "         Consul answers after {consul:?}, NATS too after {all:?}, acknowledged {took:?} later"
    );
    took
}

fn variable(name: &str, default: u64) -> u64 {
    let set = std::env::var(name).ok().filter(|text| !text.is_empty());
    set.map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is {text:?}: expected a number"))
    })
}

/// How a fault ends.
#[derive(Debug)]
enum Undo {
    Restart(String),
    Thaw(String),
    Heal(String, String),
    Open(String),
    Idle,
}

/// Starts the faults of a step, waits for its duration, and undoes them.
async fn follow(cluster: &mut Cluster, step: &Step) {
    let mut undo = Vec::new();
    for fault in &step.faults {
        undo.extend(happen(cluster, *fault).await);
    }
    println!("         {undo:?}");
    tokio::time::sleep(step.lasts).await;
    for undo in undo {
        match undo {
            Undo::Restart(name) => cluster.restart(&name),
            Undo::Thaw(name) => cluster.thaw(&name),
            Undo::Heal(one, other) => cluster.heal(&one, &other),
            Undo::Open(node) => cluster.gate(&node, Mode::Open),
            Undo::Idle => cluster.idle_cores(),
        }
    }
}

async fn happen(cluster: &mut Cluster, fault: Fault) -> Vec<Undo> {
    match fault {
        Fault::Kill(node) => kill(cluster, &[this_node(cluster, node).await]),
        Fault::Terminate(node) => {
            let node = this_node(cluster, node).await;
            cluster.terminate(&node).await;
            vec![Undo::Restart(node)]
        }
        Fault::Freeze(node) => freeze(cluster, this_node(cluster, node).await),
        Fault::KillAgent(node) => kill(cluster, &[agent(cluster, node).await]),
        Fault::ForgetAgent(node) => {
            let agent = agent(cluster, node).await;
            let undo = kill(cluster, std::slice::from_ref(&agent));
            cluster.forget(&agent);
            undo
        }
        Fault::FreezeAgent(node) => freeze(cluster, agent(cluster, node).await),
        Fault::KillServer(server) => kill(cluster, &[this_server(cluster, server).await]),
        Fault::FreezeServer(server) => freeze(cluster, this_server(cluster, server).await),
        Fault::LoseQuorum(server) => {
            let server = this_server(cluster, server).await;
            kill(cluster, &others(&SERVERS, &server))
        }
        Fault::CutFromServer(node, server, way) => {
            let node = this_node(cluster, node).await;
            let server = this_server(cluster, server).await;
            cut(cluster, &node, &[server], way)
        }
        Fault::CutFromServers(node, way) => {
            let node = this_node(cluster, node).await;
            cut(cluster, &node, &SERVERS.map(str::to_owned), way)
        }
        Fault::CutFromNodes(node, way) => {
            let node = this_node(cluster, node).await;
            cut(cluster, &node, &others(&NODES, &node), way)
        }
        Fault::CutServer(server, way) => {
            let server = this_server(cluster, server).await;
            cut(cluster, &server, &others(&SERVERS, &server), way)
        }
        Fault::Slow(node, delay) => {
            let node = this_node(cluster, node).await;
            cluster.slow(&node, delay);
            vec![Undo::Open(node)]
        }
        Fault::Shut(node) => gate(cluster, &[this_node(cluster, node).await], Mode::Shut),
        Fault::Busy(node) => gate(cluster, &[this_node(cluster, node).await], Mode::Busy),
        Fault::SlowForAll(delay) => gate(cluster, &NODES.map(str::to_owned), Mode::Slow(delay)),
        Fault::ShutForAll => gate(cluster, &NODES.map(str::to_owned), Mode::Shut),
        Fault::BusyForAll => gate(cluster, &NODES.map(str::to_owned), Mode::Busy),
        Fault::BusyCores => {
            cluster.busy_cores();
            vec![Undo::Idle]
        }
        _ => happen_to_journal(cluster, fault).await,
    }
}

async fn happen_to_journal(cluster: &mut Cluster, fault: Fault) -> Vec<Undo> {
    match fault {
        Fault::LoseMachine(node) => {
            let node = this_node(cluster, node).await;
            cluster.lose_machine(&node);
            vec![Undo::Restart(format!("{node}-agent")), Undo::Restart(node)]
        }
        Fault::KillNats(server) => kill(cluster, &[this_nats(cluster, server).await]),
        Fault::FreezeNats(server) => freeze(cluster, this_nats(cluster, server).await),
        Fault::LoseNats(server) => {
            // What the others have must be everything.
            cluster.nats_is_whole().await;
            let server = this_nats(cluster, server).await;
            let undo = kill(cluster, std::slice::from_ref(&server));
            cluster.forget(&server);
            undo
        }
        Fault::KillAllNats => kill(cluster, &NATS.map(str::to_owned)),
        Fault::FreezeMostNats(server) => {
            let server = this_nats(cluster, server).await;
            let others = others(&NATS, &server).into_iter();
            others.flat_map(|other| freeze(cluster, other)).collect()
        }
        Fault::CutNats(server, way) => {
            let server = this_nats(cluster, server).await;
            cut(cluster, &server, &others(&NATS, &server), way)
        }
        Fault::CutFromNats(node, server, way) => {
            let node = this_node(cluster, node).await;
            let server = this_nats(cluster, server).await;
            cut(cluster, &node, &[server], way)
        }
        Fault::CutFromAllNats(node, way) => {
            let node = this_node(cluster, node).await;
            cut(cluster, &node, &NATS.map(str::to_owned), way)
        }
        other => unreachable!("{other:?} is not of the journal"),
    }
}

fn kill(cluster: &mut Cluster, members: &[String]) -> Vec<Undo> {
    for member in members {
        cluster.kill(member);
    }
    members.iter().cloned().map(Undo::Restart).collect()
}

fn freeze(cluster: &Cluster, member: String) -> Vec<Undo> {
    cluster.freeze(&member);
    vec![Undo::Thaw(member)]
}

fn cut(cluster: &mut Cluster, one: &str, others: &[String], way: Way) -> Vec<Undo> {
    for other in others {
        match way {
            Way::To => cluster.partition_one_way(one, other),
            Way::From => cluster.partition_one_way(other, one),
            Way::Both => cluster.partition(one, other),
        }
    }
    let pairs = others.iter().map(|other| (one.to_owned(), other.clone()));
    pairs.map(|(one, other)| Undo::Heal(one, other)).collect()
}

fn gate(cluster: &Cluster, nodes: &[String], mode: Mode) -> Vec<Undo> {
    for node in nodes {
        cluster.gate(node, mode);
    }
    nodes.iter().cloned().map(Undo::Open).collect()
}

async fn this_node(cluster: &Cluster, whom: Whom) -> String {
    match whom {
        Whom::This(name) => name.to_owned(),
        Whom::Leader { or } => cluster.leader_now().await.unwrap_or(or.to_owned()),
    }
}

async fn agent(cluster: &Cluster, whom: Whom) -> String {
    format!("{}-agent", this_node(cluster, whom).await)
}

async fn this_server(cluster: &Cluster, whom: Whom) -> String {
    match whom {
        Whom::This(name) => name.to_owned(),
        Whom::Leader { or } => cluster.consul_leader_now().await.unwrap_or(or.to_owned()),
    }
}

async fn this_nats(cluster: &Cluster, whom: Whom) -> String {
    match whom {
        Whom::This(name) => name.to_owned(),
        Whom::Leader { or } => cluster.nats_leader_now().await.unwrap_or(or.to_owned()),
    }
}

fn others(all: &[&str], one: &str) -> Vec<String> {
    let others = all.iter().filter(|name| **name != one);
    others.map(|name| (*name).to_owned()).collect()
}
