import { fork, type ChildProcess } from 'node:child_process'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { openLog, type FollowerStatus, type Promotion, type RecordedEvent } from '../../src/events/index.js'
import { choices } from '../../src/testing/seed.js'
import { seededRandom } from '../../src/core/random.js'
import { closeLogs, collect, newDirectory } from '../support/logs.js'
import { SEED, times } from '../support/effort.js'

const FILE = join(import.meta.dirname, 'processes/log-replica.mjs')
const running = new Set<Replica>()

afterEach(async () => {
  for (const replica of [...running]) await replica.kill()
  await closeLogs()
})

interface Acknowledged {
  readonly id: string
  readonly position: string
}

/** A process with a log. */
class Replica {
  readonly path = `sqlite:${newDirectory()}`
  readonly acknowledged: Acknowledged[] = []
  readonly port: number
  refused: string | undefined
  leader: string | undefined
  #child: ChildProcess | undefined
  #calls = 0
  readonly #waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>()

  private constructor(port: number, leader: string | undefined) {
    this.port = port
    this.leader = leader
  }

  static async start(leader?: Replica): Promise<Replica> {
    const replica = new Replica(await freePort(), leader?.url)
    running.add(replica)
    await replica.start()
    return replica
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  async start(): Promise<void> {
    const given = [this.path, String(this.port), ...(this.leader === undefined ? [] : [this.leader])]
    const child = fork(FILE, given, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    this.#child = child
    await new Promise<void>((resolve, reject) => {
      child.once('exit', (code, signal) => {
        const gone = new Error(`a process has ended: ${String(code ?? signal)}`)
        reject(gone)
        for (const { reject: fail } of this.#waiting.values()) fail(gone)
        this.#waiting.clear()
      })
      child.on('message', (message: Record<string, unknown>) => {
        if ('ready' in message) resolve()
        if ('acknowledged' in message) this.acknowledged.push(message['acknowledged'] as Acknowledged)
        if ('refused' in message) this.refused = message['refused'] as string
        if ('call' in message) this.#answered(message)
      })
    })
  }

  ask<Result>(what: string, given: object = {}): Promise<Result> {
    return new Promise((resolve, reject) => {
      const call = ++this.#calls
      this.#waiting.set(call, { resolve, reject })
      this.#child!.send({ call, what, given })
    })
  }

  async kill(): Promise<void> {
    const child = this.#child!
    if (child.exitCode !== null || child.signalCode !== null) return
    const gone = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await gone
  }

  async events(): Promise<RecordedEvent[]> {
    const log = await openLog(this.path)
    const findings = (await collect(log.verify())).filter(({ ok }) => !ok)
    expect(findings).toEqual([])
    const events = await collect(log.read())
    await log.close()
    return events
  }

  #answered(message: Record<string, unknown>): void {
    const waiting = this.#waiting.get(message['call'] as number)
    this.#waiting.delete(message['call'] as number)
    if ('code' in message) waiting?.reject(Object.assign(new Error(message['message'] as string), message))
    else waiting?.resolve(message['result'] as never)
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Waits until a follower has what its leader has acknowledged. */
async function caughtUp(follower: Replica, leader: Replica): Promise<void> {
  const { position } = await leader.ask<{ position: string }>('status')
  await expect
    .poll(async () => (await follower.ask<FollowerStatus>('status')).position, { timeout: 30_000 })
    .toBe(position)
}

test(
  `a leader and two followers, killed again and again under load, are the same in the end, and no read is stale, seed ${SEED}`,
  { timeout: 300_000 },
  async () => {
    const random = choices(seededRandom(SEED))
    const leader = await Replica.start()
    const followers = [await Replica.start(leader), await Replica.start(leader)]
    await leader.ask('write')
    // Each is killed as often as the others.
    let left: Replica[] = []
    for (let kill = 0; kill < 3 * times(1); kill++) {
      if (left.length === 0) left = [leader, ...followers]
      const victim = random.pick(left)
      left = left.filter((replica) => replica !== victim)
      const before = leader.acknowledged.length
      await expect
        .poll(() => leader.acknowledged.length, { timeout: 30_000, interval: 2 })
        .toBeGreaterThan(before + 5)
      const reader = random.pick(followers)
      const { id, position } = leader.acknowledged.at(-1)!
      const read = reader.ask<string>('read', { position }).then(
        (commit) => {
          expect(commit).toBe(id)
        },
        () => undefined,
      )
      if (random.chance(0.5)) await read
      await victim.kill()
      await read
      await victim.start()
      if (victim === leader) await leader.ask('write')
    }
    await leader.ask('pause')
    const { id, position } = leader.acknowledged.at(-1)!
    for (const follower of followers) {
      await caughtUp(follower, leader)
      expect(await follower.ask<string>('read', { position })).toBe(id)
    }
    for (const replica of [leader, ...followers]) await replica.kill()
    const events = await leader.events()
    const ids = new Set(events.map(({ commit }) => commit))
    expect(leader.acknowledged.filter(({ id }) => !ids.has(id))).toEqual([])
    for (const follower of followers) expect(await follower.events()).toEqual(events)
  },
)

test(
  'a promotion under load loses nothing; one after the leader was killed loses what it says, and the old leader is refused',
  { timeout: 300_000 },
  async () => {
    const first = await Replica.start()
    const second = await Replica.start(first)
    await first.ask('write')
    await expect.poll(() => first.acknowledged.length, { timeout: 30_000, interval: 5 }).toBeGreaterThan(20)
    const planned = await second.ask<Promotion>('promote')
    expect(planned).toMatchObject({ kind: 'planned', epoch: 2 })
    await expect.poll(() => first.refused, { timeout: 30_000, interval: 5 }).toBe('BANYAN_LOG_FENCED')
    expect(first.acknowledged.every(({ position }) => position <= planned.position)).toBe(true)
    // Also after a restart.
    await first.kill()
    first.refused = undefined
    await first.start()
    await first.ask('write')
    await expect.poll(() => first.refused, { timeout: 30_000, interval: 5 }).toBe('BANYAN_LOG_FENCED')

    await first.kill()
    first.leader = second.url
    await first.start()
    await second.ask('write')
    await expect.poll(() => second.acknowledged.length, { timeout: 30_000, interval: 5 }).toBeGreaterThan(20)
    await second.kill()
    await expect(first.ask('promote', { wait: 500 })).rejects.toMatchObject({
      code: 'BANYAN_PROMOTION_REFUSED',
    })
    const emergency = await first.ask<Promotion>('promote', { wait: 500, force: true })
    expect(emergency).toMatchObject({ kind: 'emergency', epoch: 3 })
    second.leader = undefined
    await second.start()
    await first.ask('fence', { at: second.url })
    await second.ask('write')
    await expect.poll(() => second.refused, { timeout: 30_000, interval: 5 }).toBe('BANYAN_LOG_FENCED')
    for (const replica of [first, second]) await replica.kill()
    const kept = await first.events()
    const all = await second.events()
    expect(kept).toEqual(all.filter(({ position }) => position <= emergency.position))
    const lost = second.acknowledged.filter(({ position }) => position > emergency.position)
    const ids = new Set(kept.map(({ commit }) => commit))
    expect(second.acknowledged.filter(({ id }) => !ids.has(id))).toEqual(lost)
    const firstIds = first.acknowledged.map(({ id }) => id)
    expect(firstIds.filter((id) => !ids.has(id))).toEqual([])
  },
)
