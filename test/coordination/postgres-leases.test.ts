import { describe, expect, test } from 'vitest'
import type pg from 'pg'
import { openCoordinatorDriver } from '../../src/drivers/open-coordinator.js'
import { migrateCoordinator, openCoordinator } from '../../src/coordination/index.js'
import { systemClock } from '../../src/core/clock.js'
import { Choices } from '../faults/support/choices.js'
import { SEED, times } from '../support/effort.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'

/** Shorter than those that a coordinator takes: the more of them end. */
const TTLS = [200, 500, 1000, 3000]

describe.skipIf(postgresMissing())('leases of a coordinator in PostgreSQL', () => {
  const server = PostgresServer.ofSuite()

  test(`never end before their time, however late everything comes, and end soon after it (seed ${SEED})`, async () => {
    const url = await server.database()
    await migrateCoordinator(url)
    const world = new World(await server.connect(url), new Choices(SEED))
    for (let step = 0; step < times(4000); step++) await world.step()
    expect(world.ended, 'leases that have ended').toBeGreaterThan(0)
    expect(world.kept, 'renewals that found their lease').toBeGreaterThan(0)
    await world.calmDown()
  })

  test('end when they are due, not at the next beat after it', async () => {
    const url = await server.database()
    await migrateCoordinator(url)
    const client = await server.connect(url)
    let now = 0
    const ask = async (text: string, values: unknown[]): Promise<unknown> =>
      Object.values((await client.query<Record<string, unknown>>(text, values)).rows[0]!)[0]
    let mark: string | null = null
    let since = 0
    let pause = 0
    const beat = async (): Promise<void> => {
      const text = 'SELECT banyan_coordination.beat($1, $2, 0, false)'
      const answer = JSON.parse((await ask(text, [mark, now - since])) as string) as [string, number, number]
      if (answer[0] !== mark) since = now
      ;[mark, , pause] = answer
    }
    for (const ttl of [2000, 10_000, 60_000])
      for (const [known, age] of [
        [true, 70],
        [false, 0],
      ] as const) {
        await ask('SELECT banyan_coordination.grant_lease($1, $2)', ['one', ttl])
        // Until what was granted, when the steps may still have been long, plays no part any more.
        for (let time = 0; time < 8; time++, now += pause) await beat()
        // Between two beats, and then never again.
        now += 70 - pause
        const own = known ? mark : null
        await ask('SELECT banyan_coordination.renew_leases($1, $2, $3)', [['one'], own, known ? age : null])
        const renewed = now
        now += pause - 70
        let beats = 0
        for (; (await ask('SELECT count(*) FROM banyan_coordination.leases', [])) !== '0'; beats++) {
          await beat()
          now += pause
        }
        const lasted = now - pause - renewed
        const step = Math.min(1000, ttl / 10) + 100
        expect(lasted, `${ttl} ms`).toBeGreaterThanOrEqual(ttl)
        expect(lasted, `${ttl} ms`).toBeLessThanOrEqual(ttl + (known ? 0 : step) + 10)
        expect(beats, 'no more than one besides those of each period').toBeLessThanOrEqual(
          Math.ceil(lasted / (step - 100)) + 2,
        )
      }
  })

  test('do not end by the clock of the server, unless nobody was here and that is asked for', async () => {
    const url = await server.database()
    const driver = await openCoordinatorDriver(url, { clock: systemClock })
    const { id } = await driver.grant(60_000)
    await driver.put('held', '1', 'any', id)
    await driver.close()
    await server.query("UPDATE banyan_coordination.clock SET at = at - interval '1 day'", [], url)
    await using strict = await openCoordinator(url)
    expect(await strict.get('held')).toBeDefined()
    // Somebody is here: the day was none.
    await server.query("UPDATE banyan_coordination.clock SET at = at - interval '1 day'", [], url)
    const generous = { driver: 'postgres', url, countAbsence: true } as const
    await (await openCoordinator(generous)).close()
    expect(await strict.get('held')).toBeDefined()
    await strict.close()
    await server.query("UPDATE banyan_coordination.clock SET at = at - interval '1 day'", [], url)
    await using alone = await openCoordinator(generous)
    expect(await alone.get('held')).toBeUndefined()
  })

  test('end many at once, also those of processes that are gone', async () => {
    const url = await server.database()
    const driver = await openCoordinatorDriver(url, { clock: systemClock })
    const { id } = await driver.grant(2000)
    await driver.put('last', '1', 'any', id)
    await server.query(
      `INSERT INTO banyan_coordination.leases (id, ttl, due) SELECT 'gone-' || n, 2000, 0 FROM generate_series(1, 2500) AS n`,
      [],
      url,
    )
    const end = new AbortController()
    for await (const { changes } of driver.watch('last', await driver.head(), end.signal)) {
      expect(changes).toEqual([{ kind: 'deleted', key: 'last' }])
      end.abort()
    }
    const left = await server.query('SELECT FROM banyan_coordination.leases', [], url)
    expect(left.length).toBe(0)
    await driver.close()
  })
})

/** A lease as whoever has asked for it knows it, in a time of our own. */
interface Held {
  readonly ttl: number
  /** When the last call was sent that has arrived. */
  sent: number
  /** When a call was sent that has not. */
  under: number | undefined
  /** What whoever sends it has made last, and how old that is at most, when it is sent. */
  own: { mark: string; age: number } | undefined
}

/** A process that beats: what it knows, and the call that is on its way. */
interface Process {
  mark: string | null
  since: number
  /** The last mark that it has made, and when that call was sent. */
  own: { mark: string; sent: number } | undefined
  call: { mark: string | null; passed: number; sent: number } | undefined
  answer: { mark: string; own: { mark: string; sent: number } | undefined } | undefined
}

/** Processes and leases whose calls take any time to arrive, and any time to be answered. The tables are real, time is not. */
class World {
  kept = 0
  ended = 0
  readonly #client: pg.Client
  readonly #choices: Choices
  readonly #leases = new Map<string, Held>()
  readonly #processes: Process[] = Array.from({ length: 2 }, () => ({
    mark: null,
    since: 0,
    own: undefined,
    call: undefined,
    answer: undefined,
  }))
  #now = 0
  #calm = true
  #names = 0

  constructor(client: pg.Client, choices: Choices) {
    this.#client = client
    this.#choices = choices
  }

  async step(): Promise<void> {
    if (this.#choices.chance(0.005)) this.#calm = !this.#calm
    if (this.#calm) return this.#calmStep()
    const what = this.#choices.below(100)
    if (what < 25) this.#now += this.#choices.pick([1, 20, 100, 100, 300, 300, 300, 900, 900, 40_000])
    else if (what < 80) await this.#beat(this.#choices.pick(this.#processes))
    else if (this.#leases.size < 2 || (what < 85 && this.#leases.size < 6)) this.#wish()
    else {
      const id = this.#choices.pick([...this.#leases.keys()])
      await (this.#choices.chance(0.3) ? this.#renewAtOnce(id) : this.#renew(id))
    }
  }

  /** One beats without any delay: the clock misses nothing. Now and then a lease is renewed, as fast. */
  async #calmStep(): Promise<void> {
    this.#now += this.#choices.pick([1, 5, 20, 60])
    const [process] = this.#processes
    if (this.#choices.chance(0.7)) await this.#beatAtOnce(process!)
    if (this.#leases.size < 2) this.#wish()
    const id = this.#choices.pick([...this.#leases.keys()])
    if (this.#choices.chance(0.05)) {
      // Some ms after the clock was moved.
      if (this.#choices.chance(0.5)) this.#now += this.#choices.pick([20, 90])
      await this.#renewAtOnce(id)
    }
  }

  /** Everybody beats in time, and nobody renews: all leases end, and not much too late. */
  async calmDown(): Promise<void> {
    const [process] = this.#processes
    for (const [id, { sent }] of [...this.#leases]) if (sent === -Infinity) this.#leases.delete(id)
    const latest = this.#now + Math.max(...TTLS) + 5000
    for (; this.#leases.size > 0; this.#now += 100) {
      expect(this.#now, 'a lease goes on').toBeLessThan(latest)
      await this.#beatAtOnce(process!)
    }
  }

  /** A beat without any delay. */
  async #beatAtOnce(process: Process): Promise<void> {
    do await this.#beat(process)
    while (process.call !== undefined || process.answer !== undefined)
  }

  /** One step of a beat: it is sent, arrives, is answered. */
  async #beat(process: Process): Promise<void> {
    if (process.answer !== undefined) {
      // Only another mark is news: of this one it has known before.
      if (process.answer.mark !== process.mark) process.since = this.#now
      process.mark = process.answer.mark
      process.own = process.answer.own ?? process.own
      process.answer = undefined
    } else if (process.call) {
      const { mark, passed, sent } = process.call
      process.call = undefined
      const [[mine] = []] = await this.#ask('SELECT banyan_coordination.beat($1, $2, 0, false)', [
        mark,
        passed,
      ])
      const [newest, , , , , , made] = JSON.parse(mine as string) as [string, ...unknown[]]
      process.answer = { mark: newest, own: made === true ? { mark: newest, sent } : undefined }
      await this.#look()
    } else
      process.call = {
        mark: process.mark,
        passed: process.mark === null ? 0 : this.#now - process.since,
        sent: this.#now,
      }
  }

  #wish(): void {
    const ttl = this.#choices.pick(TTLS)
    this.#leases.set(`lease-${this.#names++}`, {
      ttl,
      sent: -Infinity,
      under: this.#now,
      own: undefined,
    })
  }

  /** One step of a renewal, or of what takes the lease: it is sent, or arrives. */
  async #renew(id: string): Promise<void> {
    const lease = this.#leases.get(id)!
    if (lease.under === undefined) {
      lease.under = this.#now
      const { own } = this.#calm ? this.#processes[0]! : this.#choices.pick(this.#processes)
      lease.own = own && { mark: own.mark, age: this.#now - own.sent }
      return
    }
    if (lease.sent === -Infinity)
      await this.#ask('SELECT banyan_coordination.grant_lease($1, $2)', [id, lease.ttl])
    else {
      const [[kept] = []] = await this.#ask('SELECT banyan_coordination.renew_leases($1, $2, $3)', [
        [id],
        lease.own?.mark ?? null,
        lease.own?.age ?? null,
      ])
      expect(kept).toEqual([id])
      this.kept++
    }
    lease.sent = lease.under
    lease.under = undefined
  }

  /** A renewal without any delay. */
  async #renewAtOnce(id: string): Promise<void> {
    if (this.#leases.get(id)!.under !== undefined) await this.#renew(id)
    await this.#renew(id)
    await this.#renew(id)
  }

  /** What is gone has had its time. */
  async #look(): Promise<void> {
    const rows = await this.#ask('SELECT id FROM banyan_coordination.leases', [])
    const there = new Set(rows.map(([id]) => id))
    for (const [id, { ttl, sent }] of [...this.#leases]) {
      if (sent === -Infinity || there.has(id)) continue
      const lasted = this.#now - sent
      expect(lasted, `${id} ended ${lasted} ms after its last renewal for ${ttl} ms`).toBeGreaterThanOrEqual(
        ttl,
      )
      this.#leases.delete(id)
      this.ended++
    }
  }

  async #ask(text: string, values: unknown[]): Promise<unknown[][]> {
    const { rows } = await this.#client.query<unknown[]>({ text, values, rowMode: 'array' })
    return rows
  }
}
