/** What Banyan keeps beside the tables of projections. */
export const SCHEMA = `
  CREATE TABLE IF NOT EXISTS banyan_projection (
    name     TEXT NOT NULL,
    version  INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    position TEXT NOT NULL,
    active   INTEGER NOT NULL,
    state    TEXT NOT NULL,
    owner    TEXT NOT NULL,
    updated  INTEGER NOT NULL,
    details  TEXT NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (name, version)
  ) STRICT, WITHOUT ROWID;
  CREATE UNIQUE INDEX IF NOT EXISTS banyan_projection_active ON banyan_projection (name) WHERE active = 1;
  CREATE TABLE IF NOT EXISTS banyan_parked (
    name     TEXT NOT NULL,
    version  INTEGER NOT NULL,
    position TEXT NOT NULL,
    key      TEXT NOT NULL,
    stream   TEXT NOT NULL,
    type     TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    reason   TEXT NOT NULL,
    time     INTEGER NOT NULL,
    PRIMARY KEY (name, version, position)
  ) STRICT, WITHOUT ROWID;
`
