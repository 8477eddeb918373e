import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { openLog, topic, type EventLog } from '../../src/events/index.js'
import { ledgerStream } from '../../src/events/pubsub/group/names.js'
import { readLedger } from '../../src/events/pubsub/ledger/ledger.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'
import { SEED, times } from '../support/effort.js'
import { Child } from './support/child.js'
import { Choices } from './support/choices.js'

const CONSUMERS = 3
const PARTITIONS = 4
const MESSAGES = 600
const KEYS = 24
const KILLS = times(8)
const DEADLINE_MS = 240_000

const noPostgres = postgresMissing()
const directory = mkdtempSync(join(tmpdir(), 'banyan-consumers-'))
const server = PostgresServer.ofSuite()

afterAll(() => rmSync(directory, { recursive: true, force: true }))

/** What consumers did, in the order in which they did it. */
interface Deed {
  readonly at: bigint
  readonly what: 'begins' | 'done'
  readonly stream: string
  readonly revision: number
  readonly id: string
}

function deeds(journals: string): Deed[] {
  return readdirSync(journals)
    .flatMap((file) => readFileSync(join(journals, file), 'utf8').split('\n').slice(0, -1))
    .map((line) => {
      const [at, what, stream, revision, id] = line.split(' ')
      return {
        at: BigInt(at!),
        what: what as Deed['what'],
        stream: stream!,
        revision: Number(revision),
        id: id!,
      }
    })
    .sort((a, b) => (a.at < b.at ? -1 : 1))
}

/** Keys that are parked, with all that they hold back. */
async function parkedKeys(log: EventLog): Promise<Map<string, number>> {
  const parked = new Map<string, number>()
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const state = await readLedger(log, ledgerStream('mailer', partition), '0')
    for (const { key, head, state: is } of state.lanes.values())
      if (is === 'parked') parked.set(key!, head!.revision)
  }
  return parked
}

/**
 * Processes take part in one subscription and are killed with SIGKILL at random moments, now and then all at once, while
 * messages are published.
 */
describe.each(['sqlite', 'postgres'])('consumers on %s', (engine) => {
  const here = engine === 'postgres' && noPostgres ? test.skip : test

  here.each(['at-least-once', 'effectively-once'])(
    `handle every message or park it, and none overtakes another of its key, while ${KILLS} of them are killed (seed ${SEED}): %s`,
    { timeout: 300_000 + DEADLINE_MS + KILLS * 1000 },
    async (delivery) => {
      const choices = new Choices(SEED)
      const place = join(directory, `${engine}-${delivery}`)
      const journals = join(place, 'journals')
      mkdirSync(journals, { recursive: true })
      const where = engine === 'sqlite' ? `sqlite:${join(place, 'log')}` : await server.database()
      const log = await openLog(where)
      const orders = topic(log, 'order')
      let started = 0
      const start = (): Child =>
        new Child('consumer.mjs', { log: where, journal: join(journals, String(started++)), delivery })
      const running = Array.from({ length: CONSUMERS }, start)
      const publishing = (async () => {
        for (let number = 0; number < MESSAGES; number++) {
          const data = {
            takes: choices.below(4),
            ...(number % 97 === 50 && { poison: true }),
            ...(choices.chance(0.05) && { flaky: true }),
          }
          await orders.publish({ id: `m${number}`, type: 'Placed', data, key: `k${choices.below(KEYS)}` })
          await new Promise((resolve) => setTimeout(resolve, 5))
        }
      })()
      let killed = 0
      const chaos = new Choices(~SEED)
      while (killed < KILLS) {
        await new Promise((resolve) => setTimeout(resolve, chaos.below(250)))
        const victims = chaos.chance(0.1) ? [...running.keys()] : [chaos.below(CONSUMERS)]
        for (const victim of victims) {
          running[victim]!.signal('SIGKILL')
          await running[victim]!.exited
          running[victim] = start()
          killed++
        }
      }
      await publishing

      const wanted: { id: string; stream: string; revision: number }[] = []
      for await (const { id, stream, revision } of log.read({ category: 'order' }))
        wanted.push({ id, stream, revision })
      const until = Date.now() + DEADLINE_MS
      const missing = async (): Promise<typeof wanted> => {
        const parked = await parkedKeys(log)
        const done = new Set(deeds(journals).flatMap(({ what, id }) => (what === 'done' ? [id] : [])))
        return wanted.filter(
          ({ id, stream, revision }) => !done.has(id) && !(revision >= (parked.get(stream) ?? Infinity)),
        )
      }
      while ((await missing()).length > 0 && Date.now() < until)
        await new Promise((resolve) => setTimeout(resolve, 50))
      expect(await missing()).toEqual([])
      // One that has just been started may not know yet how to end.
      for (const child of running) await child.ready.then(() => child.finish())

      const done = new Map<string, bigint>()
      const overtaken: string[] = []
      for (const { at, what, stream, revision, id } of deeds(journals)) {
        if (what === 'done') done.set(`${stream}@${revision}`, done.get(`${stream}@${revision}`) ?? at)
        else if (revision > 0 && !done.has(`${stream}@${revision - 1}`)) overtaken.push(id)
      }
      expect(overtaken).toEqual([])
      const parked = await parkedKeys(log)
      expect(parked.size).toBeGreaterThan(0)
      if (delivery === 'effectively-once') {
        const effects: string[] = []
        for await (const { stream } of log.read({ category: 'effect' }))
          effects.push(stream.slice('effect-'.length))
        const kept = wanted.filter(({ stream, revision }) => !(revision >= (parked.get(stream) ?? Infinity)))
        expect(effects.sort()).toEqual(kept.map(({ id }) => id).sort())
      }
      await log.close()
    },
  )
})
