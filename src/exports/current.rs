//! The newest document of what an event is about. The one place that knows which slices give one.

use std::collections::HashMap;

use serde_json::Value;

use crate::{
    db::Tx,
    error::{Code, Error, Result},
    events::Event,
    kernel::Actor,
};

/// Gives the newest documents of these events' aggregates, by aggregate id.
pub(super) type Current = fn(&mut Tx, &Actor, &[Event]) -> Result<HashMap<String, Value>>;

/// The newest documents of the aggregates that have a current view: none has one yet.
pub(super) fn documents(_: &mut Tx, _: &Actor, events: &[Event]) -> Result<HashMap<String, Value>> {
    match events.first() {
        None => Ok(HashMap::new()),
        Some(event) => {
            let detail = format!("`{}` has no current view: poll with view=at_event", event.aggregate);
            Err(Error::problem(Code::InvalidQuery, detail).at("view"))
        }
    }
}

/// Lays the newest documents over the events' own.
pub(super) fn lay_over(tx: &mut Tx, actor: &Actor, events: &mut [Event], current: Current) -> Result<()> {
    let mut documents = current(tx, actor, events)?;
    for event in events.iter_mut().rev() {
        // An aggregate that is gone keeps the document that the event tells of it.
        if let Some(document) = documents.get(&event.aggregate_id) {
            event.data = document.clone();
        }
    }
    documents.clear();
    Ok(())
}
