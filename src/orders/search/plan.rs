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
//! 5. that it is held: few are;
//! 6. the channel; several, each on its own, and the newest of all;
//! 7. nothing: the newest orders are walked.
//!
//! What is asked of an address is asked of the first delivery's, which stands in the order's row, and of each further one's, which
//! have rows of their own (`order_contacts`): where it leads, both are asked, and the newest of both are the answer.

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
    /// An address that few orders have.
    Address,
    /// The lines of an article.
    Lines,
    /// The index of a state.
    State,
    /// That it is held.
    Held,
    /// The channel.
    Channel,
    /// The time.
    Time,
}

/// A table that a branch of a search begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Root {
    Orders,
    Lines,
    Contacts,
}

impl Root {
    /// The columns by which the newest come first.
    const fn place(self) -> (&'static str, &'static str) {
        match self {
            Self::Orders => ("orders.placed_at", "orders.id"),
            Self::Lines => ("l.placed_at", "l.order_id"),
            Self::Contacts => ("c.placed_at", "c.order_id"),
        }
    }

    /// An order may have several rows there.
    const fn distinct(self) -> &'static str {
        match self {
            Self::Orders => "",
            Self::Lines | Self::Contacts => "DISTINCT ",
        }
    }
}

/// What is asked of an address: all of it holds of one and the same.
#[derive(Debug, Clone, Default)]
struct Addressed {
    postcode: Option<String>,
    /// A part of the name, where the postcode is asked for.
    part: Option<String>,
    phone: Option<String>,
    /// The beginnings of names: from, and up to.
    names: Vec<[String; 2]>,
}

impl Addressed {
    fn of(query: &OrderQuery) -> Self {
        let (postcode, name) = (trimmed(&query.postcode), trimmed(&query.name));
        let in_box = trimmed(&query.q).filter(|q| !q.contains('@') && !q.chars().any(|c| c.is_ascii_digit()));
        let (part, alone) = if postcode.is_some() { (name, None) } else { (None, name) };
        let range = |name: String| {
            let begin = text::fold(&name);
            let end = format!("{begin}\u{10ffff}");
            [begin, end]
        };
        Self {
            postcode: postcode.as_deref().map(text::squeeze),
            part: part.map(|name| format!("%{}%", text::fold(&name))),
            phone: trimmed(&query.phone).as_deref().map(text::phone_digits),
            names: in_box.into_iter().chain(alone).map(range).collect(),
        }
    }

    fn asks(&self) -> bool {
        self.has_few() || !self.names.is_empty()
    }

    /// Whether it asks for something that few addresses have.
    const fn has_few(&self) -> bool {
        self.postcode.is_some() || self.phone.is_some()
    }

    /// Whether few orders have it; of a name that is looked up.
    fn are_few(&self, tx: &mut Tx) -> Result<bool> {
        match self.names.first() {
            _ if self.has_few() => Ok(true),
            Some(range) => are_few(tx, range),
            None => Ok(false),
        }
    }

    /// The same of the columns of a table; where it does not lead, written so that no index tempts to.
    fn on(&self, table: &str, leads: bool, plain: fn(&str) -> String) -> Conditions {
        let column = |name: &str| {
            let column = format!("{table}.{name}");
            if leads { column } else { plain(&column) }
        };
        let mut all = Conditions::default();
        if let Some(postcode) = &self.postcode {
            all.and(&format!("{} = ?", column("postcode_folded")), postcode.as_str());
        }
        if let Some(part) = &self.part {
            all.and(&format!("{} LIKE ?", column("name_folded")), part.as_str());
        }
        if let Some(phone) = &self.phone {
            all.and(&format!("{} = ?", column("phone_digits")), phone.as_str());
        }
        for (place, [from, to]) in self.names.iter().enumerate() {
            // Joined to nothing, so that neither database takes the index of names.
            let name = match leads && place == 0 && !self.has_few() {
                true => column("name_folded"),
                false => format!("({} || '')", plain(&format!("{table}.name_folded"))),
            };
            all.and_all(&format!("{name} >= ? AND {name} < ?"), [from.as_str(), to.as_str()].map(Bind::from));
        }
        all
    }

    /// That one of an order's addresses is such, where something else leads.
    fn of_any(&self, all: &mut Conditions, plain: fn(&str) -> String) {
        let (own, further) = (self.on("orders", false, plain), self.on("c", false, plain));
        let (mine, others) = (&own.text, &further.text);
        all.and_all(
            &format!(
                "((1 = 1{mine}) OR EXISTS (SELECT 1 FROM order_contacts AS c WHERE c.order_id = orders.id{others}))"
            ),
            own.binds.into_iter().chain(further.binds),
        );
    }
}

/// A search, ready to be asked.
#[derive(Debug)]
pub(super) struct Plan {
    lead: Lead,
    /// What is asked of an address, where that leads.
    addressed: Option<Addressed>,
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
        let (few, addressed) = (few(&mut conditions, query), Addressed::of(query));
        let by_address = !few && addressed.are_few(tx)?;
        if addressed.asks() && !by_address {
            addressed.of_any(&mut conditions, plain);
        }
        let addressed = Some(addressed).filter(|_| by_address);
        let sku = trimmed(&query.sku);
        let channels = channels(actor, query.channel_id);
        let lead = match () {
            () if few => Lead::Few,
            () if by_address => Lead::Address,
            () if is_rare(query) && sku.as_ref().map_or(Ok(true), |sku| has_many(tx, sku))? => Lead::State,
            () if sku.is_some() => Lead::Lines,
            () if query.held == Some(true) => Lead::Held,
            () if channels.is_some() => Lead::Channel,
            () => Lead::Time,
        };
        states(&mut conditions, query, lead == Lead::State, plain);
        if let Some(held) = query.held {
            // As its partial index has it, whatever leads: no other condition is so narrow.
            conditions.text.push_str(if held { " AND holds IS NOT NULL" } else { " AND holds IS NULL" });
        }
        if let Some(sku) = sku.as_ref().filter(|_| lead != Lead::Lines) {
            let sku_of = plain("sku");
            let has = format!("EXISTS (SELECT 1 FROM order_lines WHERE order_id = orders.id AND {sku_of} = ?)");
            conditions.and(&has, sku.as_str());
        }
        let sku = sku.filter(|_| lead == Lead::Lines);
        Ok(Self { lead, addressed, sku, conditions, channels, span, after, plain })
    }

    /// The ids of the newest that fit: the text of a SELECT, and its binds.
    pub(super) fn newest(&self, limit: i64) -> (String, Vec<Bind>) {
        let mut whole = Conditions::default();
        let branches = self.branches();
        // What several channels have is each in one of them; an order may be found by several of its addresses.
        let joined = if self.lead == Lead::Address { " UNION " } else { " UNION ALL " };
        for (number, (root, channels)) in branches.iter().enumerate() {
            if number > 0 {
                whole.text.push_str(joined);
            }
            let (body, (at, id), distinct) = (self.body(*root, channels), root.place(), root.distinct());
            whole.text.push_str(&format!(
                "SELECT id, placed FROM (SELECT {distinct}{id} AS id, {at} AS placed FROM {} ORDER BY {at} DESC, {id} DESC LIMIT ?) \
                 AS branch{number}",
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
        let mut whole = Conditions::default();
        for (number, root) in self.roots().iter().enumerate() {
            if number > 0 {
                whole.text.push_str(" UNION ");
            }
            let (body, (_, id), distinct) = (self.body(*root, &self.channels), root.place(), root.distinct());
            whole.text.push_str(&format!("SELECT {distinct}{id} FROM {}", body.text));
            whole.binds.extend(body.binds);
        }
        whole.binds.push(limit.into());
        (format!("{} LIMIT ?", whole.text), whole.binds)
    }

    /// What the search begins with.
    const fn roots(&self) -> &'static [Root] {
        match self.lead {
            Lead::Lines => &[Root::Lines],
            Lead::Address => &[Root::Orders, Root::Contacts],
            Lead::Few | Lead::State | Lead::Held | Lead::Channel | Lead::Time => &[Root::Orders],
        }
    }

    /// Each channel on its own, where they lead and are several: an index gives one channel's newest in order, not several's.
    fn branches(&self) -> Vec<(Root, Option<Vec<ChannelId>>)> {
        match &self.channels {
            Some(channels) if self.lead == Lead::Channel && (2..=MOST_CHANNELS).contains(&channels.len()) => {
                channels.iter().map(|channel| (Root::Orders, Some(vec![*channel]))).collect()
            }
            channels => self.roots().iter().map(|root| (*root, channels.clone())).collect(),
        }
    }

    /// What stands behind FROM, without order and limit.
    fn body(&self, root: Root, channels: &Option<Vec<ChannelId>>) -> Conditions {
        let mut body = Conditions::default();
        // A cross join is done in the order in which it is written.
        body.text.push_str(match root {
            Root::Orders => "orders WHERE 1 = 1",
            Root::Lines => "order_lines AS l CROSS JOIN orders WHERE orders.id = l.order_id",
            Root::Contacts => "order_contacts AS c CROSS JOIN orders WHERE orders.id = c.order_id",
        });
        if let Some(sku) = &self.sku {
            body.and("l.sku = ?", sku.as_str());
        }
        if let Some(addressed) = &self.addressed {
            let table = if root == Root::Contacts { "c" } else { "orders" };
            let own = addressed.on(table, true, self.plain);
            body.text.push_str(&own.text);
            body.binds.extend(own.binds);
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
        let (at, id) = root.place();
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

/// What names one order or few beside an address; whether there is anything of that.
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
    for (value, kind) in [(trimmed(&query.tracking), " AND kind = 'tracking'"), (trimmed(&query.external_ref), "")] {
        if let Some(value) = value {
            all.and(
                &format!("orders.id IN (SELECT owner FROM external_refs WHERE value_folded = ?{kind})"),
                text::squeeze(&value),
            );
        }
    }
    if let Some(tag) = trimmed(&query.tag) {
        all.and("orders.id IN (SELECT order_id FROM order_tags WHERE tag = ?)", tag);
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
             UNION SELECT id FROM orders WHERE phone_digits = ? \
             UNION SELECT order_id FROM order_contacts WHERE phone_digits = ?)",
            [q.into(), text::squeeze(q).into(), text::phone_digits(q).into(), text::phone_digits(q).into()],
        );
    }
}

/// Whether few addresses have a name that begins so.
fn are_few(tx: &mut Tx, [from, to]: &[String; 2]) -> Result<bool> {
    let of = |table: &str| {
        format!(
            "(SELECT count(*) FROM (SELECT 1 FROM {table} WHERE name_folded >= ? AND name_folded < ? LIMIT ?) AS {table}_found)"
        )
    };
    let query = format!("SELECT {} + {}", of("orders"), of("order_contacts"));
    let mut query = sql(query);
    for _ in 0..2 {
        query = query.bind(from.as_str()).bind(to.as_str()).bind(MOST_NAMESAKES + 1);
    }
    Ok(query.first::<BigInt, i64>(tx)?.unwrap_or_default() <= MOST_NAMESAKES)
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
        // The pages of two branches are put together: these are small.
        let is_page = |step: &String| step.starts_with("SCAN branch") || step == "SCAN newest";
        let sorts = steps.windows(2).any(|pair| match pair {
            [before, step] => step.contains("TEMP B-TREE FOR ORDER BY") && !is_page(before),
            _ => false,
        });
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
