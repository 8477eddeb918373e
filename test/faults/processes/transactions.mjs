// @ts-check
/** Appends that join a transaction of the caller's: each also notes its commit in a table of the caller's. */
import { BanyanError } from 'banyan/core'
import pg from 'pg'

/**
 * @param {string} url
 * @param {import('banyan/events').EventLog} log
 */
export function openTransactions(url, log) {
  const pool = new pg.Pool({ connectionString: url, max: 4 })
  pool.on('error', () => undefined)
  pool.on('connect', (client) => void client.on('error', () => undefined))
  let count = 0
  return {
    /** @returns {import('banyan/events').Appender} */
    appender() {
      const rollBack = ++count % 5 === 0
      return { append: (commit) => append(commit, rollBack) }
    },
    close: () => pool.end(),
  }

  /**
   * @param {import('banyan/events').Commit} commit
   * @param {boolean} rollBack
   * @returns {Promise<import('banyan/events').AppendResult>}
   */
  async function append(commit, rollBack) {
    const client = await pool.connect()
    let failed = true
    try {
      await client.query('BEGIN')
      const result = await log.within(client).append(commit)
      // A repetition may stand where another took part: then that one has made the note.
      if (result.ok && !result.duplicate) await client.query('INSERT INTO effects VALUES ($1)', [commit.id])
      await client.query(rollBack ? 'ROLLBACK' : 'COMMIT')
      failed = false
      if (rollBack && result.ok && !result.duplicate)
        throw new BanyanError('BANYAN_TEST_ROLLED_BACK', 'rolled back on purpose')
      return /** @type {any} */ (result)
    } finally {
      client.release(failed)
    }
  }
}
