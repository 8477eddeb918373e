import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { BanyanError } from '../../src/core/errors.js'
import { openLog } from '../../src/events/index.js'
import { freePort } from '../../scripts/engines.mjs'
import { PostgresServer, postgresMissing } from '../support/postgres.js'

const commit = { streams: [{ stream: 'order-1', events: [{ type: 'Placed' }] }] }

async function refusalOf(url: string): Promise<{ code: string; message: string }> {
  try {
    const log = await openLog(url)
    await log.append(commit).finally(() => log.close())
  } catch (error) {
    if (error instanceof BanyanError) return error
    throw error
  }
  return { code: 'none', message: '' }
}

describe.skipIf(postgresMissing())('a PostgreSQL that cannot be used is told, without its password', () => {
  const server = PostgresServer.ofSuite()

  test('a server that is not there', async () => {
    const port = await freePort()
    const { code, message } = await refusalOf(`postgres://someone:secret@127.0.0.1:${port}/events`)
    expect(code).toBe('BANYAN_LOG_UNAVAILABLE')
    expect(message).toContain(`127.0.0.1:${port}`)
    expect(message).not.toContain('secret')
  })

  test('a database that does not exist', async () => {
    const { code, message } = await refusalOf(server.url('no_such_database'))
    expect(code).toBe('BANYAN_LOG_UNAVAILABLE')
    expect(message).toContain('no_such_database')
  })

  test('a wrong password', async () => {
    const rules = join(server.directory, 'data/pg_hba.conf')
    const before = readFileSync(rules, 'utf8')
    await server.query(`CREATE ROLE guarded LOGIN PASSWORD 'right'`)
    writeFileSync(rules, `host all guarded 127.0.0.1/32 scram-sha-256\n`)
    appendFileSync(rules, before)
    await server.query('SELECT pg_reload_conf()')
    const { code, message } = await refusalOf(`postgres://guarded:wrong@127.0.0.1:${server.port}/postgres`)
    expect(code).toBe('BANYAN_LOG_UNAVAILABLE')
    expect(message).toContain('guarded')
    expect(message).not.toContain('wrong@')
  })
})
