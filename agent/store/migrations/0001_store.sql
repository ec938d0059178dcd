CREATE TABLE points (
  id INTEGER PRIMARY KEY CHECK (id BETWEEN 1 AND 65535),
  name TEXT NOT NULL UNIQUE
) STRICT;

-- Recent readings in the order of time: key = time_ms * 65536 + point.
-- Appending at one end keeps a cycle's commit within a few pages of flash.
CREATE TABLE readings (
  key INTEGER PRIMARY KEY,
  value REAL,
  quality INTEGER,
  raw TEXT
) STRICT;

-- Readings taken while the wall clock could not be trusted; placed once it can.
CREATE TABLE unplaced_readings (
  boot TEXT NOT NULL,
  monotonic_ns INTEGER NOT NULL,
  point INTEGER NOT NULL REFERENCES points (id),
  value REAL,
  quality INTEGER,
  raw TEXT,
  PRIMARY KEY (boot, monotonic_ns, point)
) STRICT, WITHOUT ROWID;

-- Which wall time a boot's monotonic time stood for; a new mark at each boot and clock step.
CREATE TABLE clock_marks (
  id INTEGER PRIMARY KEY,
  boot TEXT NOT NULL,
  monotonic_ns INTEGER NOT NULL,
  wall_ms INTEGER NOT NULL,
  quality TEXT NOT NULL CHECK (quality IN ('trusted', 'untrusted', 'stepped'))
) STRICT;

CREATE TABLE sealed_hours (
  point INTEGER NOT NULL REFERENCES points (id),
  hour_ms INTEGER NOT NULL,
  count INTEGER NOT NULL,
  sha256 BLOB NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (point, hour_ms)
) STRICT, WITHOUT ROWID;

-- Blocks that no longer match their hash, set aside and never deleted.
CREATE TABLE damaged_hours (
  id INTEGER PRIMARY KEY,
  point INTEGER NOT NULL,
  hour_ms INTEGER NOT NULL,
  sha256 BLOB NOT NULL,
  body BLOB NOT NULL
) STRICT;

-- Which hours are sealed, also those without a single reading.
CREATE TABLE sealed_spans (
  hour_ms INTEGER PRIMARY KEY
) STRICT;

-- The core's own JSON; null until a stream's first window is closed.
CREATE TABLE stream_states (
  stream TEXT PRIMARY KEY,
  since_ms INTEGER NOT NULL,
  state TEXT
) STRICT, WITHOUT ROWID;

-- One row for every calendar job and period that has been done: what makes it exactly once.
CREATE TABLE job_runs (
  job TEXT NOT NULL,
  period_ms INTEGER NOT NULL,
  ran_at_ms INTEGER NOT NULL,
  PRIMARY KEY (job, period_ms)
) STRICT, WITHOUT ROWID;

CREATE TABLE factor_marks (
  source TEXT PRIMARY KEY,
  factors TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE epochs (
  id TEXT PRIMARY KEY,
  number INTEGER NOT NULL UNIQUE,
  started_ms INTEGER NOT NULL,
  former TEXT
) STRICT;

-- How far each kind of record has been sealed into batches.
CREATE TABLE seal_marks (
  kind TEXT PRIMARY KEY,
  last_id INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

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

-- What a target has confirmed: everything up to `through`, and single batches above it.
CREATE TABLE target_marks (
  target TEXT NOT NULL,
  epoch TEXT NOT NULL,
  through INTEGER NOT NULL,
  confirmed_ms INTEGER NOT NULL,
  PRIMARY KEY (target, epoch)
) STRICT, WITHOUT ROWID;

-- Every step forward of a target's cursor: when which batch was confirmed.
CREATE TABLE target_receipts (
  target TEXT NOT NULL,
  epoch TEXT NOT NULL,
  through INTEGER NOT NULL,
  confirmed_ms INTEGER NOT NULL,
  PRIMARY KEY (target, epoch, through)
) STRICT, WITHOUT ROWID;

CREATE TABLE target_held (
  target TEXT NOT NULL,
  epoch TEXT NOT NULL,
  seq INTEGER NOT NULL,
  PRIMARY KEY (target, epoch, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
  id INTEGER PRIMARY KEY,
  time_ms INTEGER NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  subject TEXT NOT NULL,
  detail TEXT NOT NULL
) STRICT;
