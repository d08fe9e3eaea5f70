//! What far ends call our objects. Part of the store, the only file that touches `connector_links` but for what goes with its
//! connector.

use diesel::sql_types::Text;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::ports::Link;
use crate::{
    db::{Col, Doc, DocSql, InstantSql, Tx, UidSql, dialect, sql},
    error::Result,
    events::Event,
    kernel::{Instant, ids::ConnectorId},
};

/// A link as it is kept.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct KeptLink {
    /// The connector.
    pub connector_id: ConnectorId,
    /// What is called what.
    #[serde(flatten)]
    pub link: Link,
    /// Since when it is known.
    pub created_at: Instant,
    /// The last change.
    pub updated_at: Instant,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Details {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    number: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    doubtful: bool,
}

const SELECTED: &str = "connector_id, kind, value, object, object_id, doc, created_at, updated_at";
type Columns = (UidSql, Text, Text, Text, Text, DocSql, InstantSql, InstantSql);
type Row = (ConnectorId, String, String, String, String, Doc<Details>, Instant, Instant);

fn kept((connector_id, kind, value, object, object_id, Doc(details), created_at, updated_at): Row) -> KeptLink {
    let Details { number, doubtful } = details;
    let link = Link { object, object_id, kind, value, number, doubtful };
    KeptLink { connector_id, link, created_at, updated_at }
}

/// The ids of what an event is about: of what it happened to, of its order, of whatever else it names.
pub(super) fn objects(event: &Event) -> Vec<String> {
    let named = ["id", "order_id", "customer_id", "company_id", "shipment_id", "return_id", "variant_id"];
    let named = named.iter().filter_map(|name| event.data.get(*name)?.as_str().map(str::to_owned));
    let mut ids: Vec<String> = [event.aggregate_id.clone(), event.stream.clone()].into_iter().chain(named).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// What a connector's far end calls these objects.
pub(super) fn of(tx: &mut Tx, connector: ConnectorId, objects: &[String]) -> Result<Vec<Link>> {
    let list = dialect::list(tx, &[("wanted", Col::Text)]);
    let query = format!(
        "SELECT {SELECTED} FROM connector_links WHERE connector_id = ? AND object_id IN (SELECT wanted FROM {list}) \
         ORDER BY kind, value"
    );
    let wanted = dialect::rows(objects.iter().map(|object| json!([object])).collect());
    let rows = sql(query).bind(connector).bind(wanted).load::<Columns, Row>(tx)?;
    Ok(rows.into_iter().map(|row| kept(row).link).collect())
}

/// Whose document of a kind a value at the far end is.
pub(super) fn behind(tx: &mut Tx, connector: ConnectorId, kind: &str, value: &str) -> Result<Option<Link>> {
    let query = format!("SELECT {SELECTED} FROM connector_links WHERE connector_id = ? AND kind = ? AND value = ?");
    let row = sql(query).bind(connector).bind(kind).bind(value).first::<Columns, Row>(tx)?;
    Ok(row.map(|row| kept(row).link))
}

/// Which links are looked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    pub object_id: Option<String>,
    pub kind: Option<String>,
    pub value: Option<String>,
    pub doubtful: bool,
}

/// The links of a connector in the order of kind and value, after one.
pub(super) fn page(
    tx: &mut Tx,
    connector: ConnectorId,
    wanted: &Wanted,
    after: Option<(String, String)>,
    limit: i64,
) -> Result<Vec<KeptLink>> {
    let doubtful = if wanted.doubtful { " AND doc->>'doubtful' IS NOT NULL" } else { "" };
    let query = format!(
        "SELECT {SELECTED} FROM connector_links WHERE connector_id = ? AND (kind, value) > (?, ?) \
           AND (? = '' OR object_id = ?) AND (? = '' OR kind = ?) AND (? = '' OR value = ?){doubtful} \
         ORDER BY kind, value LIMIT ?"
    );
    let (kind, value) = after.unwrap_or_default();
    let mut query = sql(query).bind(connector).bind(kind).bind(value);
    for word in [&wanted.object_id, &wanted.kind, &wanted.value] {
        let word = word.clone().unwrap_or_default();
        query = query.bind(word.clone()).bind(word);
    }
    Ok(query.bind(limit).load::<Columns, Row>(tx)?.into_iter().map(kept).collect())
}

/// Writes down what was learnt of what the far end calls what. What is known already stays as old as it is.
pub(super) fn note(tx: &mut Tx, now: Instant, connector: ConnectorId, links: &[Link]) -> Result<()> {
    let mut links: Vec<&Link> = links.iter().collect();
    links.sort_by_key(|link| (&link.kind, &link.value));
    for link in links {
        let details = Details { number: link.number.clone(), doubtful: link.doubtful };
        let upsert = "INSERT INTO connector_links (connector_id, kind, value, object, object_id, doc, created_at, updated_at) \
                      VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (connector_id, kind, value) DO UPDATE \
                      SET object = excluded.object, object_id = excluded.object_id, doc = excluded.doc, \
                        updated_at = excluded.updated_at";
        let upsert = sql(upsert).bind(connector).bind(link.kind.as_str()).bind(link.value.as_str());
        let upsert = upsert.bind(link.object.as_str()).bind(link.object_id.as_str());
        upsert.bind(Doc(serde_json::to_value(&details)?)).bind(now).bind(now).execute(tx)?;
    }
    Ok(())
}

/// Forgets a link. False when it is not known.
pub(super) fn forget(tx: &mut Tx, connector: ConnectorId, kind: &str, value: &str) -> Result<bool> {
    let delete = sql("DELETE FROM connector_links WHERE connector_id = ? AND kind = ? AND value = ?");
    Ok(delete.bind(connector).bind(kind).bind(value).execute(tx)? == 1)
}

/// Forgets a link of an object, unless something else is called so meanwhile.
pub(super) fn forget_of(tx: &mut Tx, connector: ConnectorId, link: &Link) -> Result<()> {
    let delete = "DELETE FROM connector_links WHERE connector_id = ? AND kind = ? AND value = ? AND object_id = ?";
    let delete = sql(delete).bind(connector).bind(link.kind.as_str()).bind(link.value.as_str());
    delete.bind(link.object_id.as_str()).execute(tx).map(|_| ())
}
