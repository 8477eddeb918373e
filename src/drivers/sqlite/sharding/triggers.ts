import { BUCKET, quoted, type ShardTable } from './catalog.js'
import { keySql } from './rows.js'

/**
 * The triggers of a sharded table, by name. A row that is inserted gets the bucket of its transaction; what would leave its
 * bucket, is of another key than the transaction, or of a bucket that is not owned, is refused; and what has changed is noted for a
 * move.
 */
export function triggersOf(table: ShardTable): ReadonlyMap<string, string> {
  const { name, shardKey, primaryKey } = table
  const quote = quoted(name)
  const key = (row: string): string => `${row}.${quoted(shardKey)}`
  const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`
  const refuse = (code: string, said: string, where: string, from = ''): string =>
    `SELECT RAISE(ABORT, ${literal(`BANYAN_SHARD_${code}: ${said}`)}) ${from} WHERE ${where};`
  const owned = (bucket: string): string =>
    refuse(
      'MOVED',
      `a row of ${name} is in a bucket that is not owned any more`,
      `NOT EXISTS (SELECT 1 FROM banyan_shard_buckets WHERE bucket = ${bucket})`,
    ) +
    refuse(
      'BUSY',
      `a row of ${name} is in a bucket that is being switched`,
      `EXISTS (SELECT 1 FROM banyan_shard_buckets WHERE bucket = ${bucket} AND state <> 'owned')`,
    )
  const note = (bucket: string, row: string, unless = ''): string =>
    `INSERT INTO banyan_shard_changes (bucket, tbl, key) SELECT bucket, ${literal(name)}, ${keySql(table, row)}
     FROM banyan_shard_buckets WHERE bucket = ${bucket} AND move IS NOT NULL ${unless};`
  const isRow = primaryKey.map((column) => `${quoted(column)} = NEW.${quoted(column)}`).join(' AND ')
  const hasNull = primaryKey.map((column) => `NEW.${quoted(column)} IS NULL`).join(' OR ')
  const now = '(SELECT bucket FROM banyan_shard_now)'
  const active = '(SELECT moving FROM banyan_shard_now) = 0'
  const required = refuse('KEY_REQUIRED', `${name}.${shardKey} must not be null`, `${key('NEW')} IS NULL`)
  const complete = refuse('UNFIT', `the primary key of ${name} must not be null`, hasNull)
  // Rows that leave may take no others with them, by a reference or a trigger.
  const leaving = refuse(
    'UNFIT',
    `a row of ${name} in another bucket refers to one that goes, or a trigger changes it`,
    `EXISTS (SELECT 1 FROM banyan_shard_buckets WHERE bucket = OLD.${BUCKET})`,
  )
  const own = refuse(
    'KEY_MISMATCH',
    `a row of ${name} that is changed or deleted has another ${shardKey} than the key of the transaction: name the key in the WHERE`,
    `CAST(${key('OLD')} AS TEXT) <> key OR OLD.${BUCKET} <> bucket`,
    'FROM banyan_shard_now',
  )
  const isLeaving = '(SELECT moving FROM banyan_shard_now) = 2'
  const kept = `OLD.${BUCKET} IS NOT NULL AND ${active}`
  return new Map(
    [
      [
        `banyan_insert_${name}`,
        `AFTER INSERT ON ${quote} WHEN ${active} BEGIN
      ${required} ${complete}
      ${refuse('KEY_REQUIRED', `rows of ${name} are inserted through the router, which knows their key`, 'bucket IS NULL OR key IS NULL', 'FROM banyan_shard_now')}
      ${refuse(
        'KEY_MISMATCH',
        `${name}.${shardKey} is not the key of the transaction`,
        `typeof(${key('NEW')}) NOT IN ('text', 'integer') OR CAST(${key('NEW')} AS TEXT) IS NOT key OR coalesce(NEW.${BUCKET}, bucket) IS NOT bucket`,
        'FROM banyan_shard_now',
      )}
      ${owned(now)}
      UPDATE ${quote} SET ${BUCKET} = ${now} WHERE ${isRow};
      ${note(now, 'NEW')}
      END`,
      ],
      [
        `banyan_update_${name}`,
        `AFTER UPDATE ON ${quote} WHEN ${kept} BEGIN
      ${required} ${complete}
      ${refuse(
        'KEY_CHANGED',
        `an update may not take a row of ${name} to another key`,
        `NEW.${BUCKET} IS NOT OLD.${BUCKET} OR typeof(${key('NEW')}) NOT IN ('text', 'integer')
          OR CAST(${key('NEW')} AS TEXT) IS NOT CAST(${key('OLD')} AS TEXT)`,
      )}
      ${own}
      ${owned(`OLD.${BUCKET}`)}
      ${note(`OLD.${BUCKET}`, 'OLD')}
      ${note(`OLD.${BUCKET}`, 'NEW', `AND NOT (${primaryKey.map((column) => `NEW.${quoted(column)} IS OLD.${quoted(column)}`).join(' AND ')})`)}
      END`,
      ],
      [
        `banyan_delete_${name}`,
        `AFTER DELETE ON ${quote} WHEN ${kept} BEGIN
      ${own}
      ${owned(`OLD.${BUCKET}`)}
      ${note(`OLD.${BUCKET}`, 'OLD')}
      END`,
      ],
      [`banyan_leave_${name}`, `AFTER DELETE ON ${quote} WHEN ${isLeaving} BEGIN ${leaving} END`],
      [`banyan_left_${name}`, `AFTER UPDATE ON ${quote} WHEN ${isLeaving} BEGIN ${leaving} END`],
    ].map(([trigger, text]) => [trigger!, `CREATE TRIGGER ${quoted(trigger!)} ${text!}`]),
  )
}
