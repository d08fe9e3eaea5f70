//! Schemas that are put together of parts.

use std::collections::BTreeMap;

use utoipa::openapi::{
    Components, RefOr, Schema,
    schema::{AdditionalProperties, ArrayItems},
};

type Schemas = BTreeMap<String, RefOr<Schema>>;

/// Opens the parts of every `allOf`: a part that allows no members beside its own refuses what the other parts describe, so
/// that nothing would fit the whole. Such a part stands in it as an open copy; by itself, as a request, it stays closed.
pub(super) fn open(components: &mut Components) {
    let known: Schemas = components.schemas.clone();
    components.schemas.values_mut().for_each(|schema| open_in(schema, &known));
}

fn open_in(schema: &mut RefOr<Schema>, known: &Schemas) {
    let RefOr::T(schema) = schema else { return };
    match schema {
        Schema::Object(object) => {
            object.properties.values_mut().for_each(|member| open_in(member, known));
            if let Some(AdditionalProperties::RefOr(rest)) = object.additional_properties.as_deref_mut() {
                open_in(rest, known);
            }
        }
        Schema::Array(array) => {
            if let ArrayItems::RefOrSchema(items) = &mut array.items {
                open_in(items, known);
            }
        }
        Schema::OneOf(parts) => parts.items.iter_mut().for_each(|part| open_in(part, known)),
        Schema::AnyOf(parts) => parts.items.iter_mut().for_each(|part| open_in(part, known)),
        Schema::AllOf(parts) => {
            for part in &mut parts.items {
                open_part(part, known);
                open_in(part, known);
            }
        }
        _ => {}
    }
}

fn open_part(part: &mut RefOr<Schema>, known: &Schemas) {
    let named = match part {
        RefOr::Ref(named) => named.ref_location.rsplit('/').next().and_then(|name| known.get(name)),
        RefOr::T(_) => None,
    };
    let mut copy = named.unwrap_or(part).clone();
    let RefOr::T(Schema::Object(object)) = &mut copy else { return };
    if matches!(object.additional_properties.as_deref(), Some(AdditionalProperties::FreeForm(false))) {
        object.additional_properties = None;
        *part = copy;
    }
}
