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

CREATE TABLE alarms (
  id INTEGER PRIMARY KEY,
  time_ms INTEGER NOT NULL,
  code TEXT NOT NULL,
  site TEXT NOT NULL,
  gateway TEXT NOT NULL,
  epoch TEXT NOT NULL,
  seq INTEGER NOT NULL,
  detail TEXT NOT NULL,
  UNIQUE (code, site, gateway, epoch, seq)
) STRICT;

CREATE TABLE batches (
  id INTEGER PRIMARY KEY,
  site TEXT NOT NULL,
  gateway TEXT NOT NULL,
  epoch TEXT NOT NULL,
  seq INTEGER NOT NULL,
  hash TEXT NOT NULL,
  prev TEXT,
  key_id TEXT NOT NULL,
  count INTEGER NOT NULL,
  window_from INTEGER,
  window_to INTEGER,
  received_ms INTEGER NOT NULL,
  body BLOB NOT NULL,
  UNIQUE (site, gateway, epoch, seq)
) STRICT;

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
  site TEXT NOT NULL,
  gateway TEXT NOT NULL,
  epoch TEXT NOT NULL,
  former_epoch TEXT,
  former_seq INTEGER,
  former_hash TEXT,
  through INTEGER NOT NULL,
  hash TEXT NOT NULL,
  started_ms INTEGER NOT NULL,
  PRIMARY KEY (site, gateway, epoch)
) STRICT, WITHOUT ROWID;

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

CREATE TABLE factor_packs (
  id INTEGER PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE,
  key_id TEXT NOT NULL,
  issuer TEXT NOT NULL,
  serial INTEGER NOT NULL,
  published_ms INTEGER NOT NULL,
  body BLOB NOT NULL
) STRICT;

CREATE TABLE factors (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  version TEXT NOT NULL,
  value REAL NOT NULL,
  unit TEXT NOT NULL,
  UNIQUE (name, version, value, unit)
) STRICT;

CREATE TABLE keys (
  site TEXT NOT NULL,
  gateway TEXT NOT NULL,
  key_id TEXT NOT NULL,
  public_key TEXT NOT NULL,
  enrolled_ms INTEGER NOT NULL,
  PRIMARY KEY (site, gateway, key_id)
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

CREATE TABLE notices (
  site TEXT NOT NULL,
  gateway TEXT NOT NULL,
  topic TEXT NOT NULL,
  received_ms INTEGER NOT NULL,
  payload BLOB NOT NULL,
  PRIMARY KEY (site, gateway, topic)
) STRICT, WITHOUT ROWID;

CREATE TABLE parts (
  site TEXT NOT NULL,
  gateway TEXT NOT NULL,
  batch TEXT NOT NULL,
  parts INTEGER NOT NULL,
  size INTEGER NOT NULL,
  part INTEGER NOT NULL,
  received_ms INTEGER NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (site, gateway, batch, parts, size, part)
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

CREATE TABLE series (
  id INTEGER PRIMARY KEY,
  site TEXT NOT NULL,
  gateway TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('stream', 'source')),
  name TEXT NOT NULL,
  UNIQUE (site, gateway, kind, name)
) STRICT;

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

CREATE INDEX reviews_by_month ON reviews (site, gateway, month);

CREATE INDEX verifications_by_start ON verifications (series, start_ms);

CREATE INDEX windows_unmeasured ON windows (series, start_ms)
WHERE provenance IN ('estimated', 'missing');
