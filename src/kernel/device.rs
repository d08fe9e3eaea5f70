//! What people shop with.

crate::words! {
    /// What a storefront runs on.
    pub enum Device {
        /// A desktop browser.
        Desktop = "desktop",
        /// A browser on a phone.
        Mobile = "mobile",
        /// A browser on a tablet.
        Tablet = "tablet",
        /// The shop's own app.
        App = "app",
        /// Somebody on the phone with the customer.
        CallCentre = "call_centre",
    }
}
