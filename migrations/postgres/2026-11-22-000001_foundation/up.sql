-- Reference data in memory is loaded again when its version moves.
CREATE TABLE versions (
    name text COLLATE "C" PRIMARY KEY,
    version bigint NOT NULL
);

-- Secrets that the processes of one database share unless the configuration gives them.
CREATE TABLE secrets (
    name text COLLATE "C" PRIMARY KEY,
    value text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL
);

-- Number ranges: blocks are taken from here, so numbers are unique, with gaps.
CREATE TABLE number_ranges (
    name text COLLATE "C" PRIMARY KEY,
    next bigint NOT NULL
);

-- Answers under an Idempotency-Key. `id` is derived from principal, route and key.
CREATE TABLE idempotency_keys (
    id uuid PRIMARY KEY,
    state text COLLATE "C" NOT NULL CHECK (state IN ('in_progress', 'done')),
    body_hash text COLLATE "C" NOT NULL,
    status bigint NOT NULL,
    body text COLLATE "C",
    sealed boolean NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at);

-- Publishable keys and API keys. API keys are kept as hashes only.
CREATE TABLE credentials (
    id uuid PRIMARY KEY,
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('publishable', 'api_key')),
    name text COLLATE "C" NOT NULL,
    channel_id uuid,
    secret_hash text COLLATE "C" NOT NULL UNIQUE,
    shown text COLLATE "C" NOT NULL,
    doc jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    revoked_at timestamptz
);

CREATE TABLE legal_entities (
    id uuid PRIMARY KEY,
    code text COLLATE "C" NOT NULL UNIQUE,
    name text COLLATE "C" NOT NULL,
    country text COLLATE "C" NOT NULL,
    vat_id text COLLATE "C",
    time_zone text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE TABLE channels (
    id uuid PRIMARY KEY,
    code text COLLATE "C" NOT NULL UNIQUE,
    name text COLLATE "C" NOT NULL,
    legal_entity_id uuid NOT NULL REFERENCES legal_entities (id),
    test boolean NOT NULL,
    doc jsonb NOT NULL,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE TABLE variants (
    id uuid PRIMARY KEY,
    sku text COLLATE "C" NOT NULL UNIQUE,
    gtin text COLLATE "C",
    name text COLLATE "C" NOT NULL,
    name_folded text COLLATE "C" NOT NULL,
    tax_class text COLLATE "C" NOT NULL,
    weight_grams bigint NOT NULL CHECK (weight_grams >= 0),
    unit_code text COLLATE "C" NOT NULL,
    requires_shipping boolean NOT NULL,
    stock_policy text COLLATE "C" NOT NULL CHECK (stock_policy IN ('tracked', 'untracked')),
    backorder_policy text COLLATE "C" NOT NULL CHECK (backorder_policy IN ('deny', 'allow')),
    status text COLLATE "C" NOT NULL CHECK (status IN ('active', 'archived')),
    doc jsonb NOT NULL,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX variants_gtin ON variants (gtin);
CREATE INDEX variants_name ON variants (name_folded, id);

CREATE TABLE customers (
    id uuid PRIMARY KEY,
    number text COLLATE "C" NOT NULL UNIQUE,
    issuer text COLLATE "C",
    subject text COLLATE "C",
    email_folded text COLLATE "C",
    name_folded text COLLATE "C" NOT NULL,
    customer_group text COLLATE "C",
    doc jsonb NOT NULL,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    UNIQUE (issuer, subject)
);
CREATE INDEX customers_email ON customers (email_folded);
CREATE INDEX customers_name ON customers (name_folded, id);

CREATE TABLE price_lists (
    id uuid PRIMARY KEY,
    code text COLLATE "C" NOT NULL UNIQUE,
    name text COLLATE "C" NOT NULL,
    currency text COLLATE "C" NOT NULL CHECK (length(currency) = 3),
    channel_id uuid REFERENCES channels (id),
    priority bigint NOT NULL,
    valid_from timestamptz,
    valid_until timestamptz,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

-- `amount` is scaled by 10^(exponent of the currency + 4). `valid_from` is the epoch where it is open.
CREATE TABLE prices (
    variant_id uuid NOT NULL REFERENCES variants (id),
    price_list_id uuid NOT NULL REFERENCES price_lists (id),
    min_quantity bigint NOT NULL CHECK (min_quantity >= 1),
    valid_from timestamptz NOT NULL,
    valid_until timestamptz,
    amount bigint NOT NULL CHECK (amount >= 0),
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (variant_id, price_list_id, min_quantity, valid_from)
);

CREATE TABLE tax_rates (
    id uuid PRIMARY KEY,
    country text COLLATE "C" NOT NULL,
    tax_class text COLLATE "C" NOT NULL,
    rate text COLLATE "C" NOT NULL,
    valid_from timestamptz NOT NULL,
    valid_until timestamptz,
    created_at timestamptz NOT NULL,
    UNIQUE (country, tax_class, valid_from)
);

CREATE TABLE shipping_methods (
    id uuid PRIMARY KEY,
    channel_id uuid NOT NULL REFERENCES channels (id),
    code text COLLATE "C" NOT NULL,
    doc jsonb NOT NULL,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    UNIQUE (channel_id, code)
);

CREATE TABLE locations (
    id uuid PRIMARY KEY,
    code text COLLATE "C" NOT NULL UNIQUE,
    name text COLLATE "C" NOT NULL,
    country text COLLATE "C" NOT NULL,
    time_zone text COLLATE "C" NOT NULL,
    priority bigint NOT NULL,
    active boolean NOT NULL,
    doc jsonb NOT NULL,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

-- available = on_hand - allocated - reserved - safety; below zero only by backorders.
CREATE TABLE stock_levels (
    variant_id uuid NOT NULL REFERENCES variants (id),
    location_id uuid NOT NULL REFERENCES locations (id),
    on_hand bigint NOT NULL CHECK (on_hand >= 0),
    allocated bigint NOT NULL CHECK (allocated >= 0),
    reserved bigint NOT NULL CHECK (reserved >= 0),
    safety bigint NOT NULL CHECK (safety >= 0),
    version bigint NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (variant_id, location_id)
) WITH (fillfactor = 70);
CREATE INDEX stock_levels_location ON stock_levels (location_id, variant_id);

-- Append-only: a level's on_hand and allocated are the sums of its movements.
CREATE TABLE stock_movements (
    seq bigserial PRIMARY KEY,
    id uuid NOT NULL,
    variant_id uuid NOT NULL,
    location_id uuid NOT NULL,
    kind text COLLATE "C" NOT NULL,
    on_hand bigint NOT NULL,
    allocated bigint NOT NULL,
    reason text COLLATE "C",
    reference text COLLATE "C",
    actor text COLLATE "C" NOT NULL,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL
);
CREATE INDEX stock_movements_variant ON stock_movements (variant_id, seq);
CREATE INDEX stock_movements_location ON stock_movements (location_id, seq);

-- A cart's rows live and end together: all have one expires_at. `reserved` of a level is the sum of its live, tracked rows.
CREATE TABLE reservations (
    id uuid PRIMARY KEY,
    cart_id uuid NOT NULL,
    line_no bigint NOT NULL,
    variant_id uuid NOT NULL,
    location_id uuid NOT NULL,
    quantity bigint NOT NULL CHECK (quantity > 0),
    tracked boolean NOT NULL,
    state text COLLATE "C" NOT NULL CHECK (state IN ('live', 'consumed', 'released', 'expired')),
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX reservations_cart ON reservations (cart_id, line_no, location_id) WHERE state = 'live';
CREATE INDEX reservations_due ON reservations (expires_at) WHERE state = 'live';
CREATE INDEX reservations_variant ON reservations (variant_id, expires_at) WHERE state = 'live';

-- One row is the whole cart: it is always read and written whole.
CREATE TABLE carts (
    id uuid PRIMARY KEY,
    channel_id uuid NOT NULL,
    customer_id uuid,
    state text COLLATE "C" NOT NULL CHECK (state IN ('open', 'frozen', 'completing', 'completed', 'merged', 'expired')),
    version bigint NOT NULL,
    currency text COLLATE "C" NOT NULL CHECK (length(currency) = 3),
    total bigint NOT NULL,
    line_count bigint NOT NULL,
    device text COLLATE "C" NOT NULL,
    stage text COLLATE "C" NOT NULL,
    order_id uuid,
    abandon_at timestamptz,
    active_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    doc jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX carts_abandon ON carts (abandon_at) WHERE abandon_at IS NOT NULL;
CREATE INDEX carts_expire ON carts (expires_at) WHERE state IN ('open', 'frozen');
CREATE INDEX carts_customer ON carts (customer_id) WHERE customer_id IS NOT NULL;
CREATE INDEX carts_created ON carts (created_at, id);

CREATE TABLE abandonments (
    id uuid PRIMARY KEY,
    cart_id uuid NOT NULL UNIQUE,
    channel_id uuid NOT NULL,
    stage text COLLATE "C" NOT NULL,
    device text COLLATE "C" NOT NULL,
    currency text COLLATE "C" NOT NULL CHECK (length(currency) = 3),
    value bigint NOT NULL,
    line_count bigint NOT NULL,
    cart_created_at timestamptz NOT NULL,
    abandoned_at timestamptz NOT NULL,
    returned_at timestamptz,
    recovered_at timestamptz,
    order_id uuid
);
CREATE INDEX abandonments_at ON abandonments (abandoned_at, id);
CREATE INDEX abandonments_cart_created ON abandonments (cart_created_at);

-- One row per attempt to pay. `our_key` is what the provider knows it by. What is about to be captured, refunded or
-- voided is counted before the provider is asked, so no number of commands at once can ask for more than there is.
CREATE TABLE payments (
    id uuid PRIMARY KEY,
    cart_id uuid NOT NULL,
    order_id uuid,
    provider text COLLATE "C" NOT NULL,
    our_key text COLLATE "C" NOT NULL UNIQUE,
    provider_ref text COLLATE "C",
    state text COLLATE "C" NOT NULL,
    currency text COLLATE "C" NOT NULL CHECK (length(currency) = 3),
    amount bigint NOT NULL CHECK (amount >= 0),
    captured bigint NOT NULL CHECK (captured >= 0),
    refunded bigint NOT NULL CHECK (refunded >= 0),
    voided bigint NOT NULL CHECK (voided >= 0),
    capture_pending bigint NOT NULL CHECK (capture_pending >= 0),
    refund_pending bigint NOT NULL CHECK (refund_pending >= 0),
    void_pending bigint NOT NULL CHECK (void_pending >= 0),
    attempt bigint NOT NULL,
    lease_until timestamptz,
    idempotency_id uuid,
    doc jsonb NOT NULL,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CHECK (captured + capture_pending + voided + void_pending <= amount),
    CHECK (refunded + refund_pending <= captured)
);
CREATE INDEX payments_order ON payments (order_id);
CREATE INDEX payments_cart ON payments (cart_id);
CREATE INDEX payments_open ON payments (lease_until) WHERE state IN ('pending', 'action_required');
CREATE INDEX payments_without_order ON payments (created_at, id) WHERE order_id IS NULL AND state IN ('authorised', 'captured');
CREATE INDEX payments_failed ON payments (updated_at, id) WHERE state = 'failed';

-- Captures, voids and refunds: one row each, with the key that the provider knows it by.
CREATE TABLE payment_operations (
    id uuid PRIMARY KEY,
    payment_id uuid NOT NULL REFERENCES payments (id),
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('capture', 'void', 'refund')),
    our_key text COLLATE "C" NOT NULL UNIQUE,
    state text COLLATE "C" NOT NULL CHECK (state IN ('pending', 'done', 'failed')),
    amount bigint NOT NULL CHECK (amount >= 0),
    reason text COLLATE "C",
    error text COLLATE "C",
    idempotency_id uuid,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX payment_operations_payment ON payment_operations (payment_id);
CREATE INDEX payment_operations_pending ON payment_operations (created_at, id) WHERE state = 'pending';
CREATE INDEX payment_operations_failed ON payment_operations (updated_at, id) WHERE state = 'failed';

-- The memory of the sandbox provider: what it believes to have authorised. It stands for a system outside.
CREATE TABLE sandbox_payments (
    our_key text COLLATE "C" PRIMARY KEY,
    state text COLLATE "C" NOT NULL CHECK (state IN ('pending', 'authorised', 'declined', 'voided')),
    currency text COLLATE "C" NOT NULL CHECK (length(currency) = 3),
    amount bigint NOT NULL CHECK (amount >= 0),
    captured bigint NOT NULL CHECK (captured >= 0),
    voided bigint NOT NULL CHECK (voided >= 0),
    refunded bigint NOT NULL CHECK (refunded >= 0),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CHECK (captured + voided <= amount),
    CHECK (refunded <= captured)
);

-- What it was asked to do with them: a repeated key is done once.
CREATE TABLE sandbox_operations (
    our_key text COLLATE "C" PRIMARY KEY,
    payment_key text COLLATE "C" NOT NULL REFERENCES sandbox_payments (our_key),
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('capture', 'void', 'refund')),
    amount bigint NOT NULL CHECK (amount >= 0),
    created_at timestamptz NOT NULL
);

-- Double entry per order: the amounts of an order sum to zero.
CREATE TABLE ledger_entries (
    id uuid PRIMARY KEY,
    order_id uuid NOT NULL,
    posting text COLLATE "C" NOT NULL,
    account text COLLATE "C" NOT NULL,
    currency text COLLATE "C" NOT NULL CHECK (length(currency) = 3),
    amount bigint NOT NULL,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL
);
CREATE INDEX ledger_entries_order ON ledger_entries (order_id);

CREATE TABLE orders (
    id uuid PRIMARY KEY,
    number text COLLATE "C" NOT NULL UNIQUE,
    channel_id uuid NOT NULL REFERENCES channels (id),
    customer_id uuid,
    cart_id uuid UNIQUE,
    state text COLLATE "C" NOT NULL CHECK (state IN ('placed', 'completed', 'cancelled')),
    payment_state text COLLATE "C" NOT NULL,
    fulfilment_state text COLLATE "C" NOT NULL,
    test boolean NOT NULL,
    version bigint NOT NULL,
    currency text COLLATE "C" NOT NULL CHECK (length(currency) = 3),
    total bigint NOT NULL CHECK (total >= 0),
    email_folded text COLLATE "C",
    name_folded text COLLATE "C" NOT NULL,
    postcode_folded text COLLATE "C",
    phone_digits text COLLATE "C",
    placed_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    doc jsonb NOT NULL
);
-- A search is led by one of these (src/orders/search/plan.rs): what it is led by, then the time, so that the newest come first.
CREATE INDEX orders_placed ON orders (placed_at, id);
CREATE INDEX orders_channel ON orders (channel_id, placed_at, id);
CREATE INDEX orders_open ON orders (placed_at, id, channel_id) WHERE state = 'placed';
CREATE INDEX orders_cancelled ON orders (placed_at, id, channel_id) WHERE state = 'cancelled';
CREATE INDEX orders_payment ON orders (payment_state, placed_at, id, channel_id) WHERE payment_state <> 'captured';
CREATE INDEX orders_fulfilment ON orders (fulfilment_state, placed_at, id, channel_id) WHERE fulfilment_state <> 'delivered';
CREATE INDEX orders_customer ON orders (customer_id, placed_at, id) WHERE customer_id IS NOT NULL;
CREATE INDEX orders_email ON orders (email_folded, placed_at, id) WHERE email_folded IS NOT NULL;
CREATE INDEX orders_postcode ON orders (postcode_folded, name_folded, placed_at, id) WHERE postcode_folded IS NOT NULL;
CREATE INDEX orders_name ON orders (name_folded, placed_at, id);
CREATE INDEX orders_phone ON orders (phone_digits, placed_at, id) WHERE phone_digits IS NOT NULL;

-- Per-line quantities are the truth; the order's states are derived from them.
CREATE TABLE order_lines (
    order_id uuid NOT NULL REFERENCES orders (id),
    line_no bigint NOT NULL,
    variant_id uuid NOT NULL,
    sku text COLLATE "C" NOT NULL,
    quantity bigint NOT NULL CHECK (quantity > 0),
    allocated bigint NOT NULL CHECK (allocated >= 0),
    shipped bigint NOT NULL CHECK (shipped >= 0),
    delivered bigint NOT NULL CHECK (delivered >= 0 AND delivered <= shipped),
    returned bigint NOT NULL CHECK (returned >= 0 AND returned <= shipped),
    cancelled bigint NOT NULL CHECK (cancelled >= 0),
    unit_price bigint NOT NULL,
    net bigint NOT NULL,
    tax bigint NOT NULL,
    gross bigint NOT NULL,
    refunded bigint NOT NULL CHECK (refunded >= 0 AND refunded <= gross),
    -- The order's, so that an article's newest orders are found without reading all of them.
    placed_at timestamptz NOT NULL,
    doc jsonb NOT NULL,
    PRIMARY KEY (order_id, line_no),
    CHECK (net + tax = gross),
    CHECK (allocated + shipped + cancelled <= quantity)
);
CREATE INDEX order_lines_sku ON order_lines (sku, placed_at, order_id);

-- What a foreign system calls one of ours. A foreign document is booked once per system and kind.
CREATE TABLE external_refs (
    id uuid PRIMARY KEY,
    owner uuid NOT NULL,
    system text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL,
    value_folded text COLLATE "C" NOT NULL,
    doc jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    UNIQUE (system, kind, value)
);
CREATE INDEX external_refs_owner ON external_refs (owner);
CREATE INDEX external_refs_value ON external_refs (value_folded);

CREATE TABLE returns (
    id uuid PRIMARY KEY,
    number text COLLATE "C" NOT NULL UNIQUE,
    order_id uuid,
    channel_id uuid NOT NULL,
    customer_id uuid,
    state text COLLATE "C" NOT NULL CHECK (state IN ('received', 'refund_pending', 'refunded')),
    currency text COLLATE "C" NOT NULL CHECK (length(currency) = 3),
    amount bigint NOT NULL CHECK (amount >= 0),
    line_count bigint NOT NULL,
    pieces bigint NOT NULL,
    doc jsonb NOT NULL,
    version bigint NOT NULL,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL
);
CREATE INDEX returns_order ON returns (order_id);
CREATE INDEX returns_at ON returns (occurred_at, id);

CREATE TABLE invoices (
    id uuid PRIMARY KEY,
    order_id uuid NOT NULL REFERENCES orders (id),
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('invoice', 'credit_note')),
    system text COLLATE "C" NOT NULL,
    number text COLLATE "C" NOT NULL,
    currency text COLLATE "C" NOT NULL CHECK (length(currency) = 3),
    amount bigint NOT NULL CHECK (amount >= 0),
    issued_at timestamptz NOT NULL,
    doc jsonb NOT NULL,
    recorded_at timestamptz NOT NULL,
    UNIQUE (system, kind, number)
);
CREATE INDEX invoices_order ON invoices (order_id);

CREATE TABLE fulfilment_orders (
    id uuid PRIMARY KEY,
    order_id uuid NOT NULL REFERENCES orders (id),
    order_number text COLLATE "C" NOT NULL,
    channel_id uuid NOT NULL,
    location_id uuid NOT NULL REFERENCES locations (id),
    state text COLLATE "C" NOT NULL,
    state_since timestamptz NOT NULL,
    version bigint NOT NULL,
    due_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX fulfilment_orders_order ON fulfilment_orders (order_id);
CREATE INDEX fulfilment_orders_location ON fulfilment_orders (location_id, state, due_at, id);
CREATE INDEX fulfilment_orders_open ON fulfilment_orders (due_at, id) WHERE state NOT IN ('shipped', 'delivered', 'cancelled');
CREATE INDEX fulfilment_orders_done ON fulfilment_orders (state, due_at, id) WHERE state IN ('shipped', 'delivered', 'cancelled');

CREATE TABLE fulfilment_lines (
    fulfilment_order_id uuid NOT NULL REFERENCES fulfilment_orders (id),
    line_no bigint NOT NULL,
    variant_id uuid NOT NULL,
    sku text COLLATE "C" NOT NULL,
    tracked boolean NOT NULL,
    quantity bigint NOT NULL CHECK (quantity > 0),
    picked bigint NOT NULL CHECK (picked >= 0),
    packed bigint NOT NULL CHECK (packed >= 0 AND packed <= picked),
    shipped bigint NOT NULL CHECK (shipped >= 0 AND shipped <= packed),
    cancelled bigint NOT NULL CHECK (cancelled >= 0),
    PRIMARY KEY (fulfilment_order_id, line_no),
    CHECK (picked + cancelled <= quantity)
);

CREATE TABLE shipments (
    id uuid PRIMARY KEY,
    fulfilment_order_id uuid NOT NULL REFERENCES fulfilment_orders (id),
    order_id uuid NOT NULL REFERENCES orders (id),
    carrier text COLLATE "C",
    tracking_number text COLLATE "C",
    tracking_folded text COLLATE "C",
    state text COLLATE "C" NOT NULL CHECK (state IN ('shipped', 'delivered')),
    doc jsonb NOT NULL,
    shipped_at timestamptz NOT NULL,
    delivered_at timestamptz,
    recorded_at timestamptz NOT NULL
);
CREATE INDEX shipments_order ON shipments (order_id);
CREATE INDEX shipments_tracking ON shipments (tracking_folded) WHERE tracking_folded IS NOT NULL;

-- The log. `position` is given in the order of commits; readers see only what has one.
CREATE TABLE events (
    seq bigserial PRIMARY KEY,
    position bigint,
    id uuid NOT NULL UNIQUE,
    stream text COLLATE "C" NOT NULL,
    aggregate text COLLATE "C" NOT NULL,
    aggregate_id text COLLATE "C" NOT NULL,
    aggregate_version bigint NOT NULL,
    channel_id uuid,
    type text COLLATE "C" NOT NULL,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    actor text COLLATE "C" NOT NULL,
    data jsonb NOT NULL,
    subject_id uuid,
    personal jsonb
);
CREATE INDEX events_stream ON events (stream, seq);
CREATE UNIQUE INDEX events_position ON events (position) WHERE position IS NOT NULL;
CREATE INDEX events_unnumbered ON events (seq) WHERE position IS NULL;

CREATE TABLE log_state (
    id bigint PRIMARY KEY CHECK (id = 1),
    epoch text COLLATE "C" NOT NULL,
    last_position bigint NOT NULL,
    oldest_position bigint NOT NULL
);
INSERT INTO log_state (id, epoch, last_position, oldest_position) VALUES (1, '1', 0, 0);

CREATE TABLE jobs (
    seq bigserial PRIMARY KEY,
    id uuid NOT NULL UNIQUE,
    kind text COLLATE "C" NOT NULL,
    ordering_key text COLLATE "C",
    state text COLLATE "C" NOT NULL CHECK (state IN ('ready', 'leased', 'dead')),
    run_at timestamptz NOT NULL,
    attempt bigint NOT NULL,
    max_attempts bigint NOT NULL,
    lease_until timestamptz,
    payload jsonb NOT NULL,
    last_error text COLLATE "C",
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX jobs_due ON jobs (run_at, seq) WHERE state = 'ready';
CREATE INDEX jobs_leased ON jobs (lease_until) WHERE state = 'leased';
CREATE INDEX jobs_dead ON jobs (seq) WHERE state = 'dead';
CREATE INDEX jobs_ordering ON jobs (ordering_key, seq) WHERE ordering_key IS NOT NULL;

-- How far a part of Kontor has read the log: an event is counted once however many processes look.
CREATE TABLE log_readers (
    name text COLLATE "C" PRIMARY KEY,
    position bigint NOT NULL
);

-- What runs again and again: whoever takes the row's turn runs it.
CREATE TABLE schedules (
    name text COLLATE "C" PRIMARY KEY,
    next_at timestamptz NOT NULL
);

CREATE TABLE connectors (
    id uuid PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE,
    adapter text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL CHECK (state IN ('active', 'paused')),
    pause_reason text COLLATE "C",
    doc jsonb NOT NULL,
    secret text COLLATE "C",
    position bigint NOT NULL,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE TABLE dispatches (
    id uuid PRIMARY KEY,
    connector_id uuid NOT NULL,
    position bigint NOT NULL,
    event_id uuid NOT NULL,
    job_id uuid NOT NULL,
    stream text COLLATE "C" NOT NULL,
    type text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL CHECK (state IN ('pending', 'delivered', 'dead', 'skipped')),
    attempts bigint NOT NULL,
    last_status bigint,
    doc jsonb NOT NULL,
    response text COLLATE "C",
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    UNIQUE (connector_id, position)
);
CREATE INDEX dispatches_pending ON dispatches (connector_id, position) WHERE state = 'pending';
CREATE INDEX dispatches_dead ON dispatches (connector_id, position) WHERE state = 'dead';
CREATE INDEX dispatches_waiting ON dispatches (stream) WHERE state IN ('pending', 'dead');
CREATE INDEX dispatches_skipped ON dispatches (connector_id, position) WHERE state = 'skipped';
CREATE INDEX dispatches_answered ON dispatches (connector_id) WHERE state = 'delivered' AND response IS NOT NULL;
CREATE INDEX dispatches_done ON dispatches (updated_at) WHERE state IN ('delivered', 'skipped');

CREATE TABLE consumers (
    id uuid PRIMARY KEY,
    principal text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    feed text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    epoch text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    UNIQUE (principal, name)
);

-- What a consumer has been given and not acknowledged, has set aside, or what waits behind that.
CREATE TABLE consumer_items (
    consumer_id uuid NOT NULL REFERENCES consumers (id),
    position bigint NOT NULL,
    event_id uuid NOT NULL,
    stream text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL CHECK (state IN ('leased', 'waiting', 'parked', 'skipped')),
    lease_until timestamptz,
    lease text COLLATE "C",
    attempt bigint NOT NULL,
    reason text COLLATE "C",
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (consumer_id, position)
);
CREATE INDEX consumer_items_stream ON consumer_items (consumer_id, stream, position);
CREATE INDEX consumer_items_parked ON consumer_items (updated_at) WHERE state = 'parked';

-- Who looks after an item of a work list, and until when it sleeps.
CREATE TABLE worklist_claims (
    list text COLLATE "C" NOT NULL,
    item text COLLATE "C" NOT NULL,
    assignee text COLLATE "C",
    snoozed_until timestamptz,
    note text COLLATE "C",
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (list, item)
);
