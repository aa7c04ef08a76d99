CREATE TABLE totals (
  key TEXT NOT NULL, period TEXT NOT NULL, tokens INTEGER NOT NULL, cost INTEGER NOT NULL,
  PRIMARY KEY (key, period)
) STRICT, WITHOUT ROWID;
CREATE TABLE reservations (
  id TEXT PRIMARY KEY, server TEXT NOT NULL, day TEXT NOT NULL, tokens INTEGER NOT NULL, cost INTEGER NOT NULL,
  subject TEXT NOT NULL, tenant TEXT NOT NULL, model TEXT NOT NULL, booked INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE usage (
  day TEXT NOT NULL, subject TEXT NOT NULL, tenant TEXT NOT NULL, model TEXT NOT NULL,
  requests INTEGER NOT NULL, failures INTEGER NOT NULL, estimated INTEGER NOT NULL,
  input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, cached_input_tokens INTEGER NOT NULL,
  cache_write_tokens INTEGER NOT NULL, reasoning_tokens INTEGER NOT NULL, cost INTEGER NOT NULL,
  unpriced_tokens INTEGER NOT NULL,
  PRIMARY KEY (day, subject, tenant, model)
) STRICT, WITHOUT ROWID;
CREATE TABLE servers (id TEXT PRIMARY KEY, alive_until INTEGER NOT NULL) STRICT, WITHOUT ROWID;
PRAGMA application_id = 1986159476;
PRAGMA user_version = 1;
