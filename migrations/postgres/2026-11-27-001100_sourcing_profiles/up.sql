-- The rules by which orders find the locations that ship them: each row is a version of a profile. Of a channel, and of all
-- channels (null), one version is live at most.
CREATE TABLE sourcing_profiles (
    id uuid PRIMARY KEY,
    code text COLLATE "C" NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    channel_id uuid REFERENCES channels (id),
    state text COLLATE "C" NOT NULL CHECK (state IN ('draft', 'live', 'retired')),
    doc jsonb NOT NULL,
    revision bigint NOT NULL,
    activated_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    UNIQUE (code, version),
    CHECK (state <> 'live' OR activated_at IS NOT NULL)
);
CREATE UNIQUE INDEX sourcing_profiles_live ON sourcing_profiles (channel_id) WHERE state = 'live' AND channel_id IS NOT NULL;
CREATE UNIQUE INDEX sourcing_profiles_live_everywhere ON sourcing_profiles (state) WHERE state = 'live' AND channel_id IS NULL;

-- How many orders a location has taken on a day of its own, counted now and then: what the filter `capacity_left` goes by.
CREATE TABLE location_loads (
    location_id uuid NOT NULL REFERENCES locations (id),
    day text COLLATE "C" NOT NULL,
    orders bigint NOT NULL CHECK (orders >= 0),
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (location_id, day)
);
