import { inspect } from 'node:util'
import { checkOptions, type OptionKinds, type OptionTable } from '../../core/options.js'
import { duration, type Duration } from '../../core/duration.js'
import { BanyanError } from '../../core/errors.js'
import type { Metadata } from '../log.js'
import type { StandardSchema } from '../../core/standard-schema.js'
import { checkName } from './names.js'
import type { FailureClass } from './failure.js'

/** What a step is told. */
export interface StepContext {
  /**
   * The same for every try of this step in this direction, and for no other: `fulfilment/17/charge/run`. Whoever is called
   * needs it to do nothing twice (`Idempotency-Key`).
   */
  readonly idempotencyKey: string
  /** Which try this is, from 1. */
  readonly attempt: number
  /**
   * For everything that it leads to, as `metadata` of commands and events: correlation, trace and actor of the saga, whose id is
   * the correlation if it was started without one; caused by this step.
   */
  readonly metadata: Metadata
  /** Aborts when its time is over, or the saga was cancelled. */
  readonly signal: AbortSignal
}

/** What a compensation is told. */
export interface CompensationContext<Result> extends StepContext {
  /** What the step has returned; undefined if nobody knows whether it has happened. */
  readonly result: Result | undefined
  /** Whether the step has happened: `unknown` must do nothing if it has not. */
  readonly outcome: 'done' | 'unknown'
}

/** How steps are called. */
export interface CallOptions {
  /** How long one try may take; then it is unknown whether it has happened. Default `'1m'`. */
  timeout?: Duration
  /** How often it is tried. Default 5. */
  attempts?: number
  /** Between tries: `base` (default `'200ms'`), each time `factor` (2) longer, up to `max` (`'1m'`), less up to half of it by chance. */
  backoff?: { base?: Duration; factor?: number; max?: Duration }
  /** Which class of failure an error is; undefined for what {@link classOf} says. */
  classify?: (error: unknown) => FailureClass | undefined
}

/** A step, and how it is undone. */
export interface StepOptions<Result> extends CallOptions {
  run: (context: StepContext) => Result | Promise<Result>
  /**
   * Undoes it, should the saga fail later. It must do the same however often it is called, and nothing if the step has not
   * happened. Tried `attempts` times, twice as often as the step by default; then the saga is parked.
   */
  compensate?: (context: CompensationContext<Result>) => unknown
}

/** What the code of a saga does everything through that is not plain computing. */
export interface SagaContext {
  /** `fulfilment/17` */
  readonly id: string
  /**
   * Does something that others can see. What has to undo it is durable before it is called.
   *
   * @param name - names it in this saga, once
   * @throws `BANYAN_SAGA_STEP_FAILED` when it has failed for good; not handled, the saga is compensated
   */
  readonly step: <Result>(
    name: string,
    step: StepOptions<Result> | ((context: StepContext) => Result | Promise<Result>),
  ) => Promise<Result>
  /** Waits, for months if need be: it costs a record. Late rather than never. */
  readonly sleep: (time: Duration) => Promise<void>
  /** Waits until a time, ms since the epoch. */
  readonly sleepUntil: (time: number) => Promise<void>
  /**
   * Waits for a signal; takes the oldest of that name that was not taken yet.
   *
   * @throws `BANYAN_SAGA_STEP_FAILED` if none comes within `timeout`; default: waits for ever
   */
  readonly signal: <Payload = unknown>(name: string, options?: { timeout?: Duration }) => Promise<Payload>
  /**
   * Runs another saga, and waits for it. If this one fails later, that one is compensated in its turn.
   *
   * @param name - names it in this saga, once
   * @throws `BANYAN_SAGA_STEP_FAILED` if it was compensated
   */
  readonly child: <Input, Result>(
    name: string,
    definition: SagaDefinition<Input, Result>,
    ...input: GivenInput<Input>
  ) => Promise<Result>
  /** From here on it is not compensated any more: what fails is tried again, and then parked. */
  readonly pointOfNoReturn: () => void
  /**
   * Whether this saga came here with the code as it is now: false for one that was here before the code was changed. Around
   * what was changed, in place of a new version.
   *
   * @param name - names the change
   */
  readonly patched: (name: string) => boolean
  /** Answers queries of that name, at any time, in any process. */
  readonly query: (name: string, answer: (argument?: unknown) => unknown) => void
  /** The time of what has happened last, ms since the epoch: the same when the code is run again. */
  readonly now: () => number
  /** A number in [0, 1), the same when the code is run again. */
  readonly random: () => number
}

export type GivenInput<Input> = undefined extends Input ? [input?: Input] : [input: Input]

/** How a kind of saga goes. */
export interface SagaDefinition<Input = unknown, Result = unknown> extends CallOptions {
  /** Begins with a letter, has letters, digits, dots and underscores. */
  readonly name: string
  /** Which form of its code this is. A saga goes on with the version that it was started with. Default 1. */
  readonly version?: number
  /** What inputs must be like; any validator that speaks Standard Schema. */
  readonly input?: StandardSchema<unknown, Input>
  /** How long a saga may take. Then it is cancelled, unless it is past its point of no return. Default: for ever. */
  readonly deadline?: Duration
  /**
   * What it does. It is run again from the start whenever nobody has it in memory, with what has happened before in place of
   * doing it: so it must do the same each time, and everything else through its second argument.
   */
  run(input: Input, saga: SagaContext): Promise<Result> | Result
}

/** Any definition, whatever it takes. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- each takes what it takes
export type AnySaga = SagaDefinition<any, any>

export const callOptions: OptionTable<CallOptions> = {
  timeout: { kind: 'duration', min: 1, doc: 'how long one try may take' },
  attempts: { kind: 'number', min: 1, integer: true, doc: 'how often it is tried' },
  backoff: {
    kind: 'group',
    options: {
      base: { kind: 'duration', doc: 'the first wait' },
      factor: { kind: 'number', min: 1, max: 100, doc: 'by how much each wait is longer than the last' },
      max: { kind: 'duration', doc: 'the longest wait' },
    },
    doc: 'between tries',
  },
  classify: { kind: 'code', type: 'function', doc: 'which class of failure an error is' },
}

const sagaOptions: OptionKinds = {
  ...callOptions,
  name: { kind: 'string', doc: 'what it is called' },
  version: { kind: 'number', min: 1, integer: true, doc: 'which form of its code this is' },
  input: { kind: 'code', type: 'object', doc: 'what inputs must be like' },
  deadline: { kind: 'duration', min: 1, doc: 'how long a saga may take' },
  run: { kind: 'code', type: 'function', doc: 'what it does' },
}

const stepOptions: OptionKinds = {
  ...callOptions,
  run: { kind: 'code', type: 'function', doc: 'does it' },
  compensate: { kind: 'code', type: 'function', doc: 'undoes it' },
}

/**
 * Defines a kind of saga: a transaction over several services, each step of which is done at once and undone by its
 * compensation if a later one fails (Garcia-Molina and Salem, "Sagas", SIGMOD 1987).
 *
 * @throws `BANYAN_INVALID_OPTIONS`
 */
export function saga<Input = undefined, Result = unknown>(
  definition: SagaDefinition<Input, Result>,
): SagaDefinition<Input, Result> {
  checkOptions<object>('a saga', sagaOptions, definition)
  checkName(definition.name)
  mustRun(`saga ${definition.name}`, definition)
  const { name, deadline } = definition
  if (deadline !== undefined && duration(deadline, 'deadline') > LONGEST_MS)
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `saga ${name}: deadline is ${inspect(deadline)}, and may be 1,000 years; leave it out for none`,
    )
  return definition
}

const LONGEST_MS = 1000 * 365 * 86_400_000

/** How a step is called, in ms. */
export interface Call {
  readonly timeout: number
  readonly attempts: number
  readonly backoff: { readonly base: number; readonly factor: number; readonly max: number }
  readonly classify: CallOptions['classify']
}

/** A step with everything that is not said about it as its saga says, or by default. */
export interface Plan {
  readonly run: (context: StepContext) => unknown
  readonly compensate: ((context: CompensationContext<unknown>) => unknown) | undefined
  readonly call: Call
  readonly compensation: Call
}

/** @throws `BANYAN_INVALID_OPTIONS` */
export function planOf(
  name: string,
  step: StepOptions<unknown> | ((context: StepContext) => unknown),
  defaults: CallOptions,
): Plan {
  const options = typeof step === 'function' ? { run: step } : step
  checkOptions<object>(`step ${name}`, stepOptions, options)
  mustRun(`step ${name}`, options)
  const call = callOf({ ...defaults, ...given(options) })
  const attempts = options.attempts ?? defaults.attempts
  return {
    run: options.run,
    compensate: options.compensate,
    call,
    compensation: { ...call, attempts: attempts ?? call.attempts * 2 },
  }
}

function callOf({ timeout = '1m', attempts = 5, backoff = {}, classify }: CallOptions): Call {
  const { base = '200ms', factor = 2, max = '1m' } = backoff
  return {
    timeout: duration(timeout, 'timeout'),
    attempts,
    backoff: { base: duration(base, 'backoff.base'), factor, max: duration(max, 'backoff.max') },
    classify,
  }
}

export function given({ timeout, attempts, backoff, classify }: CallOptions): CallOptions {
  return {
    ...(timeout !== undefined && { timeout }),
    ...(attempts !== undefined && { attempts }),
    ...(backoff && { backoff }),
    ...(classify && { classify }),
  }
}

/** @throws `BANYAN_INVALID_OPTIONS` */
export function mustRun(what: string, { run }: { readonly run?: unknown }): void {
  if (typeof run === 'function') return
  throw new BanyanError('BANYAN_INVALID_OPTIONS', `${what} needs run, a function, and got ${typeof run}`)
}
