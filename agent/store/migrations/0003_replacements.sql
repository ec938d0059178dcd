-- Declared exchanges of a meter; the last row of a stream and time holds, without numbers it is void.
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

-- What holds in place of a reading; without a value the reading is not good. Readings stay as read.
CREATE TABLE repairs (
  id INTEGER PRIMARY KEY,
  point TEXT NOT NULL,
  time_ms INTEGER NOT NULL,
  value REAL,
  author TEXT NOT NULL,
  note TEXT NOT NULL,
  entered_ms INTEGER NOT NULL
) STRICT;

CREATE INDEX repairs_by_time ON repairs (time_ms);

-- Hours with readings that came after their windows were closed: what is still to be cut again.
CREATE TABLE late_hours (
  stream TEXT NOT NULL,
  hour_ms INTEGER NOT NULL,
  PRIMARY KEY (stream, hour_ms)
) STRICT, WITHOUT ROWID;
