import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'vitest'
import { openLog } from '../../src/events/index.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'
import { expectHonest, summaryOf, tryOut, type Outcome } from './support/flips.js'
import { Choices, SEED } from './support/seed.js'
import { fill } from './support/truth.js'

/** How many bits are flipped, each in a database of its own. */
const FLIPS = Number(process.env['BANYAN_FAULTS_FLIPS'] ?? 24)

/** The server cannot tell, as it keeps no checksums of pages (the default before version 18). */
describe.skipIf(postgresMissing())(
  'a flipped bit in a table of the log, without checksums of the server',
  () => {
    test(`is told and found (seed ${SEED})`, { timeout: 120_000 }, async () => {
      await using server = await PostgresServer.start({ autovacuum: 'off' })
      const original = await server.database()
      const log = await openLog(original)
      const truth = await fill(log, 100, 3)
      await log.close()
      await server.query('VACUUM', [], original)

      const choices = new Choices(SEED)
      const copies: { url: string; file: string }[] = []
      for (let flip = 0; flip < FLIPS; flip++) {
        const name = `damaged_${flip}`
        await server.query(`CREATE DATABASE ${name} TEMPLATE ${nameOf(original)}`)
        const url = server.url(name)
        copies.push({ url, file: choices.pick(await eventFiles(server, url)) })
      }
      await server.query('CHECKPOINT')
      await server.crash()
      const damage = copies.map(({ file }) => flipBit(join(server.directory, 'data', file), choices))
      await server.restart()

      const outcomes: Outcome[] = []
      for (const [index, { url }] of copies.entries()) outcomes.push(await tryOut(url, truth, damage[index]!))
      process.stdout.write(`${summaryOf(outcomes)}\n`)
      expectHonest(outcomes)
    })
  },
)

function nameOf(url: string): string {
  return new URL(url).pathname.slice(1)
}

/** The files of all tables of the driver, without their indexes. */
async function eventFiles(server: PostgresServer, url: string): Promise<string[]> {
  const rows = await server.query<{ file: string }>(
    `SELECT pg_relation_filepath(c.oid) AS file
     FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
     WHERE relkind IN ('r', 't') AND relfilenode <> 0 AND pg_relation_size(c.oid) > 0
       AND nspname NOT IN ('pg_catalog', 'information_schema') AND c.oid >= 16384
     ORDER BY c.oid`,
    [],
    url,
  )
  return rows.map((row) => row.file)
}

function flipBit(file: string, choices: Choices): string {
  const bytes = readFileSync(file)
  const at = choices.below(bytes.length)
  const bit = choices.below(8)
  bytes[at]! ^= 1 << bit
  writeFileSync(file, bytes)
  return `bit ${bit} of byte ${at} of ${file}`
}
