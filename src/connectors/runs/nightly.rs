//! Reconciliations that begin by themselves, once a night.

use serde::{Deserialize, Serialize};

use super::{
    model::{Details, RunKind},
    service::{self, Fresh},
};
use crate::{
    connectors::{
        model::{ConnectorState, Kept},
        registry, store as kept,
    },
    db::Lane,
    error::{Error, Result},
    http::State,
    kernel::{Actor, Id, Instant},
};

/// Whether, and when, both sides are compared by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(example = json!({"nightly": true, "hour": 3, "days": 2}))]
pub struct Reconciling {
    /// Whether it is done every night.
    pub nightly: bool,
    /// In which hour (UTC) it begins: 0 to 23.
    #[schema(minimum = 0, maximum = 23, default = 2)]
    pub hour: i64,
    /// Orders of which something happened in so many days are looked at: 1 to 31.
    #[schema(minimum = 1, maximum = 31, default = 2)]
    pub days: i64,
}

impl Default for Reconciling {
    fn default() -> Self {
        Self { nightly: false, hour: 2, days: 2 }
    }
}

impl Reconciling {
    /// What holds for every connector; `searchable` is whether its far end can be searched.
    pub(in crate::connectors) fn check(&self, searchable: bool) -> Result<()> {
        if !(0..=23).contains(&self.hour) {
            return Err(Error::invalid("/reconcile/hour", "expected 0 to 23"));
        }
        if !(1..=31).contains(&self.days) {
            return Err(Error::invalid("/reconcile/days", "expected 1 to 31"));
        }
        if self.nightly && !searchable {
            let detail = "the far end of this adapter can not be asked what it has: there is nothing to compare with";
            let refused = Error::problem(crate::error::Code::FarEndNotSearchable, detail);
            return Err(refused.at("/reconcile/nightly"));
        }
        Ok(())
    }

    /// The night for which one is due, and the stretch that it looks at.
    fn due(&self, now: Instant) -> Option<(String, (Instant, Instant))> {
        let text = now.to_string();
        let hour: i64 = text.get(11..13)?.parse().ok()?;
        let night = text.get(..10)?.to_owned();
        (self.nightly && hour >= self.hour).then_some((night, (now.plus_seconds(-self.days * 86_400), now)))
    }
}

/// Begins the reconciliations that are due: one for each connector and night.
///
/// # Errors
/// What the database says.
pub async fn begin_due(state: &State) -> Result<()> {
    let now = state.clock.now();
    for connector in state.db.read(|tx| kept::list(tx, None, i64::MAX)).await? {
        let searchable = registry::find(&connector.adapter).is_ok_and(|adapter| adapter.order_search.is_some());
        let due =
            connector.setup.reconcile.due(now).filter(|_| searchable && connector.state == ConnectorState::Active);
        if let Some(due) = due {
            begin(state, connector, now, due).await?;
        }
    }
    Ok(())
}

async fn begin(
    state: &State,
    connector: Kept,
    now: Instant,
    (night, (from, to)): (String, (Instant, Instant)),
) -> Result<()> {
    let fresh = Fresh { run: Id::new(), job: Id::new() };
    let begun_by = Actor::System("connectors").label();
    let name = connector.name.clone();
    let begun = state.db.write_in(Lane::Bulk, move |tx| {
        let details = Details { from: Some(from), to: Some(to), begun_by: begun_by.clone(), ..Details::default() };
        service::begin(tx, now, &connector, (RunKind::Reconciliation, details, Some(night.clone())), fresh)
    });
    match begun.await {
        Ok(_) => Ok(()),
        // It was begun for this night already, another run is at work, or nothing has happened: a later turn looks again.
        Err(Error::Problem(problem)) => {
            tracing::debug!(connector = name, reason = problem.detail, "no reconciliation is begun");
            Ok(())
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_due_each_night_from_its_hour_on() {
        let at = |text: &str| text.parse::<Instant>().unwrap();
        let nightly = Reconciling { nightly: true, hour: 3, days: 2 };
        assert_eq!(nightly.due(at("2026-03-02T02:59:59Z")), None);
        let (night, (from, to)) = nightly.due(at("2026-03-02T03:00:00Z")).unwrap();
        assert_eq!((night.as_str(), from, to), ("2026-03-02", at("2026-02-28T03:00:00Z"), at("2026-03-02T03:00:00Z")));
        assert_eq!(Reconciling::default().due(at("2026-03-02T03:00:00Z")), None);
    }
}
