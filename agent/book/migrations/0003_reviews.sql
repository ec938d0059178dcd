-- The figures that somebody reviewed, as they stood then.
CREATE TABLE reviewed_figures (
  hash TEXT PRIMARY KEY,
  figures TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Reviews of a month by a department: appended, never changed.
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

CREATE INDEX reviews_by_month ON reviews (site, gateway, month);

CREATE TRIGGER reviews_stay BEFORE UPDATE ON reviews BEGIN
  SELECT RAISE(ABORT, 'a review is never changed: add another one');
END;

CREATE TRIGGER reviews_are_kept BEFORE DELETE ON reviews BEGIN
  SELECT RAISE(ABORT, 'a review is never deleted: add another one');
END;
