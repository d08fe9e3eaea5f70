//! How a plan is made, second part: each draft's rows are carried or left out, and put on one of its two sides.

use super::{
    draft::{Draft, DraftHead, DraftRow, Planner},
    mapping::{LeaveOut, Presence, Progress, Sign, same_word},
    matching::Sold,
    plan::{Head, Plan, PlanLine},
    reason::Defect,
    row::Number,
    tally::Tally,
};
use crate::kernel::{Country, text::Sku};

/// The most lines of one cart.
const MOST_LINES: usize = 1_000;

/// One side of a document, before it has its place among the others.
pub(super) enum Side {
    Sale(Vec<PlanLine>, Progress),
    Credit(Vec<Credited>),
}

/// A credited line.
pub(super) struct Credited {
    pub(super) line: PlanLine,
    /// Whether sales are to be looked up for it.
    pub(super) returned: bool,
    /// The sale that the file names, by its number there.
    pub(super) original: Option<Number>,
}

impl Planner<'_> {
    pub(super) fn finish(mut self) -> Plan {
        let mut sides = Vec::new();
        for mut draft in std::mem::take(&mut self.drafts) {
            let found = self.decide(&mut draft);
            // A document none of whose rows is carried counts under its first row's reason.
            if let Some((_, reason, currency)) = draft.first_left_out.filter(|_| found.is_empty())
                && let Some(left_out) = self.plan.left_out.get_mut(&reason)
            {
                *left_out.by_currency.entry(currency).or_default() += Tally::document();
            }
            sides.extend(found);
        }
        sides.sort_by_key(|(head, side)| (head.at, head.row, matches!(side, Side::Credit(_))));
        self.plan.first = sides.first().map(|(head, _)| head.at);
        self.plan.last = sides.last().map(|(head, _)| head.at);
        let mut sold = Sold::default();
        for (head, side) in sides {
            self.count(&head);
            let document = self.place(head, side, &mut sold);
            self.plan.documents.push(document);
        }
        self.name_variants();
        self.plan
    }

    /// A draft's sides; none when no row of it is carried.
    fn decide(&mut self, draft: &mut Draft) -> Vec<(Head, Side)> {
        let rows = std::mem::take(&mut draft.rows);
        let Some(found) = draft.head.take() else { return Vec::new() };
        let country = self.country(found.country.as_deref(), rows.len());
        let (mut sale, mut credit) = (Vec::new(), Vec::new());
        for row in rows {
            let reason = self.reason(&row, draft, &found, country, sale.len());
            self.carry(row, reason, draft, &found, (&mut sale, &mut credit));
        }
        self.beside(draft, &found, (&mut sale, &mut credit));
        // Without a country, every row has been left out.
        let Some(country) = country.filter(|_| !(sale.is_empty() && credit.is_empty())) else { return Vec::new() };
        self.note(draft, &found, !sale.is_empty() && !credit.is_empty());
        let progress = self.mapping.status.progress(found.status.as_deref());
        let head = Head {
            number: self.own_number(draft),
            row: found.row,
            at: found.at,
            customer: found.customer,
            email: found.email,
            country,
            person: found.person,
            currency: found.currency,
        };
        let mut sides = Vec::new();
        if !sale.is_empty() {
            sides.push((head.clone(), Side::Sale(sale, progress)));
        }
        if !credit.is_empty() {
            sides.push((head, Side::Credit(credit)));
        }
        sides
    }

    /// Puts a row on its side, or leaves it out.
    fn carry(
        &mut self,
        row: DraftRow,
        reason: Option<String>,
        draft: &mut Draft,
        head: &DraftHead,
        (sale, credit): (&mut Vec<PlanLine>, &mut Vec<Credited>),
    ) {
        let line = match reason {
            Some(reason) => Err(reason),
            None => row.line().ok_or_else(|| Defect::TooLarge.to_string()),
        };
        match line {
            Ok(line) => {
                let line = self.known(line, &row);
                if row.is_credit() {
                    let by_sign = self.mapping.cancellation.negative_quantity && row.quantity < 0;
                    let original = row.original.or_else(|| head.original.clone());
                    credit.push(Credited { line, returned: draft.cancelled || by_sign, original });
                } else {
                    sale.push(line);
                }
            }
            Err(reason) => {
                draft.left_out(row.line, &reason, row.currency);
                let example = format!("{}: {} × {} at {}", draft.number, row.quantity, row.sku, row.price);
                self.leave_out(&reason, row.currency, Tally::line(row.pieces, row.amount), row.line, example);
            }
        }
    }

    /// The lines of what stands beside the order. Where no row of it is carried, they are left out for the same reason.
    fn beside(
        &mut self,
        draft: &mut Draft,
        head: &DraftHead,
        (sale, credit): (&mut Vec<PlanLine>, &mut Vec<Credited>),
    ) {
        let order_level = &self.mapping.order_level;
        let both = [(head.shipping, &order_level.shipping_sku), (head.discount, &order_level.discount_sku)];
        for (found, sku) in both {
            let (Some((line, amount)), Ok(sku)) = (found, Sku::new(&self.mapping.sku(sku))) else { continue };
            let Some(row) = DraftRow::beside(line, sku, amount, head) else { continue };
            self.plan.notes.order_level += 1;
            *self.plan.file.by_currency.entry(row.currency).or_default() += Tally::line(row.pieces, row.amount);
            let alone = sale.is_empty() && credit.is_empty();
            let reason = match &draft.first_left_out {
                Some((_, reason, _)) if alone => Some(reason.clone()),
                _ if !row.is_credit() && sale.len() >= MOST_LINES => Some(Defect::TooManyLines.to_string()),
                _ => None,
            };
            self.carry(row, reason, draft, head, (&mut *sale, &mut *credit));
        }
    }

    fn note(&mut self, draft: &Draft, head: &DraftHead, two_sided: bool) {
        let notes = &mut self.plan.notes;
        notes.mixed_dates += u64::from(head.mixed_dates);
        notes.mixed_heads += u64::from(head.mixed);
        notes.odd_times += u64::from(head.odd_time);
        notes.two_sided += u64::from(two_sided);
        if head.far_apart {
            notes.far_apart.0 += 1;
            notes.far_apart.1.get_or_insert_with(|| draft.number.clone());
        }
    }

    /// The number under which a draft is placed: its own, told apart where a sale has the same.
    fn own_number(&self, draft: &Draft) -> Number {
        let twice = draft.cancelled && self.by_number.contains_key(&(draft.number.clone(), false));
        let other = twice.then(|| Number::new(&format!("{}#credit", draft.number)).ok()).flatten();
        other.unwrap_or_else(|| draft.number.clone())
    }

    /// The country of a name, looked up once.
    fn country(&mut self, name: Option<&str>, rows: usize) -> Option<Country> {
        let key = name.map(str::to_owned);
        let known = match self.countries.get(&key) {
            Some(known) => *known,
            None => {
                let found = name.and_then(|name| self.mapping.country(name));
                self.countries.insert(key, found);
                found
            }
        };
        known.or_else(|| {
            let default = self.mapping.countries.default?;
            if let Some(name) = name {
                *self.plan.notes.unknown_countries.entry(name.to_owned()).or_default() += rows as u64;
            }
            Some(default)
        })
    }

    /// Why a row is left out; `None` when it is carried.
    fn reason(
        &self,
        row: &DraftRow,
        draft: &Draft,
        head: &DraftHead,
        country: Option<Country>,
        sale_lines: usize,
    ) -> Option<String> {
        if let Some(rule) = self.mapping.leave_out.iter().find(|rule| self.fits(rule, row, draft, head)) {
            return Some(rule.reason.clone());
        }
        let returned = draft.cancelled || self.mapping.cancellation.negative_quantity;
        let defect = if row.currency != head.currency {
            Defect::MixedCurrency
        } else if country.is_none() {
            Defect::UnknownCountry
        } else if row.is_credit() && row.price.scaled() == 0 && !returned {
            Defect::NegativeQuantity
        } else if !row.is_credit() && sale_lines >= MOST_LINES {
            Defect::TooManyLines
        } else {
            return None;
        };
        Some(defect.to_string())
    }

    fn fits(&self, rule: &LeaveOut, row: &DraftRow, draft: &Draft, head: &DraftHead) -> bool {
        let prefix = |prefix: &String| draft.number.starts_with(prefix.as_str());
        let is_one_of = |words: &[String], own: Option<&str>| {
            words.is_empty() || own.is_some_and(|own| words.iter().any(|word| same_word(word, own)))
        };
        (rule.number_prefixes.is_empty() || rule.number_prefixes.iter().any(prefix))
            && is_one_of(&rule.kinds, head.kind.as_deref())
            && is_one_of(&rule.statuses, head.status.as_deref())
            && (rule.codes.is_empty()
                || rule.codes.iter().any(|pattern| pattern.matches(&row.sku, self.mapping.sku_case)))
            && rule.price.is_none_or(|sign| sign == sign_of(row.price.scaled()))
            && rule.quantity.is_none_or(|sign| sign == sign_of(row.quantity))
            && rule.customer.is_none_or(|presence| presence == presence_of(row.customer))
            && rule.description.is_none_or(|presence| presence == presence_of(row.name.is_some()))
            && rule.alone.is_none_or(|alone| alone == (draft.total == 1))
    }
}

const fn sign_of(number: i64) -> Sign {
    match number {
        ..0 => Sign::Negative,
        0 => Sign::Zero,
        1.. => Sign::Positive,
    }
}

const fn presence_of(there: bool) -> Presence {
    if there { Presence::Present } else { Presence::Missing }
}
