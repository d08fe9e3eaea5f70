-- The rules by which orders find the locations that ship them: each row is a version of a profile. Of a channel, and of all
-- channels (null), one version is live at most.
CREATE TABLE sourcing_profiles (
    id BLOB PRIMARY KEY,
    code TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    channel_id BLOB REFERENCES channels (id),
    state TEXT NOT NULL CHECK (state IN ('draft', 'live', 'retired')),
    doc TEXT NOT NULL,
    revision INTEGER NOT NULL,
    activated_at TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    UNIQUE (code, version),
    CHECK (state <> 'live' OR activated_at IS NOT NULL)
) STRICT;
CREATE UNIQUE INDEX sourcing_profiles_live ON sourcing_profiles (channel_id) WHERE state = 'live' AND channel_id IS NOT NULL;
CREATE UNIQUE INDEX sourcing_profiles_live_everywhere ON sourcing_profiles (state) WHERE state = 'live' AND channel_id IS NULL;

-- How many orders a location has taken on a day of its own, counted now and then: what the filter `capacity_left` goes by.
CREATE TABLE location_loads (
    location_id BLOB NOT NULL REFERENCES locations (id),
    day TEXT NOT NULL,
    orders INTEGER NOT NULL CHECK (orders >= 0),
    updated_at TEXT NOT NULL,
    PRIMARY KEY (location_id, day)
) STRICT, WITHOUT ROWID;
