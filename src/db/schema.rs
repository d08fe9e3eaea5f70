//! The tables as Diesel sees them; a test compares them with what the migrations make.

// The macro generates public items without documentation.
#![allow(missing_docs)]

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    versions (name) {
        name -> Text,
        version -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    secrets (name) {
        name -> Text,
        value -> Text,
        created_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    number_ranges (name) {
        name -> Text,
        next -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    idempotency_keys (id) {
        id -> UidSql,
        state -> Text,
        body_hash -> Text,
        status -> BigInt,
        body -> Nullable<Text>,
        sealed -> Bool,
        created_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    credentials (id) {
        id -> UidSql,
        kind -> Text,
        name -> Text,
        channel_id -> Nullable<UidSql>,
        secret_hash -> Text,
        shown -> Text,
        doc -> DocSql,
        created_at -> InstantSql,
        revoked_at -> Nullable<InstantSql>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    legal_entities (id) {
        id -> UidSql,
        code -> Text,
        name -> Text,
        country -> Text,
        vat_id -> Nullable<Text>,
        time_zone -> Text,
        version -> BigInt,
        created_at -> InstantSql,
        updated_at -> InstantSql,
        invoicing -> Nullable<DocSql>,
        spent_series -> Nullable<DocSql>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    channels (id) {
        id -> UidSql,
        code -> Text,
        name -> Text,
        legal_entity_id -> UidSql,
        test -> Bool,
        doc -> DocSql,
        version -> BigInt,
        created_at -> InstantSql,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    variants (id) {
        id -> UidSql,
        sku -> Text,
        gtin -> Nullable<Text>,
        name -> Text,
        name_folded -> Text,
        tax_class -> Text,
        weight_grams -> BigInt,
        unit_code -> Text,
        requires_shipping -> Bool,
        stock_policy -> Text,
        backorder_policy -> Text,
        status -> Text,
        doc -> DocSql,
        version -> BigInt,
        created_at -> InstantSql,
        updated_at -> InstantSql,
        backorders_until -> Nullable<InstantSql>,
        components -> Nullable<DocSql>,
        tracking -> Text,
        requires -> Nullable<DocSql>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    companies (id) {
        id -> UidSql,
        number -> Text,
        name_folded -> Text,
        active -> Bool,
        doc -> DocSql,
        version -> BigInt,
        created_at -> InstantSql,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    customers (id) {
        id -> UidSql,
        number -> Text,
        issuer -> Nullable<Text>,
        subject -> Nullable<Text>,
        email_folded -> Nullable<Text>,
        name_folded -> Text,
        customer_group -> Nullable<Text>,
        doc -> DocSql,
        version -> BigInt,
        created_at -> InstantSql,
        updated_at -> InstantSql,
        company_id -> Nullable<UidSql>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    price_lists (id) {
        id -> UidSql,
        code -> Text,
        name -> Text,
        currency -> Text,
        channel_id -> Nullable<UidSql>,
        priority -> BigInt,
        valid_from -> Nullable<InstantSql>,
        valid_until -> Nullable<InstantSql>,
        version -> BigInt,
        created_at -> InstantSql,
        updated_at -> InstantSql,
        kind -> Text,
        announced_at -> Nullable<InstantSql>,
        customer_id -> Nullable<UidSql>,
        customer_group -> Nullable<Text>,
        company_id -> Nullable<UidSql>,
        terms -> Nullable<DocSql>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    prices (variant_id, price_list_id, min_quantity, valid_from) {
        variant_id -> UidSql,
        price_list_id -> UidSql,
        min_quantity -> BigInt,
        valid_from -> InstantSql,
        valid_until -> Nullable<InstantSql>,
        amount -> BigInt,
        updated_at -> InstantSql,
        per -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    price_list_changes (price_list_id, version) {
        price_list_id -> UidSql,
        version -> BigInt,
        was -> Nullable<DocSql>,
        became -> DocSql,
        changed_at -> InstantSql,
        actor -> Text,
        reference -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    import_progress (id) {
        id -> UidSql,
        body_hash -> Text,
        rows_done -> BigInt,
        report -> DocSql,
        errors -> DocSql,
        created_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    price_changes (seq) {
        seq -> BigInt,
        id -> UidSql,
        variant_id -> UidSql,
        price_list_id -> UidSql,
        min_quantity -> BigInt,
        valid_from -> InstantSql,
        from_amount -> Nullable<BigInt>,
        from_until -> Nullable<InstantSql>,
        to_amount -> Nullable<BigInt>,
        to_until -> Nullable<InstantSql>,
        actor -> Text,
        reference -> Nullable<Text>,
        changed_at -> InstantSql,
        from_per -> Nullable<BigInt>,
        to_per -> Nullable<BigInt>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    price_rules (id) {
        id -> UidSql,
        code -> Text,
        name -> Text,
        state -> Text,
        price_list_id -> UidSql,
        reference_list_id -> UidSql,
        list_channel_id -> Nullable<UidSql>,
        channel_id -> Nullable<UidSql>,
        doc -> DocSql,
        next_run_at -> Nullable<InstantSql>,
        last_run -> Nullable<DocSql>,
        version -> BigInt,
        created_at -> InstantSql,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    price_proposals (id) {
        id -> UidSql,
        rule_id -> UidSql,
        rule_version -> BigInt,
        price_list_id -> UidSql,
        variant_id -> UidSql,
        sku -> Text,
        state -> Text,
        from_amount -> Nullable<BigInt>,
        to_amount -> BigInt,
        reference_amount -> BigInt,
        doc -> DocSql,
        day -> Nullable<Text>,
        decided_by -> Nullable<Text>,
        decided_at -> Nullable<InstantSql>,
        created_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::UidSql;

    price_rule_days (price_list_id, variant_id, day) {
        price_list_id -> UidSql,
        variant_id -> UidSql,
        day -> Text,
        changes -> BigInt,
        most -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    promotions (id) {
        id -> UidSql,
        code -> Text,
        name -> Text,
        state -> Text,
        channel_id -> Nullable<UidSql>,
        priority -> BigInt,
        valid_from -> Nullable<InstantSql>,
        valid_until -> Nullable<InstantSql>,
        doc -> DocSql,
        version -> BigInt,
        created_at -> InstantSql,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    promotion_runs (promotion_id, run_no) {
        promotion_id -> UidSql,
        run_no -> BigInt,
        channel_id -> Nullable<UidSql>,
        priority -> BigInt,
        valid_from -> Nullable<InstantSql>,
        valid_until -> Nullable<InstantSql>,
        doc -> DocSql,
        began_at -> InstantSql,
        ended_at -> Nullable<InstantSql>,
        began_by -> Text,
        ended_by -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    promotion_versions (promotion_id, version) {
        promotion_id -> UidSql,
        version -> BigInt,
        code -> Text,
        name -> Text,
        state -> Text,
        channel_id -> Nullable<UidSql>,
        priority -> BigInt,
        valid_from -> Nullable<InstantSql>,
        valid_until -> Nullable<InstantSql>,
        doc -> DocSql,
        changed_at -> InstantSql,
        changed_by -> Nullable<Text>,
        reference -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::UidSql;

    promotion_counters (promotion_id, subject) {
        promotion_id -> UidSql,
        subject -> Text,
        uses -> BigInt,
        units -> BigInt,
        amount -> BigInt,
        max_uses -> Nullable<BigInt>,
        max_units -> Nullable<BigInt>,
        max_amount -> Nullable<BigInt>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    promotion_uses (cart_id, promotion_id) {
        cart_id -> UidSql,
        promotion_id -> UidSql,
        order_id -> Nullable<UidSql>,
        state -> Text,
        coupon -> Nullable<Text>,
        customer_key -> Nullable<Text>,
        email_key -> Nullable<Text>,
        units -> BigInt,
        amount -> BigInt,
        totalled -> Bool,
        coupon_counted -> Bool,
        expires_at -> Nullable<InstantSql>,
        created_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    coupon_batches (id) {
        id -> UidSql,
        promotion_id -> UidSql,
        prefix -> Text,
        size -> BigInt,
        made -> BigInt,
        max_uses -> BigInt,
        valid_until -> Nullable<InstantSql>,
        created_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    coupons (code) {
        code -> Text,
        promotion_id -> UidSql,
        batch_id -> Nullable<UidSql>,
        customer_id -> Nullable<UidSql>,
        valid_until -> Nullable<InstantSql>,
        max_uses -> Nullable<BigInt>,
        uses -> BigInt,
        blocked -> Bool,
        created_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    tax_rates (id) {
        id -> UidSql,
        country -> Text,
        tax_class -> Text,
        rate -> Text,
        valid_from -> InstantSql,
        valid_until -> Nullable<InstantSql>,
        created_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    shipping_methods (id) {
        id -> UidSql,
        channel_id -> UidSql,
        code -> Text,
        doc -> DocSql,
        version -> BigInt,
        created_at -> InstantSql,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    locations (id) {
        id -> UidSql,
        code -> Text,
        name -> Text,
        country -> Text,
        time_zone -> Text,
        priority -> BigInt,
        active -> Bool,
        doc -> DocSql,
        version -> BigInt,
        created_at -> InstantSql,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    sourcing_profiles (id) {
        id -> UidSql,
        code -> Text,
        version -> BigInt,
        channel_id -> Nullable<UidSql>,
        state -> Text,
        doc -> DocSql,
        revision -> BigInt,
        activated_at -> Nullable<InstantSql>,
        created_at -> InstantSql,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    location_loads (location_id, day) {
        location_id -> UidSql,
        day -> Text,
        orders -> BigInt,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    stock_levels (variant_id, location_id) {
        variant_id -> UidSql,
        location_id -> UidSql,
        on_hand -> BigInt,
        allocated -> BigInt,
        reserved -> BigInt,
        safety -> BigInt,
        version -> BigInt,
        updated_at -> InstantSql,
        withheld -> BigInt,
        beyond -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    stock_bins (variant_id, location_id) {
        variant_id -> UidSql,
        location_id -> UidSql,
        zone -> Text,
        bin -> Text,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    stock_movements (seq) {
        seq -> BigInt,
        id -> UidSql,
        variant_id -> UidSql,
        location_id -> UidSql,
        kind -> Text,
        on_hand -> BigInt,
        allocated -> BigInt,
        reason -> Nullable<Text>,
        reference -> Nullable<Text>,
        actor -> Text,
        occurred_at -> InstantSql,
        recorded_at -> InstantSql,
        idempotency_key -> Nullable<Text>,
        pieces -> Nullable<BigInt>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    reservations (id) {
        id -> UidSql,
        cart_id -> UidSql,
        line_no -> BigInt,
        variant_id -> UidSql,
        location_id -> UidSql,
        quantity -> BigInt,
        tracked -> Bool,
        state -> Text,
        expires_at -> InstantSql,
        created_at -> InstantSql,
        sourcing -> Nullable<DocSql>,
        delivery -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    stock_backorders (variant_id, location_id) {
        variant_id -> UidSql,
        location_id -> UidSql,
        kind -> Text,
        pieces -> BigInt,
        highest -> BigInt,
        available_from -> Nullable<InstantSql>,
        closes_at -> Nullable<InstantSql>,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    stock_expected (reference, variant_id, location_id, expected_at) {
        reference -> Text,
        variant_id -> UidSql,
        location_id -> UidSql,
        expected_at -> InstantSql,
        quantity -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    stock_channel_safety (id) {
        id -> UidSql,
        variant_id -> UidSql,
        channel_id -> UidSql,
        location_id -> Nullable<UidSql>,
        pieces -> BigInt,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    stock_watches (variant_id, location_id) {
        variant_id -> UidSql,
        location_id -> UidSql,
        low_at -> Nullable<BigInt>,
        reorder_at -> Nullable<BigInt>,
        reorder_quantity -> Nullable<BigInt>,
        is_low -> Bool,
        is_due -> Bool,
        is_out -> Bool,
        version -> BigInt,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    stock_lots (id) {
        id -> UidSql,
        variant_id -> UidSql,
        number -> Text,
        expires_at -> Nullable<InstantSql>,
        state -> Text,
        doc -> DocSql,
        version -> BigInt,
        created_at -> InstantSql,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::UidSql;

    stock_lot_levels (lot_id, location_id) {
        lot_id -> UidSql,
        location_id -> UidSql,
        variant_id -> UidSql,
        quantity -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    stock_lot_movements (seq) {
        seq -> BigInt,
        lot_id -> UidSql,
        location_id -> UidSql,
        kind -> Text,
        quantity -> BigInt,
        reference -> Nullable<Text>,
        actor -> Text,
        occurred_at -> InstantSql,
        recorded_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    stock_snapshots (variant_id, location_id, source) {
        variant_id -> UidSql,
        location_id -> UidSql,
        source -> Text,
        basis -> Text,
        quantity -> BigInt,
        as_of -> InstantSql,
        orders_through -> Nullable<BigInt>,
        taken_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    back_in_stock (id) {
        id -> UidSql,
        channel_id -> UidSql,
        variant_id -> UidSql,
        customer_id -> Nullable<UidSql>,
        email -> Text,
        email_folded -> Text,
        locale -> Nullable<Text>,
        consent_text -> Nullable<Text>,
        state -> Text,
        created_at -> InstantSql,
        expires_at -> InstantSql,
        told_at -> Nullable<InstantSql>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    back_in_stock_waves (variant_id, channel_id) {
        variant_id -> UidSql,
        channel_id -> UidSql,
        told_for -> BigInt,
        told_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    carts (id) {
        id -> UidSql,
        channel_id -> UidSql,
        customer_id -> Nullable<UidSql>,
        state -> Text,
        version -> BigInt,
        currency -> Text,
        total -> BigInt,
        line_count -> BigInt,
        device -> Text,
        stage -> Text,
        order_id -> Nullable<UidSql>,
        abandon_at -> Nullable<InstantSql>,
        active_at -> InstantSql,
        expires_at -> InstantSql,
        doc -> DocSql,
        created_at -> InstantSql,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    abandonments (id) {
        id -> UidSql,
        cart_id -> UidSql,
        channel_id -> UidSql,
        stage -> Text,
        device -> Text,
        currency -> Text,
        value -> BigInt,
        line_count -> BigInt,
        cart_created_at -> InstantSql,
        abandoned_at -> InstantSql,
        returned_at -> Nullable<InstantSql>,
        recovered_at -> Nullable<InstantSql>,
        order_id -> Nullable<UidSql>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    payments (id) {
        id -> UidSql,
        cart_id -> UidSql,
        order_id -> Nullable<UidSql>,
        provider -> Text,
        our_key -> Text,
        provider_ref -> Nullable<Text>,
        state -> Text,
        currency -> Text,
        amount -> BigInt,
        captured -> BigInt,
        refunded -> BigInt,
        voided -> BigInt,
        capture_pending -> BigInt,
        refund_pending -> BigInt,
        void_pending -> BigInt,
        attempt -> BigInt,
        lease_until -> Nullable<InstantSql>,
        idempotency_id -> Nullable<UidSql>,
        doc -> DocSql,
        version -> BigInt,
        created_at -> InstantSql,
        updated_at -> InstantSql,
        ending -> Nullable<Text>,
        disputed -> BigInt,
        expires_at -> Nullable<InstantSql>,
        due_at -> Nullable<InstantSql>,
        parent_id -> Nullable<UidSql>,
        root_id -> Nullable<UidSql>,
        promise_booked -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    stored_values (id) {
        id -> UidSql,
        kind -> Text,
        state -> Text,
        currency -> Text,
        balance -> BigInt,
        held -> BigInt,
        code_hash -> Nullable<Text>,
        code_end -> Nullable<Text>,
        customer_id -> Nullable<UidSql>,
        expires_at -> Nullable<InstantSql>,
        note -> Nullable<Text>,
        version -> BigInt,
        created_at -> InstantSql,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    stored_value_entries (id) {
        id -> UidSql,
        stored_value_id -> UidSql,
        our_key -> Text,
        kind -> Text,
        amount -> BigInt,
        held -> BigInt,
        balance_after -> BigInt,
        version -> BigInt,
        payment_id -> Nullable<UidSql>,
        actor -> Text,
        reason -> Nullable<Text>,
        created_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    stored_value_holds (payment_id) {
        payment_id -> UidSql,
        stored_value_id -> UidSql,
        cart_id -> UidSql,
        amount -> BigInt,
        expires_at -> InstantSql,
        created_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    payment_operations (id) {
        id -> UidSql,
        payment_id -> UidSql,
        kind -> Text,
        our_key -> Text,
        state -> Text,
        amount -> BigInt,
        reason -> Nullable<Text>,
        error -> Nullable<Text>,
        idempotency_id -> Nullable<UidSql>,
        created_at -> InstantSql,
        updated_at -> InstantSql,
        target -> Nullable<Text>,
        stored_value_id -> Nullable<UidSql>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    sandbox_payments (our_key) {
        our_key -> Text,
        state -> Text,
        currency -> Text,
        amount -> BigInt,
        captured -> BigInt,
        voided -> BigInt,
        refunded -> BigInt,
        created_at -> InstantSql,
        updated_at -> InstantSql,
        expires_at -> Nullable<InstantSql>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    sandbox_operations (our_key) {
        our_key -> Text,
        payment_key -> Text,
        kind -> Text,
        amount -> BigInt,
        created_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    ledger_entries (order_id, id) {
        id -> UidSql,
        order_id -> UidSql,
        posting -> Text,
        account -> Text,
        currency -> Text,
        amount -> BigInt,
        occurred_at -> InstantSql,
        recorded_at -> InstantSql,
        channel_id -> Nullable<UidSql>,
        country -> Nullable<Text>,
        treatment -> Nullable<Text>,
        rate -> Nullable<Text>,
        tax -> Nullable<BigInt>,
        journal_position -> Nullable<BigInt>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    orders (id) {
        id -> UidSql,
        number -> Text,
        channel_id -> UidSql,
        customer_id -> Nullable<UidSql>,
        cart_id -> Nullable<UidSql>,
        state -> Text,
        payment_state -> Text,
        fulfilment_state -> Text,
        test -> Bool,
        version -> BigInt,
        currency -> Text,
        total -> BigInt,
        email_folded -> Nullable<Text>,
        name_folded -> Text,
        postcode_folded -> Nullable<Text>,
        phone_digits -> Nullable<Text>,
        placed_at -> InstantSql,
        recorded_at -> InstantSql,
        updated_at -> InstantSql,
        doc -> DocSql,
        holds -> Nullable<DocSql>,
        hold_ends_at -> Nullable<InstantSql>,
        shipping_credited -> BigInt,
        shipping_goodwill -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    order_lines (order_id, line_no) {
        order_id -> UidSql,
        line_no -> BigInt,
        variant_id -> UidSql,
        sku -> Text,
        quantity -> BigInt,
        allocated -> BigInt,
        shipped -> BigInt,
        delivered -> BigInt,
        returned -> BigInt,
        cancelled -> BigInt,
        unit_price -> BigInt,
        net -> BigInt,
        tax -> BigInt,
        gross -> BigInt,
        refunded -> BigInt,
        placed_at -> InstantSql,
        doc -> DocSql,
        coming_back -> BigInt,
        claimed -> BigInt,
        goodwill -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    order_contacts (order_id, delivery) {
        order_id -> UidSql,
        delivery -> BigInt,
        name_folded -> Text,
        postcode_folded -> Nullable<Text>,
        phone_digits -> Nullable<Text>,
        placed_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    order_notes (id) {
        id -> UidSql,
        order_id -> UidSql,
        visibility -> Text,
        body -> Text,
        author -> Text,
        created_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::UidSql;

    order_tags (order_id, tag) {
        order_id -> UidSql,
        tag -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    order_attachments (id) {
        id -> UidSql,
        order_id -> UidSql,
        name -> Text,
        media_type -> Text,
        size -> BigInt,
        url -> Text,
        sha256 -> Nullable<Text>,
        author -> Text,
        created_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    order_confirmations (order_id) {
        order_id -> UidSql,
        asked_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    external_refs (id) {
        id -> UidSql,
        owner -> UidSql,
        system -> Text,
        kind -> Text,
        value -> Text,
        value_folded -> Text,
        doc -> DocSql,
        created_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    returns (id) {
        id -> UidSql,
        number -> Text,
        order_id -> Nullable<UidSql>,
        channel_id -> UidSql,
        customer_id -> Nullable<UidSql>,
        state -> Text,
        currency -> Text,
        amount -> BigInt,
        line_count -> BigInt,
        pieces -> BigInt,
        doc -> DocSql,
        version -> BigInt,
        occurred_at -> InstantSql,
        recorded_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    return_policies (channel_id) {
        channel_id -> UidSql,
        doc -> DocSql,
        version -> BigInt,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    return_requests (id) {
        id -> UidSql,
        number -> Text,
        order_id -> UidSql,
        order_number -> Text,
        channel_id -> UidSql,
        customer_id -> Nullable<UidSql>,
        origin -> Text,
        state -> Text,
        state_since -> InstantSql,
        shipment_id -> Nullable<UidSql>,
        withdrawal_id -> Nullable<UidSql>,
        doc -> DocSql,
        version -> BigInt,
        requested_at -> InstantSql,
        expires_at -> Nullable<InstantSql>,
        updated_at -> InstantSql,
        advance_cart_id -> Nullable<UidSql>,
        advance_state -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::UidSql;

    return_request_lines (request_id, line_no) {
        request_id -> UidSql,
        line_no -> BigInt,
        variant_id -> UidSql,
        sku -> Text,
        reason -> Text,
        quantity -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    withdrawals (id) {
        id -> UidSql,
        number -> Text,
        order_id -> UidSql,
        order_number -> Text,
        channel_id -> UidSql,
        state -> Text,
        doc -> DocSql,
        document -> Nullable<Text>,
        sha256 -> Nullable<Text>,
        declared_at -> InstantSql,
        confirmed_at -> Nullable<InstantSql>,
        refund_due_at -> Nullable<InstantSql>,
        told -> BigInt,
        version -> BigInt,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    product_registrations (id) {
        id -> UidSql,
        order_id -> UidSql,
        channel_id -> UidSql,
        line_no -> BigInt,
        unit_no -> BigInt,
        variant_id -> UidSql,
        sku -> Text,
        serial -> Nullable<Text>,
        serial_key -> Nullable<Text>,
        ends_at -> InstantSql,
        request_id -> Nullable<UidSql>,
        doc -> DocSql,
        version -> BigInt,
        registered_at -> InstantSql,
        updated_at -> InstantSql,
        customer_id -> Nullable<UidSql>,
        ended_at -> Nullable<InstantSql>,
        end_reason -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    order_claims (id) {
        id -> UidSql,
        number -> Text,
        order_id -> UidSql,
        order_number -> Text,
        channel_id -> UidSql,
        kind -> Text,
        state -> Text,
        state_since -> InstantSql,
        shipment_id -> Nullable<UidSql>,
        doc -> DocSql,
        version -> BigInt,
        opened_at -> InstantSql,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    invoices (id) {
        id -> UidSql,
        order_id -> UidSql,
        kind -> Text,
        system -> Text,
        number -> Text,
        currency -> Text,
        amount -> BigInt,
        issued_at -> InstantSql,
        doc -> DocSql,
        recorded_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::UidSql;

    invoice_series (legal_entity_id, series) {
        legal_entity_id -> UidSql,
        series -> Text,
        last -> BigInt,
        last_on -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    invoice_documents (id) {
        id -> UidSql,
        kind -> Text,
        legal_entity_id -> UidSql,
        channel_id -> UidSql,
        order_id -> UidSql,
        order_number -> Text,
        cause -> Text,
        series -> Text,
        sequence -> BigInt,
        number -> Text,
        issued_on -> Text,
        due_on -> Text,
        retain_until -> Text,
        currency -> Text,
        net -> BigInt,
        tax -> BigInt,
        total -> BigInt,
        document -> Text,
        sha256 -> Text,
        recorded_at -> InstantSql,
        redacted_at -> Nullable<InstantSql>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    fulfilment_orders (id) {
        id -> UidSql,
        order_id -> UidSql,
        order_number -> Text,
        channel_id -> UidSql,
        location_id -> UidSql,
        state -> Text,
        state_since -> InstantSql,
        version -> BigInt,
        due_at -> InstantSql,
        created_at -> InstantSql,
        updated_at -> InstantSql,
        sourcing -> Nullable<DocSql>,
        priority -> BigInt,
        accept_by -> Nullable<InstantSql>,
        doc -> Nullable<DocSql>,
        promised_until -> Nullable<InstantSql>,
        told_until -> Nullable<InstantSql>,
        turn_at -> Nullable<InstantSql>,
        collect_by -> Nullable<InstantSql>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    fulfilment_lines (fulfilment_order_id, line_no) {
        fulfilment_order_id -> UidSql,
        line_no -> BigInt,
        variant_id -> UidSql,
        sku -> Text,
        tracked -> Bool,
        quantity -> BigInt,
        picked -> BigInt,
        packed -> BigInt,
        shipped -> BigInt,
        cancelled -> BigInt,
        moved -> BigInt,
        boxed -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    fulfilment_holds (id) {
        id -> UidSql,
        fulfilment_order_id -> UidSql,
        kind -> Text,
        doc -> DocSql,
        placed_at -> InstantSql,
        expires_at -> Nullable<InstantSql>,
        released_at -> Nullable<InstantSql>,
        released_by -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    amendments (id) {
        id -> UidSql,
        order_id -> UidSql,
        state -> Text,
        order_version -> BigInt,
        version -> BigInt,
        opened_by -> Text,
        created_at -> InstantSql,
        expires_at -> InstantSql,
        ended_at -> Nullable<InstantSql>,
        doc -> DocSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    bulk_jobs (id) {
        id -> UidSql,
        command -> Text,
        state -> Text,
        started_by -> Text,
        created_at -> InstantSql,
        ended_at -> Nullable<InstantSql>,
        doc -> DocSql,
        token_hash -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    payment_requests (id) {
        id -> UidSql,
        order_id -> UidSql,
        channel_id -> UidSql,
        state -> Text,
        currency -> Text,
        amount -> BigInt,
        payment_id -> Nullable<UidSql>,
        expires_at -> InstantSql,
        doc -> DocSql,
        version -> BigInt,
        created_at -> InstantSql,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    countersign_requests (id) {
        id -> UidSql,
        kind -> Text,
        state -> Text,
        channel_id -> Nullable<UidSql>,
        order_id -> Nullable<UidSql>,
        asked_by -> Text,
        decided_by -> Nullable<Text>,
        doc -> DocSql,
        expires_at -> InstantSql,
        version -> BigInt,
        created_at -> InstantSql,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::InstantSql;

    given_alone (subject, kind, currency) {
        subject -> Text,
        kind -> Text,
        currency -> Text,
        amount -> BigInt,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::UidSql;

    bulk_items (bulk_id, order_id) {
        bulk_id -> UidSql,
        order_id -> UidSql,
        number -> Text,
        state -> Text,
        code -> Nullable<Text>,
        detail -> Nullable<Text>,
        order_version -> Nullable<BigInt>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    process_decisions (id) {
        id -> UidSql,
        order_id -> UidSql,
        step -> Text,
        subject -> Nullable<Text>,
        decision -> Text,
        reason -> Nullable<Text>,
        actor -> Text,
        decided_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    supplier_orders (fulfilment_order_id) {
        fulfilment_order_id -> UidSql,
        state -> Text,
        doc -> DocSql,
        version -> BigInt,
        created_at -> InstantSql,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    supplier_invoices (fulfilment_order_id, number) {
        fulfilment_order_id -> UidSql,
        number -> Text,
        currency -> Text,
        net -> BigInt,
        tax -> BigInt,
        issued_at -> InstantSql,
        recorded_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    delivery_promises (order_id) {
        order_id -> UidSql,
        promised_until -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    delivery_waits (order_id) {
        order_id -> UidSql,
        told_until -> Nullable<InstantSql>,
        since -> InstantSql,
        ended_at -> Nullable<InstantSql>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    shipments (id) {
        id -> UidSql,
        fulfilment_order_id -> UidSql,
        order_id -> UidSql,
        carrier -> Nullable<Text>,
        tracking_number -> Nullable<Text>,
        tracking_folded -> Nullable<Text>,
        state -> Text,
        doc -> DocSql,
        shipped_at -> InstantSql,
        delivered_at -> Nullable<InstantSql>,
        recorded_at -> InstantSql,
        corrected_at -> Nullable<InstantSql>,
        tracking -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    tracking_marks (shipment_id, at, mark) {
        shipment_id -> UidSql,
        at -> InstantSql,
        mark -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    gift_receipts (id) {
        id -> UidSql,
        order_id -> UidSql,
        doc -> DocSql,
        created_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    parcel_claims (shipment_id, line_no) {
        shipment_id -> UidSql,
        line_no -> BigInt,
        quantity -> BigInt,
        claimed -> BigInt,
        honoured -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    shipment_claims (shipment_id) {
        shipment_id -> UidSql,
        order_id -> UidSql,
        order_number -> Text,
        channel_id -> UidSql,
        location_id -> UidSql,
        kind -> Text,
        state -> Text,
        since -> InstantSql,
        doc -> DocSql,
        version -> BigInt,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    waves (id) {
        id -> UidSql,
        location_id -> UidSql,
        state -> Text,
        doc -> DocSql,
        version -> BigInt,
        created_at -> InstantSql,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{UidSql};

    wave_orders (wave_id, fulfilment_order_id) {
        wave_id -> UidSql,
        fulfilment_order_id -> UidSql,
        put -> BigInt,
        held -> Bool,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    wave_shorts (wave_id, fulfilment_order_id, line_no) {
        wave_id -> UidSql,
        fulfilment_order_id -> UidSql,
        line_no -> BigInt,
        pieces -> BigInt,
        reason -> Text,
        noted_at -> InstantSql,
        planned -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::UidSql;

    picked_lots (fulfilment_order_id, line_no, lot) {
        fulfilment_order_id -> UidSql,
        line_no -> BigInt,
        lot -> Text,
        variant_id -> UidSql,
        location_id -> UidSql,
        pieces -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    packages (id) {
        id -> UidSql,
        fulfilment_order_id -> UidSql,
        order_id -> UidSql,
        location_id -> UidSql,
        state -> Text,
        sscc -> Nullable<Text>,
        shipment_id -> Nullable<UidSql>,
        pieces -> BigInt,
        doc -> DocSql,
        version -> BigInt,
        created_at -> InstantSql,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{UidSql};

    package_serials (package_id, variant_id, serial) {
        package_id -> UidSql,
        variant_id -> UidSql,
        serial -> Text,
        line_no -> BigInt,
        held -> Bool,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    manifests (id) {
        id -> UidSql,
        location_id -> UidSql,
        carrier -> Text,
        carrier_folded -> Text,
        day -> Text,
        state -> Text,
        doc -> DocSql,
        version -> BigInt,
        created_at -> InstantSql,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    manifest_shipments (shipment_id) {
        shipment_id -> UidSql,
        location_id -> UidSql,
        carrier_folded -> Text,
        shipped_at -> InstantSql,
        manifest_id -> Nullable<UidSql>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    carrier_accounts (id) {
        id -> UidSql,
        code -> Text,
        adapter -> Text,
        active -> Bool,
        doc -> DocSql,
        secrets -> Nullable<Text>,
        version -> BigInt,
        created_at -> InstantSql,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    carrier_labels (id) {
        id -> UidSql,
        package_id -> UidSql,
        account_id -> UidSql,
        state -> Text,
        carrier -> Nullable<Text>,
        tracking_number -> Nullable<Text>,
        tracking_folded -> Nullable<Text>,
        doc -> DocSql,
        version -> BigInt,
        created_at -> InstantSql,
        updated_at -> InstantSql,
        ask_at -> Nullable<InstantSql>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    events (seq) {
        seq -> BigInt,
        position -> Nullable<BigInt>,
        id -> UidSql,
        stream -> Text,
        aggregate -> Text,
        aggregate_id -> Text,
        aggregate_version -> BigInt,
        channel_id -> Nullable<UidSql>,
        #[sql_name = "type"]
        kind -> Text,
        occurred_at -> InstantSql,
        recorded_at -> InstantSql,
        actor -> Text,
        data -> DocSql,
        subject_id -> Nullable<UidSql>,
        personal -> Nullable<DocSql>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    log_state (id) {
        id -> BigInt,
        epoch -> Text,
        last_position -> BigInt,
        oldest_position -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    jobs (seq) {
        seq -> BigInt,
        id -> UidSql,
        kind -> Text,
        ordering_key -> Nullable<Text>,
        state -> Text,
        run_at -> InstantSql,
        attempt -> BigInt,
        max_attempts -> BigInt,
        lease_until -> Nullable<InstantSql>,
        payload -> DocSql,
        last_error -> Nullable<Text>,
        created_at -> InstantSql,
        updated_at -> InstantSql,
        lane -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::*;

    log_readers (name) {
        name -> Text,
        position -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    schedules (name) {
        name -> Text,
        next_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    connectors (id) {
        id -> UidSql,
        name -> Text,
        adapter -> Text,
        state -> Text,
        pause_reason -> Nullable<Text>,
        doc -> DocSql,
        secret -> Nullable<Text>,
        position -> BigInt,
        version -> BigInt,
        created_at -> InstantSql,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    dispatches (id) {
        id -> UidSql,
        connector_id -> UidSql,
        position -> BigInt,
        event_id -> UidSql,
        job_id -> UidSql,
        stream -> Text,
        #[sql_name = "type"]
        kind -> Text,
        state -> Text,
        attempts -> BigInt,
        last_status -> Nullable<BigInt>,
        doc -> DocSql,
        response -> Nullable<Text>,
        created_at -> InstantSql,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    consumers (id) {
        id -> UidSql,
        principal -> Text,
        name -> Text,
        feed -> Text,
        position -> BigInt,
        epoch -> Text,
        version -> BigInt,
        created_at -> InstantSql,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    consumer_items (consumer_id, position) {
        consumer_id -> UidSql,
        position -> BigInt,
        event_id -> UidSql,
        stream -> Text,
        state -> Text,
        lease_until -> Nullable<InstantSql>,
        lease -> Nullable<Text>,
        attempt -> BigInt,
        reason -> Nullable<Text>,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    worklist_claims (list, item) {
        list -> Text,
        item -> Text,
        assignee -> Nullable<Text>,
        snoozed_until -> Nullable<InstantSql>,
        note -> Nullable<Text>,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    purchase_orders (id) {
        id -> UidSql,
        number -> Text,
        supplier -> Text,
        location_id -> UidSql,
        state -> Text,
        expected_at -> Nullable<InstantSql>,
        doc -> DocSql,
        version -> BigInt,
        created_at -> InstantSql,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    purchase_order_lines (purchase_order_id, line_no) {
        purchase_order_id -> UidSql,
        line_no -> BigInt,
        variant_id -> UidSql,
        sku -> Text,
        ordered -> BigInt,
        announced -> BigInt,
        received -> BigInt,
        expected_at -> Nullable<InstantSql>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    inbound_shipments (id) {
        id -> UidSql,
        reference -> Nullable<Text>,
        purchase_order_id -> Nullable<UidSql>,
        location_id -> UidSql,
        state -> Text,
        expected_at -> InstantSql,
        arrived_at -> Nullable<InstantSql>,
        received_at -> Nullable<InstantSql>,
        doc -> DocSql,
        version -> BigInt,
        created_at -> InstantSql,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::UidSql;

    inbound_lines (inbound_shipment_id, line_no) {
        inbound_shipment_id -> UidSql,
        line_no -> BigInt,
        variant_id -> UidSql,
        sku -> Text,
        sscc -> Nullable<Text>,
        lot -> Nullable<Text>,
        best_before -> Nullable<Text>,
        purchase_order_line -> Nullable<BigInt>,
        expected -> BigInt,
        received -> BigInt,
        surplus -> BigInt,
        short -> BigInt,
        matched -> BigInt,
        docked -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    inbound_units (inbound_shipment_id, sscc) {
        inbound_shipment_id -> UidSql,
        sscc -> Text,
        state -> Text,
        received_at -> Nullable<InstantSql>,
        left_at -> Nullable<InstantSql>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    dock_hubs (location_id) {
        location_id -> UidSql,
        doc -> DocSql,
        version -> BigInt,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::UidSql;

    dock_demands (fulfilment_order_id, line_no) {
        fulfilment_order_id -> UidSql,
        line_no -> BigInt,
        wanted -> BigInt,
        matched -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    dock_matches (id) {
        id -> UidSql,
        location_id -> UidSql,
        inbound_shipment_id -> UidSql,
        inbound_line -> BigInt,
        fulfilment_order_id -> UidSql,
        line_no -> BigInt,
        variant_id -> UidSql,
        sku -> Text,
        sscc -> Nullable<Text>,
        lot -> Nullable<Text>,
        way -> Text,
        state -> Text,
        quantity -> BigInt,
        late -> Bool,
        ready_at -> InstantSql,
        due_at -> InstantSql,
        reason -> Nullable<Text>,
        created_at -> InstantSql,
        received_at -> Nullable<InstantSql>,
        ended_at -> Nullable<InstantSql>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    dock_tasks (id) {
        id -> UidSql,
        location_id -> UidSql,
        inbound_shipment_id -> UidSql,
        kind -> Text,
        state -> Text,
        sscc -> Nullable<Text>,
        match_id -> Nullable<UidSql>,
        fulfilment_order_id -> Nullable<UidSql>,
        variant_id -> Nullable<UidSql>,
        sku -> Nullable<Text>,
        quantity -> Nullable<BigInt>,
        created_at -> InstantSql,
        ended_at -> Nullable<InstantSql>,
        ended_by -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    transfers (id) {
        id -> UidSql,
        from_location_id -> UidSql,
        to_location_id -> UidSql,
        state -> Text,
        expected_at -> Nullable<InstantSql>,
        doc -> DocSql,
        version -> BigInt,
        created_at -> InstantSql,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::UidSql;

    transfer_lines (transfer_id, line_no) {
        transfer_id -> UidSql,
        line_no -> BigInt,
        variant_id -> UidSql,
        sku -> Text,
        quantity -> BigInt,
        shipped -> BigInt,
        received -> BigInt,
        damaged -> BigInt,
        lost -> BigInt,
        surplus -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    stock_counts (id) {
        id -> UidSql,
        location_id -> UidSql,
        state -> Text,
        doc -> DocSql,
        version -> BigInt,
        created_at -> InstantSql,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    stock_count_lines (stock_count_id, variant_id) {
        stock_count_id -> UidSql,
        variant_id -> UidSql,
        sku -> Text,
        rounds -> BigInt,
        recount -> Bool,
        counted -> Nullable<BigInt>,
        on_hand -> Nullable<BigInt>,
        level_version -> Nullable<BigInt>,
        counted_at -> Nullable<InstantSql>,
        counted_by -> Nullable<Text>,
        settled_by -> Nullable<BigInt>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    payment_fees (payment_id, reference) {
        payment_id -> UidSql,
        reference -> Text,
        order_id -> UidSql,
        currency -> Text,
        amount -> BigInt,
        occurred_at -> InstantSql,
        recorded_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    disputes (id) {
        id -> UidSql,
        payment_id -> UidSql,
        order_id -> UidSql,
        channel_id -> UidSql,
        reference -> Text,
        state -> Text,
        currency -> Text,
        amount -> BigInt,
        fee -> BigInt,
        respond_by -> Nullable<InstantSql>,
        doc -> DocSql,
        version -> BigInt,
        opened_at -> InstantSql,
        created_at -> InstantSql,
        updated_at -> InstantSql,
        excess -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    order_refunds (id) {
        id -> UidSql,
        order_id -> UidSql,
        target -> Text,
        currency -> Text,
        amount -> BigInt,
        shipping -> BigInt,
        doc -> DocSql,
        created_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    awaited_refunds (id) {
        id -> UidSql,
        order_id -> UidSql,
        return_id -> Nullable<UidSql>,
        target -> Text,
        stored_value_id -> UidSql,
        currency -> Text,
        amount -> BigInt,
        given -> BigInt,
        created_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    payment_renewals (payment_id) {
        payment_id -> UidSql,
        renewed_id -> UidSql,
        order_id -> UidSql,
        state -> Text,
        currency -> Text,
        amount -> BigInt,
        reason -> Nullable<Text>,
        created_at -> InstantSql,
        updated_at -> InstantSql,
        tries -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    journal_postings (position) {
        position -> BigInt,
        order_id -> UidSql,
        posting -> Text,
        channel_id -> Nullable<UidSql>,
        occurred_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    journal_state (id) {
        id -> BigInt,
        last_position -> BigInt,
        read_to -> Nullable<InstantSql>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    journal_accounts (legal_entity_id) {
        legal_entity_id -> UidSql,
        doc -> DocSql,
        version -> BigInt,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    company_members (customer_id) {
        customer_id -> UidSql,
        company_id -> UidSql,
        role -> Text,
        order_limit -> Nullable<BigInt>,
        currency -> Nullable<Text>,
        version -> BigInt,
        created_at -> InstantSql,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    company_credits (company_id, currency) {
        company_id -> UidSql,
        currency -> Text,
        credit_limit -> BigInt,
        used -> BigInt,
        above -> Text,
        version -> BigInt,
        created_at -> InstantSql,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    company_debts (payment_id) {
        payment_id -> UidSql,
        company_id -> UidSql,
        order_id -> UidSql,
        order_number -> Text,
        currency -> Text,
        amount -> BigInt,
        open -> BigInt,
        paid -> BigInt,
        due_at -> InstantSql,
        version -> BigInt,
        created_at -> InstantSql,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    company_credit_entries (id) {
        id -> UidSql,
        company_id -> UidSql,
        currency -> Text,
        kind -> Text,
        amount -> BigInt,
        used_after -> BigInt,
        version -> BigInt,
        payment_id -> Nullable<UidSql>,
        order_id -> Nullable<UidSql>,
        actor -> Text,
        reason -> Nullable<Text>,
        created_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    approval_requests (id) {
        id -> UidSql,
        channel_id -> UidSql,
        company_id -> UidSql,
        cart_id -> UidSql,
        customer_id -> UidSql,
        state -> Text,
        currency -> Text,
        amount -> BigInt,
        needed -> BigInt,
        given -> BigInt,
        role -> Text,
        expires_at -> InstantSql,
        order_id -> Nullable<UidSql>,
        doc -> DocSql,
        version -> BigInt,
        created_at -> InstantSql,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    approval_decisions (request_id, customer_id) {
        request_id -> UidSql,
        customer_id -> UidSql,
        verdict -> Text,
        note -> Nullable<Text>,
        created_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    order_templates (id) {
        id -> UidSql,
        name -> Text,
        customer_id -> Nullable<UidSql>,
        company_id -> Nullable<UidSql>,
        doc -> DocSql,
        version -> BigInt,
        created_at -> InstantSql,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    quotes (id) {
        id -> UidSql,
        number -> Text,
        channel_id -> UidSql,
        customer_id -> UidSql,
        company_id -> Nullable<UidSql>,
        cart_id -> UidSql,
        state -> Text,
        currency -> Text,
        valid_until -> Nullable<InstantSql>,
        order_id -> Nullable<UidSql>,
        doc -> DocSql,
        version -> BigInt,
        created_at -> InstantSql,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    drafts (id) {
        id -> UidSql,
        channel_id -> UidSql,
        cart_id -> UidSql,
        contact -> Text,
        state -> Text,
        link_expires_at -> Nullable<InstantSql>,
        doc -> DocSql,
        version -> BigInt,
        created_at -> InstantSql,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    recurring_orders (id) {
        id -> UidSql,
        channel_id -> UidSql,
        customer_id -> UidSql,
        state -> Text,
        next_at -> InstantSql,
        doc -> DocSql,
        version -> BigInt,
        created_at -> InstantSql,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    recurring_runs (recurring_id, due_at) {
        recurring_id -> UidSql,
        due_at -> InstantSql,
        cart_id -> UidSql,
        state -> Text,
        order_id -> Nullable<UidSql>,
        failure -> Nullable<Text>,
        created_at -> InstantSql,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    risk_profiles (channel_id, version) {
        channel_id -> UidSql,
        version -> BigInt,
        doc -> DocSql,
        made_by -> Text,
        created_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    risk_assessments (id) {
        id -> UidSql,
        channel_id -> UidSql,
        cart_id -> UidSql,
        order_id -> Nullable<UidSql>,
        decision -> Text,
        score -> BigInt,
        profile_version -> BigInt,
        doc -> DocSql,
        fired -> DocSql,
        outcome -> Nullable<Text>,
        judged_at -> Nullable<InstantSql>,
        judged_by -> Nullable<Text>,
        note -> Nullable<Text>,
        assessed_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    risk_marks (assessment_id, kind) {
        assessment_id -> UidSql,
        kind -> Text,
        hash -> Text,
        cart_id -> UidSql,
        marked_at -> InstantSql,
        lost_at -> Nullable<InstantSql>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    risk_entries (id) {
        id -> UidSql,
        list -> Text,
        kind -> Text,
        hash -> Text,
        hint -> Text,
        reason -> Text,
        until_at -> Nullable<InstantSql>,
        made_by -> Text,
        created_at -> InstantSql,
        version -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    risk_code_tries (cart_id) {
        cart_id -> UidSql,
        tries -> BigInt,
        tried_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::InstantSql;

    job_lanes (lane) {
        lane -> Text,
        places -> Nullable<BigInt>,
        closed_until -> Nullable<InstantSql>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{InstantSql, UidSql};

    connector_breakers (connector_id) {
        connector_id -> UidSql,
        failures -> BigInt,
        opens -> BigInt,
        opened_at -> Nullable<InstantSql>,
        retry_at -> Nullable<InstantSql>,
        reason -> Nullable<Text>,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    dispatch_attempts (dispatch_id, attempt) {
        dispatch_id -> UidSql,
        attempt -> BigInt,
        connector_id -> UidSql,
        stream -> Text,
        at -> InstantSql,
        status -> Nullable<BigInt>,
        doc -> DocSql,
        sent -> Nullable<Text>,
        response -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    connector_links (connector_id, kind, value) {
        connector_id -> UidSql,
        kind -> Text,
        value -> Text,
        object -> Text,
        object_id -> Text,
        doc -> DocSql,
        created_at -> InstantSql,
        updated_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    connector_mappings (connector_id, version) {
        connector_id -> UidSql,
        version -> BigInt,
        doc -> DocSql,
        created_by -> Text,
        created_at -> InstantSql,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    connector_pulls (connector_id) {
        connector_id -> UidSql,
        cursor -> DocSql,
        pulled_at -> InstantSql,
        error -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    connector_runs (id) {
        id -> UidSql,
        connector_id -> UidSql,
        kind -> Text,
        state -> Text,
        position -> BigInt,
        until -> BigInt,
        sending -> BigInt,
        night -> Nullable<Text>,
        differences -> BigInt,
        closed_at -> Nullable<InstantSql>,
        doc -> DocSql,
        created_at -> InstantSql,
        ended_at -> Nullable<InstantSql>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::{DocSql, InstantSql, UidSql};

    connector_run_items (run_id, order_id) {
        run_id -> UidSql,
        order_id -> Text,
        connector_id -> UidSql,
        channel_id -> Nullable<UidSql>,
        state -> Text,
        sent_to -> BigInt,
        job_id -> Nullable<UidSql>,
        doc -> DocSql,
        updated_at -> InstantSql,
    }
}
