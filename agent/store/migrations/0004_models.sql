-- How far computed streams have followed the windows they are computed from: `window_id` is the
-- booking number of the last window seen, for all of them together under the name ''.
CREATE TABLE derived_marks (
  stream TEXT PRIMARY KEY,
  window_id INTEGER,
  closed_to_ms INTEGER,
  again_from_ms INTEGER
) STRICT, WITHOUT ROWID;

-- What each revision of a computed window was computed from: windows with their revision, points
-- with their mean.
CREATE TABLE derived_windows (
  stream TEXT NOT NULL,
  start_ms INTEGER NOT NULL,
  length_ms INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  estimated_share REAL NOT NULL,
  inputs TEXT NOT NULL,
  PRIMARY KEY (stream, start_ms, length_ms, revision)
) STRICT, WITHOUT ROWID;

-- Every version of every fitted model; it serves windows that start at or after `since_ms`.
CREATE TABLE models (
  stream TEXT NOT NULL,
  version INTEGER NOT NULL,
  since_ms INTEGER NOT NULL,
  fitted_ms INTEGER NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (stream, version)
) STRICT, WITHOUT ROWID;
