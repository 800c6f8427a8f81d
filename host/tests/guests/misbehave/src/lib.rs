//! A sink for tests. Its config, or a message whose text is one of the commands
//! below, makes it misbehave. It prints all other messages.

#![cfg(target_family = "wasm")]

use std::cell::{Cell, RefCell};
use std::time::Duration;

/// Bindings generated from `wit/0.1/`.
#[allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    clippy::all,
    reason = "generated; the canonical ABI passes raw pointers"
)]
mod bindings {
    wit_bindgen::generate!({ path: "../../../../wit/0.1", world: "log-sink" });

    export!(Misbehave with_types_in self);
    use super::Misbehave;
}

use bindings::exports::sluice::sink::sink::Guest;
use bindings::sluice::sink::types::{Delivery, Failure, LogRecord, Refusal, Retry};

struct Misbehave;

thread_local! {
    static CONFIG: RefCell<String> = const { RefCell::new(String::new()) };
    /// The records of all writes before.
    static TAKEN: Cell<usize> = const { Cell::new(0) };
}

impl Guest for Misbehave {
    fn open(config: String) -> Result<(), Failure> {
        let config = config.trim_matches('"').to_owned();
        match config.as_str() {
            "refuse to open" => return Err(permanent("told not to open")),
            "slow to open" => {
                std::thread::sleep(Duration::from_millis(700));
                CONFIG.set(config);
            }
            "very slow to open" => {
                std::thread::sleep(Duration::from_millis(2500));
                CONFIG.set(config);
            }
            "slow to refuse" => {
                std::thread::sleep(Duration::from_millis(700));
                return Err(permanent("told not to open"));
            }
            "open once /own/ready is there" if !std::fs::exists("/own/ready").unwrap_or(false) => {
                return Err(busy(Some(50)));
            }
            "trap in open" => trap(),
            "spin in open" => spin(),
            _ => CONFIG.set(config),
        }
        Ok(())
    }

    fn write(delivery: Delivery, batch: Vec<LogRecord>) -> Result<Vec<Refusal>, Failure> {
        let config = CONFIG.with_borrow(Clone::clone);
        obey_config(&config)?;
        if let Some(act) = config.strip_prefix("plainly ") {
            return plainly(act, &batch);
        }
        let every = Every::parse(&config);
        let mut refusals = Vec::new();
        for (index, record) in (0..).zip(&batch) {
            let failures = match &every {
                Some(every) => every.obey(&delivery, record)?,
                None => obey(&config, &delivery, record)?,
            };
            let refused = failures.into_iter();
            refusals.extend(refused.map(|failure| Refusal { index, failure }));
        }
        Ok(refusals)
    }

    fn close() {
        println!("closed");
    }
}

/// Does what the config says for every write.
fn obey_config(config: &str) -> Result<(), Failure> {
    match config {
        "always busy" => return Err(busy(None)),
        "always stuck" => std::thread::sleep(Duration::from_secs(3600)),
        "always spinning" => spin(),
        "always trapping" => trap(),
        "slow trap" => {
            std::thread::sleep(Duration::from_millis(500));
            trap();
        }
        _ => {}
    }
    match std::fs::exists("/own/down") {
        Ok(true) if config == "away for ever" => Err(busy(Some(u64::MAX))),
        Ok(true) => Err(busy(None)),
        _ => Ok(()),
    }
}

/// Does what a message says. Returns the failures that refuse the message, or
/// the failure of the whole write.
fn obey(config: &str, delivery: &Delivery, record: &LogRecord) -> Result<Vec<Failure>, Failure> {
    match record.body.as_str() {
        "fence" => return Err(Failure::Fenced("epoch 99 was seen".to_owned())),
        "reject all" => return Err(permanent("all refused")),
        "retry all" if delivery.attempt < 3 => return Err(busy(Some(20))),
        "retry for ever" => return Err(busy(Some(20))),
        "refuse" => return Ok(vec![permanent("refused by the sink")]),
        "refuse late" => {
            std::thread::sleep(Duration::from_millis(2800));
            return Ok(vec![permanent("refused late")]);
        }
        "refuse for now" if delivery.attempt == 1 => return Ok(vec![busy(None)]),
        "refuse twice" => return Ok(vec![busy(None), busy(None)]),
        "trap" => trap(),
        "spin" => spin(),
        "grow" => grow(),
        "half a line, then trap" => {
            print!("half a line");
            flush();
            trap();
        }
        "stderr" => eprintln!("a word on stderr"),
        "slow" => std::thread::sleep(Duration::from_millis(500)),
        body => match body.split_once(' ') {
            Some(("compute", ms)) => compute(ms),
            Some(("env", name)) => println!("{body}: {:?}", std::env::var(name).ok()),
            Some(("read", path)) => println!("{body}: {:?}", std::fs::read_to_string(path)),
            Some(("write", path)) => println!("{body}: {:?}", std::fs::write(path, "written")),
            _ => print_message(config, delivery, record),
        },
    }
    Ok(Vec::new())
}

fn print_message(config: &str, delivery: &Delivery, record: &LogRecord) {
    let LogRecord { id, body, .. } = record;
    let by = if config.is_empty() { "" } else { " by " };
    println!(
        "{}/{} {body} attempt {}{by}{config}",
        id.epoch, id.sequence, delivery.attempt
    );
}

/// A config like `plainly trap-after 1000`: does that, and prints the bodies.
fn plainly(act: &str, batch: &[LogRecord]) -> Result<Vec<Refusal>, Failure> {
    let (act, number) = act.split_once(' ').unwrap_or((act, ""));
    let number = number.parse().unwrap_or_default();
    let taken = TAKEN.get() + batch.len();
    TAKEN.set(taken);
    match act {
        "sleep-per-record" => {
            let records = u32::try_from(batch.len()).unwrap_or(u32::MAX);
            std::thread::sleep(Duration::from_millis(number) * records);
        }
        "trap-after" if taken as u64 > number => trap(),
        "refuse" => {
            let failure = permanent("refused by the sink");
            let refuse = |index| Refusal {
                index,
                failure: failure.clone(),
            };
            return Ok((0..).take(batch.len()).map(refuse).collect());
        }
        _ => {}
    }
    for record in batch {
        println!("{}", record.body);
    }
    Ok(Vec::new())
}

/// A config like `trap 1 in 1000`: what to do with every n-th of the messages
/// `Message: <number>`, which other text may surround. The others are printed as
/// they are. With a config like `dawdle 1 in 20 with ids`, the epoch that writes and
/// the record's id are before them.
struct Every {
    act: String,
    n: u64,
    with_ids: bool,
}

impl Every {
    fn parse(config: &str) -> Option<Self> {
        let (act, rest) = config.split_once(" 1 in ")?;
        let n = rest.strip_suffix(" with ids");
        Some(Self {
            act: act.to_owned(),
            n: n.unwrap_or(rest).parse().ok()?,
            with_ids: n.is_some(),
        })
    }

    /// Does to a message what the config says. Returns like [`obey`].
    fn obey(&self, delivery: &Delivery, record: &LogRecord) -> Result<Vec<Failure>, Failure> {
        let LogRecord { id, body, .. } = record;
        match self.act.as_str() {
            "trap" if self.is_for(body) => trap(),
            "spin" if self.is_for(body) => spin(),
            "dawdle" if self.is_for(body) => std::thread::sleep(Duration::from_millis(50)),
            "refuse" if self.is_for(body) => return Ok(vec![permanent("refused by the sink")]),
            _ => {}
        }
        if body == "fence" {
            return Err(Failure::Fenced("epoch 99 was seen".to_owned()));
        }
        match self.with_ids {
            true => println!("{} {}/{} {body}", delivery.epoch, id.epoch, id.sequence),
            false => println!("{body}"),
        }
        Ok(Vec::new())
    }

    fn is_for(&self, body: &str) -> bool {
        let number = body.split_once("Message: ");
        let number = number.and_then(|(_, rest)| rest.split(' ').next()?.parse::<u64>().ok());
        number.is_some_and(|number| number % self.n == 0)
    }
}

fn permanent(reason: &str) -> Failure {
    Failure::Permanent(reason.to_owned())
}

fn busy(after_ms: Option<u64>) -> Failure {
    Failure::Retryable(Retry {
        reason: "busy".to_owned(),
        after_ms,
    })
}

fn flush() {
    use std::io::Write;
    if std::io::stdout().flush().is_err() {
        eprintln!("could not flush");
    }
}

#[expect(clippy::panic, reason = "the tests need it")]
fn trap() {
    panic!("a panic in the guest");
}

#[expect(clippy::empty_loop, reason = "the tests need it")]
fn spin() {
    loop {}
}

/// Computes for this many milliseconds.
fn compute(ms: &str) {
    let time = Duration::from_millis(ms.parse().unwrap_or_default());
    let start = std::time::Instant::now();
    while start.elapsed() < time {}
}

fn grow() {
    let mut hoard = Vec::new();
    loop {
        hoard.push(vec![1_u8; 16 << 20]);
        std::hint::black_box(&hoard);
    }
}
