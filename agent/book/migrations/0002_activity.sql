-- What no meter reads: amounts of a period or a batch, revised by appending.
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

-- A batch is its own key, whatever its period; without one the period is.
CREATE UNIQUE INDEX activity_by_key ON activity (
  series,
  batch,
  CASE WHEN batch = '' THEN start_ms ELSE 0 END,
  CASE WHEN batch = '' THEN length_ms ELSE 0 END,
  revision
);

CREATE INDEX activity_by_start ON activity (start_ms);
