/** Format of the tables of fences. */
export const FORMAT = 1

/** The tables of fences: the highest token of each that was used, and since when, in ms since the epoch. */
export const FENCES_SCHEMA = `CREATE TABLE banyan_fences (
  name text NOT NULL PRIMARY KEY,
  token bigint NOT NULL,
  raised bigint NOT NULL
) WITH (fillfactor = 80);

CREATE TABLE banyan_fences_state (
  format integer NOT NULL
);
INSERT INTO banyan_fences_state VALUES (${FORMAT});
`
