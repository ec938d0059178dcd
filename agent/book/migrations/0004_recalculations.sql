-- Bulk recalculations; `id` is their place in the booking order of the emissions.
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

-- An emission has a booking number of its own, or the recalculation that made it.
CREATE TABLE emissions_with_recalculations (
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

INSERT INTO emissions_with_recalculations
SELECT
  id, NULL, series, start_ms, length_ms, revision, kgco2, kgch4, kgn2o, kgco2e, lower, upper,
  estimated_share, factor, inputs
FROM emissions
ORDER BY series, start_ms, length_ms, revision;

DROP TABLE emissions;

ALTER TABLE emissions_with_recalculations RENAME TO emissions;

CREATE UNIQUE INDEX emissions_by_id ON emissions (id) WHERE id IS NOT NULL;
