/** What is stored. Any client may read it; only the functions write it. */
export const TABLES = /* sql */ `
CREATE TABLE coordination (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  format integer NOT NULL,
  place text NOT NULL DEFAULT '',
  floor bigint NOT NULL DEFAULT 0,
  compacted bigint NOT NULL DEFAULT 0,
  compactable bigint NOT NULL DEFAULT 0,
  aging bigint NOT NULL DEFAULT 0,
  aging_since bigint NOT NULL DEFAULT 0
);
COMMENT ON TABLE coordination IS 'One row. Whoever gives out revisions holds the table in SHARE UPDATE EXCLUSIVE mode until commit.';
COMMENT ON COLUMN coordination.format IS 'How many migrations have run.';
COMMENT ON COLUMN coordination.place IS 'Where revisions were last given out: another place is a copy.';
COMMENT ON COLUMN coordination.floor IS 'Revisions up to here were given out, or may have been by what this is a copy of.';
COMMENT ON COLUMN coordination.compacted IS 'Changes up to here are not kept, or not whole.';
COMMENT ON COLUMN coordination.compactable IS 'Changes up to here are to be removed.';
COMMENT ON COLUMN coordination.aging IS 'The last revision when the clock showed aging_since.';

CREATE TABLE keys (
  key text COLLATE "C" PRIMARY KEY,
  value text NOT NULL,
  revision bigint NOT NULL,
  created bigint NOT NULL,
  lease text COLLATE "C"
) WITH (fillfactor = 80, autovacuum_vacuum_threshold = 1000);
CREATE INDEX keys_by_lease ON keys (lease) WHERE lease IS NOT NULL;
COMMENT ON COLUMN keys.revision IS 'Of its last change.';
COMMENT ON COLUMN keys.created IS 'Of the change that made it.';
COMMENT ON COLUMN keys.lease IS 'Whose end is also its own.';

CREATE TABLE changes (
  revision bigint,
  key text COLLATE "C",
  value text,
  created bigint,
  lease text COLLATE "C",
  attempt uuid,
  number integer,
  PRIMARY KEY (revision, key)
);
COMMENT ON TABLE changes IS 'What has happened to keys. Rows are only added, at the end, and removed at the beginning.';
COMMENT ON COLUMN changes.value IS 'NULL if the key was removed.';
COMMENT ON COLUMN changes.attempt IS 'The call it was made by, and its number there: for who has lost the connection before the answer.';

CREATE TABLE leases (
  id text COLLATE "C" PRIMARY KEY,
  ttl integer NOT NULL,
  due bigint NOT NULL,
  granted timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 30, autovacuum_vacuum_threshold = 1000);
COMMENT ON COLUMN leases.ttl IS 'In ms.';
COMMENT ON COLUMN leases.due IS 'It ends when the clock shows this, unless it is renewed.';
COMMENT ON COLUMN leases.granted IS 'For people; nothing depends on it.';

CREATE TABLE clock (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  elapsed bigint NOT NULL,
  mark uuid NOT NULL DEFAULT gen_random_uuid(),
  step integer NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 10, autovacuum_vacuum_threshold = 1000);
INSERT INTO clock (elapsed, step) VALUES (0, 1100);
COMMENT ON TABLE clock IS 'The time that leases end by: how long clients have been here, by their own monotonic clocks.';
COMMENT ON COLUMN clock.elapsed IS 'In ms. Never ahead of the time that has really passed.';
COMMENT ON COLUMN clock.mark IS 'Another one whenever it moves on. Who has seen a mark knows how long that was ago.';
COMMENT ON COLUMN clock.step IS 'How far it may move at once from here, in ms.';
COMMENT ON COLUMN clock.at IS 'When it last moved, on the clock of the server.';

CREATE TABLE fenced_changes (
  attempt uuid PRIMARY KEY,
  since bigint NOT NULL
);
COMMENT ON TABLE fenced_changes IS 'Calls whose connection was lost: sent again under another name, they must do nothing any more.';

CREATE VIEW reached AS
  SELECT greatest(floor, (SELECT revision FROM changes ORDER BY revision DESC LIMIT 1)) AS revision, compacted
  FROM coordination;
COMMENT ON VIEW reached IS 'The last revision.';
`
