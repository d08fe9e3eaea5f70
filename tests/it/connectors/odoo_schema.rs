//! What the double of Odoo knows of its models: their fields, their methods, and which records a domain finds.

use serde_json::{Map, Value, json};

/// The fields of a model, and of which type they are: `c`haracters, `f`loat, `b`oolean, `d`atetime and `y` date, one record of
/// (`o`) and many (`m`) others; capitals are computed, and not to be written.
pub fn fields(model: &str, modern: bool) -> Option<Vec<(String, char)>> {
    let own = match model {
        "res.users" => "",
        "res.partner" => {
            "name:c ref:c email:c email_normalized:C phone:c street:c street2:c zip:c city:c country_id:o parent_id:o type:c active:b"
        }
        "res.country" => "code:c name:c",
        "res.currency" | "product.pricelist" | "account.payment.term" => "name:c",
        "product.product" => "default_code:c name:c type:c active:b sale_ok:b",
        "account.tax" => "name:c amount:f amount_type:c type_tax_use:c price_include:b",
        "sale.order" => {
            "name:C state:C amount_total:F currency_id:O invoice_ids:M picking_ids:M locked:B partner_id:o partner_invoice_id:o \
             partner_shipping_id:o origin:c client_order_ref:c date_order:d pricelist_id:o payment_term_id:o company_id:o order_line:m"
        }
        "sale.order.line" if modern => {
            "order_id:o product_id:o name:c product_uom_qty:f price_unit:f discount:f tax_ids:m"
        }
        "sale.order.line" => "order_id:o product_id:o name:c product_uom_qty:f price_unit:f discount:f tax_id:m",
        "stock.picking" if modern => {
            "name:C state:C sale_id:O date_done:D picking_type_id.code:C carrier_id:O carrier_tracking_ref:C"
        }
        "stock.picking" => "name:C state:C sale_id:O date_done:D picking_type_id.code:C",
        "stock.move" => "picking_id:O product_id:O quantity:F sale_line_id:O state:C",
        "account.move" => "name:C state:C move_type:C payment_state:C amount_total:F currency_id:O invoice_date:Y",
        _ => return None,
    };
    let field = |field: &str| field.split_once(':').map(|(name, kind)| (name.to_owned(), kind.chars().next().unwrap()));
    own.split_whitespace().chain(["id:I", "write_date:D", "create_date:D"]).map(field).collect()
}

/// Whether a value is one of a field's; `false` is an empty one of any.
pub fn is_of(kind: char, value: &Value) -> bool {
    let kind = kind.to_ascii_lowercase();
    if value == &json!(false) && kind != 'm' {
        return true;
    }
    let digits = |places: &[usize]| {
        value
            .as_str()
            .is_some_and(|text| places.iter().all(|place| text.as_bytes().get(*place).is_some_and(u8::is_ascii_digit)))
    };
    match kind {
        'c' => value.is_string(),
        'f' => value.is_number(),
        'b' => value.is_boolean(),
        'i' | 'o' => value.is_i64(),
        'd' => {
            value.as_str().is_some_and(|text| text.len() == 19 && text.as_bytes()[10] == b' ') && digits(&[0, 11, 18])
        }
        'y' => value.as_str().is_some_and(|text| text.len() == 10) && digits(&[0, 9]),
        'm' => value.is_array(),
        _ => false,
    }
}

/// The parameters of a method, and whether it is about records.
pub fn signature(model: &str, method: &str) -> Option<(bool, &'static [&'static str])> {
    Some(match (model, method) {
        (_, "search_read") => (false, &["domain", "fields", "offset", "limit", "order"]),
        (_, "search_count") => (false, &["domain", "limit"]),
        (_, "fields_get") => (false, &["allfields", "attributes"]),
        (_, "load") => (false, &["fields", "data"]),
        (_, "create") => (false, &["vals_list"]),
        (_, "write") => (true, &["vals"]),
        ("res.users", "context_get") => (false, &[]),
        ("sale.order", "action_confirm" | "action_cancel" | "action_unlock") => (true, &[]),
        _ => return None,
    })
}

/// Whether a record is one of a domain's next term, which is taken off.
pub fn holds(record: &Map<String, Value>, rest: &mut &[Value]) -> bool {
    let (term, behind) = rest.split_first().unwrap();
    *rest = behind;
    match term.as_str() {
        Some("|") => {
            let (a, b) = (holds(record, rest), holds(record, rest));
            a || b
        }
        Some("&") => {
            let (a, b) = (holds(record, rest), holds(record, rest));
            a && b
        }
        _ => {
            let value = record.get(term[0].as_str().unwrap()).cloned().unwrap_or(json!(false));
            let of = |wanted: &Value| match &value {
                Value::Array(ids) => ids.contains(wanted),
                // One may be written with a point, and the other without.
                Value::Number(number) => number.as_f64() == wanted.as_f64(),
                value => value == wanted,
            };
            match term[1].as_str().unwrap() {
                "=" => of(&term[2]),
                "!=" => !of(&term[2]),
                "in" => term[2].as_array().unwrap().iter().any(of),
                "not in" => !term[2].as_array().unwrap().iter().any(of),
                ">" => value.as_i64() > term[2].as_i64(),
                "<" => value.as_str() < term[2].as_str(),
                "=like" => {
                    value.as_str().is_some_and(|text| text.starts_with(term[2].as_str().unwrap().trim_end_matches('%')))
                }
                ">=" => value.as_str() >= term[2].as_str(),
                other => panic!("{other}"),
            }
        }
    }
}
