import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, test } from 'vitest'
import { openLog } from '../../src/events/index.js'
import { ensure } from '../../scripts/engines.mjs'
import { PostgresServer, postgresMissing } from '../support/postgres.js'
import { SEED, times } from '../support/effort.js'
import {
  expectNothingChanged,
  expectNothingSilent,
  expectVerifyFinds,
  flipBit,
  tryOut,
  type Outcome,
} from './support/flips.js'
import { Choices } from './support/choices.js'
import { fill, type Truth } from './support/truth.js'

/** How many bits are flipped, each in a log of its own. */
const FLIPS = times(10)
const TIMEOUT = 300_000 + FLIPS * 2000

describe.skipIf(postgresMissing())(`postgres, a flipped bit (seed ${SEED})`, () => {
  test('in the events: no changed event is given, and verify finds it', { timeout: TIMEOUT }, async () => {
    const outcomes = await flipBits(`relname = 'events'`)
    expectNothingChanged(outcomes)
    // Without checksums of the server, what it can no longer see of its own pages is found by verify only.
    expectVerifyFinds(outcomes)
  })

  test.skipIf(checksumsMissing())(
    'in any table or index, on a server with checksums: it is told',
    { timeout: TIMEOUT },
    async () => {
      const outcomes = await flipBits('true', 'with checksums')
      expectNothingChanged(outcomes)
      expectNothingSilent(outcomes)
    },
  )
})

/** @param where - in which files, as a condition on `pg_class` */
async function flipBits(where: string, checksums?: 'with checksums'): Promise<Outcome[]> {
  const choices = new Choices(SEED)
  await using server = await PostgresServer.start({ autovacuum: 'off' })
  const url = await server.database()
  const logs: { schema: string; truth: Truth; file: string }[] = []
  for (let flip = 0; flip < FLIPS; flip++) {
    const schema = `log_${flip}`
    const log = await openLog({ driver: 'postgres', url, schema })
    const truth = await fill(log, 40, 3, 'few')
    await log.close()
    logs.push({ schema, truth, file: await fileOf(server, url, schema, where, choices) })
  }
  await server.shutDown()
  const data = join(server.directory, 'data')
  if (checksums) enableChecksums(data)
  const damage = logs.map(({ file }) => {
    const { bytes, about } = flipBit(readFileSync(join(data, file)), choices)
    writeFileSync(join(data, file), bytes)
    return `${about} of ${file}`
  })
  await server.restart()

  const outcomes: Outcome[] = []
  for (const [index, { schema, truth }] of logs.entries()) {
    const log = { driver: 'postgres', url, schema, retryFor: '1s', answerWithin: '5s' } as const
    outcomes.push(await tryOut(log, truth, damage[index]!))
  }
  return outcomes
}

/** A file of a log, of a table or of an index: the larger, the more often. */
async function fileOf(
  server: PostgresServer,
  url: string,
  schema: string,
  where: string,
  choices: Choices,
): Promise<string> {
  const files = await server.query<{ file: string; pages: string }>(
    `SELECT pg_relation_filepath(oid) AS file, pg_relation_size(oid) / 8192 AS pages
     FROM pg_class
     WHERE relnamespace = $1::regnamespace AND relkind IN ('r', 'i') AND pg_relation_size(oid) > 0 AND ${where}
     ORDER BY oid`,
    [schema],
    url,
  )
  return choices.pick(files.flatMap(({ file, pages }) => Array.from({ length: Number(pages) }, () => file)))
}

function checksumsProgram(): string {
  return join(dirname(ensure('postgres')), 'pg_checksums')
}

/** Packages of PostgreSQL for npm come without the program. */
function checksumsMissing(): boolean {
  if (existsSync(checksumsProgram())) return false
  process.stderr.write('\n*** A TEST WITH CHECKSUMS OF POSTGRESQL IS SKIPPED: there is no pg_checksums ***\n')
  return true
}

function enableChecksums(data: string): void {
  const account =
    process.getuid?.() === 0 ? ['setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups'] : []
  const [program, ...args] = [...account, checksumsProgram(), '--enable', '-D', data]
  execFileSync(program, args, { stdio: 'ignore', cwd: data })
}
