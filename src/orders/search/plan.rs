//! How a search is asked of the database: which condition leads, so that one index gives the newest first and everything
//! else is looked at on the way.
//!
//! The planners of the two databases do not know what a bind holds, and SQLite's knows no figures of the tables at all. What
//! leads is therefore decided here, by what a condition can leave over, and the others are written so that no index
//! tempts to lead with them:
//!
//! 1. what names one order or few: number, reference, tracking number, phone, e-mail address, customer, postcode;
//! 2. the beginning of a name, as long as few orders have it;
//! 3. an article: its lines know when they were ordered; unless a state is asked for as well and many lines have it;
//! 4. a state that few orders are in: the states that orders end in have no index, the others have one each;
//! 5. the channel; several, each on its own, and the newest of all;
//! 6. nothing: the newest orders are walked.

use diesel::sql_types::BigInt;

use super::{OrderQuery, Place};
use crate::{
    channels::Span,
    db::{Bind, Tx, dialect, sql},
    error::Result,
    kernel::{Actor, Instant, ids::ChannelId, text},
    orders::model::{FulfilmentStatus, OrderState, PaymentStatus},
};

/// Up to so many orders of a name are sorted; of a name that more have, the newest are met soon enough on the way.
const MOST_NAMESAKES: i64 = 10_000;
/// Up to so many lines of an article are looked through for orders in a state; of an article that more have, an order in that
/// state is met soon enough.
const MOST_LINES: i64 = 1_000;
/// Up to so many channels are each asked for on their own.
const MOST_CHANNELS: usize = 16;

/// Conditions with their binds, in order.
#[derive(Debug, Clone, Default)]
struct Conditions {
    text: String,
    binds: Vec<Bind>,
}

impl Conditions {
    fn and(&mut self, condition: &str, bind: impl Into<Bind>) {
        self.and_all(condition, [bind.into()]);
    }

    fn and_all(&mut self, condition: &str, binds: impl IntoIterator<Item = Bind>) {
        self.text.push_str(" AND ");
        self.text.push_str(condition);
        self.binds.extend(binds);
    }
}

/// What leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lead {
    /// Something in the conditions that leaves few orders over.
    Few,
    /// The lines of an article.
    Lines,
    /// The index of a state.
    State,
    /// The channel.
    Channel,
    /// The time.
    Time,
}

/// A search, ready to be asked.
#[derive(Debug)]
pub(super) struct Plan {
    lead: Lead,
    /// The SKU, where its lines lead.
    sku: Option<String>,
    conditions: Conditions,
    /// The channels: none is all. One is a condition as well.
    channels: Option<Vec<ChannelId>>,
    /// From when, and before when.
    span: Span,
    after: Option<Place>,
    /// How a column is written so that no index on it leads.
    plain: fn(&str) -> String,
}

impl Plan {
    /// The plan for what is asked, of what the actor may see.
    pub(super) fn of(
        tx: &mut Tx,
        actor: &Actor,
        (query, span): (&OrderQuery, Span),
        after: Option<Place>,
    ) -> Result<Self> {
        let plain = dialect::unindexed(tx);
        let mut conditions = Conditions::default();
        let few = few(&mut conditions, query) | name(tx, &mut conditions, query, plain)?;
        let sku = trimmed(&query.sku);
        let channels = channels(actor, query.channel_id);
        let lead = match () {
            () if few => Lead::Few,
            () if is_rare(query) && sku.as_ref().map_or(Ok(true), |sku| has_many(tx, sku))? => Lead::State,
            () if sku.is_some() => Lead::Lines,
            () if channels.is_some() => Lead::Channel,
            () => Lead::Time,
        };
        states(&mut conditions, query, lead == Lead::State, plain);
        if let Some(sku) = sku.as_ref().filter(|_| lead != Lead::Lines) {
            let sku_of = plain("sku");
            let has = format!("EXISTS (SELECT 1 FROM order_lines WHERE order_id = orders.id AND {sku_of} = ?)");
            conditions.and(&has, sku.as_str());
        }
        let sku = sku.filter(|_| lead == Lead::Lines);
        Ok(Self { lead, sku, conditions, channels, span, after, plain })
    }

    /// The ids of the newest that fit: the text of a SELECT, and its binds.
    pub(super) fn newest(&self, limit: i64) -> (String, Vec<Bind>) {
        let (at, id) = self.place();
        let mut whole = Conditions::default();
        let branches = self.branches();
        for (place, channels) in branches.iter().enumerate() {
            if place > 0 {
                whole.text.push_str(" UNION ALL ");
            }
            let body = self.body(channels);
            let distinct = if self.lead == Lead::Lines { "DISTINCT " } else { "" };
            whole.text.push_str(&format!(
                "SELECT id, placed FROM (SELECT {distinct}{id} AS id, {at} AS placed FROM {} ORDER BY {at} DESC, {id} DESC LIMIT ?) \
                 AS branch{place}",
                body.text
            ));
            whole.binds.extend(body.binds);
            whole.binds.push(limit.into());
        }
        let mut text = format!("SELECT id FROM ({}) AS newest", whole.text);
        if branches.len() > 1 {
            text.push_str(" ORDER BY placed DESC, id DESC LIMIT ?");
            whole.binds.push(limit.into());
        }
        (text, whole.binds)
    }

    /// Up to so many that fit, in no order.
    pub(super) fn some(&self, limit: i64) -> (String, Vec<Bind>) {
        let (_, id) = self.place();
        let mut body = self.body(&self.channels);
        let distinct = if self.lead == Lead::Lines { "DISTINCT " } else { "" };
        body.binds.push(limit.into());
        (format!("SELECT {distinct}{id} FROM {} LIMIT ?", body.text), body.binds)
    }

    /// Each channel on its own, where they lead and are several: an index gives one channel's newest in order, not several's.
    fn branches(&self) -> Vec<Option<Vec<ChannelId>>> {
        match &self.channels {
            Some(channels) if self.lead == Lead::Channel && (2..=MOST_CHANNELS).contains(&channels.len()) => {
                channels.iter().map(|channel| Some(vec![*channel])).collect()
            }
            channels => vec![channels.clone()],
        }
    }

    /// The columns by which the newest come first.
    const fn place(&self) -> (&'static str, &'static str) {
        match self.lead {
            Lead::Lines => ("l.placed_at", "l.order_id"),
            _ => ("orders.placed_at", "orders.id"),
        }
    }

    /// What stands behind FROM, without order and limit.
    fn body(&self, channels: &Option<Vec<ChannelId>>) -> Conditions {
        let mut body = Conditions::default();
        match &self.sku {
            // A cross join is done in the order in which it is written.
            Some(sku) => {
                body.text.push_str("order_lines AS l CROSS JOIN orders WHERE orders.id = l.order_id AND l.sku = ?");
                body.binds.push(sku.as_str().into());
            }
            None => body.text.push_str("orders WHERE 1 = 1"),
        }
        body.text.push_str(&self.conditions.text);
        body.binds.extend(self.conditions.binds.iter().cloned());
        if let Some(channels) = channels {
            let leads = self.lead == Lead::Channel && channels.len() == 1;
            let column = if leads { "channel_id".to_owned() } else { (self.plain)("channel_id") };
            match channels.as_slice() {
                [] => body.text.push_str(" AND 1 = 0"),
                [one] => body.and(&format!("{column} = ?"), *one),
                several => {
                    // Few staff are limited to channels, and those to few: the text has as many forms.
                    let places = vec!["?"; several.len()].join(", ");
                    body.and_all(&format!("{column} IN ({places})"), several.iter().map(|one| Bind::from(*one)));
                }
            }
        }
        let (at, id) = self.place();
        for (bound, sign) in [(self.span.0, ">="), (self.span.1, "<")] {
            if let Some(bound) = bound {
                body.and(&format!("{at} {sign} ?"), bound);
            }
        }
        if let Some((micros, order)) = self.after {
            body.and_all(
                &format!("({at}, {id}) < (?, ?)"),
                [Bind::from(Instant::from_micros(micros)), Bind::from(order)],
            );
        }
        body
    }
}

fn trimmed(text: &Option<String>) -> Option<String> {
    text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The channels that are asked for and may be seen; `None` for all.
fn channels(actor: &Actor, asked: Option<ChannelId>) -> Option<Vec<ChannelId>> {
    match (asked, actor.channels()) {
        (Some(asked), _) => Some(if actor.sees_channel(asked) { vec![asked] } else { Vec::new() }),
        (None, Some(seen)) => Some(seen.to_vec()),
        (None, None) => None,
    }
}

/// What names one order or few; whether there is anything of that.
fn few(all: &mut Conditions, query: &OrderQuery) -> bool {
    if let Some(q) = trimmed(&query.q) {
        anything(all, &q);
    }
    if let Some(number) = trimmed(&query.number) {
        all.and("number = ?", number);
    }
    if let Some(email) = trimmed(&query.email) {
        all.and("email_folded = ?", email.to_lowercase());
    }
    if let Some(postcode) = trimmed(&query.postcode) {
        all.and("postcode_folded = ?", text::squeeze(&postcode));
        if let Some(name) = trimmed(&query.name) {
            all.and("name_folded LIKE ?", format!("%{}%", text::fold(&name)));
        }
    }
    if let Some(phone) = trimmed(&query.phone) {
        all.and("phone_digits = ?", text::phone_digits(&phone));
    }
    for (value, kind) in [(trimmed(&query.tracking), " AND kind = 'tracking'"), (trimmed(&query.external_ref), "")] {
        if let Some(value) = value {
            all.and(
                &format!("orders.id IN (SELECT owner FROM external_refs WHERE value_folded = ?{kind})"),
                text::squeeze(&value),
            );
        }
    }
    if let Some(customer) = query.customer_id {
        all.and("customer_id = ?", customer);
    }
    !all.text.is_empty()
}

/// One box for everything that is no name: what it looks like decides where it is looked for.
fn anything(all: &mut Conditions, q: &str) {
    if q.contains('@') {
        all.and("email_folded = ?", q.to_lowercase());
    } else if q.chars().any(|c| c.is_ascii_digit()) {
        all.and_all(
            "orders.id IN (SELECT id FROM orders WHERE number = ? \
             UNION SELECT owner FROM external_refs WHERE value_folded = ? \
             UNION SELECT id FROM orders WHERE phone_digits = ?)",
            [q.into(), text::squeeze(q).into(), text::phone_digits(q).into()],
        );
    }
}

/// The beginning of a name; whether few orders have it.
fn name(tx: &mut Tx, all: &mut Conditions, query: &OrderQuery, plain: fn(&str) -> String) -> Result<bool> {
    let in_box = trimmed(&query.q).filter(|q| !q.contains('@') && !q.chars().any(|c| c.is_ascii_digit()));
    let alone = trimmed(&query.name).filter(|_| trimmed(&query.postcode).is_none());
    let others = !all.text.is_empty();
    let mut few = false;
    for name in [in_box, alone].into_iter().flatten() {
        let begin = text::fold(&name);
        let range = [Bind::from(begin.as_str()), Bind::from(format!("{begin}\u{10ffff}"))];
        let leads = !others && !few && are_few(tx, range.clone())?;
        // Joined to nothing, so that neither database takes the index of names.
        let column = if leads { "name_folded".to_owned() } else { format!("({} || '')", plain("name_folded")) };
        all.and_all(&format!("{column} >= ? AND {column} < ?"), range);
        few |= leads;
    }
    Ok(few)
}

fn are_few(tx: &mut Tx, [from, to]: [Bind; 2]) -> Result<bool> {
    let query =
        "SELECT count(*) FROM (SELECT 1 FROM orders WHERE name_folded >= ? AND name_folded < ? LIMIT ?) AS found";
    let found = sql(query).bind(from).bind(to).bind(MOST_NAMESAKES + 1).first::<BigInt, i64>(tx)?;
    Ok(found.unwrap_or_default() <= MOST_NAMESAKES)
}

/// Whether a state is asked for that few orders are in.
fn is_rare(query: &OrderQuery) -> bool {
    query.state.is_some_and(|state| state != OrderState::Completed)
        || query.payment_state.is_some_and(|state| state != PaymentStatus::Captured)
        || query.fulfilment_state.is_some_and(|state| state != FulfilmentStatus::Delivered)
}

/// Whether an article has so many lines that they are not to be looked through.
fn has_many(tx: &mut Tx, sku: &str) -> Result<bool> {
    let query = "SELECT count(*) FROM (SELECT 1 FROM order_lines WHERE sku = ? LIMIT ?) AS found";
    let found = sql(query).bind(sku).bind(MOST_LINES + 1).first::<BigInt, i64>(tx)?;
    Ok(found.unwrap_or_default() > MOST_LINES)
}

/// The states. They are written out, and the one that leads with the words of its partial index, so that it is used: there
/// are few words, so the text has few forms.
fn states(all: &mut Conditions, query: &OrderQuery, lead: bool, plain: fn(&str) -> String) {
    let asked = [
        ("state", query.state.map(OrderState::as_str), OrderState::Completed.as_str(), false),
        ("payment_state", query.payment_state.map(PaymentStatus::as_str), PaymentStatus::Captured.as_str(), true),
        (
            "fulfilment_state",
            query.fulfilment_state.map(FulfilmentStatus::as_str),
            FulfilmentStatus::Delivered.as_str(),
            true,
        ),
    ];
    let mut leads = lead;
    for (column, word, usual, one_index) in asked {
        let Some(word) = word else { continue };
        let condition = match leads && word != usual {
            true if one_index => format!("{column} = '{word}' AND {column} <> '{usual}'"),
            true => format!("{column} = '{word}'"),
            false => format!("{} = '{word}'", plain(column)),
        };
        all.and_all(&condition, []);
        leads = leads && word == usual;
    }
}

#[cfg(test)]
mod tests {
    use diesel::sql_types::Text;

    use super::*;
    use crate::{
        db::{Db, Options},
        kernel::{Id, ids::OrderId},
    };

    /// How SQLite goes about a search, and whether it sorts more than a page.
    async fn explained(db: &Db, query: OrderQuery, span: Span, after: Option<Place>) -> (String, bool) {
        let read = db.read(move |tx| {
            let (text, binds) = Plan::of(tx, &Actor::System("test"), (&query, span), after)?.newest(51);
            let explain = sql(format!("EXPLAIN QUERY PLAN {text}"));
            let explain = binds.into_iter().fold(explain, |statement, bind| statement.bind(bind));
            explain.load::<(BigInt, BigInt, BigInt, Text), (i64, i64, i64, String)>(tx)
        });
        let steps: Vec<String> = read.await.unwrap().into_iter().map(|(_, _, _, step)| step).collect();
        let sorts = steps.iter().any(|step| step.contains("TEMP B-TREE FOR ORDER BY"));
        (steps.join("; "), sorts)
    }

    #[tokio::test]
    async fn every_search_is_led_by_its_index_and_what_may_be_large_is_never_sorted() {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open(Options::new(folder.path().join("plans.db").display().to_string())).unwrap();
        let text = |text: &str| Some(text.to_owned());
        let any = OrderQuery::default;
        let by_sku = || OrderQuery { sku: text("A"), ..any() };
        let placed = || OrderQuery { state: Some(OrderState::Placed), ..any() };
        let by_email = || OrderQuery { email: text("a@example.org"), ..any() };
        let channel = Some(Id::new());
        let always = (None, None);
        let span = (Some(Instant::from_micros(0)), Some(Instant::from_micros(1)));
        for (query, span, index, sorts) in [
            (any(), always, "orders_placed", false),
            (any(), span, "orders_placed", false),
            (OrderQuery { state: Some(OrderState::Completed), ..any() }, always, "orders_placed", false),
            (OrderQuery { channel_id: channel, ..any() }, always, "orders_channel", false),
            (
                OrderQuery { channel_id: channel, state: Some(OrderState::Completed), ..any() },
                always,
                "orders_channel",
                false,
            ),
            (placed(), always, "orders_open", false),
            (OrderQuery { channel_id: channel, ..placed() }, span, "orders_open", false),
            (OrderQuery { state: Some(OrderState::Cancelled), ..any() }, always, "orders_cancelled", false),
            (OrderQuery { payment_state: Some(PaymentStatus::Refunded), ..any() }, always, "orders_payment", false),
            (
                OrderQuery { fulfilment_state: Some(FulfilmentStatus::Shipped), ..any() },
                always,
                "orders_fulfilment",
                false,
            ),
            (OrderQuery { payment_state: Some(PaymentStatus::Pending), ..placed() }, always, "orders_open", false),
            (by_sku(), always, "order_lines_sku", false),
            (OrderQuery { channel_id: channel, ..by_sku() }, span, "order_lines_sku", false),
            (OrderQuery { sku: text("A"), ..placed() }, always, "order_lines_sku", false),
            (OrderQuery { sku: text("A"), ..by_email() }, always, "orders_email", false),
            (by_email(), always, "orders_email", false),
            (
                OrderQuery { payment_state: Some(PaymentStatus::Pending), channel_id: channel, ..by_email() },
                always,
                "orders_email",
                false,
            ),
            (OrderQuery { customer_id: Some(Id::new()), ..any() }, always, "orders_customer", false),
            (OrderQuery { phone: text("030 1"), ..any() }, always, "orders_phone", false),
            (OrderQuery { name: text("Ada"), ..any() }, always, "orders_name", true),
            (OrderQuery { q: text("Ada"), channel_id: channel, ..any() }, always, "orders_name", true),
            (OrderQuery { name: text("Ada"), postcode: text("10115"), ..any() }, always, "orders_postcode", true),
            (OrderQuery { external_ref: text("S-1"), ..any() }, always, "external_refs_value", true),
            (
                OrderQuery { tracking: text("S-1"), state: Some(OrderState::Placed), ..any() },
                always,
                "external_refs_value",
                true,
            ),
            (OrderQuery { q: text("1001"), ..any() }, always, "external_refs_value", true),
        ] {
            for after in [None, Some((1, OrderId::new()))] {
                let asked = format!("{query:?}");
                let (steps, sorted) = explained(&db, query.clone(), span, after).await;
                assert!(steps.contains(index), "{index} does not lead {asked}: {steps}");
                assert!(!sorted || sorts, "{asked} is sorted: {steps}");
                assert!(!steps.contains("SCAN orders;") && !steps.ends_with("SCAN orders"), "{asked}: {steps}");
            }
        }
    }
}
