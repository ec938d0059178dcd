-- How far gaps have been looked at: `window_id` is the booking number of the last window seen, under
-- the name ''; of a stream the time from which gaps still wait for their end.
CREATE TABLE gap_marks (
  stream TEXT PRIMARY KEY,
  window_id INTEGER,
  from_ms INTEGER
) STRICT, WITHOUT ROWID;

-- What was learned about gaps of one kind of a stream, with its scores, from what lay before a time.
CREATE TABLE gap_plans (
  stream TEXT NOT NULL,
  kind TEXT NOT NULL,
  known_to_ms INTEGER NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (stream, kind)
) STRICT, WITHOUT ROWID;

-- What became of each gap, as it was last looked at.
CREATE TABLE gap_fills (
  stream TEXT NOT NULL,
  start_ms INTEGER NOT NULL,
  end_ms INTEGER NOT NULL,
  filled_ms INTEGER NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (stream, start_ms)
) STRICT, WITHOUT ROWID;
