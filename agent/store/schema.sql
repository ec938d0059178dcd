CREATE TRIGGER manual_entries_are_kept BEFORE DELETE ON manual_entries BEGIN
  SELECT RAISE(ABORT, 'a reading is never deleted: retire it by another revision');
END;

CREATE TRIGGER manual_entries_stay BEFORE UPDATE ON manual_entries BEGIN
  SELECT RAISE(ABORT, 'a reading is never changed: enter another revision of it');
END;

CREATE TRIGGER reviews_are_kept BEFORE DELETE ON reviews BEGIN
  SELECT RAISE(ABORT, 'a review is never deleted: add another one');
END;

CREATE TRIGGER reviews_stay BEFORE UPDATE ON reviews BEGIN
  SELECT RAISE(ABORT, 'a review is never changed: add another one');
END;

CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
);

CREATE TABLE activity (
  id INTEGER PRIMARY KEY,
  series INTEGER NOT NULL REFERENCES series (id),
  kind TEXT NOT NULL,
  item TEXT NOT NULL,
  start_ms INTEGER,
  length_ms INTEGER,
  batch TEXT NOT NULL,
  revision INTEGER NOT NULL,
  amount REAL,
  unit TEXT NOT NULL,
  place TEXT NOT NULL,
  carbon_content REAL,
  carbon_basis TEXT NOT NULL,
  purity REAL,
  treatment TEXT NOT NULL,
  distance_km REAL,
  mode TEXT NOT NULL,
  price_cny REAL,
  origin TEXT NOT NULL,
  author TEXT NOT NULL,
  note TEXT NOT NULL,
  evidence_name TEXT,
  evidence_sha256 TEXT,
  entered_ms INTEGER NOT NULL,
  CHECK ((start_ms IS NULL) = (length_ms IS NULL)),
  CHECK (batch <> '' OR start_ms IS NOT NULL)
) STRICT;

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

CREATE TABLE damaged_hours (
  id INTEGER PRIMARY KEY,
  point INTEGER NOT NULL,
  hour_ms INTEGER NOT NULL,
  sha256 BLOB NOT NULL,
  body BLOB NOT NULL
) STRICT;

CREATE TABLE derived_marks (
  stream TEXT PRIMARY KEY,
  window_id INTEGER,
  closed_to_ms INTEGER,
  again_from_ms INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE derived_windows (
  stream TEXT NOT NULL,
  start_ms INTEGER NOT NULL,
  length_ms INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  estimated_share REAL NOT NULL,
  inputs TEXT NOT NULL,
  PRIMARY KEY (stream, start_ms, length_ms, revision)
) STRICT, WITHOUT ROWID;

CREATE TABLE "emissions" (
  id INTEGER,
  recalculation INTEGER REFERENCES recalculations (id),
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
  PRIMARY KEY (series, start_ms, length_ms, revision),
  CHECK ((id IS NULL) <> (recalculation IS NULL))
) STRICT, WITHOUT ROWID;

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

CREATE TABLE factor_marks (
  source TEXT PRIMARY KEY,
  factors TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE factor_packs (
  hash TEXT PRIMARY KEY,
  key_id TEXT NOT NULL,
  issuer TEXT NOT NULL,
  serial INTEGER NOT NULL,
  issued TEXT NOT NULL,
  note TEXT NOT NULL,
  summary TEXT NOT NULL,
  preview TEXT,
  body BLOB NOT NULL,
  origin TEXT NOT NULL,
  found_ms INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('staged', 'approved', 'rejected', 'superseded')),
  decided_by TEXT NOT NULL DEFAULT '',
  decided_ms INTEGER,
  reason TEXT NOT NULL DEFAULT '',
  installed_ms INTEGER,
  UNIQUE (key_id, serial)
) STRICT;

CREATE TABLE factor_refusals (
  subject TEXT NOT NULL,
  reason TEXT NOT NULL,
  told_ms INTEGER NOT NULL,
  PRIMARY KEY (subject, reason)
) STRICT, WITHOUT ROWID;

CREATE TABLE factors (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  version TEXT NOT NULL,
  value REAL NOT NULL,
  unit TEXT NOT NULL,
  UNIQUE (name, version, value, unit)
) STRICT;

CREATE TABLE gap_fills (
  stream TEXT NOT NULL,
  start_ms INTEGER NOT NULL,
  end_ms INTEGER NOT NULL,
  filled_ms INTEGER NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (stream, start_ms)
) STRICT, WITHOUT ROWID;

CREATE TABLE gap_marks (
  stream TEXT PRIMARY KEY,
  window_id INTEGER,
  from_ms INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE gap_plans (
  stream TEXT NOT NULL,
  kind TEXT NOT NULL,
  known_to_ms INTEGER NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (stream, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE job_runs (
  job TEXT NOT NULL,
  period_ms INTEGER NOT NULL,
  ran_at_ms INTEGER NOT NULL,
  PRIMARY KEY (job, period_ms)
) STRICT, WITHOUT ROWID;

CREATE TABLE late_hours (
  stream TEXT NOT NULL,
  hour_ms INTEGER NOT NULL,
  PRIMARY KEY (stream, hour_ms)
) STRICT, WITHOUT ROWID;

CREATE TABLE manual_entries (
  id INTEGER PRIMARY KEY,
  series INTEGER NOT NULL REFERENCES series (id),
  time_ms INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  start_ms INTEGER,
  form TEXT NOT NULL,
  value REAL,
  unit TEXT NOT NULL,
  old_end REAL,
  new_start REAL,
  running_h REAL,
  origin TEXT NOT NULL,
  author TEXT NOT NULL,
  note TEXT NOT NULL,
  warning TEXT NOT NULL,
  evidence_name TEXT,
  evidence_sha256 TEXT,
  entered_ms INTEGER NOT NULL,
  UNIQUE (series, time_ms, revision)
) STRICT;

CREATE TABLE models (
  stream TEXT NOT NULL,
  version INTEGER NOT NULL,
  since_ms INTEGER NOT NULL,
  fitted_ms INTEGER NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (stream, version)
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

CREATE TABLE recalculations (
  id INTEGER PRIMARY KEY,
  series INTEGER NOT NULL REFERENCES series (id),
  from_ms INTEGER NOT NULL,
  to_ms INTEGER NOT NULL,
  windows INTEGER NOT NULL,
  before_kgco2e REAL NOT NULL,
  after_kgco2e REAL NOT NULL,
  record TEXT NOT NULL,
  UNIQUE (series, record)
) STRICT;

CREATE TABLE repairs (
  id INTEGER PRIMARY KEY,
  point TEXT NOT NULL,
  time_ms INTEGER NOT NULL,
  value REAL,
  author TEXT NOT NULL,
  note TEXT NOT NULL,
  entered_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE replacements (
  id INTEGER PRIMARY KEY,
  stream TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  old_end REAL,
  new_start REAL,
  author TEXT NOT NULL,
  note TEXT NOT NULL,
  entered_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE reviewed_figures (
  hash TEXT PRIMARY KEY,
  figures TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE reviews (
  id INTEGER PRIMARY KEY,
  site TEXT NOT NULL,
  gateway TEXT NOT NULL,
  month TEXT NOT NULL,
  department TEXT NOT NULL CHECK (department IN ('environment', 'production')),
  name TEXT NOT NULL CHECK (name <> ''),
  decision TEXT NOT NULL CHECK (decision IN ('accepted', 'returned')),
  note TEXT NOT NULL,
  settled TEXT NOT NULL,
  figures TEXT NOT NULL REFERENCES reviewed_figures (hash),
  reviewed_ms INTEGER NOT NULL
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

CREATE TABLE verifications (
  id INTEGER PRIMARY KEY,
  series INTEGER NOT NULL REFERENCES series (id),
  start_ms INTEGER NOT NULL,
  end_ms INTEGER NOT NULL,
  decision TEXT NOT NULL CHECK (decision IN ('accepted', 'measured')),
  before REAL,
  after REAL,
  unit TEXT NOT NULL,
  author TEXT NOT NULL CHECK (author <> ''),
  note TEXT NOT NULL,
  window_id INTEGER NOT NULL,
  verified_ms INTEGER NOT NULL
) STRICT;

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

CREATE UNIQUE INDEX activity_by_key ON activity (
  series,
  batch,
  CASE WHEN batch = '' THEN start_ms ELSE 0 END,
  CASE WHEN batch = '' THEN length_ms ELSE 0 END,
  revision
);

CREATE INDEX activity_by_start ON activity (start_ms);

CREATE UNIQUE INDEX emissions_by_id ON emissions (id) WHERE id IS NOT NULL;

CREATE INDEX events_adjusted ON events (site, gateway, time_ms) WHERE code = 'report.adjusted';

CREATE INDEX events_by_time ON events (time_ms);

CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");

CREATE INDEX repairs_by_time ON repairs (time_ms);

CREATE INDEX reviews_by_month ON reviews (site, gateway, month);

CREATE INDEX verifications_by_start ON verifications (series, start_ms);

CREATE INDEX windows_unmeasured ON windows (series, start_ms)
WHERE provenance IN ('estimated', 'missing');
