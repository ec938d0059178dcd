-- Readings that people took: a register at a time, or the amount of a period that ends then.
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

CREATE TRIGGER manual_entries_stay BEFORE UPDATE ON manual_entries BEGIN
  SELECT RAISE(ABORT, 'a reading is never changed: enter another revision of it');
END;

CREATE TRIGGER manual_entries_are_kept BEFORE DELETE ON manual_entries BEGIN
  SELECT RAISE(ABORT, 'a reading is never deleted: retire it by another revision');
END;

-- What a person said of the windows that stood for a gap, and up to which booking it holds.
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

CREATE INDEX verifications_by_start ON verifications (series, start_ms);

-- The few windows that may still have to be verified.
CREATE INDEX windows_unmeasured ON windows (series, start_ms)
WHERE provenance IN ('estimated', 'missing');

CREATE INDEX events_adjusted ON events (site, gateway, time_ms) WHERE code = 'report.adjusted';
