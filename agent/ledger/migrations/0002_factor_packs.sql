-- Factor packs that were published here, as they came; every gateway gets them in this order.
CREATE TABLE factor_packs (
  id INTEGER PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE,
  key_id TEXT NOT NULL,
  issuer TEXT NOT NULL,
  serial INTEGER NOT NULL,
  published_ms INTEGER NOT NULL,
  body BLOB NOT NULL
) STRICT;
