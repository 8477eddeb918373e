import { virtualClock } from '../virtual-clock.js'
import { noTelemetry } from '../../core/telemetry.js'
import { seededRandom } from '../../core/random.js'
import type { Runtime } from '../../core/runtime.js'
import type { Recorded, RecordedEvent } from '../../events/log.js'
import type { AnySaga, SagaContext, StepContext, StepOptions } from '../../events/saga/definition.js'
import { Execution, type Stand } from '../../events/saga/execution.js'
import { retryable, terminal } from '../../events/saga/failure.js'
import { requestTo, startOf } from '../../events/saga/journal.js'
import { idFor, idOf, streamOf } from '../../events/saga/names.js'
import { INPUTS, type SagaEvent } from '../../events/saga/records.js'
import { Script } from '../../events/saga/script.js'
import { SagaState } from '../../events/saga/state.js'
import { dueMessage, dueOf } from '../../events/pubsub/scheduled/bucket.js'
import type { Decisions } from './choices.js'
import { COMMIT_FAULTS, COMPENSATION_FAULTS, RUN_FAULTS, WAIT_FAULTS } from './faults.js'
import { inMemory } from './in-memory.js'
import { Notebook } from './notebook.js'

/** The process ends here. */
class Killed extends Error {}

/** How many things may happen in one run. */
const MOST_TURNS = 2000

type Step = StepOptions<unknown> | ((context: StepContext) => unknown)

/** One run of a saga and its children, with the faults that were decided. */
export class Trial {
  readonly trace: string[] = []
  readonly id: string
  readonly #runtime: Runtime & { clock: ReturnType<typeof virtualClock> }
  readonly #notebook: Notebook
  readonly #decisions: Decisions
  readonly #definitions = new Map<string, AnySaga>()
  readonly #signals: Map<string, unknown[]>
  /** Keys whose call was done, with what it gave: receivers honour them. */
  readonly #answers = new Map<string, unknown>()
  /** Keys whose calls fail each time. */
  readonly #broken = new Set<string>()
  /** Inputs that were handled, by stream. */
  readonly #handled = new Map<string, number>()
  readonly #states = new Map<string, SagaState>()
  /** Rejects when a call waits for something real, which virtual time would pass by. */
  readonly #real: Promise<never>
  #isReal!: (error: Error) => void
  #execution: Execution | undefined
  #die: (() => void) | undefined
  #isCancelled = false

  constructor(
    definition: AnySaga,
    input: unknown,
    signals: Readonly<Record<string, readonly unknown[]>>,
    decisions: Decisions,
  ) {
    const clock = virtualClock()
    this.#runtime = { clock, random: seededRandom(1), telemetry: noTelemetry }
    this.#decisions = decisions
    this.#real = new Promise((_, reject) => (this.#isReal = reject))
    this.#real.catch(() => undefined)
    this.#signals = new Map(Object.entries(signals).map(([name, payloads]) => [name, [...payloads]]))
    this.#notebook = new Notebook(clock, { before: () => this.#committing(), after: () => this.#committed() })
    this.id = idFor(definition.name, '1')
    const { name, version = 1 } = this.#known(definition)
    const started = { format: 1 as const, saga: name, version, ...(input !== undefined && { input }) }
    this.#notebook.write({ streams: startOf(this.id, started, this.#runtime) })
  }

  /** Until nothing is left to happen. */
  async run(): Promise<void> {
    for (let turn = 0; turn < MOST_TURNS; turn++) {
      const next = this.#nextInput()
      if (next) await this.#handle(next)
      else if (!(await this.#goOn())) return
    }
    throw new Error('it goes on for ever')
  }

  stateOf(id = this.id): SagaState {
    const events = this.#notebook.streams.get(streamOf(id)) ?? []
    const known = this.#states.get(id)
    if (known?.revision === events.length - 1) return known
    const state = new SagaState()
    for (const event of events) state.apply(event as Recorded<SagaEvent>)
    this.#states.set(id, state)
    return state
  }

  /** All sagas of the run. */
  get ids(): string[] {
    return [...this.#notebook.streams.keys()].filter((stream) => stream.startsWith('$saga/')).map(idOf)
  }

  /** Calls that were done, in their order. */
  get done(): string[] {
    return [...this.#answers.keys()]
  }

  /** Runs the code of a saga once more against what has happened: what is different then, if anything is. */
  async again(id: string): Promise<string | undefined> {
    const state = this.stateOf(id)
    const script = new Script(
      id,
      this.#definitions.get(id.slice(0, id.indexOf('/')))!,
      state,
      () => undefined,
    )
    const fresh = await script.advance()
    return (
      script.divergence ??
      (state.end && fresh.length > 0 ? `the code asks for ${fresh[0]!.name} at the end` : undefined)
    )
  }

  #nextInput(): Recorded<SagaEvent> | undefined {
    for (const [stream, events] of this.#notebook.streams) {
      if (!stream.startsWith('$saga/')) continue
      const from = this.#handled.get(stream) ?? -1
      const next = events.find(
        ({ revision, type }) => revision > from && (INPUTS as readonly string[]).includes(type),
      )
      if (next) return next as Recorded<SagaEvent>
    }
    return undefined
  }

  /** As the runner does, by one process after the other. */
  async #handle(event: Recorded<SagaEvent>): Promise<void> {
    const id = idOf(event.stream)
    const execution = new Execution(id, {
      log: this.#notebook.log,
      runtime: this.#runtime,
      definitionOf: () => this.#definitions.get(id.slice(0, id.indexOf('/'))),
    })
    this.#execution = execution
    const killed = new Promise<'killed'>((resolve) => {
      this.#die = () => {
        execution.kill('killed')
        resolve('killed')
      }
    })
    const running = execution.run(event).catch((error: unknown): Stand => {
      if (error instanceof Killed) return 'stopped'
      throw error
    })
    const stand = await this.#runtime.clock.settle(Promise.race([running, killed, this.#real]))
    this.#execution = undefined
    if (stand === 'killed' || stand === 'stopped') this.trace.push('another process goes on')
    else this.#handled.set(event.stream, execution.revision)
  }

  /** Nobody has anything to do: signals come, then time goes by. */
  async #goOn(): Promise<boolean> {
    for (const id of this.ids) {
      const { ops, end, parked, failing } = this.stateOf(id)
      if (end || parked || failing) continue
      for (const op of ops) {
        if (op.kind !== 'signal' || op.status !== 'open') continue
        const payloads = this.#signals.get(op.name)
        if (!payloads?.length) continue
        if (op.due !== undefined && this.#decisions.take(WAIT_FAULTS) !== 'comes') {
          this.trace.push(`signal ${op.name} does not come in time`)
          this.#signals.set(op.name, [])
          continue
        }
        const payload = payloads.shift()
        this.trace.push(`signal ${op.name} comes`)
        const data = { name: op.name, ...(payload !== undefined && { payload }) }
        this.#notebook.write({ streams: [{ stream: streamOf(id), events: [{ type: 'Signalled', data }] }] })
        return true
      }
    }
    return this.#nextTimer()
  }

  async #nextTimer(): Promise<boolean> {
    let first: { event: RecordedEvent; events: RecordedEvent[]; due: number } | undefined
    for (const [stream, events] of this.#notebook.streams)
      if (stream.startsWith('$scheduled'))
        for (const event of events) {
          const due = dueOf(event) ?? Infinity
          if (!first || due < first.due) first = { event, events, due }
        }
    if (!first) return false
    const { clock } = this.#runtime
    await clock.advance(Math.max(0, first.due - clock.wall()))
    first.events.splice(first.events.indexOf(first.event), 1)
    const { stream, event } = dueMessage(first.event)
    this.#notebook.write({ streams: [{ stream, events: [event] }] })
    return true
  }

  #known(definition: AnySaga): AnySaga {
    const known = this.#definitions.get(definition.name)
    if (known) return known
    const watched: AnySaga = {
      ...definition,
      run: (input: unknown, context: SagaContext) => definition.run(input, this.#watched(context)) as unknown,
    }
    this.#definitions.set(definition.name, watched)
    return watched
  }

  #watched(context: SagaContext): SagaContext {
    return {
      ...context,
      step: <Result>(
        name: string,
        step: StepOptions<Result> | ((context: StepContext) => Result | Promise<Result>),
      ) => context.step(name, this.#tried(name, step as Step) as StepOptions<Result>),
      child: (name, definition, ...input) =>
        context.child(name, this.#known(definition) as typeof definition, ...input),
    }
  }

  #tried(name: string, step: Step): StepOptions<unknown> {
    const options = typeof step === 'function' ? { run: step } : step
    const { compensate } = options
    return {
      ...options,
      run: (context) =>
        this.#call(context, RUN_FAULTS, () => this.#soon(`step ${name}`, () => options.run(context))),
      ...(compensate && {
        compensate: (context) =>
          this.#call(context, COMPENSATION_FAULTS, () =>
            this.#soon(`the compensation of step ${name}`, () => compensate(context)),
          ),
      }),
    }
  }

  #soon(what: string, work: () => unknown): Promise<unknown> {
    return inMemory(this.#runtime.clock, what, work, this.#isReal)
  }

  /** A call as the receiver sees it, which does nothing twice for one key. */
  async #call(
    { idempotencyKey }: StepContext,
    faults: readonly string[],
    work: () => unknown,
  ): Promise<unknown> {
    const does = async (): Promise<unknown> => {
      if (!this.#answers.has(idempotencyKey)) this.#answers.set(idempotencyKey, await work())
      return this.#answers.get(idempotencyKey)
    }
    const fault = this.#broken.has(idempotencyKey) ? 'fails each time' : this.#decisions.take(faults)
    this.trace.push(`${idempotencyKey} ${fault}`)
    switch (fault) {
      case 'answers':
        return does()
      case 'is refused for good, with nothing done':
        throw terminal('refused')
      case 'is refused for now, with nothing done':
        throw retryable('busy')
      case 'is done, and its answer is lost':
        await does()
        throw new Error('the answer was lost')
      case 'is done, and never answers':
        await does()
        return new Promise(() => undefined)
      case 'fails each time, and perhaps is done':
        this.#broken.add(idempotencyKey)
        await does()
        throw new Error('broken')
      case 'fails each time':
        this.#broken.add(idempotencyKey)
        throw new Error('broken')
      case 'is called by a process that is killed before':
        this.#kill()
        return new Promise(() => undefined)
      case 'is done, and its process is killed':
        await does()
        this.#kill()
        return new Promise(() => undefined)
      default:
        throw new Error('nobody knows')
    }
  }

  #kill(): void {
    this.#die?.()
  }

  #committing(): void {
    const cancel = this.#isCancelled ? COMMIT_FAULTS.slice(0, 3) : COMMIT_FAULTS
    const fault = this.#decisions.take(cancel)
    this.#then = fault
    if (fault === 'is not written, as its process is killed') {
      this.trace.push('its process is killed before it writes')
      this.#kill()
      throw new Killed()
    }
    if (fault !== 'comes after somebody has cancelled the saga') return
    this.#isCancelled = true
    this.trace.push('somebody cancels the saga')
    this.#notebook.write({ streams: [requestTo(this.id, { what: 'cancel', reason: 'cancelled' })] })
    this.#execution?.nudge(Infinity)
  }

  #then: (typeof COMMIT_FAULTS)[number] = 'is written'

  #committed(): void {
    if (this.#then !== 'is written, and its process is killed') return
    this.trace.push('its process is killed when it has written')
    this.#kill()
    throw new Killed()
  }
}
