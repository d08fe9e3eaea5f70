//! Made-up orders: each is a function of its place, so that what is searched for is known without looking.

use serde_json::{Value, json};

use crate::{
    kernel::{
        Currency, Id, Instant, Money, UnitPrice,
        ids::{ChannelId, CustomerId, OrderId},
        text,
    },
    orders::{FulfilmentStatus, OrderState, PaymentStatus},
};

/// Over so many days they are spread.
const DAYS: u64 = 3 * 365;
const FIRST_NAMES: [&str; 32] = [
    "Ada", "Anna", "Ben", "Carla", "David", "Elif", "Emil", "Fatma", "Felix", "Greta", "Hanna", "Ida", "Jan", "Jörg",
    "Karl", "Lena", "Leon", "Lukas", "Maria", "Mia", "Nico", "Nina", "Olga", "Paul", "Pia", "Rosa", "Samir", "Sofia",
    "Theo", "Tom", "Uwe", "Zoë",
];
const BEGINNINGS: [&str; 20] = [
    "Acker", "Berg", "Brand", "Eber", "Feld", "Fisch", "Gold", "Haber", "Hof", "Kauf", "Korn", "Licht", "Linden",
    "Morgen", "Neu", "Rosen", "Schön", "Stein", "Wald", "Winter",
];
const ENDINGS: [&str; 20] = [
    "bach", "baum", "beck", "berg", "burg", "dorf", "eder", "feld", "hardt", "haus", "hof", "huber", "kamp", "lich",
    "mann", "maier", "müller", "stein", "thal", "wein",
];

/// What all made-up orders share.
#[derive(Debug, Clone)]
pub(super) struct World {
    /// How many there will be in the end.
    pub(super) orders: u64,
    /// When the first was placed.
    pub(super) first: Instant,
    /// A channel in which nine of ten are placed, and the other.
    pub(super) channels: [ChannelId; 2],
    pub(super) currency: Currency,
}

/// An order.
#[derive(Debug, Clone)]
pub(super) struct Made {
    pub(super) place: u64,
    pub(super) id: OrderId,
    pub(super) number: String,
    pub(super) channel: ChannelId,
    pub(super) customer: Option<CustomerId>,
    pub(super) states: (OrderState, PaymentStatus, FulfilmentStatus),
    pub(super) name: String,
    pub(super) email: String,
    pub(super) postcode: String,
    pub(super) phone: String,
    pub(super) placed_at: Instant,
    pub(super) reference: String,
    pub(super) tracking: Option<String>,
    /// SKU and pieces.
    pub(super) lines: Vec<(String, i64)>,
}

/// A number that looks random and is always the same (SplitMix64).
pub(super) fn dice(place: u64, salt: u64) -> u64 {
    let mut z = place.wrapping_add(salt.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// An id as real ones are: the time of its making first.
pub(super) fn id<K>(micros: i64, place: u64, salt: u64) -> Id<K> {
    let mut bytes = [0; 16];
    let time = (micros / 1000).to_be_bytes();
    let rest = dice(place, salt).to_be_bytes();
    let more = dice(place, salt + 1).to_be_bytes();
    bytes.iter_mut().zip(time.iter().skip(2).chain(&rest).chain(&more)).for_each(|(to, from)| *to = *from);
    Id::from_bytes(bytes)
}

/// The SKU that one of ten lines has.
pub(super) const COMMON: &str = "SKU-00000";
/// The place of the order that has so many lines.
pub(super) const LARGE: u64 = 3;
const LARGE_LINES: u64 = 500;
/// The SKU that one of 100,000 orders has.
pub(super) const RARE: &str = "SKU-RARE";

fn pick<'a>(from: &[&'a str], number: u64) -> &'a str {
    let place = usize::try_from(number % from.len().max(1) as u64).unwrap_or_default();
    from.get(place).copied().unwrap_or_default()
}

impl World {
    /// The order at a place.
    pub(super) fn order(&self, place: u64) -> Made {
        let spacing = i64::try_from(DAYS * 86_400 * 1_000_000 / self.orders.max(1)).unwrap_or(i64::MAX);
        let micros =
            self.first.micros().saturating_add(spacing.saturating_mul(i64::try_from(place).unwrap_or(i64::MAX)));
        let buyer = dice(place, 1) % (self.orders / 3).max(1);
        let [usual, other] = self.channels;
        let (first, beginning) = (pick(&FIRST_NAMES, dice(buyer, 2)), pick(&BEGINNINGS, dice(buyer, 3)));
        let ending = pick(&ENDINGS, dice(buyer, 4));
        let name = format!("{first} {beginning}{ending}");
        let states = states(dice(place, 5) % 1000);
        let left = !matches!(states.2, FulfilmentStatus::Unfulfilled | FulfilmentStatus::Cancelled);
        Made {
            place,
            id: id(micros, place, 10),
            number: (1_000_000 + place).to_string(),
            channel: if dice(place, 6).is_multiple_of(10) { other } else { usual },
            customer: (!dice(buyer, 7).is_multiple_of(3)).then(|| id(self.first.micros(), buyer, 20)),
            states,
            email: format!("{}{buyer}@example.org", text::fold(&name).replace(' ', ".")),
            name,
            postcode: format!("{:05}", 10_000 + dice(buyer, 8) % 8_000),
            phone: format!("+49 30 {:07}", buyer % 10_000_000),
            placed_at: Instant::from_micros(micros),
            reference: format!("ERP-{place:09}"),
            tracking: left.then(|| format!("0034{place:016}")),
            lines: lines(place),
        }
    }
}

/// Of a thousand orders twenty are open, twenty cancelled, three something else that is rare.
fn states(number: u64) -> (OrderState, PaymentStatus, FulfilmentStatus) {
    use {FulfilmentStatus as F, OrderState as O, PaymentStatus as P};
    match number {
        0..10 => (O::Placed, P::Authorised, F::Unfulfilled),
        10..15 => (O::Placed, P::Pending, F::Unfulfilled),
        15..18 => (O::Placed, P::Captured, F::Shipped),
        18..20 => (O::Placed, P::PartiallyCaptured, F::PartiallyShipped),
        20..40 => (O::Cancelled, P::Voided, F::Cancelled),
        40..42 => (O::Completed, P::PartiallyRefunded, F::Delivered),
        42 => (O::Completed, P::Refunded, F::Delivered),
        _ => (O::Completed, P::Captured, F::Delivered),
    }
}

fn lines(place: u64) -> Vec<(String, i64)> {
    let count = if place == LARGE { LARGE_LINES } else { 1 + dice(place, 30) % 3 };
    let sku = |line: u64| match dice(place, 31 + line) % 10 {
        0 => COMMON.to_owned(),
        _ => format!("SKU-{:05}", 1 + dice(place, 41 + line) % 5_000),
    };
    let mut lines: Vec<(String, i64)> = (0..count).map(|line| (sku(line), 1 + i64::from(line == 2))).collect();
    if place % 100_000 == 7 {
        lines.push((RARE.to_owned(), 1));
    }
    lines
}

/// What a piece costs, tax included, in minor units.
const PRICE: i64 = 1990;

/// Net, tax and gross of so many pieces.
fn amounts(pieces: i64) -> [i64; 3] {
    let gross = PRICE * pieces;
    let tax = (gross * 19 + 59) / 119;
    [gross - tax, tax, gross]
}

impl Made {
    fn sums(&self) -> [i64; 3] {
        let of_lines = self.lines.iter().map(|(_, pieces)| amounts(*pieces));
        of_lines.fold([0; 3], |[net, tax, gross], [n, t, g]| [net + n, tax + t, gross + g])
    }

    /// The row of `orders`.
    pub(super) fn row(&self, world: &World) -> Value {
        let (state, payment, fulfilment) = self.states;
        let [.., total] = self.sums();
        let at = self.placed_at.sortable();
        json!([
            self.id.hex(),
            self.number,
            self.channel.hex(),
            self.customer.map(|id| id.hex()),
            Value::Null,
            state,
            payment,
            fulfilment,
            false,
            3,
            world.currency,
            total,
            self.email.to_lowercase(),
            text::fold(&self.name),
            text::squeeze(&self.postcode),
            text::phone_digits(&self.phone),
            at,
            at,
            at,
            self.document(world)
        ])
    }

    fn document(&self, world: &World) -> Value {
        let money = |minor: i64| json!(Money::from_minor(minor, world.currency));
        let [net, tax, total] = self.sums();
        let address = json!({
            "name": self.name, "street1": "Invalidenstr. 117", "postcode": self.postcode, "city": "Berlin",
            "country": "DE", "phone": self.phone,
        });
        let numbers: Vec<usize> = (1..=self.lines.len()).collect();
        json!({
            "email": self.email, "locale": "de-DE", "source": null, "device": "desktop", "billing_address": address,
            "deliveries": [{"address": address, "method": "standard", "line_nos": numbers}],
            "payment_method": "sandbox", "metadata": {},
            "totals": {
                "currency": world.currency, "prices_include_tax": true, "lines": [], "shipping": null,
                "taxes": [{"rate": "0.19", "net": money(net), "tax": money(tax), "gross": money(total)}],
                "subtotal": money(total), "discount": money(0), "shipping_total": money(0), "net": money(net),
                "tax": money(tax), "total": money(total), "explanation": [],
            },
        })
    }

    /// The rows of `order_lines`.
    pub(super) fn line_rows(&self, world: &World) -> Vec<Value> {
        let (order, at) = (self.id.hex(), self.placed_at.sortable());
        let has_left = self.tracking.is_some();
        let cancelled = self.states.0 == OrderState::Cancelled;
        let row = |(place, (sku, pieces)): (usize, &(String, i64))| {
            let [net, tax, gross] = amounts(*pieces);
            let variant: Id<()> = id(world.first.micros(), sku.bytes().map(u64::from).sum(), 50);
            let left = if has_left { *pieces } else { 0 };
            let price = UnitPrice::from_scaled(PRICE * 10_000, world.currency);
            let details = json!({
                "name": format!("The thing {sku}"), "unit_code": "C62", "requires_shipping": true, "weight_grams": 250,
                "tax_class": "standard", "tax_rate": "0.19", "subtotal": Money::from_minor(gross, world.currency),
                "discount": Money::from_minor(0, world.currency), "metadata": {},
                "explanation": [{"code": "price_list", "text": format!("list base, from 1: {price}")},
                    {"code": "tax_rate", "text": "DE standard: 0.19"}],
            });
            let (allocated, gone) = if cancelled { (0, *pieces) } else { (*pieces - left, 0) };
            json!([
                order,
                place + 1,
                variant.hex(),
                sku,
                pieces,
                allocated,
                left,
                left,
                0,
                gone,
                price.scaled(),
                net,
                tax,
                gross,
                0,
                at,
                details
            ])
        };
        self.lines.iter().enumerate().map(row).collect()
    }

    /// The rows of `external_refs`.
    pub(super) fn ref_rows(&self) -> Vec<Value> {
        let (owner, at) = (self.id.hex(), self.placed_at.sortable());
        let row = |salt: u64, system: String, kind: &str, value: &str| {
            let own: Id<()> = id(self.placed_at.micros(), self.place, salt);
            json!([own.hex(), owner, system, kind, value, text::squeeze(value), {}, at])
        };
        let mut rows = vec![row(60, "erp".to_owned(), "order", &self.reference)];
        let tracking = self.tracking.as_ref();
        rows.extend(tracking.map(|tracking| row(70, format!("shipment-{}", self.place), "tracking", tracking)));
        rows
    }
}
