//! The adapters there are: one line each.

use super::{hubspot, odoo, ports::Adapter, tryton, webhook};
use crate::error::{Code, Error, Result};

/// Every adapter.
pub static ADAPTERS: &[&Adapter] = &[&webhook::ADAPTER, &tryton::ADAPTER, &odoo::ADAPTER, &hubspot::ADAPTER];

/// An adapter by its name.
///
/// # Errors
/// `adapter_unknown`.
pub fn find(name: &str) -> Result<&'static Adapter> {
    let found = ADAPTERS.iter().find(|adapter| adapter.name == name).copied();
    let unknown = || Error::problem(Code::AdapterUnknown, format!("there is no adapter `{name}`")).at("/adapter");
    found.ok_or_else(unknown)
}
