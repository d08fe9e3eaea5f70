//! Whether a SKU that everybody wants becomes a queue: the same clients in turns, each buying a SKU of its own, and all the same one.

use super::{Checkout, http_runs, sale::median};
use crate::{cli::seed, error::Result, process::Process};

/// How often each is measured: a machine is never quite the same a minute later.
const TURNS: usize = 3;

/// Measures both, and prints what share of the one the other reaches.
pub(super) async fn compare(process: &Process, shop: &seed::BenchShop, options: &Checkout) -> Result<()> {
    let (mut own, mut same) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        own.push(http_runs(process, options, |client| shop.pinned(client)).await?);
        same.push(http_runs(process, options, |_| shop.pinned(0)).await?);
    }
    for (name, runs) in [("own", &own), ("same", &same)] {
        runs.iter().for_each(|run| run.print(name));
    }
    let (many, one) = (median(&own), median(&same));
    let percent = one * 100 / many.max(1);
    println!(
        "hot SKU: {one} of {many} checkouts/s, {percent} % ({} clients, one SKU or each its own; medians of {TURNS} runs in turns)",
        options.clients
    );
    Ok(())
}
