import { expect, test } from 'vitest'
import { openCoordinator, readLocks } from '../../src/coordination/index.js'
import { Child } from '../faults/support/child.js'
import { Choices } from '../faults/support/choices.js'
import { SHARED_ENGINES, type SharedEngine } from '../support/coordination-engines.js'
import { SEED, times } from '../support/effort.js'
import { checkAlone, type Look } from '../support/looks.js'

/** A lease may be over so much later, and the machine so busy. What waits for nothing waits for ever. */
const SLACK = 15_000
const USERS = 3

/** Killed while it holds the lock; stopped then, for longer than its lease; killed anywhere. */
const BLOWS = ['kill', 'stop', 'kill anywhere'] as const

type Said =
  Look | { readonly token: number; readonly stopped: true } | { readonly token: number; readonly lost: true }

/** Processes that take turns with one lock. */
class Users implements AsyncDisposable {
  readonly all: Child[] = []
  readonly #engine: SharedEngine

  constructor(engine: SharedEngine) {
    this.#engine = engine
  }

  get running(): Child[] {
    return this.all.filter(({ exit }) => !exit)
  }

  /** The highest token of those that somebody has held. */
  get token(): number {
    return Math.max(...this.all.map(lastToken))
  }

  async start(): Promise<void> {
    const { where, ttl } = this.#engine
    const child = new Child('lock-user.mjs', { where, ttl })
    this.all.push(child)
    await child.ready
    if (child.exit) throw child.failure('ended before it was ready')
  }

  /** Waits until somebody else has held it after a token. */
  async after(token: number, victim?: Child): Promise<void> {
    const others = this.running.filter((child) => child !== victim)
    await Promise.race(others.map((child) => child.until(() => lastToken(child) > token)))
    expect(this.token).toBeGreaterThan(token)
  }

  /** Stops one as soon as it holds the lock. */
  async stop(child: Child): Promise<void> {
    child.tell('stop')
    await child.until(() => 'stopped' in (lastOf(child) ?? {}))
    if (child.exit) throw child.failure('ended before it held the lock')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.running) {
      child.signal('SIGKILL')
      await child.exited
    }
  }
}

function saidBy(child: Child): Said[] {
  const lines = child.stdout.split('\n').filter((line) => line.endsWith('}'))
  return lines.map((line) => JSON.parse(line) as Said)
}

function lastOf({ stdout }: Child): Said | undefined {
  const end = stdout.lastIndexOf('}\n') + 1
  return end > 0 ? (JSON.parse(stdout.slice(stdout.lastIndexOf('\n', end - 1) + 1, end)) as Said) : undefined
}

function lastToken(child: Child): number {
  return lastOf(child)?.token ?? 0
}

test.concurrent.each(Object.keys(SHARED_ENGINES))(
  `over %s a lock of processes that are killed or stopped goes to the next, and no two hold it at the same moment (seed ${SEED})`,
  async (name) => {
    await using engine = await SHARED_ENGINES[name]!()
    await using users = new Users(engine)
    await using coordinator = await openCoordinator(engine.where)
    const choices = new Choices(SEED)
    for (let count = USERS; count > 0; count--) await users.start()
    await users.after(0)

    for (let rounds = times(1); rounds > 0; rounds--)
      for (const blow of choices.shuffled(BLOWS)) {
        const victim = choices.pick(users.running)
        if (blow !== 'kill anywhere') await users.stop(victim)
        const { token } = users
        const began = performance.now()
        if (blow !== 'stop') victim.signal('SIGKILL')
        await users.after(token, victim)
        expect(performance.now() - began, `until somebody has it after ${blow}`).toBeLessThan(
          engine.ttl + SLACK,
        )
        if (blow === 'stop') {
          victim.signal('SIGCONT')
          await victim.until(() => lastToken(victim) > token)
          expect(saidBy(victim)).toContainEqual({ token, lost: true })
        } else {
          await victim.exited
          await users.start()
        }
      }

    // Nobody is forgotten.
    const { token } = users
    for (const child of users.running) await child.until(() => lastToken(child) > token)
    await Promise.all(users.running.map((child) => child.finish()))
    expect(await readLocks(coordinator)).toEqual([])
    checkAlone(users.all.flatMap(saidBy).filter((said) => 'before' in said))
  },
)
