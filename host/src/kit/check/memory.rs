//! Whether a sink needs more memory with every call.

use super::bench::Bench;
use super::early::Early;
use super::report::Finding;

const CHECK: &str = "memory";
/// The calls before the first look: buffers grow to the size that they need.
const WARM_UP: usize = 20;
/// The calls between two looks, and the looks.
const CALLS: usize = 20;
const LOOKS: usize = 4;
const RECORDS: usize = 100;
/// What may be added between two looks, in bytes: a page of WebAssembly's.
const PAGE: usize = 64 << 10;

pub(super) async fn check(bench: &mut Bench<'_>) -> Result<Finding, Early> {
    let mut instance = bench.opened(CHECK).await?;
    let mut sizes = Vec::new();
    for look in 0..=LOOKS {
        let calls = if look == 0 { WARM_UP } else { CALLS };
        for _ in 0..calls {
            let batch = bench.samples.ordinary(RECORDS);
            bench.taken(CHECK, &mut instance, &batch).await?;
        }
        sizes.push(instance.memory());
    }
    let grown = |pair: &[usize]| matches!(pair, [before, after] if *after > before + PAGE);
    let last = sizes.last().copied().unwrap_or(0);
    let first = sizes.first().copied().unwrap_or(0);
    let mib = |bytes: usize| format!("{:.1} MiB", Mib(bytes));
    Ok(if sizes.windows(2).all(grown) {
        let each = (last - first) / (CALLS * LOOKS);
        Finding::failed(
            CHECK,
            format!(
                "it grows by {} KiB a call, from {} to {} in {} calls of {RECORDS} records; it will \
                 hit its limit",
                each >> 10,
                mib(first),
                mib(last),
                CALLS * LOOKS
            ),
        )
    } else {
        let calls = WARM_UP + CALLS * LOOKS;
        Finding::passed(CHECK, format!("{} after {calls} calls", mib(last)))
    })
}

/// Bytes, shown in MiB.
struct Mib(usize);

impl std::fmt::Display for Mib {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        #[expect(clippy::cast_precision_loss, reason = "one digit is shown")]
        let mib = self.0 as f64 / f64::from(1 << 20);
        mib.fmt(f)
    }
}
