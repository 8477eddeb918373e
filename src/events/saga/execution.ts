import { backoffWait } from '../../core/backoff.js'
import { duration } from '../../core/duration.js'
import { BanyanError } from '../../core/errors.js'
import { causedBy } from '../caused-by.js'
import type { Runtime } from '../../core/runtime.js'
import { asJson } from '../as-read.js'
import type { EventLog, Metadata, Recorded, StreamAppend } from '../log.js'
import { Call, type Fact } from './call.js'
import type { AnySaga, Plan } from './definition.js'
import { SagaFailure, StepFailedError, afterOf, infoOf, isSagaFailure, type FailureClass } from './failure.js'
import type { SagaInstruments } from './instruments.js'
import {
  append,
  applyTo,
  event,
  readOn,
  readSaga,
  requestTo,
  startOf,
  together,
  wakeUp,
  Taken,
} from './journal.js'
import { childIdOf, keyOf, streamOf } from './names.js'
import type { Direction, End, Parked, SagaEvent, SagaRecord, Started } from './records.js'
import { Script, type Asked } from './script.js'
import { SagaState, type Op } from './state.js'

/** The longest wait between tries in memory, in ms; longer ones are timers of the log. */
const MEMORY_WAIT_MS = 5000
/** How often those who run a step may end without a word: then it is taken to be the step. */
const MOST_INTERRUPTIONS = 25

/** A definition as it is run. */
export interface RunnableSaga extends AnySaga {
  /** A step that has failed for good parks it: there is nothing to undo, and somebody wants it done. */
  readonly parks?: true
}

/** What an execution works with. */
export interface ExecutionContext {
  readonly log: EventLog
  readonly runtime: Runtime
  readonly definitionOf: (version: number) => RunnableSaga | undefined
  readonly instruments?: SagaInstruments
}

/** What the log will refuse each time. */
const UNWRITABLE = new Set<string>([
  'BANYAN_EVENT_TOO_LARGE',
  'BANYAN_INVALID_EVENT',
  'BANYAN_INVALID_COMMIT',
])

function isUnwritable(error: unknown): error is BanyanError {
  return error instanceof BanyanError && UNWRITABLE.has(error.code)
}

/** How far an execution has come. */
export type Stand =
  'idle' | 'parked' | 'completed' | 'compensated' | 'removed' | 'stopped' | 'of-another-version'

/** What is to be written with the next commit. */
class Draft {
  readonly records: SagaRecord[] = []
  /** For other streams. */
  readonly others: StreamAppend[] = []
  /** Used up for the records: they count again if nothing is written. */
  readonly facts: Fact[] = []
  parked: Parked | undefined
  end: End | undefined

  get isEmpty(): boolean {
    return this.records.length === 0 && this.others.length === 0 && !this.parked && !this.end
  }
}

/**
 * Brings one saga as far as it goes now. Everything that it does is a consequence of what stands in its stream: what it is
 * about to do is written before, in steps that expect each other, so that of two who run it at the same time one stops.
 */
export class Execution {
  readonly id: string
  readonly #stream: string
  readonly #context: ExecutionContext
  readonly #calls = new Map<number, Call>()
  /** Why it does not go on here. */
  #killed: SagaFailure | undefined
  /** Made when somebody has to be told at once, which is seldom. */
  #killing: AbortController | undefined
  #state = new SagaState()
  #definition!: RunnableSaga
  #script!: Script
  #draft = new Draft()
  #facts: Fact[] = []
  /** Why it will be parked, once nothing is in flight. */
  #parking: Omit<Parked, 'at'> | undefined
  /** Others that were asked for something, by op. */
  readonly #asked = new Set<number>()
  /** What was written together was too large: now one thing after the other is. */
  #isCareful = false
  /** What follows cannot be found out, or written: nothing more is begun. */
  #isBroken = false
  #isOutdated = false
  #isStopping = false
  #wake: () => void = () => undefined

  constructor(id: string, context: ExecutionContext) {
    this.id = id
    this.#stream = streamOf(id)
    this.#context = context
  }

  /** The last revision of its stream that it knows. */
  get revision(): number {
    return Number(this.#state.revision)
  }

  get version(): number | undefined {
    return this.#state.started?.version
  }

  /** Why it is parked. */
  get parked(): string | undefined {
    return this.#state.parked?.reason
  }

  /** Somebody has appended to its stream. */
  nudge(revision: number): void {
    if (!(revision <= this.revision)) {
      this.#isOutdated = true
      this.#wake()
    }
  }

  /** Begins nothing more; waits for what is in flight. */
  stop(): void {
    this.#isStopping = true
    this.#wake()
  }

  /** Ends at once: somebody else runs it, or nobody. */
  kill(why: string): void {
    this.#killed ??= new SagaFailure('cancelled', why)
    this.#killing?.abort(this.#killed)
    for (const call of this.#calls.values()) call.abandon(why)
    this.#wake()
  }

  /**
   * Starts it: its first step is noted with the same commit.
   *
   * @param given - without `at`, which is now
   * @returns false if it was there before; undefined if it has to be started alone: its code asks for what cannot be, or the log
   *   refuses what would be noted along with it
   */
  async begin(given: Started, metadata?: Metadata): Promise<boolean | undefined> {
    const { log, runtime } = this.#context
    // Of its own: whoever has given the input may change it.
    const started = { ...structuredClone(given), at: runtime.clock.wall() }
    const [start, ...deadline] = startOf(this.id, started, runtime, metadata)
    this.#state.started = started
    this.#state.metadata = metadata ?? {}
    this.#definition = this.#context.definitionOf(started.version)!
    this.#script = this.#newScript()
    try {
      await this.#turn()
    } catch {
      // Whoever runs it then parks it for that.
      return undefined
    }
    const own = { ...start!, expected: 'none' as const, events: [...start!.events, this.#written()] }
    try {
      const others = together([...deadline, ...this.#draft.others])
      const result = await log.append({ streams: [own, ...others] })
      if (result.ok) this.#committed(result.streams[0]!.revision)
      // What stands in the way may be of a child.
      else if (!result.conflicts.some(({ stream }) => stream === this.#stream)) return undefined
      return result.ok
    } catch (error) {
      if (isUnwritable(error)) return undefined
      throw error
    }
  }

  /** @param cause - what has woken it */
  async run(cause: Recorded<SagaEvent>): Promise<Stand> {
    if (!(await this.#load(cause))) return 'of-another-version'
    return this.goOn()
  }

  /** Brings it as far as it goes. */
  async goOn(): Promise<Stand> {
    while (!this.#killed) {
      if (this.#isOutdated) await this.#catchUp()
      const stand = this.#stand()
      if (stand) return stand
      await this.#turnSafely()
      if (!this.#draft.isEmpty) {
        if (!(await this.#commit())) await this.#reload()
      } else if (this.#isStopping && this.#calls.size === 0 && this.#facts.length === 0) return 'stopped'
      else if (!this.#isStopping && !this.#call()) return 'idle'
      else await this.#happening()
    }
    return 'stopped'
  }

  #stand(): Stand | undefined {
    const { started, end, parked } = this.#state
    if (!started) return 'removed'
    if (end) return end.outcome
    return parked && 'parked'
  }

  /** @returns false if this process does not have its version */
  async #load(cause: Recorded<SagaEvent>): Promise<boolean> {
    if (cause.type === 'Started' && cause.revision === 0 && cause.data.at === undefined)
      applyTo(this.#state, cause)
    else this.#state = await readSaga(this.#context.log, this.id)
    const { started, end, parked } = this.#state
    if (!started || end || parked) return true
    const definition = this.#context.definitionOf(started.version)
    if (!definition) return false
    this.#definition = definition
    this.#script = this.#newScript()
    this.#noteInterrupted(cause.type === 'Woken' ? cause.data.op : undefined)
    return true
  }

  /**
   * What is in flight, and not here, was in flight where it was run before.
   *
   * @param woken - what it is woken for was not in flight
   */
  #noteInterrupted(woken?: number | 'deadline'): void {
    const { failing, open, undoing } = this.#state
    const wall = this.#context.runtime.clock.wall()
    if (this.#state.isReleased) {
      this.#note({ is: 'resumed', at: wall })
      return
    }
    const isHere = ({ index }: Op): boolean =>
      this.#calls.has(index) || this.#facts.some(({ op }) => op === index)
    const undone = undoing === undefined ? undefined : this.#state.ops[undoing]
    const ops = [undone, ...open].filter(
      (op): op is Op => op?.kind === 'step' && op.index !== woken && !(op.next! > wall) && !isHere(op),
    )
    if (ops.length === 0) return
    this.#note({ is: 'interrupted', ops: ops.map(({ index }) => index), at: wall })
    const culprit = ops.find(({ interruptions }) => interruptions >= MOST_INTERRUPTIONS)
    if (culprit)
      this.#park({
        reason: `whoever ran step ${culprit.name} has ended without a word ${MOST_INTERRUPTIONS} times`,
        op: culprit.index,
        direction: failing ? 'compensate' : 'run',
      })
  }

  #newScript(): Script {
    return new Script(this.id, this.#definition, this.#state, () => this.#wake())
  }

  /** What was decided was decided without knowing what others have written: it is done again. */
  async #reload(): Promise<void> {
    this.#facts = [...this.#draft.facts, ...this.#facts]
    this.#draft = new Draft()
    this.#parking = undefined
    this.#isBroken = false
    this.#asked.clear()
    this.#isOutdated = false
    this.#state = await readSaga(this.#context.log, this.id)
    this.#script = this.#newScript()
    if (!this.#stand()) this.#noteInterrupted()
  }

  async #catchUp(): Promise<void> {
    this.#isOutdated = false
    await readOn(this.#context.log, this.id, this.#state)
  }

  /** Whatever goes wrong here would go wrong each time. */
  async #turnSafely(): Promise<void> {
    try {
      await this.#turn()
    } catch (error) {
      this.#context.runtime.telemetry.log('error', `saga ${this.id}: ${infoOf(error).message}`)
      await this.#reload()
      this.#facts = []
      this.#isBroken = true
      this.#park({ reason: `it cannot go on: ${infoOf(error).message}` })
      this.#decide()
    }
  }

  /** Finds out what follows from what has happened. */
  async #turn(): Promise<void> {
    // What is undone is undone by what the code says.
    if (this.#state.failing && this.#script.asked.length < this.#state.ops.length)
      await this.#script.advance()
    if (!this.#isBroken) await this.#ask()
    for (const fact of this.#facts.splice(0, this.#isCareful ? 1 : Infinity)) {
      // What follows from it cannot be noted along with it: it is called again, under the same key.
      if (this.#script.divergence !== undefined) break
      this.#draft.facts.push(fact)
      this.#take(fact)
      if (!this.#isBroken) await this.#ask()
    }
    this.#decide()
  }

  /** Lets the code go on, and notes what it asks for. */
  async #ask(): Promise<void> {
    while (!this.#state.failing) {
      const fresh = await this.#script.advance()
      if (this.#script.divergence !== undefined) {
        const { divergence, isAstray } = this.#script
        this.#park({
          reason: isAstray
            ? divergence
            : `the code does not fit what has happened: ${divergence}. Give back what is missing, or mark what is new with patched()`,
        })
        return
      }
      if (fresh.length === 0) return
      for (const asked of fresh) this.#begin(asked)
    }
  }

  #begin({ kind, name, plan, due, child }: Asked): void {
    const op = this.#state.ops.length
    const at = this.#context.runtime.clock.wall()
    const compensable = kind === 'child' || plan?.compensate !== undefined
    const childId = child && childIdOf(child.definition.name, this.id, name)
    this.#note({
      ...{ is: 'begun', op, kind, name, at },
      ...(compensable && { compensable }),
      ...(due !== undefined && { due }),
      ...(childId !== undefined && { child: childId }),
    })
    if (due !== undefined) this.#draft.others.push(wakeUp(this.id, op, due))
    if (!child || childId === undefined) return
    const { definition, input } = child
    const { version = 1, deadline } = definition
    const started = {
      ...{ format: 1 as const, saga: definition.name, version, parent: { id: this.id, op } },
      ...(input !== undefined && { input }),
      ...(deadline !== undefined && { deadline: duration(deadline, 'deadline') }),
    }
    const metadata = this.#metadataFor(this.id)
    const [start, ...others] = startOf(childId, started, this.#context.runtime, metadata)
    this.#draft.others.push({ ...start!, expected: 'none' }, ...others)
  }

  /** For what is caused by one of its commands, or by itself: where it has no correlation one begins with it. */
  #metadataFor(id: string): Metadata {
    return causedBy({ id, metadata: { correlationId: this.id, ...this.#state.metadata } })
  }

  #note(record: SagaRecord): void {
    this.#draft.records.push(record)
    this.#state.record(record)
  }

  /** Notes what came of a call. */
  #take({ op: index, direction, at, result }: Fact): void {
    const op = this.#state.ops[index]
    if (result.is === 'none' || !op) return
    const isWanted = direction === 'run' ? op.status === 'open' : !op.compensated
    if (!isWanted) return
    if (result.is === 'failed') this.#failed(op, direction, at, result)
    else if (direction === 'compensate') this.#note({ is: 'compensated', op: index, at })
    else
      try {
        const { value } = result
        // The same now as when the code is run again.
        const kept = value !== undefined && { result: asJson(value, `the result of step ${op.name}`) }
        this.#note({ is: 'done', op: index, at, ...kept })
      } catch (error) {
        // It has happened, and cannot be told again: it is undone.
        this.#note({ is: 'failed', op: index, class: 'unknown', error: infoOf(error), at })
      }
  }

  #failed(
    op: Op,
    direction: Direction,
    at: number,
    { error, class: kind }: Fact['result'] & { is: 'failed' },
  ): void {
    const { runtime } = this.#context
    const call = this.#planOf(op)[direction === 'run' ? 'call' : 'compensation']
    const tries = op.tries[direction] + 1
    const isLast =
      kind === 'terminal' ||
      kind === 'cancelled' ||
      tries >= call.attempts ||
      (direction === 'run' && this.#state.failing)
    const record = { op: op.index, class: kind, error: infoOf(error), at }
    if (!isLast) {
      const wait = Math.max(backoffWait(call.backoff, tries, 'equal', runtime.random), afterOf(error) ?? 0)
      this.#note({ is: 'tried', direction, ...record, next: at + wait })
      if (wait > MEMORY_WAIT_MS) this.#draft.others.push(wakeUp(this.id, op.index, at + wait))
      return
    }
    this.#note({ is: 'tried', direction, ...record })
    if (direction === 'compensate')
      this.#park({
        reason: `the compensation of step ${op.name} has failed ${times(tries)}: ${record.error.message}`,
        op: op.index,
        direction,
      })
    else if (this.#state.isBeyondReturn)
      this.#park({
        reason: `step ${op.name} has failed ${times(tries)} after the point of no return: ${record.error.message}`,
        op: op.index,
        direction,
      })
    else if (this.#definition.parks && !this.#state.failing)
      this.#park({
        reason: `step ${op.name} has failed ${times(tries)}: ${record.error.message}`,
        op: op.index,
        direction,
      })
    else this.#note({ is: 'failed', ...record, class: classForGood(kind, op) })
  }

  #planOf({ index }: Op): Plan {
    return this.#script.asked[index]!.plan!
  }

  /** What follows for the saga as a whole. */
  #decide(): void {
    if (!this.#state.failing && !this.#isParking) this.#decideForward()
    if (this.#state.failing && !this.#isParking) this.#goBack()
    if (!this.#parking) return
    for (const call of this.#calls.values()) call.cancel('the saga is parked')
    if (this.#calls.size === 0)
      this.#draft.parked = { ...this.#parking, at: this.#context.runtime.clock.wall() }
  }

  #decideForward(): void {
    const { outcome } = this.#script
    const { clock } = this.#context.runtime
    if (!outcome) {
      if (this.#state.ops.every(({ status }) => status !== 'open'))
        this.#park({
          reason:
            'its code waits for something else than its steps, timers and signals: put that into a step',
        })
      return
    }
    if (outcome.ok) {
      if (this.#state.open.length > 0 || (this.#isCareful && !this.#draft.isEmpty)) return
      const { value: result } = outcome
      try {
        this.#end({
          outcome: 'completed',
          ...(result !== undefined && { result: asJson(result, `the result of ${this.id}`) }),
          ...(this.#state.isBeyondReturn && { final: true }),
        })
      } catch (error) {
        this.#park({ reason: infoOf(error).message })
      }
      return
    }
    const { error } = outcome
    const isFailure = error instanceof StepFailedError || isSagaFailure(error)
    if (!isFailure)
      this.#park({
        reason: `its code has thrown ${infoOf(error).name ?? 'an error'}: ${infoOf(error).message}`,
      })
    else if (this.#state.isBeyondReturn)
      this.#park({ reason: `it has failed after the point of no return: ${infoOf(error).message}` })
    else this.#note({ is: 'failing', class: error.class, error: infoOf(error), at: clock.wall() })
  }

  /** Waits for what is in flight, then undoes one thing after the other. */
  #goBack(): void {
    const { failing, open } = this.#state
    const at = this.#context.runtime.clock.wall()
    if (this.#script.divergence !== undefined) {
      this.#park({
        reason: `the code does not fit what has happened: ${this.#script.divergence}. Give back what is missing`,
      })
      return
    }
    for (const op of open) {
      const call = this.#calls.get(op.index)
      if (call) call.cancel('the saga goes back')
      else if (op.kind === 'child') this.#askChild(op, 'cancel')
      else {
        const error = { message: 'it was not called any more' }
        this.#note({
          is: 'failed',
          op: op.index,
          class: op.isHarmless ? 'retryable' : 'cancelled',
          error,
          at,
        })
      }
    }
    if (this.#state.open.length > 0) return
    const { nextToCompensate, undoing } = this.#state
    if (!nextToCompensate) this.#end({ outcome: 'compensated', ...failing! })
    else if (nextToCompensate.kind === 'child') this.#askChild(nextToCompensate, 'compensate')
    else if (undoing !== nextToCompensate.index && this.#draft.isEmpty)
      this.#note({ is: 'undoing', op: nextToCompensate.index, at })
  }

  /** Each is asked once, and answers when it has ended. */
  #askChild(op: Op, what: 'cancel' | 'compensate'): void {
    if (this.#asked.has(op.index)) return
    this.#asked.add(op.index)
    const { definition } = this.#script.asked[op.index]!.child!
    const reason = `${this.id} goes back: ${this.#state.failing!.error.message}`
    this.#draft.others.push(requestTo(childIdOf(definition.name, this.id, op.name), { what, reason }))
  }

  #end(end: End): void {
    this.#draft.end = end
    const { parent } = this.#state.started!
    if (!parent) return
    this.#draft.others.push({
      stream: streamOf(parent.id),
      events: [event('ChildEnded', { op: parent.op, end })],
    })
  }

  get #isParking(): boolean {
    return this.#parking !== undefined
  }

  #park(parked: Omit<Parked, 'at'>): void {
    this.#parking ??= parked
  }

  /** @returns false if others have written meanwhile */
  async #commit(): Promise<boolean> {
    const { log, runtime } = this.#context
    const own = { stream: this.#stream, expected: this.#state.revision, events: [this.#written()] }
    const others = together(this.#draft.others)
    let revision
    try {
      revision = await append(log, runtime, [own, ...others], () => this.#killedSignal)
    } catch (error) {
      if (error instanceof Taken) return this.#refused(error.message)
      if (isUnwritable(error)) return this.#unwritable(error)
      throw error
    }
    if (revision === undefined) return false
    this.#committed(revision)
    return true
  }

  /** What was refused together is written in parts; what is refused by itself parks the saga. */
  async #unwritable({ message }: BanyanError): Promise<true> {
    const { facts, end } = this.#draft
    const [first] = facts
    if (!this.#isCareful && (facts.length > 1 || (first && end))) {
      await this.#reload()
      this.#isCareful = true
      return true
    }
    const step = first && this.#state.ops[first.op]!.name
    await this.#refused(
      `what has to be kept of ${step === undefined ? 'it' : `step ${step}`} is refused by the log: ${message}`,
    )
    this.#facts = this.#facts.filter((fact) => fact !== first)
    return true
  }

  async #refused(reason: string): Promise<true> {
    await this.#reload()
    this.#isBroken = true
    this.#park({ reason })
    return true
  }

  get #killedSignal(): AbortSignal {
    this.#killing ??= new AbortController()
    if (this.#killed) this.#killing.abort(this.#killed)
    return this.#killing.signal
  }

  /** The event for what is to be written. */
  #written(): ReturnType<typeof event> {
    const { records, parked, end } = this.#draft
    if (end) return event('Ended', { records, end })
    return parked ? event('Parked', { records, parked }) : event('Progressed', { records })
  }

  #committed(revision: number): void {
    const { parked, end } = this.#draft
    this.#state.revision = revision
    this.#state.noted()
    this.#state.end = end
    this.#state.parked = parked
    this.#draft = new Draft()
    if (parked) this.#parking = undefined
    this.#measure()
  }

  #measure(): void {
    const { instruments, runtime } = this.#context
    const { end, parked, started } = this.#state
    if (end) instruments?.ended(end.outcome, runtime.clock.wall() - started!.at)
    if (parked) instruments?.parked()
  }

  /**
   * Calls what is to be called.
   *
   * @returns false if nothing is in flight
   */
  #call(): boolean {
    const { failing, open, nextToCompensate } = this.#state
    if (this.#isParking) return this.#calls.size > 0 || this.#facts.length > 0
    if (!failing) for (const op of open) this.#start(op, 'run')
    else if (open.length === 0 && nextToCompensate) this.#start(nextToCompensate, 'compensate')
    return this.#calls.size > 0 || this.#facts.length > 0
  }

  #start(op: Op, direction: Direction): void {
    const { runtime } = this.#context
    if (op.kind !== 'step' || this.#calls.has(op.index)) return
    const wait = (op.next ?? 0) - runtime.clock.wall()
    // Its timer wakes the saga.
    if (wait > MEMORY_WAIT_MS) return
    const plan = this.#planOf(op)
    const { timeout, classify } = direction === 'run' ? plan.call : plan.compensation
    const idempotencyKey = keyOf(this.id, op.name, direction)
    const call = new Call(
      {
        ...{ op: op.index, direction, timeout, classify, wait, idempotencyKey },
        metadata: () => this.#metadataFor(idempotencyKey),
        attempt: op.tries[direction] + op.interruptions + 1,
        call:
          direction === 'run'
            ? plan.run
            : (context) => plan.compensate!(Object.assign(context, outcomeOf(op))),
      },
      runtime,
    )
    this.#calls.set(op.index, call)
    void call.fact.then((fact) => {
      const { result } = fact
      if (result.is !== 'none')
        this.#context.instruments?.called(direction, result.is === 'done' ? 'done' : result.class)
      this.#calls.delete(op.index)
      this.#facts.push(fact)
      this.#wake()
    })
  }

  /** Resolves when there is something to do. */
  async #happening(): Promise<void> {
    const isNew = this.#facts.length > 0 || this.#isOutdated
    const diverges = !this.#state.failing && this.#script.divergence !== undefined && !this.#parking
    if (isNew || diverges || this.#killed) return
    await new Promise<void>((resolve) => (this.#wake = resolve))
    this.#wake = () => undefined
  }
}

function outcomeOf(op: Op): { result: unknown; outcome: 'done' | 'unknown' } {
  return op.status === 'done'
    ? { result: op.result, outcome: 'done' }
    : { result: undefined, outcome: 'unknown' }
}

/** A try before may have done what the last one says was not done. */
function classForGood(kind: FailureClass, op: Op): FailureClass {
  if (kind === 'cancelled' || kind === 'unknown') return kind
  return op.isHarmless ? kind : 'unknown'
}

function times(tries: number): string {
  return tries === 1 ? 'once' : `${tries} times`
}
