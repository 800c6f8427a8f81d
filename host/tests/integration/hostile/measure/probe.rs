//! Asks all the time, and judges how long that took.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::header::CONTENT_ENCODING;
use reqwest::{Client, Method};
use tokio::runtime;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::support::SOON;

/// Between an answer and the next ask.
pub(super) const PAUSE: Duration = Duration::from_millis(10);
/// How often is asked at least, also if the attack is over sooner.
const LEAST_ASKS: usize = 20;
/// How much of a wait the machine can excuse at most: with more than this, the
/// measurement says nothing.
const EXCUSE_LIMIT: Duration = Duration::from_millis(400);
/// The address of an innocent client. The attacks come from others.
const INNOCENT: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// How long an answer may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// At 99 of 100 moments.
    pub(super) usual: Duration,
    /// Ever.
    pub(super) longest: Duration,
}

/// Somebody who asks again and again.
#[derive(Clone, Debug)]
pub(super) struct Probe {
    pub(super) what: String,
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) body: Vec<u8>,
    /// The `Content-Encoding`, if the body has one.
    pub(super) encoding: Option<&'static str>,
    /// Whether all asks share a connection.
    pub(super) is_kept: bool,
    /// Without limits, an ask that failed is repeated, and counts as one.
    pub(super) limits: Option<Limits>,
}

impl Probe {
    pub(super) fn get(what: &str, url: String, limits: Option<Limits>) -> Self {
        Self {
            what: what.to_owned(),
            method: Method::GET,
            url,
            body: Vec::new(),
            encoding: None,
            is_kept: false,
            limits,
        }
    }

    async fn ask(&self, client: &Client) -> Result<(), String> {
        let mut request = client.request(self.method.clone(), &self.url);
        if let Some(encoding) = self.encoding {
            request = request.header(CONTENT_ENCODING, encoding);
        }
        let answer = request.body(self.body.clone()).send().await;
        let answer = answer.map_err(|error| format!("{error:?}"))?;
        let status = answer.status();
        let body = answer.text().await.map_err(|error| format!("{error:?}"))?;
        match status.as_u16() {
            200 => Ok(()),
            status => Err(format!("{status}: {body}")),
        }
    }

    async fn ask_until(self, is_over: &AtomicBool) -> Waits {
        let client = client(self.is_kept);
        let mut waits = Waits::new(&self);
        let mut began = Instant::now();
        loop {
            let failure = self.ask(&client).await.err();
            let is_last = is_over.load(Ordering::Relaxed);
            let counts = failure.is_none() || self.limits.is_some() || is_last;
            if counts {
                let took = began.elapsed();
                waits.waits.push(Wait { began, took });
            }
            if self.limits.is_some() && waits.failure.is_none() {
                waits.failure.clone_from(&failure);
            }
            tokio::time::sleep(PAUSE).await;
            if counts {
                began = Instant::now();
            }
            if is_last && (waits.waits.len() >= LEAST_ASKS || failure.is_some()) {
                return waits;
            }
        }
    }
}

/// One that is kept comes from the address of the attacks.
fn client(is_kept: bool) -> Client {
    let client = Client::builder().no_proxy().timeout(SOON);
    let client = match is_kept {
        true => client,
        false => client.local_address(INNOCENT).pool_max_idle_per_host(0),
    };
    client.build().unwrap()
}

/// All probes, on a thread of their own.
#[derive(Debug)]
pub(super) struct Prober {
    is_over: Arc<AtomicBool>,
    asking: JoinHandle<Vec<Waits>>,
}

impl Prober {
    pub(super) fn start(probes: Vec<Probe>) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let asking = spawn_blocking({
            let is_over = Arc::clone(&is_over);
            move || {
                let runtime = runtime::Builder::new_current_thread().enable_all().build();
                let asking = probes.into_iter().map(|probe| probe.ask_until(&is_over));
                runtime.unwrap().block_on(join_all(asking))
            }
        });
        Self { is_over, asking }
    }

    /// Returns what each probe waited, in their order.
    pub(super) async fn stop(mut self) -> Vec<Waits> {
        self.is_over.store(true, Ordering::Relaxed);
        (&mut self.asking).await.unwrap()
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

/// One ask.
#[derive(Clone, Copy, Debug)]
struct Wait {
    began: Instant,
    took: Duration,
}

impl Wait {
    /// What is left without what the machine took meanwhile.
    fn for_the_server(&self, bare: &[Self]) -> Duration {
        let end = self.began + self.took;
        let meanwhile = bare
            .iter()
            .filter(|wait| wait.began < end && self.began < wait.began + wait.took);
        let excuse = meanwhile.map(|wait| wait.took).max().unwrap_or_default();
        self.took.saturating_sub(excuse.min(EXCUSE_LIMIT))
    }
}

/// What a probe waited.
#[derive(Debug)]
pub(super) struct Waits {
    pub(super) what: String,
    limits: Option<Limits>,
    waits: Vec<Wait>,
    /// The first one.
    failure: Option<String>,
}

impl Waits {
    fn new(probe: &Probe) -> Self {
        Self {
            what: probe.what.clone(),
            limits: probe.limits,
            waits: Vec::new(),
            failure: None,
        }
    }

    pub(super) fn longest(&self) -> Duration {
        let waits = self.waits.iter().map(|wait| wait.took);
        waits.max().unwrap_or_default()
    }

    /// What is wrong with these waits, if anything is, given those for the bare
    /// server.
    pub(super) fn fault(&self, bare: &Self) -> Option<String> {
        let limits = self.limits?;
        if let Some(failure) = &self.failure {
            return Some(format!("{}: {failure}", self.what));
        }
        let (mut late, mut moments, mut longest) = (0, 0, Duration::ZERO);
        for wait in &self.waits {
            moments += moments_in(wait.took);
            if wait.took > limits.usual {
                let took = wait.for_the_server(&bare.waits);
                late += took.checked_sub(limits.usual).map_or(0, moments_in);
                longest = longest.max(took);
            }
        }
        let is_fault = longest > limits.longest || 100 * late > moments;
        is_fault.then(|| {
            format!(
                "{}: up to {:?}, {longest:?} without what the machine took (up to {:?}); \
                 {late} of {moments} moments are beyond {:?}",
                self.what,
                self.longest(),
                bare.longest(),
                limits.usual
            )
        })
    }
}

/// How many asks would have begun in this time.
fn moments_in(time: Duration) -> u128 {
    1 + time.as_nanos() / PAUSE.as_nanos()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        usual: Duration::from_millis(100),
        longest: Duration::from_millis(300),
    };

    /// Waits of so many milliseconds, one after the other.
    fn waits(began: Instant, all_ms: &[u64]) -> Waits {
        let mut next = began;
        let waits = all_ms.iter().map(|ms| {
            let (began, took) = (next, Duration::from_millis(*ms));
            next = began + took + PAUSE;
            Wait { began, took }
        });
        Waits {
            what: "healthz".to_owned(),
            limits: Some(LIMITS),
            waits: waits.collect(),
            failure: None,
        }
    }

    /// Whether this is a fault among five thousand short waits.
    fn is_fault(took_ms: &[u64], bare_ms: &[u64]) -> bool {
        let began = Instant::now();
        let waits = waits(began, &[took_ms, &[1; 5000]].concat());
        waits.fault(&self::waits(began, bare_ms)).is_some()
    }

    #[test]
    fn few_waits_may_be_beyond_the_usual_and_none_beyond_the_longest() {
        assert!(!is_fault(&[180; 5], &[1]));
        assert!(is_fault(&[180; 6], &[1]));
        assert!(!is_fault(&[300], &[1]));
        assert!(is_fault(&[310], &[1]));
    }

    #[test]
    fn only_what_the_machine_took_meanwhile_is_excused() {
        assert!(!is_fault(&[400], &[301]));
        let began = Instant::now();
        let later = waits(began + Duration::from_secs(1), &[400]);
        assert!(later.fault(&waits(began, &[301])).is_some());
    }

    #[test]
    fn a_machine_that_is_too_busy_excuses_nothing_more() {
        assert!(is_fault(&[900], &[900]));
    }

    #[test]
    fn one_late_answer_of_a_few_is_a_fault() {
        let began = Instant::now();
        let all = waits(began, &[1, 120, 1]);
        assert!(all.fault(&waits(began, &[1, 1])).is_some());
        assert!(all.fault(&waits(began, &[1, 115, 1])).is_none());
    }
}
