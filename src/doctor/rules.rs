//! The rules, promise by promise.

use super::{
    KeyKind, Rule, amendments, bundles, by_id, credit, deliveries, docks, invoices, money, prices, returns, risk,
    sums_disagree, works,
};
use crate::kernel::ids;

/// All rules.
pub const RULES: &[Rule] = &[
    Rule {
        promise: 1,
        name: "a completed cart has its order",
        scan: ("carts", "id"),
        key: by_id::<ids::Cart>(),
        wrong: "SELECT c.id, 'completed, and there is no order of this cart' FROM carts AS c \
                WHERE c.id BETWEEN ? AND ? AND c.state = 'completed' \
                AND NOT EXISTS (SELECT 1 FROM orders AS o WHERE o.id = c.order_id AND o.cart_id = c.id)",
        judge: Some,
    },
    Rule {
        promise: 1,
        name: "an order's cart is completed",
        scan: ("orders", "id"),
        key: by_id::<ids::Order>(),
        wrong: "SELECT o.id, 'its cart is ' || c.state || ' or belongs to another order' FROM orders AS o \
                JOIN carts AS c ON c.id = o.cart_id WHERE o.id BETWEEN ? AND ? \
                AND (c.state <> 'completed' OR c.order_id IS NULL OR c.order_id <> o.id)",
        judge: Some,
    },
    Rule {
        promise: 1,
        name: "a captured payment is at its order",
        scan: ("payments", "id"),
        key: by_id::<ids::Payment>(),
        wrong: "SELECT p.id, 'captured ' || p.captured || ' ' || p.currency || ', and its order does not exist or does \
                not know it' FROM payments AS p WHERE p.id BETWEEN ? AND ? AND p.captured > p.refunded \
                AND (p.order_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM orders AS o WHERE o.id = p.order_id))",
        judge: Some,
    },
    Rule {
        promise: 1,
        name: "money without an order is in a work list",
        scan: ("payments", "id"),
        key: by_id::<ids::Payment>(),
        wrong: "SELECT id, state || ', captured ' || captured || ', refunded ' || refunded || ' ' || currency || ', of no order, \
                and in no work list' FROM payments WHERE id BETWEEN ? AND ? AND order_id IS NULL AND captured > refunded \
                AND state NOT IN ('authorised', 'captured')",
        judge: Some,
    },
    Rule {
        promise: 2,
        name: "no more is promised than there is, where backorders are denied",
        scan: ("variants", "id"),
        key: by_id::<ids::Variant>(),
        // The movements of an article lead, and not those of a whole location: SQLite takes either index for as good.
        // What was there when it was promised, and was corrected away later (broken, miscounted), was not oversold; nor was
        // what was promised while backorders were allowed, or up to the limit of them. A promise is as old as its cart, which may have held it before.
        wrong: "WITH short AS (SELECT s.variant_id, s.location_id, s.on_hand + coalesce(b.highest, 0) AS on_hand, s.allocated, \
                    s.reserved, v.backorders_until FROM stock_levels AS s JOIN variants AS v ON v.id = s.variant_id \
                  LEFT JOIN stock_backorders AS b ON b.variant_id = s.variant_id AND b.location_id = s.location_id \
                  WHERE v.id BETWEEN ? AND ? AND v.stock_policy = 'tracked' AND v.backorder_policy = 'deny' \
                  AND s.on_hand + coalesce(b.highest, 0) < s.allocated + s.reserved), \
                promises AS (SELECT s.variant_id, s.location_id, f.quantity - f.shipped - f.cancelled AS pieces, \
                    coalesce(c.created_at, o.created_at) AS since \
                  FROM short AS s CROSS JOIN fulfilment_orders AS o CROSS JOIN fulfilment_lines AS f \
                  CROSS JOIN orders LEFT JOIN carts AS c ON c.id = orders.cart_id \
                  WHERE o.location_id = s.location_id AND o.state NOT IN ('shipped', 'delivered', 'cancelled') \
                    AND f.fulfilment_order_id = o.id AND f.variant_id = s.variant_id AND f.tracked \
                    AND orders.id = o.order_id \
                  UNION ALL SELECT s.variant_id, s.location_id, r.quantity, coalesce(c.created_at, r.created_at) \
                  FROM short AS s JOIN reservations AS r ON r.variant_id = s.variant_id AND r.location_id = s.location_id \
                    AND r.state = 'live' AND r.tracked LEFT JOIN carts AS c ON c.id = r.cart_id), \
                sides AS MATERIALIZED (SELECT s.*, (SELECT coalesce(sum(p.pieces), 0) FROM promises AS p \
                    WHERE p.variant_id = s.variant_id AND p.location_id = s.location_id \
                    AND p.since <= s.backorders_until) AS allowed, \
                  (SELECT coalesce(-sum(m.on_hand), 0) FROM stock_movements AS m WHERE m.variant_id = s.variant_id \
                    AND coalesce(m.location_id, m.location_id) = s.location_id AND m.kind IN ('adjustment', 'count', 'scrap', 'snapshot', 'repair', 'correction') AND m.on_hand < 0 \
                    AND m.recorded_at >= (SELECT min(p.since) FROM promises AS p \
                      WHERE p.variant_id = s.variant_id AND p.location_id = s.location_id)) AS corrected FROM short AS s) \
                SELECT s.variant_id, 'at ' || coalesce(l.code, 'no location') || ': on hand ' || s.on_hand || ', allocated ' || \
                  s.allocated || ', reserved ' || s.reserved || ', corrected away since ' || s.corrected || \
                  ', promised while backorders were allowed ' || s.allowed \
                FROM sides AS s LEFT JOIN locations AS l ON l.id = s.location_id \
                WHERE CASE WHEN s.on_hand + s.corrected > s.allowed THEN s.on_hand + s.corrected ELSE s.allowed END \
                  < s.allocated + s.reserved",
        judge: Some,
    },
    Rule {
        promise: 2,
        name: "allocated is what open fulfilment orders wait for",
        scan: ("variants", "id"),
        key: by_id::<ids::Variant>(),
        // SQLite joins in this order where it says CROSS: the few orders that are open lead, and not all lines there ever were.
        wrong: "WITH span AS (SELECT ? AS low, ? AS high), \
                sides AS (SELECT variant_id, location_id, allocated, 0 AS waiting \
                  FROM stock_levels, span WHERE variant_id BETWEEN low AND high \
                  UNION ALL SELECT f.variant_id, o.location_id, 0, f.quantity - f.shipped - f.cancelled \
                  FROM fulfilment_orders AS o CROSS JOIN fulfilment_lines AS f CROSS JOIN span \
                  WHERE f.fulfilment_order_id = o.id AND o.state NOT IN ('shipped', 'delivered', 'cancelled') AND f.tracked \
                  AND f.variant_id BETWEEN low AND high) \
                SELECT s.variant_id, 'at ' || coalesce(min(l.code), 'no location') || ': allocated ' || sum(s.allocated) || \
                  ', fulfilment orders wait for ' || sum(s.waiting) \
                FROM sides AS s LEFT JOIN locations AS l ON l.id = s.location_id GROUP BY s.variant_id, s.location_id \
                HAVING sum(s.allocated) <> sum(s.waiting)",
        judge: Some,
    },
    Rule {
        promise: 2,
        name: "what is boxed is in packages that wait to leave",
        scan: ("fulfilment_orders", "id"),
        key: by_id::<ids::FulfilmentOrder>(),
        wrong: "WITH span AS (SELECT ? AS low, ? AS high), \
                sides AS (SELECT f.fulfilment_order_id AS id, f.boxed, 0 AS inside FROM fulfilment_lines AS f, span \
                  WHERE f.fulfilment_order_id BETWEEN low AND high AND f.boxed > 0 \
                  UNION ALL SELECT p.fulfilment_order_id, 0, p.pieces FROM packages AS p, span \
                  WHERE p.fulfilment_order_id BETWEEN low AND high AND p.state = 'packed') \
                SELECT id, 'boxed ' || sum(boxed) || ', in packages ' || sum(inside) FROM sides \
                GROUP BY id HAVING sum(boxed) <> sum(inside)",
        judge: Some,
    },
    Rule {
        promise: 2,
        name: "a parcel that is lost or comes back is seen to",
        scan: ("shipments", "id"),
        key: by_id::<ids::Shipment>(),
        wrong: "SELECT s.id, 'it is ' || s.tracking || ', and there is no claim' FROM shipments AS s \
                WHERE s.id BETWEEN ? AND ? AND s.state = 'shipped' AND s.corrected_at IS NULL \
                AND s.tracking IN ('lost', 'returned_to_sender') \
                AND NOT EXISTS (SELECT 1 FROM shipment_claims AS c WHERE c.shipment_id = s.id AND c.state <> 'withdrawn')",
        judge: Some,
    },
    Rule {
        promise: 2,
        name: "an order line waits for what its fulfilment orders wait for",
        scan: ("order_lines", "order_id"),
        key: by_id::<ids::Order>(),
        wrong: "WITH span AS (SELECT ? AS low, ? AS high), \
                sides AS (SELECT order_id, line_no, allocated, 0 AS waiting \
                  FROM order_lines, span WHERE order_id BETWEEN low AND high \
                  UNION ALL SELECT o.order_id, f.line_no, 0, f.quantity - f.shipped - f.cancelled \
                  FROM fulfilment_orders AS o JOIN fulfilment_lines AS f ON f.fulfilment_order_id = o.id, span \
                  WHERE o.order_id BETWEEN low AND high) \
                SELECT order_id, 'line ' || line_no || ': allocated ' || sum(allocated) || ', fulfilment orders wait for ' || \
                  sum(waiting) FROM sides GROUP BY order_id, line_no HAVING sum(allocated) <> sum(waiting)",
        judge: Some,
    },
    works::PIECES,
    works::PARCELS,
    works::TAKEN_BACK_ONCE,
    Rule {
        promise: 2,
        name: "levels are the sums of their movements",
        scan: ("variants", "id"),
        key: by_id::<ids::Variant>(),
        wrong: "WITH span AS (SELECT ? AS low, ? AS high), \
                sides AS (SELECT variant_id, location_id, on_hand, allocated, 0 AS moved, 0 AS promised \
                  FROM stock_levels, span WHERE variant_id BETWEEN low AND high \
                  UNION ALL SELECT variant_id, location_id, 0, 0, on_hand, allocated \
                  FROM stock_movements, span WHERE variant_id BETWEEN low AND high) \
                SELECT s.variant_id, 'at ' || coalesce(min(l.code), 'no location') || ': on hand ' || sum(s.on_hand) || ', moved ' || \
                  sum(s.moved) || '; allocated ' || sum(s.allocated) || ', moved ' || sum(s.promised) \
                FROM sides AS s LEFT JOIN locations AS l ON l.id = s.location_id GROUP BY s.variant_id, s.location_id \
                HAVING sum(s.on_hand) <> sum(s.moved) OR sum(s.allocated) <> sum(s.promised)",
        judge: Some,
    },
    Rule {
        promise: 2,
        name: "reserved is the sum of the live reservations",
        scan: ("variants", "id"),
        key: by_id::<ids::Variant>(),
        wrong: "WITH span AS (SELECT ? AS low, ? AS high), \
                sides AS (SELECT variant_id, location_id, reserved, 0 AS live \
                  FROM stock_levels, span WHERE variant_id BETWEEN low AND high \
                  UNION ALL SELECT variant_id, location_id, 0, quantity \
                  FROM reservations, span WHERE state = 'live' AND variant_id BETWEEN low AND high) \
                SELECT s.variant_id, 'at ' || coalesce(min(l.code), 'no location') || ': reserved ' || sum(s.reserved) || \
                  ', live reservations ' || sum(s.live) \
                FROM sides AS s JOIN variants AS v ON v.id = s.variant_id AND v.stock_policy = 'tracked' \
                LEFT JOIN locations AS l ON l.id = s.location_id GROUP BY s.variant_id, s.location_id \
                HAVING sum(s.reserved) <> sum(s.live)",
        judge: Some,
    },
    Rule {
        promise: 2,
        name: "the lots of a level hold no more than lies there, and what may not be sold of them is withheld",
        scan: ("variants", "id"),
        key: by_id::<ids::Variant>(),
        wrong: "WITH span AS (SELECT ? AS low, ? AS high), held AS (SELECT h.variant_id, h.location_id, h.quantity AS pieces, \
                    CASE WHEN l.state <> 'available' THEN h.quantity ELSE 0 END AS bad, 0 AS on_hand, 0 AS withheld \
                  FROM stock_lot_levels AS h JOIN stock_lots AS l ON l.id = h.lot_id, span WHERE h.variant_id BETWEEN low AND high \
                  UNION ALL SELECT variant_id, location_id, 0, 0, on_hand, withheld FROM stock_levels, span \
                  WHERE variant_id BETWEEN low AND high), \
                sums AS (SELECT variant_id, location_id, sum(pieces) AS pieces, sum(bad) AS bad, sum(on_hand) AS on_hand, \
                    sum(withheld) AS withheld FROM held GROUP BY variant_id, location_id) \
                SELECT variant_id, 'on hand ' || on_hand || ', in lots ' || pieces || '; withheld ' || withheld || \
                  ', in lots that may not be sold ' || bad FROM sums WHERE bad <> withheld OR (pieces > 0 AND pieces > on_hand)",
        judge: Some,
    },
    Rule {
        promise: 3,
        name: "what is taken of a promotion is what its uses say",
        scan: ("promotions", "id"),
        key: by_id::<ids::Promotion>(),
        wrong: "SELECT c.promotion_id, 'taken are ' || c.uses || ' uses, ' || c.units || ' pieces, ' || c.amount || ' minor units; \
                carts and orders hold ' || count(u.cart_id) || ', ' || coalesce(sum(u.units), 0) || ', ' || coalesce(sum(u.amount), 0) \
                FROM promotion_counters AS c LEFT JOIN promotion_uses AS u ON u.promotion_id = c.promotion_id AND u.totalled \
                AND u.state <> 'returned' WHERE c.promotion_id BETWEEN ? AND ? AND c.subject = '' \
                GROUP BY c.promotion_id, c.uses, c.units, c.amount HAVING c.uses <> count(u.cart_id) \
                OR c.units <> coalesce(sum(u.units), 0) OR c.amount <> coalesce(sum(u.amount), 0)",
        judge: Some,
    },
    Rule {
        promise: 3,
        name: "what customers have of a promotion is what their uses say",
        scan: ("promotions", "id"),
        key: by_id::<ids::Promotion>(),
        wrong: "WITH looked_at AS (SELECT id FROM promotions WHERE id BETWEEN ? AND ?), \
                held AS (SELECT promotion_id, customer_key AS subject FROM looked_at JOIN promotion_uses ON promotion_id = looked_at.id \
                  WHERE customer_key IS NOT NULL AND state <> 'returned' UNION ALL SELECT promotion_id, email_key FROM looked_at \
                  JOIN promotion_uses ON promotion_id = looked_at.id WHERE email_key IS NOT NULL AND state <> 'returned'), \
                counted AS (SELECT promotion_id, subject, count(*) AS uses FROM held GROUP BY promotion_id, subject) \
                SELECT c.promotion_id, 'of ' || c.subject || ' ' || c.uses || ' uses are counted, and ' || coalesce(h.uses, 0) || \
                ' are held' FROM looked_at JOIN promotion_counters AS c ON c.promotion_id = looked_at.id \
                LEFT JOIN counted AS h ON h.promotion_id = c.promotion_id AND h.subject = c.subject \
                WHERE c.subject <> '' AND c.uses <> coalesce(h.uses, 0)",
        judge: Some,
    },
    Rule {
        promise: 3,
        name: "a coupon is used as often as carts and orders have it",
        scan: ("coupons", "code"),
        key: KeyKind::Text,
        wrong: "SELECT c.code, 'used ' || c.uses || ' times, and held ' || count(u.cart_id) || ' times' FROM coupons AS c \
                LEFT JOIN promotion_uses AS u ON u.coupon = c.code AND u.coupon_counted AND u.state <> 'returned' \
                WHERE c.code BETWEEN ? AND ? AND c.max_uses IS NOT NULL GROUP BY c.code, c.uses HAVING c.uses <> count(u.cart_id)",
        judge: Some,
    },
    Rule {
        promise: 3,
        name: "a use of a promotion is a cart's, or its order's until that is cancelled",
        scan: ("promotion_uses", "cart_id"),
        key: by_id::<ids::Cart>(),
        wrong: "SELECT u.cart_id, 'a use is ' || u.state || ', its cart ' || c.state || ' and its order ' || \
                coalesce(o.state, 'not there') FROM promotion_uses AS u JOIN carts AS c ON c.id = u.cart_id \
                LEFT JOIN orders AS o ON o.id = u.order_id WHERE u.cart_id BETWEEN ? AND ? AND CASE u.state \
                WHEN 'reserved' THEN c.state = 'completed' OR u.order_id IS NOT NULL OR u.expires_at IS NULL \
                WHEN 'consumed' THEN o.id IS NULL OR o.state = 'cancelled' \
                ELSE o.id IS NULL OR o.state <> 'cancelled' END",
        judge: Some,
    },
    prices::COUNTED,
    Rule {
        promise: 4,
        name: "an order's ledger balances to zero",
        scan: ("ledger_entries", "order_id"),
        key: by_id::<ids::Order>(),
        wrong: "SELECT order_id, 'its entries sum to ' || sum(amount) || ' ' || currency FROM ledger_entries \
                WHERE order_id BETWEEN ? AND ? GROUP BY order_id, currency HAVING sum(amount) <> 0",
        judge: Some,
    },
    Rule {
        promise: 4,
        name: "the ledger books what payments captured and refunded",
        scan: ("orders", "id"),
        key: by_id::<ids::Order>(),
        wrong: "WITH span AS (SELECT ? AS low, ? AS high), \
                sides AS (SELECT order_id, CASE account WHEN 'captured' THEN amount ELSE 0 END AS captured, amount AS kept, \
                    0 AS paid, 0 AS paid_by_all, 0 AS remains FROM ledger_entries, span WHERE order_id BETWEEN low AND high \
                    AND account IN ('captured', 'refunded', 'gift_card', 'store_credit') \
                  UNION ALL SELECT order_id, 0, 0, CASE WHEN provider IN ('gift_card', 'store_credit') THEN 0 ELSE captured END, \
                    captured, captured - refunded FROM payments, span WHERE order_id BETWEEN low AND high) \
                SELECT order_id, 'the ledger has captured ' || sum(captured) || ' and keeps ' || sum(kept) || \
                  ', its payments ' || sum(paid) || ' and ' || sum(remains) FROM sides GROUP BY order_id \
                HAVING sum(captured) NOT BETWEEN sum(paid) AND sum(paid_by_all) OR sum(kept) <> sum(remains)",
        judge: Some,
    },
    money::DISPUTED,
    money::TAKEN_BACK,
    money::FREE,
    money::SHARED,
    money::PROMISED,
    money::KEPT,
    money::ELSEWHERE,
    money::NUMBERED,
    money::ASKED,
    Rule {
        promise: 4,
        name: "an order's total is the sum of its lines and its shipping",
        scan: ("orders", "id"),
        key: by_id::<ids::Order>(),
        wrong: "SELECT o.id, o.total || ' ' || coalesce((SELECT sum(l.gross) FROM order_lines AS l WHERE l.order_id = o.id), 0) \
                || ' ' || o.currency || ' ' || (o.doc->'totals'->'shipping_total'->>'amount') \
                FROM orders AS o WHERE o.id BETWEEN ? AND ? AND o.doc->'totals'->'shipping_total'->>'amount' IS NOT NULL",
        judge: sums_disagree,
    },
    bundles::SUMMED,
    amendments::BOOKED,
    amendments::TAKEN,
    amendments::SECOND,
    deliveries::SHIPPING,
    Rule {
        promise: 4,
        name: "a line's net and tax make its gross, and no more is refunded",
        scan: ("order_lines", "order_id"),
        key: by_id::<ids::Order>(),
        wrong: "SELECT order_id, 'line ' || line_no || ': net ' || net || ' + tax ' || tax || ', gross ' || gross || \
                ', refunded ' || refunded FROM order_lines WHERE order_id BETWEEN ? AND ? \
                AND (net + tax <> gross OR refunded > gross OR refunded < 0)",
        judge: Some,
    },
    Rule {
        promise: 4,
        name: "a stored value is the sum of its entries",
        scan: ("stored_values", "id"),
        key: by_id::<ids::StoredValue>(),
        wrong: "SELECT v.id, 'balance ' || v.balance || ', held ' || v.held || ', its entries ' || coalesce(sum(e.amount), 0) || \
                ' and ' || coalesce(sum(e.held), 0) FROM stored_values AS v \
                LEFT JOIN stored_value_entries AS e ON e.stored_value_id = v.id WHERE v.id BETWEEN ? AND ? \
                GROUP BY v.id, v.balance, v.held \
                HAVING v.balance <> coalesce(sum(e.amount), 0) OR v.held <> coalesce(sum(e.held), 0)",
        judge: Some,
    },
    Rule {
        promise: 4,
        name: "what is set aside of a stored value is a cart's or an order's",
        scan: ("stored_values", "id"),
        key: by_id::<ids::StoredValue>(),
        // What a payment is being asked for may have been taken a moment ago.
        wrong: "WITH own AS (SELECT v.id, v.held, (SELECT coalesce(sum(h.amount), 0) FROM stored_value_holds AS h \
                    WHERE h.stored_value_id = v.id) AS carts, coalesce(sum(p.amount - p.captured - p.voided), 0) AS most, \
                    coalesce(sum(p.capture_pending + p.void_pending), 0) AS moving \
                  FROM stored_values AS v LEFT JOIN payments AS p ON p.id IN (SELECT e.payment_id FROM stored_value_entries AS e \
                    WHERE e.stored_value_id = v.id AND e.kind = 'hold') WHERE v.id BETWEEN ? AND ? GROUP BY v.id, v.held) \
                SELECT id, 'held ' || held || ', by carts ' || carts || ', by orders ' || most FROM own \
                WHERE held > carts + most OR held < carts + most - moving",
        judge: Some,
    },
    Rule {
        promise: 4,
        name: "a payment by stored value is what was taken of that and put back",
        scan: ("payments", "id"),
        key: by_id::<ids::Payment>(),
        // What it is being asked for may be done already.
        wrong: "WITH own AS (SELECT p.id, p.captured, p.refunded, p.capture_pending, p.refund_pending, \
                    -coalesce(sum(CASE e.kind WHEN 'redeem' THEN e.amount ELSE 0 END), 0) AS taken, \
                    coalesce(sum(CASE e.kind WHEN 'refund' THEN e.amount ELSE 0 END), 0) AS back \
                  FROM payments AS p LEFT JOIN stored_value_entries AS e ON e.payment_id = p.id \
                  WHERE p.id BETWEEN ? AND ? AND p.provider IN ('gift_card', 'store_credit') \
                  GROUP BY p.id, p.captured, p.refunded, p.capture_pending, p.refund_pending) \
                SELECT id, 'captured ' || captured || ', taken ' || taken || '; refunded ' || refunded || ', put back ' || back \
                FROM own WHERE taken < captured OR taken > captured + capture_pending \
                OR back < refunded OR back > refunded + refund_pending",
        judge: Some,
    },
    credit::USED,
    credit::OPEN,
    returns::ADVANCED,
    returns::ORDERED,
    returns::AWAITED,
    invoices::GAPLESS,
    invoices::IN_ORDER,
    invoices::UNCHANGED,
    invoices::RETAINED,
    invoices::AS_SOLD,
    Rule {
        promise: 4,
        name: "refunded is at most captured, captured at most the amount",
        scan: ("payments", "id"),
        key: by_id::<ids::Payment>(),
        wrong: "SELECT id, 'amount ' || amount || ', captured ' || captured || ', refunded ' || refunded FROM payments \
                WHERE id BETWEEN ? AND ? AND (captured > amount OR refunded > captured OR refunded < 0)",
        judge: Some,
    },
    Rule {
        promise: 4,
        name: "a line ships no more than was ordered",
        scan: ("order_lines", "order_id"),
        key: by_id::<ids::Order>(),
        wrong: "SELECT order_id, 'line ' || line_no || ': ordered ' || quantity || ', allocated ' || allocated || \
                ', shipped ' || shipped || ', cancelled ' || cancelled FROM order_lines WHERE order_id BETWEEN ? AND ? \
                AND (allocated + shipped + cancelled > quantity OR delivered > shipped OR returned > shipped)",
        judge: Some,
    },
    Rule {
        promise: 6,
        name: "a stream's events have their positions in order",
        scan: ("events", "stream"),
        key: KeyKind::Text,
        wrong: "SELECT stream, 'event ' || seq || ' at position ' || coalesce(CAST(position AS TEXT), 'none') || ' follows ' || \
                  coalesce(CAST(before AS TEXT), 'one without a position') FROM ( \
                  SELECT stream, seq, position, lag(seq) OVER w AS earlier, lag(position) OVER w AS before FROM events \
                  WHERE stream BETWEEN ? AND ? WINDOW w AS (PARTITION BY stream ORDER BY seq)) AS rows_of_it \
                WHERE earlier IS NOT NULL AND position IS NOT NULL AND (before IS NULL OR before >= position)",
        judge: Some,
    },
    Rule {
        promise: 6,
        name: "an aggregate's versions never go back",
        scan: ("events", "stream"),
        key: KeyKind::Text,
        wrong: "SELECT stream, aggregate_id || ': version ' || aggregate_version || ' after ' || before FROM ( \
                  SELECT stream, aggregate_id, aggregate_version, lag(aggregate_version) OVER w AS before FROM events \
                  WHERE stream BETWEEN ? AND ? WINDOW w AS (PARTITION BY stream, aggregate, aggregate_id ORDER BY seq)) \
                  AS rows_of_it \
                WHERE before > aggregate_version",
        judge: Some,
    },
    Rule {
        promise: 6,
        name: "no event of an order is missing",
        scan: ("events", "stream"),
        key: KeyKind::Text,
        wrong: "SELECT stream, aggregate_id || ': version ' || aggregate_version || ' after ' || before FROM ( \
                  SELECT stream, aggregate_id, aggregate_version, lag(aggregate_version) OVER w AS before FROM events \
                  WHERE stream BETWEEN ? AND ? AND aggregate = 'order' \
                  WINDOW w AS (PARTITION BY stream, aggregate_id ORDER BY seq)) AS rows_of_it \
                WHERE aggregate_version > before + 1",
        judge: Some,
    },
    Rule {
        promise: 6,
        name: "nothing is delivered past a dead dispatch of its stream",
        scan: ("dispatches", "id"),
        key: by_id::<ids::Dispatch>(),
        // What had been delivered before it was sent again has not gone past it.
        wrong: "SELECT d.id, 'dead at position ' || d.position || ', and a later event of its stream was delivered' \
                FROM dispatches AS d JOIN jobs ON jobs.id = d.job_id WHERE d.id BETWEEN ? AND ? AND d.state = 'dead' \
                AND EXISTS (SELECT 1 FROM dispatches AS later WHERE later.connector_id = d.connector_id \
                  AND later.stream = d.stream AND later.position > d.position AND later.state = 'delivered' \
                  AND later.updated_at > jobs.created_at)",
        judge: Some,
    },
    docks::MATCHED,
    docks::DEMANDED,
    docks::TRANSFERRED,
    docks::PICKED,
    prices::RECORDED,
    prices::RUNS,
    prices::VERSIONS,
    prices::DECLARED,
    risk::LINKED,
    Rule {
        promise: 7,
        name: "the newest change of a price made it what it is",
        scan: ("price_changes", "variant_id"),
        key: by_id::<ids::Variant>(),
        wrong: "WITH newest AS (SELECT variant_id, price_list_id, min_quantity, valid_from, to_amount, to_per, to_until FROM ( \
                  SELECT variant_id, price_list_id, min_quantity, valid_from, to_amount, to_per, to_until, row_number() OVER ( \
                    PARTITION BY variant_id, price_list_id, min_quantity, valid_from ORDER BY seq DESC) AS place \
                  FROM price_changes WHERE variant_id BETWEEN ? AND ?) AS changes WHERE place = 1) \
                SELECT n.variant_id, 'list ' || l.code || ', from ' || n.min_quantity || ' pieces on: ' || \
                  coalesce(CAST(p.amount AS TEXT), 'no price') || ', and its newest change made it ' || \
                  coalesce(CAST(n.to_amount AS TEXT), 'no price') || ', or for other pieces, or until another time' \
                FROM newest AS n JOIN price_lists AS l ON l.id = n.price_list_id LEFT JOIN prices AS p \
                  ON p.variant_id = n.variant_id AND p.price_list_id = n.price_list_id \
                  AND p.min_quantity = n.min_quantity AND p.valid_from = n.valid_from \
                WHERE p.amount IS DISTINCT FROM n.to_amount OR p.valid_until IS DISTINCT FROM n.to_until \
                  OR coalesce(p.per, 1) <> coalesce(n.to_per, 1)",
        judge: Some,
    },
    Rule {
        promise: 7,
        name: "each change of a price begins where the one before it ended",
        scan: ("price_changes", "variant_id"),
        key: by_id::<ids::Variant>(),
        wrong: "SELECT variant_id, 'change ' || seq || ' is from ' || coalesce(CAST(from_amount AS TEXT), 'no price') || \
                  ', the one before it, ' || earlier || ', to ' || coalesce(CAST(before AS TEXT), 'no price') FROM ( \
                  SELECT variant_id, seq, from_amount, from_per, from_until, changed_at, lag(seq) OVER w AS earlier, \
                    lag(to_amount) OVER w AS before, lag(to_per) OVER w AS before_per, lag(to_until) OVER w AS before_until, \
                    lag(changed_at) OVER w AS before_at FROM price_changes WHERE variant_id BETWEEN ? AND ? \
                  WINDOW w AS (PARTITION BY variant_id, price_list_id, min_quantity, valid_from ORDER BY seq)) AS changes \
                WHERE earlier IS NOT NULL AND (from_amount IS DISTINCT FROM before OR from_until IS DISTINCT FROM before_until \
                  OR coalesce(from_per, 1) <> coalesce(before_per, 1) OR changed_at < before_at)",
        judge: Some,
    },
];
