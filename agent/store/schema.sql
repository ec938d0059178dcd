CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
);

CREATE TABLE audit (
  id INTEGER PRIMARY KEY,
  time_ms INTEGER NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  subject TEXT NOT NULL,
  detail TEXT NOT NULL
) STRICT;

CREATE TABLE batches (
  epoch TEXT NOT NULL REFERENCES epochs (id),
  seq INTEGER NOT NULL,
  hash TEXT NOT NULL,
  count INTEGER NOT NULL,
  window_from INTEGER NOT NULL,
  window_to INTEGER NOT NULL,
  created_ms INTEGER NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (epoch, seq)
) STRICT;

CREATE TABLE clock_marks (
  id INTEGER PRIMARY KEY,
  boot TEXT NOT NULL,
  monotonic_ns INTEGER NOT NULL,
  wall_ms INTEGER NOT NULL,
  quality TEXT NOT NULL CHECK (quality IN ('trusted', 'untrusted', 'stepped'))
) STRICT;

CREATE TABLE emissions (
  id INTEGER PRIMARY KEY,
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
  UNIQUE (series, start_ms, length_ms, revision)
) STRICT;

CREATE TABLE endpoints (
  id INTEGER PRIMARY KEY,
  series INTEGER NOT NULL REFERENCES series (id),
  boundary_ms INTEGER NOT NULL,
  time_ms INTEGER NOT NULL,
  register REAL NOT NULL,
  accumulated REAL NOT NULL,
  UNIQUE (series, boundary_ms, time_ms)
) STRICT;

CREATE TABLE epochs (
  id TEXT PRIMARY KEY,
  number INTEGER NOT NULL UNIQUE,
  started_ms INTEGER NOT NULL,
  former TEXT
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

CREATE TABLE factors (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  version TEXT NOT NULL,
  value REAL NOT NULL,
  unit TEXT NOT NULL,
  UNIQUE (name, version, value, unit)
) STRICT;

CREATE TABLE job_runs (
  job TEXT NOT NULL,
  period_ms INTEGER NOT NULL,
  ran_at_ms INTEGER NOT NULL,
  PRIMARY KEY (job, period_ms)
) STRICT, WITHOUT ROWID;

CREATE TABLE points (
  id INTEGER PRIMARY KEY CHECK (id BETWEEN 1 AND 65535),
  name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE readings (
  key INTEGER PRIMARY KEY,
  value REAL,
  quality INTEGER,
  raw TEXT
) STRICT;

CREATE TABLE seal_marks (
  kind TEXT PRIMARY KEY,
  last_id INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sealed_hours (
  point INTEGER NOT NULL REFERENCES points (id),
  hour_ms INTEGER NOT NULL,
  count INTEGER NOT NULL,
  sha256 BLOB NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (point, hour_ms)
) STRICT, WITHOUT ROWID;

CREATE TABLE sealed_spans (
  hour_ms INTEGER PRIMARY KEY
) STRICT;

CREATE TABLE series (
  id INTEGER PRIMARY KEY,
  site TEXT NOT NULL,
  gateway TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('stream', 'source')),
  name TEXT NOT NULL,
  UNIQUE (site, gateway, kind, name)
) STRICT;

CREATE TABLE stream_states (
  stream TEXT PRIMARY KEY,
  since_ms INTEGER NOT NULL,
  state TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE target_held (
  target TEXT NOT NULL,
  epoch TEXT NOT NULL,
  seq INTEGER NOT NULL,
  PRIMARY KEY (target, epoch, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE target_marks (
  target TEXT NOT NULL,
  epoch TEXT NOT NULL,
  through INTEGER NOT NULL,
  confirmed_ms INTEGER NOT NULL,
  PRIMARY KEY (target, epoch)
) STRICT, WITHOUT ROWID;

CREATE TABLE target_receipts (
  target TEXT NOT NULL,
  epoch TEXT NOT NULL,
  through INTEGER NOT NULL,
  confirmed_ms INTEGER NOT NULL,
  PRIMARY KEY (target, epoch, through)
) STRICT, WITHOUT ROWID;

CREATE TABLE unplaced_readings (
  boot TEXT NOT NULL,
  monotonic_ns INTEGER NOT NULL,
  point INTEGER NOT NULL REFERENCES points (id),
  value REAL,
  quality INTEGER,
  raw TEXT,
  PRIMARY KEY (boot, monotonic_ns, point)
) STRICT, WITHOUT ROWID;

CREATE TABLE windows (
  id INTEGER PRIMARY KEY,
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
  UNIQUE (series, start_ms, length_ms, revision)
) STRICT;

CREATE INDEX emissions_by_start ON emissions (start_ms);

CREATE INDEX events_by_time ON events (time_ms);

CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");

CREATE INDEX windows_by_start ON windows (start_ms);
