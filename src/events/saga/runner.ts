import { sleep } from '../../core/clock.js'
import { duration, type Duration } from '../../core/duration.js'
import { BanyanError } from '../../core/errors.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import type { Runtime } from '../../core/runtime.js'
import type { EventLog, Metadata, Recorded } from '../log.js'
import { settingsOf, type Settings } from '../pubsub/options.js'
import type { Delivery } from '../pubsub/engine/delivery.js'
import type { Message } from '../pubsub/message.js'
import { occupy, takePart, type Subscription } from '../pubsub/subscription.js'
import { describeSaga, mustBeOfKind } from './description.js'
import type { AnySaga } from './definition.js'
import { Execution, type RunnableSaga, type Stand } from './execution.js'
import { addStarter, type Starter } from './here.js'
import { SagaInstruments } from './instruments.js'
import { categoryOf, checkName, idOf, streamOf, subscriptionOf } from './names.js'
import { isPolicy, policy, type AnyPolicy } from './policies/policy.js'
import { reactionsOf } from './policies/reaction.js'
import { startReactions, type ReactionStarter } from './policies/starter.js'
import { INPUTS, type SagaEvent, type Started } from './records.js'
import { removeStrays } from './removal.js'
import { SagaUpkeep } from './upkeep.js'

/** Options of {@link runSagas}. */
export interface RunSagasOptions {
  /**
   * What is run here: sagas, of one name several versions, as long as sagas of the older ones are not at their end; and
   * policies.
   */
  definitions: readonly (AnySaga | AnyPolicy)[]
  /** How many sagas of one name go on at the same time here; those that sleep do not count. Default 256. */
  concurrency?: number
  /** How many processes can run sagas of one name at the same time. For good, from the first time on. Default 8. */
  partitions?: number
  /** How long a process may be silent that has something to do, until another one takes its sagas over. Default `'10s'`. */
  takeover?: Duration
  /** How long closing waits for steps in flight. Default `'10s'`. */
  drain?: Duration
  /**
   * How long a saga is kept after it has completed or was compensated; then its journal is removed, with those of its children, and
   * it is listed no more. Its id stays taken. Default: for ever.
   */
  keepEnded?: Duration
  /** Time, chance and telemetry; default the system's. */
  runtime?: Runtime
}

const OPTIONS: OptionTable<RunSagasOptions> = {
  definitions: {
    kind: 'list',
    of: { kind: 'code', type: 'object', doc: 'a saga or policy' },
    doc: 'what is run here',
  },
  concurrency: { kind: 'number', min: 1, integer: true, doc: 'sagas that go on at the same time' },
  partitions: { kind: 'number', min: 1, max: 256, integer: true, doc: 'processes that can run at once' },
  takeover: { kind: 'duration', doc: 'how long a process may be silent' },
  drain: { kind: 'duration', doc: 'how long closing waits' },
  keepEnded: { kind: 'duration', doc: 'how long ended sagas are kept' },
  runtime: { kind: 'code', type: 'object', doc: 'time, chance and telemetry' },
}

/** Sagas that are run in this process. */
export interface SagaRunner extends AsyncDisposable {
  /** Resolves when this was closed; rejects when it has ended otherwise, as when the log was closed. */
  readonly ended: Promise<void>
  /** How many go on here now; those that sleep do not count. */
  readonly running: number
  /** Begins no step, waits for those in flight up to `drain`, and leaves the rest to others. */
  close(): Promise<void>
}

/** The longest that one message can be handled; what asks for a longer time sleeps meanwhile. */
const DEADLINE_MS = 30 * 86_400_000
const RETRY_MS = 1000
/** Sagas of which is remembered how far they were brought. */
const MOST_REMEMBERED = 10_000

/**
 * Runs sagas, with all who do so on this log: each saga in one process at a time, which is taken over when that ends.
 *
 * Guarantees: a saga that was started ends completed, compensated in reverse order, or is parked with the reason. Steps and
 * compensations are called at least once, with an idempotency key that is the same each time. There is no isolation: others
 * see what a saga has done before it is at its end, and before it is undone.
 *
 * @throws `BANYAN_INVALID_OPTIONS`; `BANYAN_SAGA_REFUSED` for a policy that has the name of sagas on this log, and the other way
 *   round; `BANYAN_SUBSCRIPTION_MISMATCH` for what is for good and was otherwise; and what the log throws
 */
export async function runSagas(log: EventLog, options: RunSagasOptions): Promise<SagaRunner> {
  checkOptions('runSagas', OPTIONS, options)
  const { definitions, concurrency = 256, partitions = 8, takeover, drain, runtime } = options
  const shared = {
    partitions,
    ...(takeover !== undefined && { takeover }),
    ...(drain !== undefined && { drain }),
    ...(runtime && { runtime }),
  }
  const keepEnded = options.keepEnded === undefined ? undefined : duration(options.keepEnded, 'keepEnded')
  const policies = definitions.filter(isPolicy)
  const kinds = [...versionsOf(log, definitions)].map(([name, versions]) => ({
    ...{ name, versions, settings: settingsFor(name, concurrency, shared) },
    topic: policies.find((policy) => policy.name === name)?.topic,
  }))
  const subscriptions: Subscription<SagaEvent>[] = []
  const starters: ReactionStarter[] = []
  const runners: Runner[] = []
  const close = async (): Promise<void> => {
    await Promise.all(starters.map(({ subscription }) => subscription.close()))
    await Promise.all(runners.map((runner) => runner.close()))
    await Promise.all(subscriptions.slice(runners.length).map((subscription) => subscription.close()))
  }
  try {
    // Whoever is refused has left no word of what it runs.
    for (const { name, topic } of kinds) await mustBeOfKind(log, name, topic)
    for (const { settings } of kinds) subscriptions.push(await takePart<SagaEvent>(log, settings))
    for (const policy of policies) starters.push(await startReactions(log, policy, shared))
    for (const [index, { name, versions, settings, topic }] of kinds.entries()) {
      const described = { definitions: [...versions.values()], topic }
      await describeSaga(log, name, described.definitions, topic)
      const upkeep = await SagaUpkeep.open(log, name, { ...described, keepEnded, runtime: settings.runtime })
      runners.push(new Runner(log, settings, subscriptions[index]!, upkeep, versions, concurrency))
    }
    for (const starter of starters) starter.begin()
  } catch (error) {
    await close()
    throw error
  }
  const ended = Promise.all(
    [...starters.map(({ subscription }) => subscription), ...runners].map((each) => each.ended),
  ).then(() => undefined)
  ended.catch(() => undefined)
  return {
    ended,
    get running() {
      return runners.reduce((sum, { running }) => sum + running, 0)
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** @throws `BANYAN_INVALID_OPTIONS` */
function versionsOf(
  log: EventLog,
  definitions: RunSagasOptions['definitions'],
): ReadonlyMap<string, ReadonlyMap<number, RunnableSaga>> {
  const byName = new Map<string, Map<number, RunnableSaga>>()
  for (const definition of definitions) {
    const { name } = definition
    const runnable: RunnableSaga = isPolicy(definition) ? reactionsOf(policy(definition), log) : definition
    checkName(name)
    const { version = 1 } = runnable
    const versions = byName.get(name) ?? new Map<number, RunnableSaga>()
    byName.set(name, versions)
    const isMixed = [...versions.values()].some(({ parks }) => parks !== runnable.parks)
    if (versions.has(version) || isMixed)
      throw new BanyanError(
        'BANYAN_INVALID_OPTIONS',
        isMixed
          ? `runSagas: ${name} is a saga and a policy; give one of them another name`
          : `runSagas: there are two definitions of ${name} version ${version}`,
      )
    versions.set(version, runnable)
  }
  return byName
}

/** How all that is run is shared among processes. */
type Shared = Pick<RunSagasOptions, 'partitions' | 'takeover' | 'drain' | 'runtime'>

function settingsFor(name: string, concurrency: number, shared: Shared): Settings {
  return {
    ...settingsOf({
      ...{ name: subscriptionOf(name), topic: 'sagas', from: 'start', attempts: 1_000_000_000 },
      backoff: { base: '1s', max: '1m' },
      window: Math.max(4096, 4 * concurrency),
      ...shared,
    }),
    topic: categoryOf(name),
    selector: { category: categoryOf(name), types: INPUTS },
    deadline: DEADLINE_MS,
    // Who runs a step counts how often that has ended without a word.
    suspects: false,
    isShortened: true,
  }
}

/** A saga that goes on here. */
interface Running {
  readonly execution: Execution
  readonly stand: Promise<Stand>
}

/** Runs all sagas of a name that fall to this process. */
class Runner implements Starter {
  readonly ended: Promise<void>
  readonly #log: EventLog
  readonly #runtime: Runtime
  readonly #settings: Settings
  readonly #subscription: Subscription<SagaEvent>
  readonly #upkeep: SagaUpkeep
  readonly #versions: ReadonlyMap<number, RunnableSaga>
  readonly #concurrency: number
  readonly #closing = new AbortController()
  readonly #executions = new Map<string, Running>()
  readonly #handled = new Map<string, number>()
  readonly #instruments: SagaInstruments
  readonly #taking: Promise<void>
  readonly #watching: Promise<void>
  readonly #leave: () => void
  /** Waited for, when there is a message that there is no room for. */
  #free: (() => void) | undefined
  #idle: (() => void) | undefined

  constructor(
    log: EventLog,
    settings: Settings,
    subscription: Subscription<SagaEvent>,
    upkeep: SagaUpkeep,
    versions: ReadonlyMap<number, RunnableSaga>,
    concurrency: number,
  ) {
    this.#log = log
    this.#settings = settings
    this.#runtime = settings.runtime
    this.#subscription = subscription
    this.#upkeep = upkeep
    this.#versions = versions
    this.#concurrency = concurrency
    const { name } = [...versions.values()][0]!
    this.#instruments = new SagaInstruments(this.#runtime, name, () => this.running)
    this.ended = subscription.ended
    // One partition has one process at a time.
    upkeep.begin(() => subscription.status().partitions.includes(0), this.#instruments)
    this.#taking = this.#take()
    this.#watching = this.#watch()
    this.#leave = addStarter(log, name, this)
  }

  get running(): number {
    return this.#executions.size
  }

  async close(): Promise<void> {
    this.#leave()
    this.#closing.abort()
    this.#free?.()
    for (const { execution } of this.#executions.values()) execution.stop()
    const kept = this.#upkeep.close()
    await this.#drained()
    for (const { execution } of this.#executions.values()) execution.kill('this process ends')
    await this.#subscription.close()
    await Promise.all([this.#taking, this.#watching, kept])
    this.#instruments.close()
  }

  async #drained(): Promise<void> {
    if (this.running === 0) return
    const { clock } = this.#runtime
    await new Promise<void>((resolve) => {
      const timer = clock.schedule(clock.now() + this.#settings.drain, resolve)
      this.#idle = () => {
        timer.cancel()
        resolve()
      }
    })
  }

  async start(id: string, started: Started, metadata?: Metadata): Promise<boolean | undefined> {
    const stream = streamOf(id)
    // What has a message is not kept waiting by what is started.
    const isFull = this.#free !== undefined || this.running >= this.#concurrency
    if (isFull || this.#executions.has(stream) || !this.#versions.has(started.version)) return undefined
    const occupation = this.#closing.signal.aborted ? undefined : occupy(this.#subscription, stream)
    if (!occupation) return undefined
    const execution = this.#execution(id)
    occupation.onDrop = () => execution.kill('another process runs the saga')
    const begun = execution.begin(started, metadata)
    const stand = this.#run(stream, execution, async () => ((await begun) ? execution.goOn() : 'stopped'))
    stand.then(
      (stood) => {
        occupation.leave()
        this.#brought(stood, execution)
      },
      // Its message comes, and tells what it meets.
      () => occupation.leave(),
    )
    return begun
  }

  #execution(id: string): Execution {
    return new Execution(id, {
      log: this.#log,
      runtime: this.#runtime,
      definitionOf: (version) => this.#versions.get(version),
      instruments: this.#instruments,
    })
  }

  async #run(stream: string, execution: Execution, work: () => Promise<Stand>): Promise<Stand> {
    const stand = work()
    const running = { execution, stand }
    this.#executions.set(stream, running)
    try {
      return await stand
    } finally {
      if (this.#executions.get(stream) === running) this.#executions.delete(stream)
      this.#free?.()
      if (this.running === 0) this.#idle?.()
    }
  }

  async #take(): Promise<void> {
    const { signal } = this.#closing
    try {
      for await (const message of this.#subscription.messages({ signal })) {
        while (this.running >= this.#concurrency && this.#mustBegin(message) && !signal.aborted) {
          await new Promise<void>((resolve) => (this.#free = resolve))
          this.#free = undefined
        }
        if (signal.aborted) message.release().catch(isTold)
        else void this.#handle(message)
      }
    } catch {
      // Told by `ended`.
    }
  }

  #isHandled({ stream, revision }: Recorded<SagaEvent>): boolean {
    return (this.#handled.get(idOf(stream)) ?? -1) >= revision
  }

  /** What it is for does not go on here. */
  #mustBegin({ event }: Message<SagaEvent>): boolean {
    return !this.#executions.has(event.stream) && !this.#isHandled(event)
  }

  async #handle(message: Message<SagaEvent>): Promise<void> {
    const { event } = message
    const id = idOf(event.stream)
    if (this.#isHandled(event)) {
      message.ack().catch(isTold)
      return
    }
    // Its signal would have to be made, and to abort with the last word.
    const delivery = message as unknown as Pick<Delivery, 'onEnd' | 'hasEnded'>
    if (delivery.hasEnded) return
    const started = this.#executions.get(event.stream)
    const execution = started?.execution ?? this.#execution(id)
    delivery.onEnd = () => execution.kill('another process runs the saga')
    try {
      const stand = await (started?.stand ?? this.#run(event.stream, execution, () => execution.run(event)))
      delivery.onEnd = undefined
      this.#settle(message, stand, execution)
    } catch (error) {
      delivery.onEnd = undefined
      this.#runtime.telemetry.log('warn', `saga ${id}: ${String(error)}; it is tried again`)
      message.nack({ reason: String(error) }).catch(isTold)
    }
  }

  #settle(message: Message<SagaEvent>, stand: Stand, execution: Execution): void {
    const { id, version } = execution
    if (stand === 'stopped') {
      message.release().catch(isTold)
      return
    }
    if (stand === 'of-another-version') {
      this.#runtime.telemetry.log(
        'warn',
        `saga ${id} is of version ${version}, which this process does not have; it waits for one that does`,
      )
      message.nack({ reason: 'this process does not have the version of the saga' }).catch(isTold)
      return
    }
    this.#brought(stand, execution)
    message.ack().catch(isTold)
    if (stand === 'removed') removeStrays(this.#log, message.event.stream).catch(isTold)
  }

  /** As far as it goes now. */
  #brought(stand: Stand, { id, revision, parked }: Execution): void {
    if (stand === 'stopped' || (this.#handled.get(id) ?? -1) >= revision) return
    this.#remember(id, revision)
    if (stand === 'parked') this.#runtime.telemetry.log('error', `saga ${id} is parked: ${parked ?? ''}`)
  }

  #remember(id: string, revision: number): void {
    this.#handled.delete(id)
    this.#handled.set(id, revision)
    if (this.#handled.size > MOST_REMEMBERED) this.#handled.delete(this.#handled.keys().next().value!)
  }

  /** Tells those that are in the middle of something what has come for them meanwhile. */
  async #watch(): Promise<void> {
    const { signal } = this.#closing
    const { category } = this.#settings.selector
    let from = 'end'
    while (!signal.aborted)
      try {
        const selector = { category: category!, types: INPUTS.slice(1) }
        for await (const { events, position } of this.#log.follow<SagaEvent>(selector, { from, signal })) {
          for (const { stream, revision } of events as readonly Recorded<SagaEvent>[])
            this.#executions.get(stream)?.execution.nudge(revision)
          from = position
        }
        return
      } catch {
        // What comes is a message, too: here it only comes later.
        await sleep(this.#runtime.clock, RETRY_MS, signal).catch(() => undefined)
      }
  }
}

/** What cannot be written down comes again, and whoever writes has said so. */
function isTold(): void {
  // Nothing is left to do.
}
