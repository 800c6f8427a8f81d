//! A sink for tests: its config, or a message whose text is one of the words
//! below, makes it misbehave; every other message is printed.

#![cfg(target_family = "wasm")]

use std::cell::RefCell;
use std::time::Duration;

/// Bindings made from `wit/`.
#[allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    clippy::all,
    reason = "generated; the canonical ABI passes raw pointers"
)]
mod bindings {
    wit_bindgen::generate!({ path: "../../../../wit", world: "log-sink" });

    export!(Misbehave with_types_in self);
    use super::Misbehave;
}

use bindings::exports::sluice::sink::sink::Guest;
use bindings::sluice::sink::types::{Delivery, Failure, LogRecord, Refusal, Retry};

struct Misbehave;

thread_local! {
    static CONFIG: RefCell<String> = const { RefCell::new(String::new()) };
}

impl Guest for Misbehave {
    fn open(config: String) -> Result<(), Failure> {
        let config = config.trim_matches('"').to_owned();
        match config.as_str() {
            "refuse to open" => return Err(Failure::Permanent("told not to open".to_owned())),
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
                return Err(Failure::Permanent("told not to open".to_owned()));
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
        match config.as_str() {
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
        if std::fs::exists("/own/down").unwrap_or(false) {
            return Err(busy(None));
        }
        let every = Every::read(&config);
        let mut refusals = Vec::new();
        for (index, record) in (0..).zip(&batch) {
            let mut refuse = |failure| refusals.push(Refusal { index, failure });
            match every.act_on(&record.body) {
                Some("trap") => trap(),
                Some("spin") => spin(),
                Some("dawdle") => std::thread::sleep(Duration::from_millis(50)),
                Some("refuse") => {
                    refuse(Failure::Permanent("refused by the sink".to_owned()));
                    continue;
                }
                _ => {}
            }
            match record.body.as_str() {
                "fence" => return Err(Failure::Fenced("epoch 99 was seen".to_owned())),
                body if every.is_some() => println!("{body}"),
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
                "refuse" => refuse(Failure::Permanent("refused by the sink".to_owned())),
                "refuse late" => {
                    std::thread::sleep(Duration::from_millis(2800));
                    refuse(Failure::Permanent("refused late".to_owned()));
                }
                "refuse for now" if delivery.attempt == 1 => refuse(busy(None)),
                "refuse twice" => {
                    refuse(busy(None));
                    refuse(busy(None));
                }
                "reject all" => return Err(Failure::Permanent("all refused".to_owned())),
                "retry all" if delivery.attempt < 3 => return Err(busy(Some(20))),
                "retry for ever" => return Err(busy(Some(20))),
                word if word.starts_with("env ") => {
                    println!("{word}: {:?}", std::env::var(&word[4..]).ok());
                }
                word if word.starts_with("read ") => {
                    println!("{word}: {:?}", std::fs::read_to_string(&word[5..]));
                }
                word if word.starts_with("write ") => {
                    println!("{word}: {:?}", std::fs::write(&word[6..], "written"));
                }
                body => {
                    let id = record.id;
                    let name = if config.is_empty() { "" } else { " by " };
                    println!(
                        "{}/{} {body} attempt {}{name}{config}",
                        id.epoch, id.sequence, delivery.attempt
                    );
                }
            }
        }
        Ok(refusals)
    }

    fn close() {
        println!("closed");
    }
}

/// A config like `trap 1 in 1000`: what to do with each so-manieth of the
/// messages `Message: <number>`; the others are printed as they are.
struct Every(Option<(String, u64)>);

impl Every {
    fn read(config: &str) -> Self {
        let (act, every) = config.split_once(" 1 in ").unzip();
        let every = every.and_then(|every| every.parse().ok());
        Self(act.map(str::to_owned).zip(every))
    }

    const fn is_some(&self) -> bool {
        self.0.is_some()
    }

    fn act_on(&self, body: &str) -> Option<&str> {
        let (act, every) = self.0.as_ref()?;
        let number = body.strip_prefix("Message: ")?.split(' ').next()?;
        (number.parse::<u64>().ok()? % every == 0).then_some(act)
    }
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

#[expect(clippy::panic, reason = "that is the point")]
fn trap() {
    panic!("a panic in the guest");
}

#[expect(clippy::empty_loop, reason = "that is the point")]
fn spin() {
    loop {}
}

fn grow() {
    let mut hoard = Vec::new();
    loop {
        hoard.push(vec![1_u8; 16 << 20]);
        std::hint::black_box(&hoard);
    }
}
