import {
  elect,
  readElections,
  requestHandOver,
  type Coordinator,
  type Election,
  type ElectionOptions,
  type Entry,
  type Term,
} from '../../src/coordination/index.js'
import { isExpected } from '../../src/coordination/driver.js'
import { enter, type Wait } from '../../src/coordination/line/line.js'
import { fieldsOf } from '../../src/coordination/line/member.js'
import { leave } from '../../src/coordination/line/own-key.js'
import type { Duration } from '../../src/core/duration.js'
import { BanyanError } from '../../src/core/errors.js'
import { memoryCoordinator } from '../../src/drivers/memory/coordinator.js'
import { wrapDriver } from '../../src/testing/coordination/kit.js'
import type { SimulatedNode, World } from '../../src/testing/index.js'
import { Arena, type Believer } from './arena.js'

/** How candidates differ. */
export type Contest =
  | 'queue'
  | 'record'
  | 'priorities'
  | 'an operator who asks for other leaders'
  | 'a line in which another program stands'

const NODES = 3
const TTL = '2s'

/**
 * Candidates of one election, over an engine that cannot be relied on, with clocks at other speeds: their work ends, fails, or goes
 * on after its end for a while. In the end one leads, and when that one goes another.
 */
export async function contest(world: World, kind: Contest): Promise<void> {
  const { random } = world
  const arena = new Arena(world)
  const faults = {
    cut: random.pick([0, 0.01, 0.05]),
    cutTime: '4s' as const,
    // At times too slow for the lease.
    delay: random.pick(['20ms', '20ms', '20ms', '600ms'] as const),
  }
  const hasForeign = kind === 'a line in which another program stands'
  const algorithm = kind === 'record' ? 'record' : hasForeign ? 'line' : 'queue'
  const running = new Map<string, Election>()
  /** Terms whose work has not ended, by node. */
  const working = new Map<string, Term>()
  const leaders = new Map<string, number>()
  let violation: unknown
  const memory = memoryCoordinator({ clock: world.clock })
  const engine = world.coordination(
    wrapDriver(memory, {
      delete(key, expected) {
        const entry = key.endsWith('/request') ? undefined : (memory.get(key) as Entry | undefined)
        for (const [name, { token }] of working)
          if (isExpected(expected, entry) && entry && token === (fieldsOf(entry)['token'] ?? entry.created))
            violation ??= new Error(`${name} lets others lead, and its work has not ended`)
        return memory.delete(key, expected)
      },
    }),
  )
  const calm = (isDone: () => boolean | Promise<boolean>, within: Duration): Promise<void> =>
    world.calm(() => {
      if (violation) throw violation
      return isDone()
    }, within)
  let isCalm = false
  let isOver = false
  const done = new Set<string>()
  for (let number = 0; number < NODES; number++) {
    const name = `node-${number}`
    const clockRate = random.pick([1, 1, 0.55 + random.below(400) / 1000, 1 + random.below(950) / 1000])
    const options: ElectionOptions = {
      ttl: TTL,
      holder: name,
      algorithm,
      backoff: { base: '50ms', max: '500ms' },
      ...(kind === 'priorities' && { priority: random.below(3), preempt: random.chance(0.5) }),
      ...(algorithm !== 'line' && { spread: random.pick([0, 0, '100ms']) }),
    }
    world.node(
      name,
      async (node) => {
        arena.crashed(name)
        working.delete(name)
        const coordinator = node.coordinate(engine, faults)
        const onLead = async (_: AbortSignal, __: number, term: Term): Promise<void> => {
          leaders.set(name, (leaders.get(name) ?? 0) + 1)
          working.set(name, term)
          try {
            await lead(node, world, arena, term, () => isCalm)
          } catch (error) {
            // What work throws is a failure of the work.
            if (!(error instanceof BanyanError)) violation ??= error
            throw error
          } finally {
            if (working.get(name) === term) working.delete(name)
          }
        }
        const election = elect(coordinator, 'x', { ...options, onLead })
        running.set(name, election)
        election.on('change', (state) => {
          node.note(`is ${state.kind}`)
          if (state.kind === 'stopping' && state.why === 'taken away')
            violation ??= new Error(`somebody has deleted the key of ${name}`)
        })
        while (!isOver) {
          await node.sleep(random.below(1000))
          if (isCalm) continue
          if (random.chance(0.1)) await election.resign()
          if (random.chance(0.05)) await election.handOver().catch(letPass)
        }
        await election.close()
        await coordinator.close()
        done.add(name)
      },
      { clockRate },
    )
  }
  if (kind === 'an operator who asks for other leaders')
    world.node('operator', async (node) => {
      const coordinator = node.coordinate(engine, faults)
      while (!isCalm) {
        await node.sleep(random.below(3000))
        const to = random.chance(0.5) ? { to: `node-${random.below(NODES)}` } : {}
        await requestHandOver(coordinator, 'x', to).catch(letPass)
      }
    })
  if (hasForeign)
    world.node('foreign', async (node) => {
      arena.crashed('foreign')
      const coordinator = node.coordinate(engine, faults)
      while (!isCalm) {
        await node.sleep(random.below(3000))
        await leadAsEtcdctl(node, world, arena, coordinator).catch(letPass)
      }
      await coordinator.close()
      done.add('foreign')
    })
  await world.storm(`${1 + random.below(20)}s`)
  isCalm = true
  const leading = (): string[] =>
    Array.from(running).flatMap(([name, { state }]) => (state.kind === 'leading' ? [name] : []))
  // It is stable, as nobody goes any more: and then one goes after the other.
  await calm(() => leading().length === 1, '1m')
  for (let round = 0; round < NODES; round++) {
    const [first] = leading()
    const before = leaders.get(first!)!
    await running.get(first!)!.resign()
    await calm(() => {
      const [next] = leading()
      return next !== undefined && (next !== first || leaders.get(first)! > before)
    }, '1m')
  }
  isOver = true
  await calm(() => done.size === (hasForeign ? NODES + 1 : NODES), '3m')
  await calm(async () => {
    const { entries } = await engine.truth.list('banyan/elections/')
    // What an operator has asked for of a term that is over, and arrived late, is nobody's: the next leader sees to it.
    return entries.every(({ key }) => key.endsWith('/request'))
  }, '1m')
  const [picture] = await readElections(engine.truth)
  const tokens = picture?.history.map(({ token }) => token) ?? []
  if (tokens.some((token, index) => index > 0 && token <= tokens[index - 1]!))
    throw new Error(`tokens do not rise: ${tokens.join(', ')}`)
}

/** Works in small steps. Some work goes on for a while when it should have ended, but does nothing that is guarded. */
async function lead(
  node: SimulatedNode,
  world: World,
  arena: Arena,
  term: Term,
  isCalm: () => boolean,
): Promise<void> {
  const { random } = world
  const believer: Believer = {
    node: node.name,
    token: term.token,
    kind: 'alone',
    believes: () => term.held,
  }
  arena.comes(believer)
  try {
    for (let steps = random.below(12); steps > 0 || isCalm(); steps--) {
      await term.guard(async () => {
        arena.look()
        arena.write(believer)
        await node.sleep(random.below(300))
      })
      if (random.chance(0.02) && !isCalm())
        throw new BanyanError('BANYAN_LOCK_TIMEOUT', 'the work has failed')
      if (isCalm()) await node.sleep(50)
    }
  } finally {
    if (random.chance(0.3)) await node.sleep(random.below(3000))
    if (term.held && !term.signal.aborted) arena.look()
    arena.goes(believer)
  }
}

/** Leads once, as programs do that know nothing of us: who was created first leads until its key is gone. */
async function leadAsEtcdctl(
  node: SimulatedNode,
  { random }: World,
  arena: Arena,
  coordinator: Coordinator,
): Promise<void> {
  const waitsFor = (ahead: readonly Entry[]): Wait | undefined => {
    const before = ahead.at(-1)
    return before && { keys: [before.key], may: 0 }
  }
  const prefix = 'banyan/elections/x/candidates/'
  const line = { coordinator, prefix, session: coordinator.session(TTL), value: () => 'foreign', waitsFor }
  const place = await enter(line, { signal: undefined })
  const { lease, created: token } = place
  const believer: Believer = { node: node.name, token, kind: 'alone', believes: () => lease.held }
  arena.comes(believer)
  try {
    for (let steps = random.below(12); steps > 0; steps--) {
      lease.check()
      arena.look()
      arena.write(believer)
      await node.sleep(random.below(300))
    }
  } finally {
    arena.goes(believer)
    await leave(coordinator, place)
  }
}

/** What goes wrong on the way is tried again. */
function letPass(error: unknown): void {
  if (!(error instanceof BanyanError)) throw error
}
