import { bucketOf } from '../../../coordination/sharding/buckets.js'
import { unfit, unmarked, type ShardSpec } from '../../../coordination/sharding/data/store.js'
import type { PostgresClient } from '../read-models/client.js'
import { BUCKET, catalogOf, literal, quoted, stagedName, type Catalog, type ShardTable } from './catalog.js'
import { countIn } from './identity.js'
import { hasKeySql, keySql, SAME_TEXTS, sameTextsIn } from './rows.js'
import { hasRows, isThere } from './tables.js'

/** Rows that get their bucket in one transaction. */
const FILL = 5000
/** Only one at a time prepares a database. */
export const PREPARE_LOCK = 0x42535031

/**
 * Adds to the tables what is missing, in a transaction of the caller's.
 *
 * @returns whether anything was
 * @throws `BANYAN_SHARD_UNFIT`
 */
export async function prepareTables(client: PostgresClient, spec: ShardSpec): Promise<boolean> {
  await client.query('SELECT pg_advisory_xact_lock($1)', [PREPARE_LOCK])
  let changed = false
  const make = async (sql: string): Promise<void> => {
    await client.query(sql)
    changed = true
  }
  for (const table of (await catalogOf(client, spec)).values())
    if (!table.names.includes(BUCKET))
      // Those that are there get none by this, so the table is not written anew.
      await make(
        `ALTER TABLE ${table.sql} ADD COLUMN ${BUCKET} integer;
         ALTER TABLE ${table.sql} ALTER COLUMN ${BUCKET} SET DEFAULT nullif(current_setting('banyan.bucket', true), '')::integer`,
      )
  for (const table of (await catalogOf(client, spec)).values()) {
    const { name, primaryKey } = table
    const schema = table.sql.slice(0, -quoted(name).length - 1)
    const index = shortened(`banyan_bucket_${name}`)
    const { rows } = await client.query(
      `SELECT to_regclass($1) IS NOT NULL AS index,
         (SELECT prosrc FROM pg_proc WHERE oid = to_regproc($2)) AS source,
         (SELECT proconfig IS NOT NULL FROM pg_proc WHERE oid = to_regproc($2)) AS settings,
         EXISTS (SELECT FROM pg_trigger WHERE tgrelid = $3::regclass AND tgname = 'banyan_row') AS trigger`,
      [`${schema}.${quoted(index)}`, `${schema}.${quoted(shortened(`banyan_row_${name}`))}`, table.sql],
    )
    const there = rows[0] as {
      index: boolean
      source: string | null
      settings: boolean | null
      trigger: boolean
    }
    if (!there.index)
      await make(
        `CREATE INDEX ${quoted(index)} ON ${table.sql} (${[BUCKET, ...primaryKey.map(quoted)].join(', ')})`,
      )
    const body = bodyOf(table, schema)
    const run = `${schema}.${quoted(shortened(`banyan_row_${name}`))}`
    const settings = sameTextsIn(table)
    if (there.source !== body || there.settings !== (settings !== ''))
      await make(
        `CREATE OR REPLACE FUNCTION ${run}() RETURNS trigger LANGUAGE plpgsql ${settings}AS ${literal(body)}`,
      )
    if (!there.trigger)
      await make(
        `CREATE TRIGGER banyan_row AFTER INSERT OR UPDATE OR DELETE ON ${table.sql} FOR EACH ROW EXECUTE FUNCTION ${run}();
         CREATE TRIGGER banyan_truncate BEFORE TRUNCATE ON ${table.sql} FOR EACH STATEMENT EXECUTE FUNCTION ${run}()`,
      )
    if (!table.isStaged && (await stage(client, table))) changed = true
  }
  await checkReferences(client, spec)
  return changed
}

/** Whether rows are staged; undefined: there is no table for that. */
export async function hasStaged(
  client: PostgresClient,
  { stagedSql }: Pick<ShardTable, 'stagedSql'>,
): Promise<boolean | undefined> {
  return (await isThere(client, stagedSql)) ? hasRows(client, stagedSql) : undefined
}

/**
 * Makes the table where rows are staged, or makes it anew if the columns have changed. With rows in it, it stays as it is: who reads and
 * writes needs none of it, and nothing moves before somebody has decided what becomes of them.
 */
async function stage(client: PostgresClient, table: ShardTable): Promise<boolean> {
  const isStaged = await hasStaged(client, table)
  if (isStaged) return false
  if (isStaged === false) await client.query(`DROP TABLE ${table.stagedSql}`)
  await client.query(
    `CREATE TABLE ${table.stagedSql} AS SELECT ${table.names.map(quoted).join(', ')} FROM ${table.sql} WITH NO DATA;
     ALTER TABLE ${table.stagedSql} ADD PRIMARY KEY (${[...table.primaryKey.map(quoted), BUCKET].join(', ')});
     CREATE INDEX ${quoted(shortened(`${stagedName(table.name)}_bucket`))} ON ${table.stagedSql} (${BUCKET})`,
  )
  return true
}

/**
 * Gives some of the rows that have no bucket theirs, in a transaction of the caller's.
 *
 * @returns how many; 0 if all have one
 * @throws `BANYAN_SHARD_UNFIT` for rows without a key
 */
export async function fillBuckets(
  client: PostgresClient,
  spec: ShardSpec,
  catalog: Catalog,
  name: string,
): Promise<number> {
  const table = catalog.get(name)!
  // Somebody else may prepare it for another number meanwhile.
  if ((await countIn(client)) !== spec.buckets) throw unmarked(spec)
  await client.query(SAME_TEXTS)
  const { rows } = await client.query(
    `SELECT ${keySql(table, 't')} AS key, t.${quoted(table.shardKey)}::text AS shard_key FROM ${table.sql} AS t
     WHERE ${BUCKET} IS NULL LIMIT ${FILL}`,
  )
  const found = rows as unknown as { key: string; shard_key: string | null }[]
  const wrong = found.find(({ shard_key }) => shard_key === null || shard_key === '')
  if (wrong) throw keyless(spec, table, wrong.key)
  if (found.length === 0) {
    await client.query(`ALTER TABLE ${table.sql} ALTER COLUMN ${BUCKET} SET NOT NULL`)
    return 0
  }
  await client.query("SELECT set_config('banyan.moving', 'on', true)")
  await client.query(
    `UPDATE ${table.sql} AS t SET ${BUCKET} = k.bucket FROM unnest($1::text[], $2::integer[]) AS k (key, bucket)
     WHERE ${hasKeySql(table, 't', 'k.key')}`,
    [found.map(({ key }) => key), found.map(({ shard_key }) => bucketOf(shard_key!, spec.buckets))],
  )
  return found.length
}

/**
 * Checks that all rows have what decides their bucket, before they get one.
 *
 * @throws `BANYAN_SHARD_UNFIT`
 */
export async function checkKeys(client: PostgresClient, spec: ShardSpec, table: ShardTable): Promise<void> {
  const shardKey = quoted(table.shardKey)
  const { rows } = await client.query(
    `SELECT ${keySql(table, 't')} AS key FROM ${table.sql} AS t WHERE ${shardKey} IS NULL OR ${shardKey}::text = '' LIMIT 1`,
  )
  if (rows[0]) throw keyless(spec, table, String(rows[0]['key']))
}

function keyless({ id }: ShardSpec, table: ShardTable, primaryKey: string): Error {
  return unfit(
    id,
    `a row of ${JSON.stringify(table.name)} (${table.primaryKey.join(', ')}: ${primaryKey}) has no ${table.shardKey}, which is to decide its bucket: give it one or delete it, and prepare again`,
  )
}

/** @throws `BANYAN_SHARD_UNFIT` */
export async function checkReferences(
  client: PostgresClient,
  { id, reference = [] }: ShardSpec,
): Promise<void> {
  for (const name of reference)
    if (!(await isThere(client, quoted(name))))
      throw unfit(id, `the reference table ${JSON.stringify(name)} is not there`)
}

/** What is longer than names may be keeps its begin, and a few digits tell it from others. */
function shortened(name: string): string {
  if (Buffer.byteLength(name) <= 63) return name
  return `${name.slice(0, 40)}_${bucketOf(name, 2 ** 31)}`
}

/**
 * What the triggers of a table do: they refuse what would leave its bucket, is of another key than the transaction, or of a bucket
 * that is not owned; lock who owns it, so that a switch waits; and note for a move what has changed.
 */
function bodyOf(table: ShardTable, schema: string): string {
  const { name, shardKey } = table
  const key = (row: string): string => `${row}.${quoted(shardKey)}`
  const refuse = (code: string, said: string): string =>
    `RAISE EXCEPTION ${literal(`BANYAN_SHARD_${code}: ${said}`.replaceAll('%', '%%'))};`
  const note = (row: string): string =>
    `INSERT INTO ${schema}.banyan_shard_changes (bucket, tbl, key) VALUES (at, ${literal(name)}, ${keySql(table, row)});`
  return `
    DECLARE
      own_key text := nullif(current_setting('banyan.key', true), '');
      own_bucket integer := nullif(current_setting('banyan.bucket', true), '')::integer;
      moving text := current_setting('banyan.moving', true);
      at integer; is_state text; is_move text;
    BEGIN
      IF TG_OP = 'TRUNCATE' THEN ${refuse('UNFIT', `${name} is sharded, and not truncated: no trigger sees its rows; delete them`)} END IF;
      IF moving = 'leave' AND TG_OP <> 'INSERT' AND EXISTS (SELECT FROM ${schema}.banyan_shard_buckets WHERE bucket = OLD.${BUCKET}) THEN
        ${refuse('UNFIT', `a row of ${name} in another bucket refers to one that goes, or a trigger changes it`)}
      END IF;
      IF moving IN ('on', 'leave') THEN RETURN NULL; END IF;
      IF TG_OP <> 'DELETE' AND ${key('NEW')} IS NULL THEN ${refuse('KEY_REQUIRED', `${name}.${shardKey} must not be null`)} END IF;
      IF TG_OP = 'INSERT' THEN
        at := NEW.${BUCKET};
        IF own_key IS NULL OR own_bucket IS NULL THEN
          ${refuse('KEY_REQUIRED', `rows of ${name} are inserted through the router, which knows their key`)}
        END IF;
        IF ${key('NEW')}::text <> own_key OR at IS DISTINCT FROM own_bucket THEN
          ${refuse('KEY_MISMATCH', `${name}.${shardKey} is not the key of the transaction`)}
        END IF;
      ELSE
        at := OLD.${BUCKET};
        IF TG_OP = 'UPDATE' AND (NEW.${BUCKET} IS DISTINCT FROM at OR ${key('NEW')}::text IS DISTINCT FROM ${key('OLD')}::text) THEN
          ${refuse('KEY_CHANGED', `an update may not take a row of ${name} to another key`)}
        END IF;
        IF ${key('OLD')}::text <> own_key OR at <> own_bucket THEN
          ${refuse('KEY_MISMATCH', `a row of ${name} that is changed or deleted has another ${shardKey} than the key of the transaction: name the key in the WHERE`)}
        END IF;
      END IF;
      SELECT state, move INTO is_state, is_move FROM ${schema}.banyan_shard_buckets WHERE bucket = at FOR SHARE;
      IF NOT FOUND THEN ${refuse('MOVED', `a row of ${name} is in a bucket that is not owned any more`)} END IF;
      IF is_state <> 'owned' THEN ${refuse('BUSY', `a row of ${name} is in a bucket that is being switched`)} END IF;
      IF is_move IS NOT NULL THEN
        IF TG_OP <> 'INSERT' THEN ${note('OLD')} END IF;
        IF TG_OP = 'INSERT' OR (TG_OP = 'UPDATE' AND ${keySql(table, 'NEW')} <> ${keySql(table, 'OLD')}) THEN ${note('NEW')} END IF;
      END IF;
      RETURN NULL;
    END`
}
