-- Reference data in memory is loaded again when its version moves.
CREATE TABLE versions (
    name TEXT PRIMARY KEY,
    version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Secrets that the processes of one database share unless the configuration gives them.
CREATE TABLE secrets (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL,
    created_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Number ranges: blocks are taken from here, so numbers are unique, with gaps.
CREATE TABLE number_ranges (
    name TEXT PRIMARY KEY,
    next INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Answers under an Idempotency-Key. `id` is derived from principal, route and key.
CREATE TABLE idempotency_keys (
    id BLOB PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('in_progress', 'done')),
    body_hash TEXT NOT NULL,
    status INTEGER NOT NULL,
    body TEXT,
    sealed INTEGER NOT NULL,
    created_at TEXT NOT NULL
) STRICT;
CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at);

-- Publishable keys and API keys. API keys are kept as hashes only.
CREATE TABLE credentials (
    id BLOB PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('publishable', 'api_key')),
    name TEXT NOT NULL,
    channel_id BLOB,
    secret_hash TEXT NOT NULL UNIQUE,
    shown TEXT NOT NULL,
    doc TEXT NOT NULL,
    created_at TEXT NOT NULL,
    revoked_at TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE legal_entities (
    id BLOB PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    country TEXT NOT NULL,
    vat_id TEXT,
    time_zone TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE channels (
    id BLOB PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    legal_entity_id BLOB NOT NULL REFERENCES legal_entities (id),
    test INTEGER NOT NULL,
    doc TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE variants (
    id BLOB PRIMARY KEY,
    sku TEXT NOT NULL UNIQUE,
    gtin TEXT,
    name TEXT NOT NULL,
    name_folded TEXT NOT NULL,
    tax_class TEXT NOT NULL,
    weight_grams INTEGER NOT NULL CHECK (weight_grams >= 0),
    unit_code TEXT NOT NULL,
    requires_shipping INTEGER NOT NULL,
    stock_policy TEXT NOT NULL CHECK (stock_policy IN ('tracked', 'untracked')),
    backorder_policy TEXT NOT NULL CHECK (backorder_policy IN ('deny', 'allow')),
    status TEXT NOT NULL CHECK (status IN ('active', 'archived')),
    doc TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT;
CREATE INDEX variants_gtin ON variants (gtin);
CREATE INDEX variants_name ON variants (name_folded, id);

CREATE TABLE customers (
    id BLOB PRIMARY KEY,
    number TEXT NOT NULL UNIQUE,
    issuer TEXT,
    subject TEXT,
    email_folded TEXT,
    name_folded TEXT NOT NULL,
    customer_group TEXT,
    doc TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    UNIQUE (issuer, subject)
) STRICT;
CREATE INDEX customers_email ON customers (email_folded);
CREATE INDEX customers_name ON customers (name_folded, id);

CREATE TABLE price_lists (
    id BLOB PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    channel_id BLOB REFERENCES channels (id),
    priority INTEGER NOT NULL,
    valid_from TEXT,
    valid_until TEXT,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- `amount` is scaled by 10^(exponent of the currency + 4). `valid_from` is the epoch where it is open.
CREATE TABLE prices (
    variant_id BLOB NOT NULL REFERENCES variants (id),
    price_list_id BLOB NOT NULL REFERENCES price_lists (id),
    min_quantity INTEGER NOT NULL CHECK (min_quantity >= 1),
    valid_from TEXT NOT NULL,
    valid_until TEXT,
    amount INTEGER NOT NULL CHECK (amount >= 0),
    updated_at TEXT NOT NULL,
    PRIMARY KEY (variant_id, price_list_id, min_quantity, valid_from)
) STRICT, WITHOUT ROWID;

CREATE TABLE tax_rates (
    id BLOB PRIMARY KEY,
    country TEXT NOT NULL,
    tax_class TEXT NOT NULL,
    rate TEXT NOT NULL,
    valid_from TEXT NOT NULL,
    valid_until TEXT,
    created_at TEXT NOT NULL,
    UNIQUE (country, tax_class, valid_from)
) STRICT, WITHOUT ROWID;

CREATE TABLE shipping_methods (
    id BLOB PRIMARY KEY,
    channel_id BLOB NOT NULL REFERENCES channels (id),
    code TEXT NOT NULL,
    doc TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    UNIQUE (channel_id, code)
) STRICT, WITHOUT ROWID;

CREATE TABLE locations (
    id BLOB PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    country TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    priority INTEGER NOT NULL,
    active INTEGER NOT NULL,
    doc TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- available = on_hand - allocated - reserved - safety; below zero only by backorders.
CREATE TABLE stock_levels (
    variant_id BLOB NOT NULL REFERENCES variants (id),
    location_id BLOB NOT NULL REFERENCES locations (id),
    on_hand INTEGER NOT NULL CHECK (on_hand >= 0),
    allocated INTEGER NOT NULL CHECK (allocated >= 0),
    reserved INTEGER NOT NULL CHECK (reserved >= 0),
    safety INTEGER NOT NULL CHECK (safety >= 0),
    version INTEGER NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (variant_id, location_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX stock_levels_location ON stock_levels (location_id, variant_id);

-- Append-only: a level's on_hand and allocated are the sums of its movements.
CREATE TABLE stock_movements (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL,
    variant_id BLOB NOT NULL,
    location_id BLOB NOT NULL,
    kind TEXT NOT NULL,
    on_hand INTEGER NOT NULL,
    allocated INTEGER NOT NULL,
    reason TEXT,
    reference TEXT,
    actor TEXT NOT NULL,
    occurred_at TEXT NOT NULL,
    recorded_at TEXT NOT NULL
) STRICT;
CREATE INDEX stock_movements_variant ON stock_movements (variant_id, seq);
CREATE INDEX stock_movements_location ON stock_movements (location_id, seq);

-- A cart's rows live and end together: all have one expires_at. `reserved` of a level is the sum of its live, tracked rows.
CREATE TABLE reservations (
    id BLOB PRIMARY KEY,
    cart_id BLOB NOT NULL,
    line_no INTEGER NOT NULL,
    variant_id BLOB NOT NULL,
    location_id BLOB NOT NULL,
    quantity INTEGER NOT NULL CHECK (quantity > 0),
    tracked INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('live', 'consumed', 'released', 'expired')),
    expires_at TEXT NOT NULL,
    created_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX reservations_cart ON reservations (cart_id, line_no, location_id) WHERE state = 'live';
CREATE INDEX reservations_due ON reservations (expires_at) WHERE state = 'live';
CREATE INDEX reservations_variant ON reservations (variant_id, expires_at) WHERE state = 'live';

-- One row is the whole cart: it is always read and written whole.
CREATE TABLE carts (
    id BLOB PRIMARY KEY,
    channel_id BLOB NOT NULL,
    customer_id BLOB,
    state TEXT NOT NULL CHECK (state IN ('open', 'frozen', 'completing', 'completed', 'merged', 'expired')),
    version INTEGER NOT NULL,
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    total INTEGER NOT NULL,
    line_count INTEGER NOT NULL,
    device TEXT NOT NULL,
    stage TEXT NOT NULL,
    order_id BLOB,
    abandon_at TEXT,
    active_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    doc TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT;
CREATE INDEX carts_abandon ON carts (abandon_at) WHERE abandon_at IS NOT NULL;
CREATE INDEX carts_expire ON carts (expires_at) WHERE state IN ('open', 'frozen');
CREATE INDEX carts_customer ON carts (customer_id) WHERE customer_id IS NOT NULL;
CREATE INDEX carts_created ON carts (created_at, id);

CREATE TABLE abandonments (
    id BLOB PRIMARY KEY,
    cart_id BLOB NOT NULL UNIQUE,
    channel_id BLOB NOT NULL,
    stage TEXT NOT NULL,
    device TEXT NOT NULL,
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    value INTEGER NOT NULL,
    line_count INTEGER NOT NULL,
    cart_created_at TEXT NOT NULL,
    abandoned_at TEXT NOT NULL,
    returned_at TEXT,
    recovered_at TEXT,
    order_id BLOB
) STRICT, WITHOUT ROWID;
CREATE INDEX abandonments_at ON abandonments (abandoned_at, id);
CREATE INDEX abandonments_cart_created ON abandonments (cart_created_at);

-- One row per attempt to pay. `our_key` is what the provider knows it by. What is about to be captured, refunded or
-- voided is counted before the provider is asked, so no number of commands at once can ask for more than there is.
CREATE TABLE payments (
    id BLOB PRIMARY KEY,
    cart_id BLOB NOT NULL,
    order_id BLOB,
    provider TEXT NOT NULL,
    our_key TEXT NOT NULL UNIQUE,
    provider_ref TEXT,
    state TEXT NOT NULL,
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    amount INTEGER NOT NULL CHECK (amount >= 0),
    captured INTEGER NOT NULL CHECK (captured >= 0),
    refunded INTEGER NOT NULL CHECK (refunded >= 0),
    voided INTEGER NOT NULL CHECK (voided >= 0),
    capture_pending INTEGER NOT NULL CHECK (capture_pending >= 0),
    refund_pending INTEGER NOT NULL CHECK (refund_pending >= 0),
    void_pending INTEGER NOT NULL CHECK (void_pending >= 0),
    attempt INTEGER NOT NULL,
    lease_until TEXT,
    idempotency_id BLOB,
    doc TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CHECK (captured + capture_pending + voided + void_pending <= amount),
    CHECK (refunded + refund_pending <= captured)
) STRICT;
CREATE INDEX payments_order ON payments (order_id);
CREATE INDEX payments_cart ON payments (cart_id);
CREATE INDEX payments_open ON payments (lease_until) WHERE state IN ('pending', 'action_required');
CREATE INDEX payments_without_order ON payments (created_at, id) WHERE order_id IS NULL AND state IN ('authorised', 'captured');
CREATE INDEX payments_failed ON payments (updated_at, id) WHERE state = 'failed';

-- Captures, voids and refunds: one row each, with the key that the provider knows it by.
CREATE TABLE payment_operations (
    id BLOB PRIMARY KEY,
    payment_id BLOB NOT NULL REFERENCES payments (id),
    kind TEXT NOT NULL CHECK (kind IN ('capture', 'void', 'refund')),
    our_key TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL CHECK (state IN ('pending', 'done', 'failed')),
    amount INTEGER NOT NULL CHECK (amount >= 0),
    reason TEXT,
    error TEXT,
    idempotency_id BLOB,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX payment_operations_payment ON payment_operations (payment_id);
CREATE INDEX payment_operations_pending ON payment_operations (created_at, id) WHERE state = 'pending';
CREATE INDEX payment_operations_failed ON payment_operations (updated_at, id) WHERE state = 'failed';

-- The memory of the sandbox provider: what it believes to have authorised. It stands for a system outside.
CREATE TABLE sandbox_payments (
    our_key TEXT PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('pending', 'authorised', 'declined', 'voided')),
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    amount INTEGER NOT NULL CHECK (amount >= 0),
    captured INTEGER NOT NULL CHECK (captured >= 0),
    voided INTEGER NOT NULL CHECK (voided >= 0),
    refunded INTEGER NOT NULL CHECK (refunded >= 0),
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CHECK (captured + voided <= amount),
    CHECK (refunded <= captured)
) STRICT, WITHOUT ROWID;

-- What it was asked to do with them: a repeated key is done once.
CREATE TABLE sandbox_operations (
    our_key TEXT PRIMARY KEY,
    payment_key TEXT NOT NULL REFERENCES sandbox_payments (our_key),
    kind TEXT NOT NULL CHECK (kind IN ('capture', 'void', 'refund')),
    amount INTEGER NOT NULL CHECK (amount >= 0),
    created_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Double entry per order: the amounts of an order sum to zero.
CREATE TABLE ledger_entries (
    id BLOB PRIMARY KEY,
    order_id BLOB NOT NULL,
    posting TEXT NOT NULL,
    account TEXT NOT NULL,
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    amount INTEGER NOT NULL,
    occurred_at TEXT NOT NULL,
    recorded_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX ledger_entries_order ON ledger_entries (order_id);

CREATE TABLE orders (
    id BLOB PRIMARY KEY,
    number TEXT NOT NULL UNIQUE,
    channel_id BLOB NOT NULL REFERENCES channels (id),
    customer_id BLOB,
    cart_id BLOB UNIQUE,
    state TEXT NOT NULL CHECK (state IN ('placed', 'completed', 'cancelled')),
    payment_state TEXT NOT NULL,
    fulfilment_state TEXT NOT NULL,
    test INTEGER NOT NULL,
    version INTEGER NOT NULL,
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    total INTEGER NOT NULL CHECK (total >= 0),
    email_folded TEXT,
    name_folded TEXT NOT NULL,
    postcode_folded TEXT,
    phone_digits TEXT,
    placed_at TEXT NOT NULL,
    recorded_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    doc TEXT NOT NULL
) STRICT;
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
    order_id BLOB NOT NULL REFERENCES orders (id),
    line_no INTEGER NOT NULL,
    variant_id BLOB NOT NULL,
    sku TEXT NOT NULL,
    quantity INTEGER NOT NULL CHECK (quantity > 0),
    allocated INTEGER NOT NULL CHECK (allocated >= 0),
    shipped INTEGER NOT NULL CHECK (shipped >= 0),
    delivered INTEGER NOT NULL CHECK (delivered >= 0 AND delivered <= shipped),
    returned INTEGER NOT NULL CHECK (returned >= 0 AND returned <= shipped),
    cancelled INTEGER NOT NULL CHECK (cancelled >= 0),
    unit_price INTEGER NOT NULL,
    net INTEGER NOT NULL,
    tax INTEGER NOT NULL,
    gross INTEGER NOT NULL,
    refunded INTEGER NOT NULL CHECK (refunded >= 0 AND refunded <= gross),
    -- The order's, so that an article's newest orders are found without reading all of them.
    placed_at TEXT NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (order_id, line_no),
    CHECK (net + tax = gross),
    CHECK (allocated + shipped + cancelled <= quantity)
) STRICT, WITHOUT ROWID;
CREATE INDEX order_lines_sku ON order_lines (sku, placed_at, order_id);

-- What a foreign system calls one of ours. A foreign document is booked once per system and kind.
CREATE TABLE external_refs (
    id BLOB PRIMARY KEY,
    owner BLOB NOT NULL,
    system TEXT NOT NULL,
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    value_folded TEXT NOT NULL,
    doc TEXT NOT NULL,
    created_at TEXT NOT NULL,
    UNIQUE (system, kind, value)
) STRICT, WITHOUT ROWID;
CREATE INDEX external_refs_owner ON external_refs (owner);
CREATE INDEX external_refs_value ON external_refs (value_folded);

CREATE TABLE returns (
    id BLOB PRIMARY KEY,
    number TEXT NOT NULL UNIQUE,
    order_id BLOB,
    channel_id BLOB NOT NULL,
    customer_id BLOB,
    state TEXT NOT NULL CHECK (state IN ('received', 'refund_pending', 'refunded')),
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    amount INTEGER NOT NULL CHECK (amount >= 0),
    line_count INTEGER NOT NULL,
    pieces INTEGER NOT NULL,
    doc TEXT NOT NULL,
    version INTEGER NOT NULL,
    occurred_at TEXT NOT NULL,
    recorded_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX returns_order ON returns (order_id);
CREATE INDEX returns_at ON returns (occurred_at, id);

CREATE TABLE invoices (
    id BLOB PRIMARY KEY,
    order_id BLOB NOT NULL REFERENCES orders (id),
    kind TEXT NOT NULL CHECK (kind IN ('invoice', 'credit_note')),
    system TEXT NOT NULL,
    number TEXT NOT NULL,
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    amount INTEGER NOT NULL CHECK (amount >= 0),
    issued_at TEXT NOT NULL,
    doc TEXT NOT NULL,
    recorded_at TEXT NOT NULL,
    UNIQUE (system, kind, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX invoices_order ON invoices (order_id);

CREATE TABLE fulfilment_orders (
    id BLOB PRIMARY KEY,
    order_id BLOB NOT NULL REFERENCES orders (id),
    order_number TEXT NOT NULL,
    channel_id BLOB NOT NULL,
    location_id BLOB NOT NULL REFERENCES locations (id),
    state TEXT NOT NULL,
    state_since TEXT NOT NULL,
    version INTEGER NOT NULL,
    due_at TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX fulfilment_orders_order ON fulfilment_orders (order_id);
CREATE INDEX fulfilment_orders_location ON fulfilment_orders (location_id, state, due_at, id);
CREATE INDEX fulfilment_orders_open ON fulfilment_orders (due_at, id) WHERE state NOT IN ('shipped', 'delivered', 'cancelled');
CREATE INDEX fulfilment_orders_done ON fulfilment_orders (state, due_at, id) WHERE state IN ('shipped', 'delivered', 'cancelled');

CREATE TABLE fulfilment_lines (
    fulfilment_order_id BLOB NOT NULL REFERENCES fulfilment_orders (id),
    line_no INTEGER NOT NULL,
    variant_id BLOB NOT NULL,
    sku TEXT NOT NULL,
    tracked INTEGER NOT NULL,
    quantity INTEGER NOT NULL CHECK (quantity > 0),
    picked INTEGER NOT NULL CHECK (picked >= 0),
    packed INTEGER NOT NULL CHECK (packed >= 0 AND packed <= picked),
    shipped INTEGER NOT NULL CHECK (shipped >= 0 AND shipped <= packed),
    cancelled INTEGER NOT NULL CHECK (cancelled >= 0),
    PRIMARY KEY (fulfilment_order_id, line_no),
    CHECK (picked + cancelled <= quantity)
) STRICT, WITHOUT ROWID;

CREATE TABLE shipments (
    id BLOB PRIMARY KEY,
    fulfilment_order_id BLOB NOT NULL REFERENCES fulfilment_orders (id),
    order_id BLOB NOT NULL REFERENCES orders (id),
    carrier TEXT,
    tracking_number TEXT,
    tracking_folded TEXT,
    state TEXT NOT NULL CHECK (state IN ('shipped', 'delivered')),
    doc TEXT NOT NULL,
    shipped_at TEXT NOT NULL,
    delivered_at TEXT,
    recorded_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX shipments_order ON shipments (order_id);
CREATE INDEX shipments_tracking ON shipments (tracking_folded) WHERE tracking_folded IS NOT NULL;

-- The log. `position` is given in the order of commits; readers see only what has one.
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    position INTEGER GENERATED ALWAYS AS (seq) VIRTUAL,
    id BLOB NOT NULL UNIQUE,
    stream TEXT NOT NULL,
    aggregate TEXT NOT NULL,
    aggregate_id TEXT NOT NULL,
    aggregate_version INTEGER NOT NULL,
    channel_id BLOB,
    type TEXT NOT NULL,
    occurred_at TEXT NOT NULL,
    recorded_at TEXT NOT NULL,
    actor TEXT NOT NULL,
    data TEXT NOT NULL,
    subject_id BLOB,
    personal TEXT
) STRICT;
CREATE INDEX events_stream ON events (stream, seq);


CREATE TABLE log_state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    epoch TEXT NOT NULL,
    last_position INTEGER NOT NULL,
    oldest_position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO log_state (id, epoch, last_position, oldest_position) VALUES (1, '1', 0, 0);

CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    ordering_key TEXT,
    state TEXT NOT NULL CHECK (state IN ('ready', 'leased', 'dead')),
    run_at TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    max_attempts INTEGER NOT NULL,
    lease_until TEXT,
    payload TEXT NOT NULL,
    last_error TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT;
CREATE INDEX jobs_due ON jobs (run_at, seq) WHERE state = 'ready';
CREATE INDEX jobs_leased ON jobs (lease_until) WHERE state = 'leased';
CREATE INDEX jobs_dead ON jobs (seq) WHERE state = 'dead';
CREATE INDEX jobs_ordering ON jobs (ordering_key, seq) WHERE ordering_key IS NOT NULL;

-- How far a part of Kontor has read the log: an event is counted once however many processes look.
CREATE TABLE log_readers (
    name TEXT PRIMARY KEY,
    position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What runs again and again: whoever takes the row's turn runs it.
CREATE TABLE schedules (
    name TEXT PRIMARY KEY,
    next_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE connectors (
    id BLOB PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    adapter TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('active', 'paused')),
    pause_reason TEXT,
    doc TEXT NOT NULL,
    secret TEXT,
    position INTEGER NOT NULL,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE dispatches (
    id BLOB PRIMARY KEY,
    connector_id BLOB NOT NULL,
    position INTEGER NOT NULL,
    event_id BLOB NOT NULL,
    job_id BLOB NOT NULL,
    stream TEXT NOT NULL,
    type TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'dead', 'skipped')),
    attempts INTEGER NOT NULL,
    last_status INTEGER,
    doc TEXT NOT NULL,
    response TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    UNIQUE (connector_id, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX dispatches_pending ON dispatches (connector_id, position) WHERE state = 'pending';
CREATE INDEX dispatches_dead ON dispatches (connector_id, position) WHERE state = 'dead';
CREATE INDEX dispatches_waiting ON dispatches (stream) WHERE state IN ('pending', 'dead');
CREATE INDEX dispatches_skipped ON dispatches (connector_id, position) WHERE state = 'skipped';
CREATE INDEX dispatches_answered ON dispatches (connector_id) WHERE state = 'delivered' AND response IS NOT NULL;
CREATE INDEX dispatches_done ON dispatches (updated_at) WHERE state IN ('delivered', 'skipped');

CREATE TABLE consumers (
    id BLOB PRIMARY KEY,
    principal TEXT NOT NULL,
    name TEXT NOT NULL,
    feed TEXT NOT NULL,
    position INTEGER NOT NULL,
    epoch TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    UNIQUE (principal, name)
) STRICT, WITHOUT ROWID;

-- What a consumer has been given and not acknowledged, has set aside, or what waits behind that.
CREATE TABLE consumer_items (
    consumer_id BLOB NOT NULL REFERENCES consumers (id),
    position INTEGER NOT NULL,
    event_id BLOB NOT NULL,
    stream TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('leased', 'waiting', 'parked', 'skipped')),
    lease_until TEXT,
    lease TEXT,
    attempt INTEGER NOT NULL,
    reason TEXT,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (consumer_id, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX consumer_items_stream ON consumer_items (consumer_id, stream, position);
CREATE INDEX consumer_items_parked ON consumer_items (updated_at) WHERE state = 'parked';

-- Who looks after an item of a work list, and until when it sleeps.
CREATE TABLE worklist_claims (
    list TEXT NOT NULL,
    item TEXT NOT NULL,
    assignee TEXT,
    snoozed_until TEXT,
    note TEXT,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (list, item)
) STRICT, WITHOUT ROWID;
