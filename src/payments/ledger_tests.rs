use proptest::prelude::*;

use super::*;

fn posting(entries: Vec<(Account, i64)>) -> Posting {
    let at = Instant::from_micros(0);
    Posting {
        order: OrderId::from_bytes([7; 16]),
        posting: "placed".into(),
        occurred_at: at,
        currency: "EUR".parse().unwrap(),
        entries,
    }
}

fn amounts() -> impl Strategy<Value = Vec<(Account, i64)>> {
    let account = prop::sample::select(Account::ALL);
    prop::collection::vec((account, -Money::MAX_INPUT..Money::MAX_INPUT), 0..12)
}

use crate::kernel::Money;

fn written(bind: &Bind) -> serde_json::Value {
    serde_json::to_value(bind).unwrap()
}

proptest! {
    #[test]
    fn what_is_booked_sums_to_zero_and_what_does_not_is_refused(mut entries in amounts(), off in 1i64..1000) {
        let sum: i64 = entries.iter().map(|(_, amount)| amount).sum();
        entries.push((Account::Receivable, -sum));
        let at = Instant::from_micros(0);
        let mut rows = Vec::new();
        super::entries(at, &posting(entries.clone()), None, &mut rows).unwrap();
        prop_assert_eq!(rows.iter().map(|row| written(&row[5]).as_i64().unwrap()).sum::<i64>(), 0);
        let mut ids: Vec<_> = rows.iter().map(|row| written(&row[0]).to_string()).collect();
        ids.sort_unstable();
        ids.dedup();
        prop_assert_eq!(ids.len(), rows.len());
        entries.push((Account::Fee, off));
        prop_assert!(super::entries(at, &posting(entries), None, &mut Vec::new()).is_err());
    }
}

#[test]
fn what_is_sold_is_booked_by_the_rate_of_its_tax() {
    // 10.00 at 19 % and 20.00 at 7 %, of which 5.00 are named apart: 30.00 without tax, 1.90 + 1.05 + 0.35 = 3.30 of it.
    let sale = posting(vec![(Account::Receivable, 3_330), (Account::Revenue, -3_000), (Account::Tax, -330)]);
    let part = |rate: &str, net: i64, tax: i64| Part { rate: rate.parse().unwrap(), net, tax };
    let parts = vec![part("0.19", 1_000, 190), part("0.07", 1_500, 105), part("0.070", 500, 35)];
    let sold = Sold {
        channel: ChannelId::from_bytes([1; 16]),
        country: Some("MC".parse().unwrap()),
        treatment: Some(TaxTreatment::Destination),
        parts,
    };
    let at = Instant::from_micros(0);
    let mut rows = Vec::new();
    entries(at, &sale, Some(&sold), &mut rows).unwrap();
    let told = |row: &Vec<Bind>| [3, 5, 9, 10, 11, 12].map(|place| written(&row[place]));
    let rows: Vec<_> = rows.iter().map(told).collect();
    let row = |account: &str, amount: i64, rate: Option<(&str, i64)>| {
        let [country, treatment] = [("FR"), ("destination")].map(|text| rate.map(|_| text));
        [
            account.into(),
            amount.into(),
            serde_json::to_value(country).unwrap(),
            serde_json::to_value(treatment).unwrap(),
            serde_json::to_value(rate.map(|(rate, _)| rate)).unwrap(),
            serde_json::to_value(rate.map(|(_, tax)| tax)).unwrap(),
        ]
    };
    assert_eq!(
        rows,
        [
            row("revenue", -2_000, Some(("0.07", 140))),
            row("revenue", -1_000, Some(("0.19", 190))),
            row("receivable", 3_330, None),
            row("tax", -330, None)
        ]
    );
    // What does not add up to the posting is refused.
    let short = Sold { parts: sold.parts[..2].to_vec(), ..sold };
    assert!(entries(at, &sale, Some(&short), &mut Vec::new()).is_err());
}
