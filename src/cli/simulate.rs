//! `kontor simulate`: what a way of working would come to, on made-up goods and orders. No database is needed.

use crate::{
    error::{Error, Result},
    fulfilment::crossdock::simulate::{Scene, table},
};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Simulate {
    /// Goods that cross a dock, compared with storing everything. The same seed gives the same figures.
    Crossdock(Crossdock),
}

#[derive(Debug, clap::Args)]
pub(super) struct Crossdock {
    /// Where chance begins.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// For how many days goods come and orders are placed: 1 to 60.
    #[arg(long, default_value_t = 14)]
    days: i64,
    /// How many orders are placed a day: 0 to 1,000.
    #[arg(long, default_value_t = 120)]
    orders: i64,
    /// How many shipments come a day: 0 to 200.
    #[arg(long, default_value_t = 12)]
    shipments: i64,
    /// How many articles there are: 1 to 100,000.
    #[arg(long, default_value_t = 40)]
    articles: i64,
    /// How many minutes goods take across the dock.
    #[arg(long, default_value_t = 60)]
    across_minutes: i64,
    /// How many minutes goods take from the lorry to their shelf.
    #[arg(long, default_value_t = 480)]
    storing_minutes: i64,
    /// How many minutes goods take from their shelf to the lorry.
    #[arg(long, default_value_t = 60)]
    picking_minutes: i64,
}

pub(super) fn run(simulate: &Simulate) -> Result<()> {
    let Simulate::Crossdock(options) = simulate;
    let bounds = [
        ("days", options.days, 1, 60),
        ("orders", options.orders, 0, 1_000),
        ("shipments", options.shipments, 0, 200),
        ("articles", options.articles, 1, 100_000),
        ("across-minutes", options.across_minutes, 0, 100_000),
        ("storing-minutes", options.storing_minutes, 0, 100_000),
        ("picking-minutes", options.picking_minutes, 0, 100_000),
    ];
    if let Some((name, _, least, most)) = bounds.iter().find(|(_, value, least, most)| !(least..=most).contains(&value))
    {
        return Err(Error::internal(format!("--{name} takes {least} to {most}")));
    }
    let scene = Scene {
        seed: options.seed,
        days: options.days,
        orders: options.orders,
        shipments: options.shipments,
        articles: options.articles,
        across_minutes: options.across_minutes,
        storing_minutes: options.storing_minutes,
        picking_minutes: options.picking_minutes,
    };
    print!("{}", table(&scene));
    Ok(())
}
