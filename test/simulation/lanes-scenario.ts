import { BanyanError } from '../../src/core/errors.js'
import {
  subscribe,
  subscriptions,
  topic,
  type EventLog,
  type Fencing,
  type RecordedEvent,
  type Subscription,
  type SubscriptionOptions,
} from '../../src/events/index.js'
import { partitionOf } from '../../src/events/pubsub/engine/route.js'
import { readLedger } from '../../src/events/pubsub/ledger/ledger.js'
import { ledgerStream } from '../../src/events/pubsub/group/names.js'
import { joinShards, type ShardWorker } from '../../src/coordination/index.js'
import type { NodeHandle, SimulatedCoordination, SimulatedNode, World } from '../../src/testing/index.js'

const PUBLISHERS = 2
const MESSAGES = 12
const CONSUMERS = 3
const KEYS = 5
const ATTEMPTS = 3

/** What a message does to its handler. */
type Kind = 'good' | 'flaky' | 'slow' | 'hangs' | 'poison'

interface Body {
  readonly kind: Kind
  readonly key: string | undefined
}

/** What was seen of a message. */
interface Seen {
  begun: number
  done: number
}

/** What happened to the messages of a run, and whether it may. */
class Witness {
  readonly messages = new Map<string, Seen>()
  readonly #events = new Map<string, RecordedEvent>()
  readonly #park: 'key' | 'message'
  readonly #delivery: SubscriptionOptions['delivery']

  readonly #violated: (error: Error) => void

  constructor({ park, delivery }: Partial<SubscriptionOptions>, violated: (error: Error) => void) {
    this.#park = park ?? 'key'
    this.#delivery = delivery
    this.#violated = violated
  }

  /** A message is given to a handler. */
  begins(event: RecordedEvent, attempt: number, log: readonly RecordedEvent[]): void {
    const seen = this.messages.get(event.id) ?? { begun: 0, done: 0 }
    seen.begun++
    this.messages.set(event.id, seen)
    this.#events.set(event.id, event)
    if (attempt > ATTEMPTS) this.violated(`${event.id} is tried for the ${attempt}th time`)
    if (this.#delivery === 'at-most-once') {
      if (seen.begun > 1) this.violated(`${event.id} is given to a handler again`)
      return
    }
    if (keyOf(event) === undefined) return
    for (const { id, stream, revision, data } of log) {
      if (stream !== event.stream || revision >= event.revision) continue
      if (this.messages.get(id)?.done) continue
      // What was parked alone holds nothing back.
      if (this.#park === 'message' && (data as Body).kind !== 'good') continue
      this.violated(`${event.id} (${stream}@${event.revision}) overtakes ${id} (@${revision})`)
    }
  }

  /** What a handler threw would be taken for its failure. */
  violated(what: string): void {
    this.#violated(new Error(what))
  }

  ended(event: RecordedEvent): void {
    this.messages.get(event.id)!.done++
  }
}

function keyOf(event: RecordedEvent): string | undefined {
  return (event.data as Body).key
}

/** Options of a subscription, and of what else happens. */
export interface LanesOptions extends Partial<SubscriptionOptions> {
  /** An operator redrives, seeks and pauses. */
  operated?: boolean
}

/** Publishers and consumers over a log that fails, on machines that crash; some messages cannot be handled. */
export async function lanes(
  world: World,
  { operated = false, ...options }: LanesOptions = {},
): Promise<void> {
  const log = world.log()
  // Who has looked into what fails has repaired it in the end.
  let isRepaired = false
  const { partitions = world.random.pick([1, 3, 4]), delivery } = options
  let violation: Error | undefined
  const witness = new Witness(options, (error) => (violation ??= error))
  const published = new Set<string>()
  const running = new Map<string, Subscription>()
  const settings: SubscriptionOptions = {
    name: 'mailer',
    topic: 'order',
    from: 'start',
    attempts: ATTEMPTS,
    deadline: '400ms',
    backoff: { base: '20ms', max: '100ms' },
    takeover: '1s',
    drain: '500ms',
    window: world.random.pick([2, 8, 4096]),
    ...options,
    partitions,
  }
  const everything = async (): Promise<RecordedEvent[]> => {
    const events: RecordedEvent[] = []
    for await (const event of log.truth.read({ category: 'order' })) events.push(event)
    return events
  }

  for (let publisher = 0; publisher < PUBLISHERS; publisher++) {
    const messages = Array.from({ length: MESSAGES }, (_, number) => messageOf(world, publisher, number))
    world.node(`publisher-${publisher}`, async (node) => {
      const orders = topic(node.open(log), 'order')
      for (const message of messages) {
        for (;;) {
          try {
            await orders.publish(message)
            published.add(message.id)
            break
          } catch (error) {
            if (!(error instanceof BanyanError)) throw error
            await node.sleep('50ms')
          }
        }
        await node.sleep(world.random.below(300))
      }
    })
  }

  const engine = world.coordination()
  /** Of what was begun on whatever node, whether it may still go on, by the clock there. */
  const flying = new Map<string, () => boolean>()
  const handles = new Map<string, NodeHandle>()
  const starts = new Map<string, number>()
  for (let consumer = 0; consumer < CONSUMERS; consumer++) {
    const handle = world.node(`consumer-${consumer}`, async (node) => {
      const busy = new Map<string, AbortSignal>()
      starts.set(node.name, node.starts)
      const isUp = (): boolean =>
        starts.get(node.name) === node.starts && handles.get(node.name)!.state === 'up'
      const subscription = await subscribe(node.open(log), { ...settings, runtime: node.runtime })
      running.set(node.name, subscription)
      subscription.handle(
        async (event, { attempt, signal, fencing }) => {
          if (keyOf(event) !== undefined) {
            if (fencing && flying.get(event.stream)?.())
              witness.violated(`two processes have a message of ${event.stream} in flight`)
            flying.set(event.stream, () => isUp() && !signal.aborted && isHeld(fencing))
            if (busy.get(event.stream)?.aborted === false)
              witness.violated(`two messages of ${event.stream} are in flight`)
            busy.set(event.stream, signal)
          }
          witness.begins(event, attempt, await everything())
          node.note(`handles ${event.stream}@${event.revision}, try ${attempt}`)
          const { kind } = event.data as Body
          await node.sleep(kind === 'slow' ? 300 : world.random.below(20))
          if (kind === 'hangs' && attempt === 1) await new Promise(() => undefined)
          if (signal.aborted) return
          busy.delete(event.stream)
          flying.delete(event.stream)
          if (kind === 'flaky' && attempt === 1) throw new Error('flaky')
          if (kind === 'poison' && !isRepaired) throw new Error('poison')
          witness.ended(event)
          node.note(`has handled ${event.stream}@${event.revision}`)
          if (delivery !== 'effectively-once') return
          return [{ stream: `effect-${event.stream}`, events: [{ type: 'Done', data: event.id }] }]
        },
        { concurrency: 4 },
      )
      const worker =
        options.assignment === undefined ? undefined : share(node, engine, subscription, partitions)
      // It comes and goes.
      await node.sleep(world.random.below(5000))
      if (world.random.chance(0.3)) {
        node.note('closes its subscription')
        await worker?.close()
        await subscription.close()
        throw new BanyanError('BANYAN_LOG_UNAVAILABLE', 'it is started again')
      }
      await new Promise(() => undefined)
    })
    handles.set(handle.name, handle)
  }

  if (operated) world.node('operator', (node) => operate(node, world, node.open(log)))
  await world.storm(`${1 + world.random.below(10)}s`)
  isRepaired = operated
  const settled = async (): Promise<boolean> => {
    if (violation) throw violation
    if (operated) {
      await subscriptions(log.truth).resume('mailer')
      await subscriptions(log.truth).redrive('mailer', 'all')
    }
    if (published.size < PUBLISHERS * MESSAGES) return false
    const held = new Set<string>()
    const past = new Set<string>()
    const events = await everything()
    for (let partition = 0; partition < partitions; partition++) {
      const state = await readLedger(log.truth, ledgerStream('mailer', partition), '0')
      for (const { state: is, key, head } of state.lanes.values())
        if (is === 'parked') held.add(key ?? head!.id)
      const waits = ({ id, stream, position, data }: RecordedEvent): boolean =>
        [...state.lanes.values()].some(
          ({ key, head, after }) =>
            (head?.id === id || key === stream || (key !== undefined && key === (data as Body).key)) &&
            position > after,
        )
      const isHere = ({ id, stream, data }: RecordedEvent): boolean => {
        const { key } = data as Body
        const lane = key === undefined ? id : options.key ? key : stream
        return partitionOf(lane, partitions, { assignment: options.assignment }) === partition
      }
      for (const event of events.filter(isHere))
        if ((event.position <= state.cursor && !waits(event)) || state.settled.has(event.position))
          past.add(event.id)
    }
    // What was acknowledged before it was handled may be lost.
    if (delivery === 'at-most-once') return events.every(({ id }) => past.has(id))
    return events.every(({ id, stream, data }) => {
      const isDone = (witness.messages.get(id)?.done ?? 0) > 0 && past.has(id)
      if (operated) return isDone
      return isDone || held.has(id) || held.has(stream) || held.has((data as Body).key ?? '')
    })
  }
  await world.calm(settled, '3m').catch(async (error: unknown) => {
    for (const { id, stream, revision, position } of await everything())
      if (!witness.messages.get(id)?.done)
        world.note(`${id} (${stream}@${revision}, ${position}) is not handled`)
    for (let partition = 0; partition < partitions; partition++) {
      const state = await readLedger(log.truth, ledgerStream('mailer', partition), '0')
      world.note(
        `partition ${partition}: ${state.owner} at ${state.cursor}, ${JSON.stringify([...state.lanes.values()])}`,
      )
    }
    for (const [name, subscription] of running)
      world.note(`${name}: ${JSON.stringify(subscription.status())}`)
    throw error
  })
  if (violation) throw violation
  if (delivery === 'at-most-once') return
  const parked = await checkParked(world, log.truth, partitions)
  if (delivery !== 'effectively-once') return
  const effects: unknown[] = []
  for await (const { data } of log.truth.read({ category: 'effect' })) effects.push(data)
  if (new Set(effects).size < effects.length) throw new Error(`effects came twice: ${effects.join()}`)
  for (const { id, stream } of await everything())
    if (!effects.includes(id) && !parked.has(id) && !parked.has(stream))
      throw new Error(`${id} was handled, and has no effect`)
}

/** Whether the bucket of a message is not lost, by the clock. */
function isHeld(fencing: Fencing | undefined): boolean {
  try {
    fencing?.token.check()
    return true
  } catch {
    return false
  }
}

/** Has partitions as a shard map says, which an operator now and then changes. */
function share(
  node: SimulatedNode,
  engine: SimulatedCoordination,
  subscription: Subscription,
  buckets: number,
): ShardWorker {
  return joinShards(node.coordinate(engine, { cut: 0.01, cutTime: '2s' }), 'orders', {
    buckets,
    worker: node.name,
    ttl: '1s',
    settle: '200ms',
    load: (bucket) => subscription.load(bucket),
    reportEvery: '500ms',
    own: (owned) => subscription.own(owned),
  })
}

/** Redrives, moves and stops a subscription while everything goes wrong. */
async function operate(node: SimulatedNode, world: World, log: EventLog): Promise<void> {
  const operator = subscriptions(log, { runtime: node.runtime })
  for (;;) {
    await node.sleep(world.random.below(1500))
    try {
      const redriven = await operator.redrive('mailer', 'all')
      if (redriven.length > 0) node.note(`has redriven ${redriven.join()}`)
      if (world.random.chance(0.2)) {
        // To what lies before: moved forward, it would pass over what nobody has handled.
        const to = await operator.seek('mailer', 'start')
        node.note(`has moved it to ${to}`)
      }
      if (world.random.chance(0.2)) {
        await operator.pause('mailer')
        await node.sleep(world.random.below(500))
        await operator.resume('mailer')
      }
    } catch (error) {
      if (!(error instanceof BanyanError)) throw error
      node.note(`could not: ${error.message}`)
    }
  }
}

async function checkParked(
  world: World,
  log: Parameters<typeof readLedger>[0],
  partitions: number,
): Promise<Set<string>> {
  const parked = new Set<string>()
  for (let partition = 0; partition < partitions; partition++) {
    const state = await readLedger(log, ledgerStream('mailer', partition), '0')
    for (const { state: is, attempts, reason, head, key } of state.lanes.values()) {
      if (is !== 'parked') continue
      if (attempts < ATTEMPTS) throw new Error(`${head?.id} is parked after ${attempts} tries: ${reason}`)
      if (!reason) throw new Error(`${head?.id} is parked without a reason`)
      // With all that it holds back.
      parked.add(key ?? head!.id)
    }
  }
  world.note('everything is handled or parked')
  return parked
}

function messageOf(world: World, publisher: number, number: number) {
  const { below, chance, pick } = world.random
  const key = chance(0.15) ? undefined : `k${below(KEYS)}`
  const kind: Kind = chance(0.7) ? 'good' : pick(['flaky', 'slow', 'hangs', 'poison'])
  return {
    id: `m${publisher}-${number}`,
    type: 'Placed',
    data: { kind, key } satisfies { kind: Kind; key: string | undefined },
    ...(key !== undefined && { key }),
  }
}
