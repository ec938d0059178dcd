-- Only what these keys signed is accepted.
CREATE TABLE keys (
  site TEXT NOT NULL,
  gateway TEXT NOT NULL,
  key_id TEXT NOT NULL,
  public_key TEXT NOT NULL,
  enrolled_ms INTEGER NOT NULL,
  PRIMARY KEY (site, gateway, key_id)
) STRICT, WITHOUT ROWID;

-- The exact bytes of every accepted batch, compressed.
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

-- Each chain: what it followed, and how far it is unbroken.
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

-- Pieces of batches that were too large for the broker, until they are whole.
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

-- What a gateway signed and contradicts what it signed before.
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

-- The last birth and status message of each gateway, as they came.
CREATE TABLE notices (
  site TEXT NOT NULL,
  gateway TEXT NOT NULL,
  topic TEXT NOT NULL,
  received_ms INTEGER NOT NULL,
  payload BLOB NOT NULL,
  PRIMARY KEY (site, gateway, topic)
) STRICT, WITHOUT ROWID;
