//! What an abandonment is, and the figures made of many. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    carts::{CartFigures, Stage},
    kernel::{
        Currency, Device, Instant, Money,
        ids::{AbandonmentId, CartId, ChannelId, OrderId},
    },
};

/// A cart that was left alone with lines in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Abandonment {
    /// Its id.
    pub id: AbandonmentId,
    /// The cart.
    pub cart_id: CartId,
    /// Where.
    pub channel_id: ChannelId,
    /// How far the cart had come.
    pub stage: Stage,
    /// What the storefront ran on.
    pub device: Device,
    /// What the cart would have cost.
    pub value: Money,
    /// How many lines it had.
    pub line_count: i64,
    /// Since when there was a cart.
    pub cart_created_at: Instant,
    /// When its time without activity had run out.
    pub abandoned_at: Instant,
    /// When somebody came back to it: by the link, or by ordering.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub returned_at: Option<Instant>,
    /// When it was ordered after all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovered_at: Option<Instant>,
    /// The order it became.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
}

/// How many abandonments of a kind there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Counted {
    pub channel: ChannelId,
    pub device: Device,
    pub stage: Stage,
    pub currency: Currency,
    pub abandoned: i64,
    pub returned: i64,
    pub recovered: i64,
    pub value: i64,
    pub recovered_value: i64,
}

/// Figures of carts and their abandonment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Figures {
    /// Carts with lines. By stage: those that came so far or further.
    pub carts: i64,
    /// Those that became orders, abandoned in between or not.
    pub ordered: i64,
    /// Those that were abandoned. By stage: at that stage.
    pub abandoned: i64,
    /// Those of the abandoned that somebody came back to.
    pub returned: i64,
    /// Those of the abandoned that became orders after all.
    pub recovered: i64,
    /// Abandoned per cart, as a fraction; absent without carts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "0.6931")]
    pub abandonment_rate: Option<rust_decimal::Decimal>,
    /// Recovered per abandoned, as a fraction; absent without abandonments.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "0.0815")]
    pub recovery_rate: Option<rust_decimal::Decimal>,
    /// Ordered per cart, as a fraction; absent without carts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "0.3210")]
    pub order_rate: Option<rust_decimal::Decimal>,
    /// What the abandoned carts would have cost, per currency.
    pub abandoned_value: Vec<Money>,
    /// What those of them would have cost that were recovered, per currency.
    pub recovered_value: Vec<Money>,
}

/// The figures of one device, channel or stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FiguresOf {
    /// Which: the device, the channel's id or the stage.
    pub of: String,
    /// Its figures.
    #[serde(flatten)]
    pub figures: Figures,
}

/// How carts that were made in a span of time were abandoned and recovered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct AbandonmentFigures {
    /// Carts made from then on.
    pub from: Instant,
    /// Carts made before then.
    pub to: Instant,
    /// All of them.
    pub total: Figures,
    /// By what the storefronts run on.
    pub by_device: Vec<FiguresOf>,
    /// By channel.
    pub by_channel: Vec<FiguresOf>,
    /// By how far the carts came, the first stage in front.
    pub by_stage: Vec<FiguresOf>,
}

/// Sums of one group, still by currency.
#[derive(Debug, Default)]
struct Sums {
    figures: Figures,
    value: BTreeMap<&'static str, (Currency, i64)>,
    recovered: BTreeMap<&'static str, (Currency, i64)>,
}

/// `part` of `whole` with four digits.
fn rate(part: i64, whole: i64) -> Option<rust_decimal::Decimal> {
    if whole == 0 {
        return None;
    }
    let exact = rust_decimal::Decimal::from(part) / rust_decimal::Decimal::from(whole);
    let mut rounded = exact.round_dp(4);
    rounded.rescale(4);
    Some(rounded)
}

impl Sums {
    fn carts(&mut self, counted: &CartFigures) {
        self.figures.carts += counted.carts;
        self.figures.ordered += counted.ordered;
    }

    fn abandonments(&mut self, counted: &Counted) {
        self.figures.abandoned += counted.abandoned;
        self.figures.returned += counted.returned;
        self.figures.recovered += counted.recovered;
        let code = counted.currency.code();
        self.value.entry(code).or_insert((counted.currency, 0)).1 += counted.value;
        self.recovered.entry(code).or_insert((counted.currency, 0)).1 += counted.recovered_value;
    }

    fn done(self) -> Figures {
        let money = |sums: BTreeMap<&'static str, (Currency, i64)>| {
            let money = sums.into_values().map(|(currency, minor)| Money::from_minor(minor, currency));
            money.filter(|money| money.minor() != 0).collect()
        };
        let Figures { carts, ordered, abandoned, recovered, .. } = self.figures;
        Figures {
            abandonment_rate: rate(abandoned, carts),
            recovery_rate: rate(recovered, abandoned),
            order_rate: rate(ordered, carts),
            abandoned_value: money(self.value),
            recovered_value: money(self.recovered),
            ..self.figures
        }
    }
}

/// Sums up what was counted by channel, device and stage.
pub(super) fn figures(
    (from, to): (Instant, Instant),
    carts: &[CartFigures],
    abandonments: &[Counted],
) -> AbandonmentFigures {
    let group = |key: fn(&CartFigures) -> String, own: fn(&Counted) -> String| {
        let mut groups: BTreeMap<String, Sums> = BTreeMap::new();
        carts.iter().for_each(|counted| groups.entry(key(counted)).or_default().carts(counted));
        abandonments.iter().for_each(|counted| groups.entry(own(counted)).or_default().abandonments(counted));
        groups.into_iter().map(|(of, sums)| FiguresOf { of, figures: sums.done() }).collect::<Vec<_>>()
    };
    let stage = |stage: &Stage| {
        let mut sums = Sums::default();
        carts.iter().filter(|counted| counted.stage >= *stage).for_each(|counted| sums.carts(counted));
        abandonments.iter().filter(|counted| counted.stage == *stage).for_each(|counted| sums.abandonments(counted));
        FiguresOf { of: stage.to_string(), figures: sums.done() }
    };
    let mut total = Sums::default();
    carts.iter().for_each(|counted| total.carts(counted));
    abandonments.iter().for_each(|counted| total.abandonments(counted));
    AbandonmentFigures {
        from,
        to,
        total: total.done(),
        by_device: group(|counted| counted.device.to_string(), |counted| counted.device.to_string()),
        by_channel: group(|counted| counted.channel.to_string(), |counted| counted.channel.to_string()),
        by_stage: Stage::ALL.iter().map(stage).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Id;

    #[test]
    fn rates_are_exact_to_four_digits_and_absent_without_a_whole() {
        assert_eq!(rate(1, 3).unwrap().to_string(), "0.3333");
        assert_eq!(rate(0, 3).unwrap().to_string(), "0.0000");
        assert_eq!(rate(0, 0), None);
    }

    #[test]
    fn a_stage_counts_the_carts_that_came_so_far_or_further() {
        let (channel, device, eur) = (Id::new(), Device::Mobile, "EUR".parse().unwrap());
        let carts = |stage, carts, ordered| CartFigures { channel, device, stage, carts, ordered };
        let counted = Counted {
            channel,
            device,
            stage: Stage::Contact,
            currency: eur,
            abandoned: 2,
            returned: 1,
            recovered: 1,
            value: 500,
            recovered_value: 200,
        };
        let at = Instant::from_micros(0);
        let figures = figures(
            (at, at),
            &[carts(Stage::Contact, 1, 0), carts(Stage::Payment, 4, 3)],
            std::slice::from_ref(&counted),
        );
        let of = |stage: &str| figures.by_stage.iter().find(|one| one.of == stage).unwrap().figures.clone();
        assert_eq!((of("cart").carts, of("contact").carts, of("shipping").carts), (5, 5, 4));
        assert_eq!((of("contact").abandoned, of("shipping").abandoned), (2, 0));
        assert_eq!(figures.total.abandonment_rate.unwrap().to_string(), "0.4000");
        assert_eq!(figures.total.recovery_rate.unwrap().to_string(), "0.5000");
        assert_eq!(figures.total.abandoned_value, [Money::from_minor(500, eur)]);
        assert_eq!(figures.by_device.first().unwrap().figures, figures.total);
    }
}
