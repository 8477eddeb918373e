import { inspect, isDeepStrictEqual } from 'node:util'
import { sleep } from '../../core/clock.js'
import { duration } from '../../core/duration.js'
import { BanyanError } from '../../core/errors.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import { systemRuntime, type Runtime } from '../../core/runtime.js'
import { checkInput } from '../cqrs/input.js'
import { eventError } from '../errors.js'
import { asJson } from '../as-read.js'
import { toJson } from '../json.js'
import type { Appended, Commit, EventLog, Recorded, StreamAppend } from '../log.js'
import { uuid7 } from '../uuid.js'
import type { AnySaga, SagaDefinition } from './definition.js'
import { followSagas, type FollowSagasOptions, type SagaChanges } from './changes.js'
import { mustBeOfKind, newestOf, sagaNames, unknownSaga } from './description.js'
import { startHere } from './here.js'
import { listSagas, type ListOptions } from './list.js'
import { applyTo, event, readSaga, requestTo, startOf } from './journal.js'
import { checkName, idFor, nameIn, streamOf } from './names.js'
import {
  askerOptions,
  followOptions,
  listOptions,
  mustBeText,
  outcomeOptions,
  signalOptions,
  startOptions,
  type Asker,
  type SignalOptions,
  type StartOptions,
} from './options.js'
import type { ErrorInfo, FailureClass } from './failure.js'
import type { Request, SagaEvent } from './records.js'
import { Script } from './script.js'
import type { SagaState } from './state.js'
import { statusOf, type ListedSaga } from './status.js'
import { timelineOf, type SagaView } from './timeline.js'
import { traceOf, type Trace, type TraceOptions } from './trace.js'

/** A saga that was started. */
export interface StartedSaga {
  /** `fulfilment/17` */
  readonly id: string
  /** It had been started before. */
  readonly duplicate: boolean
}

/** How a saga has ended, or why it does not go on. */
export type SagaOutcome<Result = unknown> =
  | { readonly outcome: 'completed'; readonly result: Result }
  | { readonly outcome: 'compensated'; readonly class: FailureClass; readonly error: ErrorInfo }
  | { readonly outcome: 'parked'; readonly reason: string }

/** Options of {@link sagas}. */
export interface SagasOptions {
  /** Needed to start sagas by name, and to answer queries. */
  definitions?: readonly AnySaga[]
  runtime?: Runtime
}

const OPTIONS: OptionTable<SagasOptions> = {
  definitions: {
    kind: 'list',
    of: { kind: 'code', type: 'object', doc: 'a saga' },
    doc: 'what can be asked',
  },
  runtime: { kind: 'code', type: 'object', doc: 'time, chance and telemetry' },
}

/** The sagas of a log, wherever they run. What is asked for in a wrong way is `BANYAN_INVALID_OPTIONS`. */
export interface Sagas {
  /**
   * Starts a saga. Durable when it resolves; any process that runs sagas of this name goes on with it.
   *
   * @throws `BANYAN_SAGA_EXISTS`, `BANYAN_INVALID_INPUT`, `BANYAN_INVALID_EVENT` for an input that does not serialise,
   *   `BANYAN_SAGA_REFUSED` if a policy has its name, and what `append` throws
   */
  start<Input, Result>(
    definition: SagaDefinition<Input, Result>,
    ...given: undefined extends Input
      ? [input?: Input, options?: StartOptions]
      : [input: Input, options?: StartOptions]
  ): Promise<StartedSaga>
  /**
   * Starts a saga by its name: of the highest version among the `definitions` given here, or if there is none of the highest
   * that processes run. Then the input is not checked, as nobody here knows what it must be like.
   *
   * @throws also `BANYAN_SAGA_UNKNOWN` if no process has run sagas of that name, `BANYAN_SAGA_REFUSED` for a policy
   */
  start(name: string, input?: unknown, options?: StartOptions): Promise<StartedSaga>
  /**
   * Waits until a saga has ended or is parked.
   *
   * @throws `BANYAN_SAGA_UNKNOWN`, the reason of the signal
   */
  outcome<Result = unknown>(id: string, options?: { signal?: AbortSignal }): Promise<SagaOutcome<Result>>
  /**
   * Signals a saga; it may wait for that already, or later.
   *
   * @throws `BANYAN_SAGA_UNKNOWN`, `BANYAN_SAGA_ENDED`, `BANYAN_COMMIT_OVERLAP` for another signal under the same id
   */
  signal(id: string, name: string, payload?: unknown, options?: SignalOptions): Promise<void>
  /**
   * Asks a saga, by what its code says with `query`: it is run again up to now without calling anything.
   *
   * @throws `BANYAN_SAGA_UNKNOWN`, `BANYAN_SAGA_DIVERGED`, `BANYAN_UNKNOWN_HANDLER`
   */
  query<Answer = unknown>(id: string, name: string, argument?: unknown): Promise<Answer>
  /**
   * Has it undo what it has done. What is in flight is waited for first.
   *
   * @throws `BANYAN_SAGA_UNKNOWN`, `BANYAN_SAGA_ENDED`, `BANYAN_SAGA_REFUSED` past its point of no return
   */
  cancel(id: string, by?: Asker): Promise<void>
  /**
   * Has a parked saga try again what it was parked for.
   *
   * @throws `BANYAN_SAGA_UNKNOWN`, `BANYAN_SAGA_ENDED`, `BANYAN_SAGA_REFUSED` if it is not parked
   */
  retry(id: string, by?: Asker): Promise<void>
  /**
   * Has a parked saga go on as if what it was parked for had been done, since somebody has done it by hand.
   *
   * @param by.result - what the step is taken to have returned
   * @throws `BANYAN_SAGA_UNKNOWN`, `BANYAN_SAGA_ENDED`, `BANYAN_SAGA_REFUSED` if it is not parked, or not for a step
   */
  skip(id: string, by?: Asker & { result?: unknown }): Promise<void>
  /**
   * Everything about a saga.
   *
   * @throws `BANYAN_SAGA_UNKNOWN`
   */
  show(id: string): Promise<SagaView>
  /** Sagas, the last that were started first. */
  list(options?: ListOptions): AsyncIterable<ListedSaga>
  /**
   * What happens to sagas, in the order of the log, from now on or an earlier position.
   *
   * @throws `BANYAN_INVALID_POSITION`, `BANYAN_POSITION_AHEAD`
   */
  follow(options?: FollowSagasOptions): AsyncIterable<SagaChanges>
  /**
   * Everything of one correlation, from event to event: which reactions and sagas an event has led to, and these to which
   * events. Reads the log from `from` on: correlations have no index.
   *
   * @param correlationId - of their metadata; the id of the first event or saga, if that has begun one
   * @throws `BANYAN_INVALID_OPTIONS`, and what `read` throws
   */
  trace(correlationId: string, options?: TraceOptions): Promise<Trace>
  /** Names of all kinds of sagas that were ever run on this log, or started. */
  names(): Promise<string[]>
}

const AGAIN_MS = 10

/**
 * Starts, asks and steers sagas, in any process; {@link runSagas} runs them.
 *
 * @throws `BANYAN_INVALID_OPTIONS`
 */
export function sagas(log: EventLog, options: SagasOptions = {}): Sagas {
  checkOptions('sagas', OPTIONS, options)
  return new LogSagas(log, options)
}

class LogSagas implements Sagas {
  readonly #log: EventLog
  readonly #runtime: Runtime
  readonly #definitions: readonly AnySaga[]
  /** Names that are known to be those of sagas. */
  readonly #kinds = new Set<string>()

  constructor(log: EventLog, { definitions = [], runtime = systemRuntime }: SagasOptions) {
    this.#log = log
    this.#runtime = runtime
    this.#definitions = definitions
  }

  async start(what: AnySaga | string, given?: unknown, options: StartOptions = {}): Promise<StartedSaga> {
    checkOptions('start', startOptions, options)
    const { id: own, metadata } = options
    const { name, version = 1, deadline, input: schema } = await this.#definitionFor(what)
    checkName(name)
    const id = idFor(name, own ?? uuid7(this.#runtime.clock.wall()))
    const checked: unknown = await checkInput(schema, given, `saga ${id}`)
    const input = checked === undefined ? checked : asJson(checked, `the input of saga ${id}`)
    const started = {
      ...{ format: 1 as const, saga: name, version },
      ...(input !== undefined && { input }),
      ...(deadline !== undefined && { deadline: duration(deadline, 'deadline') }),
    }
    const isNew = await startHere(this.#log, id, started, metadata)
    if (isNew !== undefined) {
      if (!isNew) await this.#mustBeTheSame(id, input)
      return { id, duplicate: !isNew }
    }
    const [start, ...more] = startOf(id, started, this.#runtime, metadata)
    const result = await this.#log.append({ streams: [{ ...start!, expected: 'none' }, ...more] })
    if (!result.ok) await this.#mustBeTheSame(id, input)
    return { id, duplicate: !result.ok }
  }

  async #definitionFor(
    what: AnySaga | string,
  ): Promise<Pick<AnySaga, 'name' | 'version' | 'deadline' | 'input'>> {
    mustBeStartable(what)
    const own = typeof what === 'string' ? this.#definitions.filter(({ name }) => name === what) : [what]
    if (typeof what === 'string' && own.length === 0) {
      checkName(what)
      return { name: what, ...(await newestOf(this.#log, what)) }
    }
    const { name } = own[0]!
    checkName(name)
    // A name never changes its kind.
    if (!this.#kinds.has(name) && (await mustBeOfKind(this.#log, name))) this.#kinds.add(name)
    return own.reduce((newest, next) => ((next.version ?? 1) > (newest.version ?? 1) ? next : newest))
  }

  async #mustBeTheSame(id: string, input: unknown): Promise<void> {
    const { started } = await readSaga(this.#log, id)
    // What was truncated has been there.
    if (!started || JSON.stringify(started.input) === JSON.stringify(input)) return
    throw eventError(
      'BANYAN_SAGA_EXISTS',
      `saga ${id} was started at ${new Date(started.at).toISOString()} with another input: ${inspect(started.input).slice(0, 200)}`,
    )
  }

  async outcome<Result>(id: string, options: { signal?: AbortSignal } = {}): Promise<SagaOutcome<Result>> {
    checkOptions('outcome', outcomeOptions, options)
    const { signal } = options
    const state = await this.#known(id)
    const ending = new AbortController()
    const until = signal ? AbortSignal.any([signal, ending.signal]) : ending.signal
    const found = outcomeOf<Result>(state)
    if (found) return found
    for await (const { events } of this.#log.follow<SagaEvent>({ stream: streamOf(id) }, { signal: until })) {
      for (const one of events as readonly Recorded<SagaEvent>[])
        if (!(one.revision <= Number(state.revision))) applyTo(state, one)
      const outcome = outcomeOf<Result>(state)
      if (!outcome) continue
      ending.abort()
      return outcome
    }
    signal?.throwIfAborted()
    throw eventError('BANYAN_LOG_CLOSED', `the log was closed before saga ${id} ended`)
  }

  async signal(id: string, name: string, payload?: unknown, options: SignalOptions = {}): Promise<void> {
    checkOptions('signal', signalOptions, options)
    mustBeText('the name of a signal', name)
    const { id: own, actor } = options
    if (own !== undefined) mustBeText('the id of a signal', own)
    const kept =
      payload === undefined ? payload : asJson(payload, `the payload of signal ${name} for saga ${id}`)
    const commit = own === undefined ? {} : { id: `${streamOf(id)}/signal/${own}` }
    const data = { name, ...(kept !== undefined && { payload: kept }) }
    const result = await this.#append(id, (state) => {
      if (state.end) throw ended(id, state, `the signal ${name} was not given`)
      const by = actor === undefined ? undefined : { actor }
      return { ...commit, streams: [{ stream: streamOf(id), events: [event('Signalled', data, by)] }] }
    })
    if (own !== undefined && result.duplicate)
      await this.#mustBeTheSameSignal(id, own, data, result.streams[0]!.revision)
  }

  async #mustBeTheSameSignal(id: string, own: string, data: object, revision: number): Promise<void> {
    const it = { fromRevision: revision, toRevision: revision }
    for await (const given of this.#log.read<SagaEvent>({ stream: streamOf(id) }, it)) {
      if (given.type !== 'Signalled' || isDeepStrictEqual(given.data, data)) return
      const { name, payload } = given.data
      throw eventError(
        'BANYAN_COMMIT_OVERLAP',
        `signal ${own} was given to saga ${id} before, as ${name} with ${inspect(payload).slice(0, 200)}; nothing was done: give what is new another id`,
      )
    }
  }

  async query<Answer>(id: string, name: string, argument?: unknown): Promise<Answer> {
    mustBeText('the name of a query', name)
    const state = await this.#known(id)
    const { version } = state.started!
    const definition = this.#definitions.find(
      (one) => one.name === nameIn(id) && (one.version ?? 1) === version,
    )
    if (!definition)
      throw eventError(
        'BANYAN_UNKNOWN_HANDLER',
        `saga ${id} is of version ${version}, which is not among the definitions given here`,
      )
    const script = new Script(id, definition, state, () => undefined)
    await script.advance()
    if (script.divergence !== undefined)
      throw eventError('BANYAN_SAGA_DIVERGED', `saga ${id} cannot be asked: ${script.divergence}`)
    const answer = script.queries.get(name)
    if (!answer)
      throw eventError(
        'BANYAN_UNKNOWN_HANDLER',
        `saga ${id} answers no query ${name}${script.queries.size > 0 ? `, but ${[...script.queries.keys()].join(', ')}` : ''}`,
      )
    return (await answer(argument)) as Answer
  }

  async cancel(id: string, by: Asker = {}): Promise<void> {
    await this.#request(id, { what: 'cancel' }, by, (state) => {
      if (state.isBeyondReturn)
        throw eventError(
          'BANYAN_SAGA_REFUSED',
          `saga ${id} is past its point of no return, and is not undone any more`,
        )
    })
  }

  async retry(id: string, by: Asker = {}): Promise<void> {
    await this.#request(id, { what: 'retry' }, by, (state) => mustBeParked(id, state))
  }

  async skip(id: string, { result, ...by }: Asker & { result?: unknown } = {}): Promise<void> {
    if (result !== undefined) toJson(result, `the result for ${id}`)
    const request: Request = { what: 'skip', ...(result !== undefined && { result }) }
    await this.#request(id, request, by, (state) => {
      mustBeParked(id, state)
      if (state.parked!.op === undefined)
        throw eventError(
          'BANYAN_SAGA_REFUSED',
          `saga ${id} is not parked for a step that could be skipped: ${state.parked!.reason}`,
        )
    })
  }

  async show(id: string): Promise<SagaView> {
    nameIn(id)
    return timelineOf(this.#log, id)
  }

  list(options: ListOptions = {}): AsyncIterable<ListedSaga> {
    checkOptions('list', listOptions, options)
    if (options.saga !== undefined) checkName(options.saga)
    return listSagas(this.#log, options)
  }

  follow(options: FollowSagasOptions = {}): AsyncIterable<SagaChanges> {
    checkOptions('follow', followOptions, options)
    return followSagas(this.#log, options)
  }

  trace(correlationId: string, options: TraceOptions = {}): Promise<Trace> {
    return traceOf(this.#log, correlationId, options)
  }

  names(): Promise<string[]> {
    return sagaNames(this.#log)
  }

  async #request(id: string, request: Request, by: Asker, check: (state: SagaState) => void): Promise<void> {
    checkOptions(request.what, askerOptions, by)
    const { reason, actor } = by
    const whole = { ...request, ...(reason !== undefined && { reason }) }
    await this.#append(id, (state) => {
      if (state.end) throw ended(id, state, 'nothing was done')
      check(state)
      return { streams: [requestTo(id, whole, actor === undefined ? undefined : { actor })] }
    })
  }

  /** Appends what is right for the state in which the saga is then. */
  async #append(
    id: string,
    make: (state: SagaState) => Commit & { streams: readonly StreamAppend[] },
  ): Promise<Appended> {
    for (;;) {
      const state = await this.#known(id)
      const { streams, ...commit } = make(state)
      const [own, ...others] = streams
      const result = await this.#log.append({
        ...commit,
        streams: [{ ...own!, expected: state.revision }, ...others],
      })
      if (result.ok) return result
      await sleep(this.#runtime.clock, AGAIN_MS * this.#runtime.random.next())
    }
  }

  async #known(id: string): Promise<SagaState> {
    nameIn(id)
    const state = await readSaga(this.#log, id)
    if (!state.started) throw await unknownSaga(this.#log, id)
    return state
  }
}

function outcomeOf<Result>({ end, parked }: SagaState): SagaOutcome<Result> | undefined {
  if (parked) return { outcome: 'parked', reason: parked.reason }
  if (end?.outcome === 'completed') return { outcome: 'completed', result: end.result as Result }
  return end
}

/** @throws `BANYAN_INVALID_OPTIONS` */
function mustBeStartable(what: unknown): void {
  if (typeof what === 'string') return
  const { name, run } = Object(what) as Partial<AnySaga>
  if (typeof name === 'string' && typeof run === 'function') return
  throw new BanyanError(
    'BANYAN_INVALID_OPTIONS',
    `start needs a saga or the name of one, got ${inspect(what).slice(0, 200)}`,
  )
}

function ended(id: string, { end }: SagaState, what: string): Error {
  return eventError('BANYAN_SAGA_ENDED', `saga ${id} has ended (${end!.outcome}); ${what}`)
}

function mustBeParked(id: string, state: SagaState): void {
  if (state.parked) return
  throw eventError('BANYAN_SAGA_REFUSED', `saga ${id} is not parked; it is ${statusOf(state)}`)
}
