//! Where a parcel's way can be followed.

/// Carriers: their names as people write them (letters and digits only, upper case), and the address of a parcel with
/// `{}` in the place of its number.
const CARRIERS: &[(&[&str], &str)] = &[
    (&["DHL", "DHLPAKET", "DHLEXPRESS", "DEUTSCHEPOST"], "https://www.dhl.com/de-en/home/tracking.html?tracking-id={}"),
    (&["DPD"], "https://tracking.dpd.de/status/en_US/parcel/{}"),
    (&["GLS"], "https://gls-group.com/track/{}"),
    (&["UPS"], "https://www.ups.com/track?tracknum={}"),
    (&["FEDEX"], "https://www.fedex.com/fedextrack/?trknbr={}"),
    (&["HERMES", "MYHERMES"], "https://www.myhermes.de/empfangen/sendungsverfolgung/sendungsinformation/#{}"),
    (&["EVRI"], "https://www.evri.com/track/parcel/{}"),
    (&["ROYALMAIL"], "https://www.royalmail.com/track-your-item#/tracking-results/{}"),
];

/// The address at which a carrier shows a parcel's way; `None` for a carrier that is not known.
#[must_use]
pub fn link(carrier: &str, tracking_number: &str) -> Option<String> {
    let name = crate::kernel::text::squeeze(carrier);
    let (_, address) = CARRIERS.iter().find(|(names, _)| names.contains(&name.as_str()))?;
    // People write the number in groups; the carriers' pages take it without.
    let number: String = tracking_number.chars().filter(|c| !c.is_whitespace()).collect();
    let number: String = url::form_urlencoded::byte_serialize(number.as_bytes()).collect();
    Some(address.replace("{}", &number))
}

#[cfg(test)]
mod tests {
    use super::link;

    #[test]
    fn carriers_are_known_however_they_are_written() {
        let dhl = link("dhl", "0034 1").unwrap();
        assert_eq!(dhl, "https://www.dhl.com/de-en/home/tracking.html?tracking-id=00341");
        assert_eq!(link("Royal-Mail", "X1"), link("ROYAL MAIL", "X1"));
        assert!(link("Pony Express", "1").is_none());
        assert!(link("UPS", "1&x=<2>").unwrap().ends_with("1%26x%3D%3C2%3E"));
    }
}
