-- Names of streams and sources, once; every record refers to them by number.
CREATE TABLE series (
  id INTEGER PRIMARY KEY,
  site TEXT NOT NULL,
  gateway TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('stream', 'source')),
  name TEXT NOT NULL,
  UNIQUE (site, gateway, kind, name)
) STRICT;

CREATE TABLE factors (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  version TEXT NOT NULL,
  value REAL NOT NULL,
  unit TEXT NOT NULL,
  UNIQUE (name, version, value, unit)
) STRICT;

-- Kept by stream and time, as they are asked for; `id` is the order in which they were booked.
CREATE TABLE windows (
  id INTEGER NOT NULL UNIQUE,
  series INTEGER NOT NULL REFERENCES series (id),
  start_ms INTEGER NOT NULL,
  length_ms INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  value REAL,
  provenance TEXT NOT NULL,
  method TEXT NOT NULL,
  coverage REAL NOT NULL,
  lower REAL,
  upper REAL,
  load REAL,
  maintenance INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (series, start_ms, length_ms, revision)
) STRICT, WITHOUT ROWID;

CREATE TABLE emissions (
  id INTEGER NOT NULL UNIQUE,
  series INTEGER NOT NULL REFERENCES series (id),
  start_ms INTEGER NOT NULL,
  length_ms INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  kgco2 REAL,
  kgch4 REAL,
  kgn2o REAL,
  kgco2e REAL,
  lower REAL,
  upper REAL,
  estimated_share REAL NOT NULL,
  factor INTEGER NOT NULL REFERENCES factors (id),
  inputs TEXT NOT NULL,
  PRIMARY KEY (series, start_ms, length_ms, revision)
) STRICT, WITHOUT ROWID;

-- The register at each window boundary: the legal record under the windows.
CREATE TABLE endpoints (
  id INTEGER PRIMARY KEY,
  series INTEGER NOT NULL REFERENCES series (id),
  boundary_ms INTEGER NOT NULL,
  time_ms INTEGER NOT NULL,
  register REAL NOT NULL,
  accumulated REAL NOT NULL,
  UNIQUE (series, boundary_ms, time_ms)
) STRICT;

CREATE TABLE events (
  id INTEGER PRIMARY KEY,
  site TEXT NOT NULL,
  gateway TEXT NOT NULL,
  time_ms INTEGER NOT NULL,
  code TEXT NOT NULL,
  subject TEXT NOT NULL,
  severity TEXT NOT NULL,
  detail TEXT NOT NULL
) STRICT;

CREATE INDEX events_by_time ON events (time_ms);
