-- Factor packs whose signature held, as they came; none is ever deleted or staged twice.
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

-- What was refused or could not be reached, so that it is told once and not at every check.
CREATE TABLE factor_refusals (
  subject TEXT NOT NULL,
  reason TEXT NOT NULL,
  told_ms INTEGER NOT NULL,
  PRIMARY KEY (subject, reason)
) STRICT, WITHOUT ROWID;
