//! What must hold of invoices and credit notes.

use super::{Rule, by_id};
use crate::{
    invoices::{Invoice, fingerprint},
    kernel::ids,
};

/// Numbers have no gaps: as many documents as the counter says, and none above it.
pub(super) const GAPLESS: Rule = Rule {
    promise: 4,
    name: "the numbers of a series of invoices have no gaps",
    scan: ("invoice_series", "legal_entity_id"),
    key: by_id::<ids::LegalEntity>(),
    wrong: "SELECT s.legal_entity_id, s.series || ': the last is ' || s.last || ', there are ' || count(d.id) || ' up to ' || \
              coalesce(max(d.sequence), 0) FROM invoice_series AS s \
            LEFT JOIN invoice_documents AS d ON d.legal_entity_id = s.legal_entity_id AND d.series = s.series \
            WHERE s.legal_entity_id BETWEEN ? AND ? GROUP BY s.legal_entity_id, s.series, s.last \
            HAVING count(d.id) <> s.last OR coalesce(max(d.sequence), 0) <> s.last",
    judge: Some,
};

/// The day of a document is none before its predecessor's.
pub(super) const IN_ORDER: Rule = Rule {
    promise: 4,
    name: "the days of a series of invoices never go back",
    scan: ("invoice_series", "legal_entity_id"),
    key: by_id::<ids::LegalEntity>(),
    wrong: "SELECT legal_entity_id, number || ' of ' || issued_on || ' follows one of ' || before FROM ( \
              SELECT legal_entity_id, number, issued_on, lag(issued_on) OVER w AS before FROM invoice_documents \
              WHERE legal_entity_id BETWEEN ? AND ? \
              WINDOW w AS (PARTITION BY legal_entity_id, series ORDER BY sequence)) AS rows_of_it \
            WHERE before > issued_on",
    judge: Some,
};

/// A document is as it was issued, or as what is personal was taken out of it.
pub(super) const UNCHANGED: Rule = Rule {
    promise: 4,
    name: "an issued invoice is as it was issued",
    scan: ("invoice_documents", "id"),
    key: by_id::<ids::Bill>(),
    wrong: "SELECT id, sha256 || ' ' || kind || ' ' || number || ' ' || issued_on || ' ' || net || ' ' || tax || ' ' || total || \
              '\n' || document FROM invoice_documents WHERE id BETWEEN ? AND ?",
    judge: changed,
};

/// What is personal leaves a document after the day until which it has to be kept and not before, and nothing of it stays; documents that were due
/// before another one of which it was taken are not forgotten.
pub(super) const RETAINED: Rule = Rule {
    promise: 4,
    name: "what is personal leaves invoices once they do not have to be kept, and not before",
    scan: ("invoice_documents", "id"),
    key: by_id::<ids::Bill>(),
    wrong: "SELECT id, number || ', kept until ' || retain_until || ', redacted at ' || coalesce(CAST(redacted_at AS TEXT), 'no time') \
            FROM invoice_documents WHERE id BETWEEN ? AND ? AND CASE WHEN redacted_at IS NULL \
              THEN retain_until < coalesce((SELECT max(other.retain_until) FROM invoice_documents AS other \
                WHERE other.redacted_at IS NOT NULL), '') \
              ELSE substr(CAST(redacted_at AS TEXT), 1, 10) <= retain_until END",
    judge: Some,
};

/// What is invoiced of an order, less what was credited, is what its ledger has sold. While something is still to be invoiced it is
/// not: goods that have not left, and what jobs that wait see to. Whose these are SQL can not read; an order changes no later than its
/// job is made, so those that have not changed since the oldest was have none.
pub(super) const AS_SOLD: Rule = Rule {
    promise: 4,
    name: "what is invoiced of an order is what was sold",
    scan: ("invoice_documents", "order_id"),
    key: by_id::<ids::Order>(),
    wrong: "WITH own AS (SELECT d.order_id, sum(CASE d.kind WHEN 'invoice' THEN d.net ELSE -d.net END) AS net, \
                sum(CASE d.kind WHEN 'invoice' THEN d.tax ELSE -d.tax END) AS tax \
              FROM invoice_documents AS d WHERE d.order_id BETWEEN ? AND ? GROUP BY d.order_id), \
            both_sides AS (SELECT own.*, \
                (SELECT -coalesce(sum(e.amount), 0) FROM ledger_entries AS e \
                  WHERE e.order_id = own.order_id AND e.account = 'revenue') AS sold_net, \
                (SELECT -coalesce(sum(e.amount), 0) FROM ledger_entries AS e \
                  WHERE e.order_id = own.order_id AND e.account = 'tax') AS sold_tax \
              FROM own JOIN orders AS o ON o.id = own.order_id \
              WHERE (o.doc->>'invoicing' = 'at_order' OR NOT EXISTS (SELECT 1 FROM order_lines AS l \
                  WHERE l.order_id = o.id AND CAST(l.doc->>'requires_shipping' AS TEXT) IN ('1', 'true') \
                  AND l.quantity > l.shipped + l.cancelled)) \
              AND NOT EXISTS (SELECT 1 FROM jobs AS j WHERE j.kind = 'orders.invoice' AND j.state <> 'dead' \
                  AND j.created_at <= o.updated_at)) \
            SELECT order_id, 'net and tax invoiced ' || net || ' and ' || tax || ', sold ' || sold_net || ' and ' || sold_tax \
            FROM both_sides WHERE net <> sold_net OR tax <> sold_tax",
    judge: Some,
};

/// The hash and the columns, then the document.
fn changed(found: String) -> Option<String> {
    let (columns, document) = found.split_once('\n')?;
    let Ok(invoice) = serde_json::from_str::<Invoice>(document) else {
        return Some("it can not be read".to_owned());
    };
    let Invoice { kind, number, issued_on, net, tax, total, .. } = &invoice;
    let number = number.as_deref().unwrap_or_default();
    let sums = format!("{} {} {}", net.minor(), tax.minor(), total.minor());
    let told = format!("{} {kind} {number} {issued_on} {sums}", fingerprint(document));
    if told != columns {
        return Some(format!("{columns} is kept of {told}"));
    }
    let names = invoice.buyer.is_some() || invoice.deliver_to.is_some() || invoice.reason.is_some();
    (invoice.redacted_at.is_some() && names).then(|| format!("{number} is redacted, and tells who has bought"))
}
