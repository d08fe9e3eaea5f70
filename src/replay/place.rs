//! How a plan is made, third part: documents get their place in time, and what is cancelled is looked up in what was sold.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::{
    decide::{Credited, Side},
    draft::{Article, DraftRow, Planner},
    matching::{Among, Open, Part, Sold, Wanted},
    plan::{Cancellation, Customer, Document, Head, Match, PlanLine, Sale, Variant},
    row::Number,
};

impl Planner<'_> {
    /// The line with its kind, after its article has been noted.
    pub(super) fn known(&mut self, mut line: PlanLine, row: &DraftRow) -> PlanLine {
        let article = self
            .articles
            .entry(row.sku.clone())
            .or_insert_with(|| Article { kind: self.mapping.kind_of(&row.sku), names: HashMap::new() });
        line.kind = article.kind;
        if let Some(name) = &row.name {
            let (count, first) = article.names.entry(Arc::clone(name)).or_insert((0, row.line));
            *count += 1;
            *first = row.line.min(*first);
        }
        let class = self.mapping.tax_class(row.tax_class.as_deref());
        self.plan.variants.entry(row.sku.clone()).or_insert_with(|| Variant {
            sku: row.sku.clone(),
            kind: line.kind,
            name: row.sku.to_string(),
            tax_class: class,
            prices: BTreeMap::new(),
            sold: 0,
            returned: 0,
        });
        line
    }

    pub(super) fn count(&mut self, head: &Head) {
        *self.plan.countries.entry(head.country).or_default() += 1;
        self.plan.currencies.insert(head.currency);
        if let Some(number) = &head.customer {
            let customer = self.plan.customers.entry(number.clone()).or_insert_with(|| Customer {
                number: number.clone(),
                email: None,
                country: head.country,
                person: None,
                documents: 0,
            });
            customer.documents += 1;
            if customer.email.is_none() {
                customer.email.clone_from(&head.email);
            }
            if customer.person.is_none() {
                customer.person.clone_from(&head.person);
            }
        }
    }

    /// The document of a side; a sale's lines are noted as sold, a credit's looked up.
    pub(super) fn place(&mut self, head: Head, side: Side, sold: &mut Sold) -> Document {
        let document = self.plan.documents.len();
        match side {
            Side::Sale(lines, progress) => {
                for (place, line) in lines.iter().enumerate() {
                    self.priced(line, line.quantity.get(), 0);
                    // What has not left can not come back.
                    if progress.is_shipped() {
                        let (pieces, amount) = (line.quantity.get(), line.amount.minor());
                        let open = Open { document, line: place, price: line.unit_price, pieces, amount };
                        sold.add(head.customer.as_ref(), &line.sku, open);
                    }
                }
                if progress.is_shipped() && self.mapping.columns.original.is_some() {
                    self.sales.insert(self.base_of(&head.number), document);
                }
                Document::Sale(Sale { head, progress, lines })
            }
            Side::Credit(lines) => {
                let mut cancellation = Cancellation { head, matched: Vec::new(), unreferenced: Vec::new() };
                for credited in lines {
                    self.priced(&credited.line, 0, credited.line.quantity.get());
                    self.take_back(credited, &mut cancellation, sold);
                }
                Document::Cancellation(cancellation)
            }
        }
    }

    /// The number as another row of the file would name it: without the year that was added.
    fn base_of(&self, number: &Number) -> Number {
        if self.mapping.numbers_restart == super::mapping::Restart::Never {
            return number.clone();
        }
        number.rsplit_once('/').and_then(|(base, _)| Number::new(base).ok()).unwrap_or_else(|| number.clone())
    }

    fn take_back(&mut self, credited: Credited, cancellation: &mut Cancellation, sold: &mut Sold) {
        let Credited { line, returned, original } = credited;
        let wanted = Wanted {
            price: line.unit_price,
            pieces: line.quantity.get(),
            amount: line.amount.minor(),
            any_price: !line.kind.is_service(),
            rounding: self.mapping.rounding,
        };
        let among = match (&original, &cancellation.head.customer) {
            _ if !returned => None,
            (Some(original), _) => {
                let sale = self.sales.get(original).copied().map(Among::Sale);
                self.plan.notes.unknown_originals += u64::from(sale.is_none());
                sale
            }
            (None, Some(customer)) => Some(Among::Customer(customer)),
            (None, None) => None,
        };
        let parts = among.map(|among| sold.take(among, &line.sku, wanted)).unwrap_or_default();
        let mut rest = line;
        let mut entries = 0;
        for part in parts {
            let sale = match self.plan.documents.get(part.document) {
                Some(Document::Sale(sale)) => sale.head.number.clone(),
                _ => continue,
            };
            let Some((credit, remainder)) = rest.split(part.pieces, part.amount) else { continue };
            rest = remainder;
            entries += 1;
            let Part { document, line, sold_at, .. } = part;
            cancellation.matched.push(Match { sale, document, line, sold_at, credit });
        }
        if !rest.quantity.is_zero() {
            entries += 1;
            cancellation.unreferenced.push(rest);
        }
        self.plan.notes.added_lines += entries - 1;
    }

    fn priced(&mut self, line: &PlanLine, sold: i64, returned: i64) {
        if let Some(variant) = self.plan.variants.get_mut(&line.sku) {
            variant.sold += sold;
            variant.returned += returned;
            if line.unit_price.scaled() > 0 {
                variant.prices.entry(line.unit_price.currency()).or_insert(line.unit_price);
            }
        }
    }

    /// Each variant's most frequent description, the first of equals.
    pub(super) fn name_variants(&mut self) {
        for (sku, article) in &self.articles {
            let best = article.names.iter().max_by_key(|(_, (count, first))| (*count, std::cmp::Reverse(*first)));
            if let Some((variant, (name, _))) = self.plan.variants.get_mut(sku).zip(best) {
                variant.name = name.to_string();
            }
        }
    }
}
