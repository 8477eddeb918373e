import { createServer, type Server } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { openLog, saga, sagas, type EventLog, type SagaView } from '../../src/events/index.js'
import { SEED, times } from '../support/effort.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'
import { Child } from './support/child.js'
import { Choices } from './support/choices.js'
import { torment } from './support/torment.js'

const SAGAS = 1000
const KILLS = times(6)
const RUNNERS = 3
const KINDS = ['good', 'good', 'good', 'lost', 'refused', 'sleepy', 'broken once']

const noPostgres = postgresMissing()
const directory = mkdtempSync(join(tmpdir(), 'banyan-sagas-'))
const server = PostgresServer.ofSuite()

afterAll(() => rmSync(directory, { recursive: true, force: true }))

/** A service that honours idempotency keys. */
class Service {
  /** What it has done, in its order, and how often. */
  readonly done = new Map<string, number>()
  readonly #server: Server
  readonly #seen = new Set<string>()

  constructor() {
    this.#server = createServer((request, response) => {
      const key = request.headers['idempotency-key'] as string
      const kind = new URL(request.url!, 'http://here').searchParams.get('kind')!
      const isFirst = !this.#seen.has(key)
      this.#seen.add(key)
      if (kind === 'refused') return void response.writeHead(422).end('{"detail":"refused"}')
      if (kind === 'broken once' && isFirst) return void response.writeHead(503, { 'retry-after': '0' }).end()
      if (!this.done.has(key)) this.done.set(key, this.done.size)
      // It was done, and nobody hears of it.
      if (kind === 'lost' && isFirst) return void response.destroy()
      response.end(key)
    })
  }

  async start(): Promise<string> {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening')
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  stop(): void {
    this.#server.closeAllConnections()
    this.#server.close()
  }
}

/** Started here, run elsewhere. */
const order = saga<{ kind: string }>({ name: 'order', run: () => undefined })

async function ended(log: EventLog): Promise<Map<string, SagaView>> {
  const all = sagas(log)
  const views = new Map<string, SagaView>()
  for (let number = 0; number < SAGAS; number++) {
    const id = `order/${number}`
    await all.outcome(id)
    views.set(id, await all.show(id))
  }
  return views
}

describe.each(['sqlite', 'postgres'])('a thousand sagas at once on %s', (engine) => {
  test.skipIf(engine === 'postgres' && noPostgres)(
    `are completed or undone in reverse order, and nothing is done twice, after ${KILLS} of those who run them were killed${engine === 'postgres' ? ', and the server' : ''} (seed ${SEED})`,
    { timeout: 300_000 + KILLS * 3000 },
    async () => {
      const place = engine === 'sqlite' ? `sqlite:${join(directory, engine)}` : await server.database()
      const service = new Service()
      const url = await service.start()
      const log = await openLog(place)
      const all = sagas(log)
      const kindOf = (number: number): string => KINDS[number % KINDS.length]!
      // Not all at once: who waits too long for a connection is told that there is none.
      for (let first = 0; first < SAGAS; first += 100)
        await Promise.all(
          Array.from({ length: 100 }, (_, index) =>
            all.start(order, { kind: kindOf(first + index) }, { id: String(first + index) }),
          ),
        )
      let kills = 0
      const kill = (): boolean => ++kills >= KILLS
      const tormented = Promise.all(
        Array.from({ length: RUNNERS }, (_, slot) =>
          torment('saga-runner.mjs', { place, service: url }, new Choices(SEED + slot), kill),
        ),
      )
      if (engine === 'postgres') {
        await server.crash()
        await server.restart()
      }
      await tormented
      // Whoever comes last finishes.
      const last = new Child('saga-runner.mjs', { place, service: url })
      const views = await ended(log)
      await last.finish()
      await log.close()
      service.stop()

      const { done } = service
      for (const [id, { status, steps, timeline }] of views) {
        const kind = kindOf(Number(id.slice(6)))
        expect({ id, status }).toEqual({ id, status: kind === 'refused' ? 'compensated' : 'completed' })
        const at = (step: string, direction: string): number | undefined =>
          done.get(`${id}/${step}/${direction}`)
        for (const { name, kind: what } of steps) {
          if (what !== 'step') continue
          const [ran, undone] = [at(name, 'run'), at(name, 'compensate')]
          if (status === 'completed')
            expect({ id, name, ran: ran !== undefined, undone }).toEqual({
              id,
              name,
              ran: true,
              undone: undefined,
            })
          else if (ran !== undefined) expect(undone).toBeGreaterThan(ran)
        }
        const order = timeline
          .map(({ what }) => /^step (\w+) is (done|compensated)$/.exec(what))
          .filter((found) => found !== null)
        const completed = order.filter(([, , what]) => what === 'done').map(([, name]) => name!)
        const undone = order.filter(([, , what]) => what === 'compensated').map(([, name]) => name!)
        if (status === 'compensated')
          expect(undone.filter((name) => completed.includes(name))).toEqual(completed.toReversed())
      }
    },
  )
})
