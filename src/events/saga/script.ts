import { createHash } from 'node:crypto'
import { inspect } from 'node:util'
import { duration, type Duration } from '../../core/duration.js'
import { BanyanError } from '../../core/errors.js'
import { seededRandom, type Random } from '../../core/random.js'
import {
  planOf,
  type AnySaga,
  type GivenInput,
  type Plan,
  type SagaContext,
  type SagaDefinition,
  type StepContext,
  type StepOptions,
} from './definition.js'
import { StepFailedError, infoOf } from './failure.js'
import { asJson } from '../as-read.js'
import { checkName } from './names.js'
import type { OpKind } from './records.js'
import type { Entry, Op, SagaState } from './state.js'

/** Something that the code has asked for. */
export interface Asked {
  readonly kind: OpKind
  readonly name: string
  readonly plan?: Plan
  readonly due?: number
  readonly child?: { readonly definition: AnySaga; readonly input: unknown }
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
}

/** How the code has ended. */
export type Outcome =
  { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: unknown }

/** What one run of the code can be asked for at the most: each has to be read again whenever it is run again. */
const MOST_OPS = 10_000

/**
 * One run of the code of a saga, with what has happened given to it in the order in which it happened. Given the same, it
 * asks for the same: where it does not, the code was changed, and it is stopped.
 */
export class Script implements SagaContext {
  readonly id: string
  readonly asked: Asked[] = []
  readonly queries = new Map<string, (argument?: unknown) => unknown>()
  /** In what the code differs from what has happened. */
  divergence: string | undefined
  /** It has gone on by itself, which has nothing to do with what has happened. */
  isAstray = false
  outcome: Outcome | undefined
  readonly #definition: AnySaga
  readonly #state: SagaState
  readonly #names = new Set<string>()
  readonly #patches = new Map<string, boolean>()
  #random: Random | undefined
  #at = 0
  /** What it has been given of the state's entries. */
  #given = 0
  #begun = 0
  #isStopped = false
  #hasStarted = false
  /** What it does now follows from what it was given. */
  #isRunning = false

  readonly #onDivergence: () => void

  /** @param onDivergence - told when it is found between two calls of `advance` */
  constructor(id: string, definition: AnySaga, state: SagaState, onDivergence: () => void) {
    this.id = id
    this.#onDivergence = onDivergence
    this.#definition = definition
    this.#state = state
  }

  /**
   * Gives it everything that it has not seen.
   *
   * @returns what it asks for that is not in the state yet
   */
  async advance(): Promise<readonly Asked[]> {
    if (!this.#hasStarted) await this.#start()
    const { entries, ops } = this.#state
    while (this.#given < entries.length && !this.#isStopped && this.divergence === undefined)
      await this.#give(entries[this.#given++]!)
    if (this.divergence !== undefined || this.#isStopped) return []
    return this.asked.slice(ops.length)
  }

  async #start(): Promise<void> {
    this.#hasStarted = true
    const { input, at } = this.#state.started!
    this.#at = at
    this.#isRunning = true
    const running = new Promise((resolve) => resolve(this.#definition.run(input, this)))
    running.then(
      (value) => this.#ends({ ok: true, value }),
      (error: unknown) => this.#ends({ ok: false, error }),
    )
    await this.#quiet()
  }

  #ends(outcome: Outcome): void {
    if (this.#mustFollow('ends')) this.outcome = outcome
  }

  /** Every promise that can go on does so: Node calls what is asked for the next tick when no microtask is left. */
  async #quiet(): Promise<void> {
    this.#isRunning = true
    await new Promise<void>((resolve) => process.nextTick(resolve))
    this.#isRunning = false
  }

  /** @returns false if it has gone on by itself, which it could do otherwise the next time */
  #mustFollow(does: string): boolean {
    if (this.#isStopped || this.divergence !== undefined) return false
    if (this.#isRunning) return true
    this.divergence = `its code ${does} after it has waited for something else than its steps, timers and signals: put that into a step; and no step into another`
    this.isAstray = true
    this.#onDivergence()
    return false
  }

  async #give(entry: Entry): Promise<void> {
    if (entry.is === 'stop') {
      this.#isStopped = true
      return
    }
    const { op } = entry
    const asked = this.asked[op.index]
    if (entry.is === 'begun') {
      this.#begun++
      if (!asked) this.#diverges(op, this.#howEnded())
      return
    }
    const early = this.asked[this.#begun]
    if (early && entry.isNoted)
      this.#diverges(undefined, `the code asks for ${describe(early)}, which it did not before`)
    if (!asked || this.divergence !== undefined) return
    this.#at = entry.at
    if (op.status === 'done') asked.resolve(op.result)
    else asked.reject(new StepFailedError(describe(op), op.class!, op.error!))
    await this.#quiet()
  }

  readonly step = <Result>(
    name: string,
    step: StepOptions<Result> | ((context: StepContext) => Result | Promise<Result>),
  ): Promise<Result> => {
    this.#mustBeNew('step', name)
    const plan = planOf(name, step as StepOptions<unknown>, this.#definition)
    return this.#ask({ kind: 'step', name, plan }) as Promise<Result>
  }

  readonly sleep = async (time: Duration): Promise<void> => {
    await this.#ask({ kind: 'timer', name: 'sleep', due: dueAt(this.#at + duration(time, 'sleep'), 'sleep') })
  }

  readonly sleepUntil = async (time: number): Promise<void> => {
    await this.#ask({ kind: 'timer', name: 'sleep', due: dueAt(time, 'sleepUntil') })
  }

  readonly signal = <Payload = unknown>(
    name: string,
    { timeout }: { timeout?: Duration } = {},
  ): Promise<Payload> => {
    const what = `signal ${name}: timeout`
    const due = timeout === undefined ? {} : { due: dueAt(this.#at + duration(timeout, what), what) }
    return this.#ask({ kind: 'signal', name, ...due }) as Promise<Payload>
  }

  readonly child = <Input, Result>(
    name: string,
    definition: SagaDefinition<Input, Result>,
    ...[input]: GivenInput<Input>
  ): Promise<Result> => {
    this.#mustBeNew('child', name)
    checkName(definition.name)
    const read = input === undefined ? input : asJson(input, `the input of child ${name} of ${this.id}`)
    const child = { definition, input: read }
    return this.#ask({ kind: 'child', name, child }) as Promise<Result>
  }

  readonly pointOfNoReturn = (): void => {
    void this.#ask({ kind: 'no-return', name: 'point of no return' })
  }

  readonly patched = (name: string): boolean => {
    const known = this.#patches.get(name)
    if (known !== undefined) return known
    const expected = this.#state.ops[this.asked.length]
    const isNow = expected ? expected.kind === 'patch' && expected.name === name : !this.#isReplaying
    if (isNow) void this.#ask({ kind: 'patch', name })
    this.#patches.set(name, isNow)
    return isNow
  }

  readonly query = (name: string, answer: (argument?: unknown) => unknown): void => {
    this.queries.set(name, answer)
  }

  readonly now = (): number => {
    return this.#at
  }

  readonly random = (): number => {
    this.#random ??= seededRandom(createHash('sha256').update(this.id).digest().readInt32LE())
    return this.#random.next()
  }

  /** Another run of the code has been here. */
  get #isReplaying(): boolean {
    return this.#given < this.#state.seen
  }

  #mustBeNew(kind: string, name: string): void {
    if (typeof name !== 'string' || name === '')
      throw new BanyanError(
        'BANYAN_INVALID_OPTIONS',
        `${this.id}: a ${kind} needs a name, got ${inspect(name)}`,
      )
    if (this.#names.has(name))
      throw new BanyanError(
        'BANYAN_INVALID_OPTIONS',
        `${this.id}: there is a step ${name} already, and its name makes its idempotency key; in a loop, put the number into the name`,
      )
    this.#names.add(name)
  }

  #ask(what: Omit<Asked, 'resolve' | 'reject'>): Promise<unknown> {
    // Nobody waits for what a stopped run asks for.
    if (this.outcome) return new Promise(() => undefined)
    if (!this.#mustFollow(`asks for ${describe(what)}`)) return this.#refuse(what)
    const index = this.asked.length
    if (index >= MOST_OPS)
      throw new BanyanError(
        'BANYAN_INVALID_OPTIONS',
        `${this.id} asks for more than ${MOST_OPS} things: start another saga for the rest, as a child or by a step`,
      )
    const expected = this.#state.ops[index]
    if (expected && (expected.kind !== what.kind || expected.name !== what.name))
      this.#diverges(expected, `the code asks for ${describe(what)} in its place`)
    else if (expected?.kind === 'step' && expected.compensable && !what.plan?.compensate)
      this.#diverges(expected, 'the code has no compensation for it, which it had then')
    const asking = new Promise((resolve, reject) => this.asked.push({ ...what, resolve, reject }))
    // Code may look at it later.
    asking.catch(() => undefined)
    return asking
  }

  #howEnded(): string {
    if (!this.outcome) return 'the code does not ask for it'
    return this.outcome.ok
      ? 'the code ends before it'
      : `the code throws before it: ${infoOf(this.outcome.error).message}`
  }

  /** Who waits for it inside a step would wait as long as that may take. */
  #refuse(what: Pick<Asked, 'kind' | 'name'>): Promise<never> {
    if (!this.isAstray) return new Promise(() => undefined)
    const refused = Promise.reject(
      new BanyanError(
        'BANYAN_INVALID_OPTIONS',
        `${this.id} asks for ${describe(what)} where it cannot: inside a step, or after something else than its steps, timers and signals`,
      ),
    )
    refused.catch(() => undefined)
    return refused
  }

  #diverges(op: Op | undefined, how: string): void {
    this.divergence ??= op ? `${describe(op)} was asked for as number ${op.index + 1}, and now ${how}` : how
  }
}

/** The first time that no timer can wait for. */
const LATEST = Date.UTC(10_000, 0, 1)

/** @throws `BANYAN_INVALID_OPTIONS` */
function dueAt(time: number, what: string): number {
  if (time < LATEST) return Math.max(0, time)
  throw new BanyanError(
    'BANYAN_INVALID_OPTIONS',
    `${what}: a saga waits until the year 9999 at the latest, and times are in ms since the epoch; got ${time}`,
  )
}

/** What was asked for, for people. */
export function describe({ kind, name }: { readonly kind: OpKind; readonly name: string }): string {
  if (kind === 'timer') return 'a timer'
  if (kind === 'no-return') return 'the point of no return'
  return `${kind} ${name}`
}
