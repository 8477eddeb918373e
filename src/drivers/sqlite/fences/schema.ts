/** Format of the tables of fences. */
export const FORMAT = 1

/** The tables of fences: the highest token of each that was used, and since when, in ms since the epoch. */
export const FENCES_SCHEMA = `CREATE TABLE banyan_fences (
  name TEXT NOT NULL PRIMARY KEY,
  token INTEGER NOT NULL,
  raised INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE banyan_fences_state (
  format INTEGER NOT NULL
);
INSERT INTO banyan_fences_state VALUES (${FORMAT});
`
