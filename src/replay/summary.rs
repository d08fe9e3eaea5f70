//! What a plan holds and what was noticed while it was made, in sentences for the terminal and the documentation.

use std::collections::BTreeMap;

use super::{
    plan::{Document, Plan},
    reason::Defect,
    reconcile::count,
};

/// One sentence for each thing worth knowing, the reasons for leaving rows out among them.
#[must_use]
pub fn summary(plan: &Plan) -> Vec<String> {
    let cancellations =
        plan.documents.iter().filter(|document| matches!(document, Document::Cancellation(_))).count() as u64;
    let sales = plan.documents.len() as u64 - cancellations;
    let mut told = vec![format!(
        "{}, {}: {}, {}, {}, {}, {}.",
        many(plan.file.rows, "row"),
        many(plan.file.documents, "document number"),
        many(sales, "sale"),
        many(cancellations, "cancellation"),
        many(plan.variants.len() as u64, "variant"),
        many(plan.customers.len() as u64, "customer"),
        if plan.countries.len() == 1 { "1 country".to_owned() } else { format!("{} countries", plan.countries.len()) },
    )];
    if let Some((first, last)) = plan.first.zip(plan.last) {
        told.push(format!("From {first} to {last}."));
    }
    let notes = &plan.notes;
    let noted = [
        (notes.added_lines, "line", "more than carried rows, since cancelled rows were found in parts"),
        (notes.order_level, "line", "more than rows, for shipping and discounts of whole orders"),
        (notes.two_sided, "document", "with both charges and credits: a sale and a cancellation each"),
        (notes.mixed_dates, "document", "whose rows differ in date: the first row's was taken"),
        (notes.mixed_heads, "document", "whose rows differ in customer or country: the first row's was taken"),
        (notes.odd_times, "document", "at a time that the clock showed never or twice on that day"),
        (notes.bad_emails, "row", "whose e-mail address is none"),
        (
            notes.unknown_originals,
            "cancelled line",
            "of an order that is not in the file or was not shipped (`columns.original`): without reference to an order",
        ),
    ];
    if let (far_apart @ 1.., Some(number)) = &notes.far_apart {
        told.push(format!(
            "{} whose rows lie more than a month apart, such as {number}: if numbers begin anew, say so with \
             `numbers_restart`.",
            many(*far_apart, "document")
        ));
    }
    let noted = noted.into_iter().filter(|(number, _, _)| *number > 0);
    told.extend(noted.map(|(number, noun, what)| format!("{} {what}.", many(number, noun))));
    told.extend(notes.unknown_countries.iter().map(|(name, rows)| {
        format!(
            "{} with the country \"{name}\", which `countries.names` does not know: `countries.default` was taken.",
            many(*rows, "row")
        )
    }));
    told.extend(notes.rounding.iter().filter(|(_, sum)| !sum.is_zero()).map(|(currency, sum)| {
        format!("{currency}: rounding each row to the minor unit has added {}.", sum.normalize())
    }));
    let meaning = |defect: &Defect| match defect.keys() {
        "" => defect.text().to_owned(),
        keys => format!("{}; see {keys} in the mapping", defect.text()),
    };
    let meanings: BTreeMap<&str, String> = Defect::ALL.iter().map(|one| (one.as_str(), meaning(one))).collect();
    told.extend(plan.left_out.iter().map(|(reason, left_out)| {
        let rows = left_out.by_currency.values().map(|tally| tally.lines).sum();
        let meaning = meanings.get(reason.as_str()).map_or("Left out as the mapping says", String::as_str);
        let examples = left_out.examples.iter().map(|(line, example)| match example.as_str() {
            "" => format!(" Line {line}."),
            example => format!(" Line {line}: {example}."),
        });
        format!("Left out: {reason} ({}): {meaning}.{}", many(rows, "row"), examples.collect::<String>())
    }));
    told
}

fn many(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}
