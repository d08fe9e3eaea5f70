use proptest::prelude::*;
use rust_decimal::Decimal;

use super::*;
use crate::{
    channels::LegalEntity,
    fulfilment::{ShipmentState, ShippedLine, tracking::Tracking},
    invoices::compose,
    kernel::{Currency, Device, Id, Money, Per, UnitPrice},
    orders::{FulfilmentStatus, OrderState, PaymentStatus, Quantities},
    pricing::model::ShippingTotals,
};

fn eur() -> Currency {
    "EUR".parse().unwrap()
}

fn money(minor: i64) -> Money {
    Money::from_minor(minor, eur())
}

fn seller() -> LegalEntity {
    let invoicing = serde_json::json!({"street1": "S 1", "postcode": "1", "city": "C", "series": "RE-{year}-"});
    LegalEntity {
        id: Id::new(),
        code: "acme".to_owned(),
        name: "Acme".to_owned(),
        country: "DE".parse().unwrap(),
        vat_id: Some("DE136695976".to_owned()),
        time_zone: "Europe/Berlin".parse().unwrap(),
        invoicing: Some(serde_json::from_value(invoicing).unwrap()),
        spent_series: Vec::new(),
        version: 1,
        created_at: Instant::from_micros(0),
    }
}

/// A line of so many pieces that are shipped, or not, with its gross price in minor units.
fn line(line_no: i32, quantity: i64, gross: i64, requires_shipping: bool) -> OrderLine {
    let tax = gross * 19 / 119;
    OrderLine {
        line_no,
        variant_id: Id::new(),
        sku: "TEE".to_owned(),
        name: "A tee".to_owned(),
        quantities: Quantities { quantity, ..Quantities::default() },
        unit_code: "C62".to_owned(),
        requires_shipping,
        unit_price: UnitPrice::of(money(gross / quantity)).unwrap(),
        per: Per::default(),
        subtotal: money(gross),
        discount: money(0),
        net: money(gross - tax),
        tax: money(tax),
        gross: money(gross),
        refunded: money(0),
        goodwill: money(0),
        tax_rate: Decimal::new(19, 2),
        explanation: Vec::new(),
        bundle: None,
        metadata: serde_json::Map::new(),
        weight_grams: 0,
        tax_class: "standard".to_owned(),
    }
}

fn order(mode: Invoicing, lines: Vec<OrderLine>) -> OrderDocument {
    let shipping = ShippingTotals {
        delivery: None,
        code: "standard".to_owned(),
        name: "Parcel".to_owned(),
        subtotal: money(490),
        discount: money(0),
        net: money(412),
        tax: money(78),
        gross: money(490),
        tax_rate: Decimal::new(19, 2),
        parts: Vec::new(),
        explanation: Vec::new(),
    };
    let at = Instant::from_micros(0);
    OrderDocument {
        id: Id::new(),
        number: "1001".to_owned(),
        channel_id: Id::new(),
        customer_id: None,
        cart_id: None,
        state: OrderState::Placed,
        payment_state: PaymentStatus::Pending,
        fulfilment_state: FulfilmentStatus::Unfulfilled,
        test: false,
        version: 1,
        currency: eur(),
        placed_at: at,
        recorded_at: at,
        email: None,
        locale: None,
        device: Device::Desktop,
        source: None,
        billing_address: None,
        vat_id: None,
        deliveries: Vec::new(),
        min_shelf_life_days: None,
        lines,
        bundles: Vec::new(),
        shipping: Some(shipping),
        taxes: Vec::new(),
        tax_treatment: None,
        prices_include_tax: true,
        subtotal: money(0),
        discount: money(0),
        net: money(0),
        tax: money(0),
        total: money(0),
        purchase_order: None,
        contracts: Vec::new(),
        net_days: None,
        payment_method: "manual".to_owned(),
        invoicing: Some(mode),
        payments: Vec::new(),
        external_refs: Vec::new(),
        explanation: Vec::new(),
        promotions: Vec::new(),
        passed_over: Vec::new(),
        rules_version: None,
        holds: Vec::new(),
        shipping_credited: money(0),
        shipping_goodwill: money(0),
        metadata: serde_json::Map::new(),
        actions: Vec::new(),
        link: None,
    }
}

/// An order on which a test ships, takes shipments back, cancels, and lets jobs invoice.
struct Model {
    order: OrderDocument,
    seller: LegalEntity,
    shipments: Vec<Shipment>,
    issued: Vec<Invoice>,
    covered: i64,
    places: Vec<(FulfilmentOrderId, usize)>,
}

impl Model {
    fn new(mode: Invoicing, lines: &[(i64, i64, bool)]) -> Self {
        let lines = (1..).zip(lines).map(|(no, (quantity, gross, ships))| line(no, *quantity, *gross, *ships));
        Self {
            order: order(mode, lines.collect()),
            seller: seller(),
            shipments: Vec::new(),
            issued: Vec::new(),
            covered: 0,
            places: Vec::new(),
        }
    }

    fn ship(&mut self, place: usize, pieces: i64) {
        let line = &mut self.order.lines[place];
        let pieces = pieces.min(line.quantities.open());
        if pieces == 0 || !line.requires_shipping {
            return;
        }
        line.quantities.shipped += pieces;
        let lines = vec![ShippedLine { line_no: line.line_no, sku: line.sku.clone(), quantity: pieces }];
        let at = Instant::from_micros(i64::try_from(self.shipments.len()).unwrap() * 86_400_000_000);
        self.shipments.push(Shipment {
            id: Id::new(),
            fulfilment_order_id: Id::new(),
            order_id: self.order.id,
            location_id: Id::new(),
            carrier: None,
            tracking_number: None,
            tracking_url: None,
            state: ShipmentState::Shipped,
            tracking: Tracking::Announced,
            lines,
            packages: Vec::new(),
            shipped_at: at,
            delivered_at: None,
            corrected_at: None,
            corrections: Vec::new(),
            scans: Vec::new(),
            recorded_at: at,
        });
    }

    fn unship(&mut self, place: usize) {
        let count = self.shipments.len().max(1);
        let Some(shipment) = self.shipments.get_mut(place % count).filter(|one| one.corrected_at.is_none()) else {
            return;
        };
        shipment.corrected_at = Some(shipment.shipped_at);
        for own in shipment.lines.clone() {
            let line = self.order.lines.iter_mut().find(|line| line.line_no == own.line_no).unwrap();
            line.quantities.shipped -= own.quantity;
        }
    }

    fn cancel(&mut self, place: usize, pieces: i64) {
        let line = &mut self.order.lines[place];
        line.quantities.cancelled += pieces.min(line.quantities.open());
    }

    /// Issues what follows, and no more than a few documents.
    fn run(&mut self) {
        for _ in 0..50 {
            let Self { order, shipments, issued, covered, places, .. } = &*self;
            let standing = Standing { order, shipments, places, returns: &[], reductions: &[], issued, zone: Tz::UTC };
            let Some(draft) = standing.next() else { return };
            assert!(issued.iter().all(|one| one.cause != draft.cause), "{} again", draft.cause);
            let day = NaiveDate::from_ymd_opt(2026, 1, 1).unwrap();
            let made = compose::document(&standing, &self.seller, (Id::new(), day), &draft, None, *covered).unwrap();
            assert_eq!(made.total.minor(), made.net.minor() + made.tax.minor());
            self.issued.push(made);
        }
        panic!("it never ends: {:#?}", self.issued);
    }

    /// Net, tax and total of invoices less credit notes.
    fn invoiced(&self) -> [i64; 3] {
        let mut sums = [0; 3];
        for one in &self.issued {
            let sign = if one.kind == BillKind::Invoice { 1 } else { -1 };
            for (sum, own) in sums.iter_mut().zip([one.net, one.tax, one.total]) {
                *sum += sign * own.minor();
            }
        }
        sums
    }

    /// What the ledger has sold: the first pieces of each line, as many as were not cancelled, and shipping unless all were.
    fn sold(&self) -> [i64; 3] {
        let mut sums = if is_cancelled(&self.order) { [0; 3] } else { [412, 78, 490] };
        for line in &self.order.lines {
            let all = share_taxed(line.gross.minor(), line.tax.minor(), 0, kept(line), line.quantities.quantity);
            for (sum, own) in sums.iter_mut().zip([all.net, all.tax, all.gross]) {
                *sum += own;
            }
        }
        sums
    }

    fn is_open(&self) -> bool {
        self.order.lines.iter().any(|line| line.requires_shipping && line.quantities.open() > 0)
    }
}

#[test]
fn what_is_never_shipped_goes_with_the_first_shipment_or_alone() {
    let mut both = Model::new(Invoicing::AtShipment, &[(2, 1_000, true), (1, 500, false)]);
    both.run();
    assert!(both.issued.is_empty());
    both.ship(0, 1);
    both.run();
    assert_eq!(both.issued[0].lines.len(), 2);
    both.ship(0, 1);
    both.run();
    assert_eq!((both.issued.len(), both.invoiced()), (2, both.sold()));
    let mut alone = Model::new(Invoicing::AtShipment, &[(1, 500, false)]);
    alone.run();
    assert_eq!((alone.issued[0].cause.as_str(), alone.invoiced()), ("rest", alone.sold()));
    let mut left = Model::new(Invoicing::AtShipment, &[(2, 1_000, true), (1, 500, false)]);
    left.cancel(0, 2);
    left.run();
    assert_eq!((left.issued.len(), left.invoiced()), (1, left.sold()));
}

#[test]
fn an_invoice_counts_what_has_not_paid_earlier_ones() {
    let parcels = [(1, 5_510, true), (1, 4_000, true)];
    let sums = |model: &Model| -> Vec<(i64, i64)> {
        model.issued.iter().map(|one| (one.total.minor(), one.prepaid.minor())).collect()
    };
    // On account: what came later for the first does not pay the second.
    let mut later = Model::new(Invoicing::AtShipment, &parcels);
    later.ship(0, 1);
    later.run();
    later.covered = 6_000;
    later.ship(1, 1);
    later.run();
    assert_eq!(sums(&later), [(6_000, 0), (4_000, 0)]);
    // Paid ahead, and not shipped after all: it pays what is shipped then.
    let mut ahead = Model { covered: 10_000, ..Model::new(Invoicing::AtShipment, &parcels) };
    ahead.ship(0, 1);
    ahead.run();
    ahead.unship(0);
    ahead.run();
    ahead.ship(1, 1);
    ahead.ship(0, 1);
    ahead.run();
    assert_eq!(sums(&ahead), [(6_000, 6_000), (6_000, 0), (4_490, 4_490), (5_510, 5_510)]);
    // Nothing is asked for, so nothing says where to pay to.
    assert!(ahead.issued.iter().all(|one| one.terms.is_none() || one.kind == BillKind::CreditNote));
}

#[test]
fn what_is_sent_again_of_part_of_a_parcel_is_not_invoiced_again() {
    let mut model = Model::new(Invoicing::AtShipment, &[(3, 3_000, true)]);
    model.ship(0, 2);
    model.run();
    // One of the two was lost: it leaves once more, and counts as sent once.
    let mut again = Shipment { id: Id::new(), ..model.shipments[0].clone() };
    again.lines[0].quantity = 1;
    model.shipments.push(again);
    model.run();
    assert_eq!(model.issued.len(), 1);
    model.ship(0, 1);
    model.run();
    assert_eq!((model.issued.len(), model.invoiced()), (2, model.sold()));
}

#[test]
fn a_parcel_that_is_taken_back_says_why() {
    let mut model = Model::new(Invoicing::AtShipment, &[(1, 1_000, true)]);
    model.ship(0, 1);
    model.run();
    model.unship(0);
    let (command, reason) = (crate::fulfilment::ShipmentCommand::Unship, "it was lost and is sent again".to_owned());
    let at = Instant::from_micros(0);
    model.shipments[0].corrections.push(crate::fulfilment::Correction { command, reason, by: "staff".to_owned(), at });
    model.run();
    assert_eq!(model.issued[1].reason.as_deref(), Some("it was lost and is sent again"));
}

#[test]
fn a_document_goes_where_its_parcel_goes_and_is_about_the_buyer_of_its_invoice() {
    let mut model = Model::new(Invoicing::AtShipment, &[(1, 1_000, true), (1, 2_000, true)]);
    let to = |city: &str| {
        let address =
            serde_json::json!({"name": "Ada", "street1": "S 1", "postcode": "1", "city": city, "country": "DE"});
        serde_json::from_value(serde_json::json!({"address": address, "method": "standard", "line_nos": []})).unwrap()
    };
    model.order.deliveries = vec![to("Berlin"), to("Bremen")];
    model.ship(0, 1);
    model.ship(1, 1);
    model.places = vec![(model.shipments[0].fulfilment_order_id, 0), (model.shipments[1].fulfilment_order_id, 1)];
    model.run();
    let city = |one: &Invoice| one.deliver_to.as_ref().map(|to| to.city.clone());
    assert_eq!(model.issued.iter().filter_map(city).collect::<Vec<_>>(), ["Berlin", "Bremen"]);
    // The order was erased: what the invoice says holds.
    model.order.deliveries.iter_mut().for_each(|one| one.address = None);
    model.unship(1);
    model.run();
    assert_eq!(city(&model.issued[2]).as_deref(), Some("Bremen"));
}

#[test]
fn a_price_times_its_quantity_less_the_allowance_is_the_line() {
    let mut model = Model::new(Invoicing::AtOrder, &[(3, 1_000, true), (2, 1_190, true)]);
    model.order.lines[1].subtotal = money(2_380);
    model.order.lines[1].discount = money(1_190);
    model.run();
    let [thirds, halves] = model.issued[0].lines.as_slice() else { panic!() };
    for line in [thirds, halves] {
        let full = line.price * Decimal::from(line.quantity) / Decimal::from(line.price_quantity);
        assert_eq!(full - line.allowance.decimal(), line.net.decimal());
    }
    // 8.41 for three has no price of one.
    assert_eq!((thirds.price, thirds.price_quantity), (Decimal::new(841, 2), 3));
    assert_eq!((halves.price, halves.price_quantity, halves.allowance), (Decimal::from(10), 1, money(1_000)));
}

proptest! {
    /// However an order is shipped in parts, taken back and cancelled, and whenever it is looked at: at the end what is invoiced is what was
    /// sold, to the minor unit.
    #[test]
    fn parts_sum_to_the_whole(
        at_order in any::<bool>(),
        lines in prop::collection::vec((1i64..8, 0i64..5_000, prop::bool::weighted(0.8)), 1..4),
        steps in prop::collection::vec((0u8..5, 0usize..4, 1i64..5), 0..25),
    ) {
        let mode = if at_order { Invoicing::AtOrder } else { Invoicing::AtShipment };
        let mut model = Model::new(mode, &lines);
        for (what, place, pieces) in steps {
            let line = place % lines.len();
            match what {
                0 | 1 => model.ship(line, pieces),
                2 => model.cancel(line, pieces),
                3 => model.unship(place),
                _ => model.run(),
            }
        }
        model.run();
        if at_order || !model.is_open() {
            // Of what nothing was sold there is no invoice.
            let none = is_cancelled(&model.order) && model.issued.is_empty();
            prop_assert_eq!(model.invoiced(), if none { [0; 3] } else { model.sold() });
        }
        for line in 0..lines.len() {
            model.ship(line, 10);
        }
        model.run();
        prop_assert_eq!(model.invoiced(), model.sold());
    }
}
