import { BanyanError } from '../../core/errors.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import type { EventShape, Recorded, RecordedEvent, Selector } from '../log.js'
import type { Maybe } from './store.js'

/** What a handler works with. */
export interface ProjectionContext<Db> {
  /** The store, in the transaction that also moves the checkpoint. Of no use after the handler has ended. */
  readonly db: Db
  /** The name that a table of this version has in the store: `table('item')` is `catalogue_v2_item`. */
  readonly table: (name: string) => string
  /** Aborts when the handler has had its time, or the projection is closed. */
  readonly signal: AbortSignal
}

/** What a side effect gets. */
export interface EffectContext {
  /** Aborts when it has had its time, or the projection is closed. */
  readonly signal: AbortSignal
}

/** For each type of event what to do with it. */
export type ProjectionHandlers<Event extends EventShape, Context> = {
  readonly [Type in Event['type']]?: (
    event: Recorded<Extract<Event, { type: Type }>>,
    context: Context,
  ) => unknown
}

/** What makes a read model of events. */
export interface ProjectionDefinition<Event extends EventShape, Db> {
  /** Lower case letters, digits and `_`, up to 24: tables and views begin with it. */
  name: string
  /** Rises with everything that makes another read model of the same events; each version has its own tables. From 1. */
  version: number
  /** Which events; default all of the types that `on` and `effects` have. */
  select?: Selector
  /** Makes the tables of this version; runs once, in a transaction. */
  setup?: (context: Omit<ProjectionContext<Db>, 'signal'>) => Maybe<unknown>
  /** What to do with each event. Either this or `apply`. */
  on?: ProjectionHandlers<Event, ProjectionContext<Db>>
  /** What to do with events, many at a time, in order: for engines that take many at once better than one by one. */
  apply?: (events: readonly Recorded<Event>[], context: ProjectionContext<Db>) => Maybe<unknown>
  /**
   * What else is to happen, outside of the store: mails, calls. Runs after the read model has the event, at least once, in
   * order, and only for the active version: a rebuild repeats none.
   */
  effects?: ProjectionHandlers<Event, EffectContext>
  /** Where side effects begin when there were none before: with what is appended from then on, or at the start. Default `end`. */
  effectsFrom?: 'start' | 'end'
  /** The newest `schemaVersion` of each type that the handlers take; others are an error. Default what
   * the log makes of it when it is read (`upcasters`, `eventTypes`), otherwise 1. */
  schemaVersions?: Readonly<Record<string, number>>
  /** What must stay in order where events are parked, and is in one bucket; default the stream. */
  key?: (event: RecordedEvent) => string
  /**
   * Into how many parts it is divided, each with a position of its own: as many as the shard map has buckets whose workers run
   * it, 2 to 256. An event belongs to the bucket of its `key`. Default: it is not divided.
   */
  buckets?: number
}

const OPTIONS: OptionTable<ProjectionDefinition<EventShape, unknown>> = {
  name: { kind: 'string', doc: 'what its tables begin with' },
  version: { kind: 'number', min: 1, integer: true, doc: 'rises when the read model becomes another' },
  select: { kind: 'code', type: 'object', doc: 'which events' },
  setup: { kind: 'code', type: 'function', doc: 'makes the tables' },
  on: { kind: 'code', type: 'object', doc: 'what to do with each event' },
  apply: { kind: 'code', type: 'function', doc: 'what to do with many events' },
  effects: { kind: 'code', type: 'object', doc: 'what else is to happen' },
  effectsFrom: { kind: 'choice', values: ['start', 'end'], doc: 'where side effects begin' },
  schemaVersions: { kind: 'code', type: 'object', doc: 'the newest versions that handlers take' },
  key: { kind: 'code', type: 'function', doc: 'what must stay in order' },
  buckets: { kind: 'number', min: 2, max: 256, integer: true, doc: 'into how many parts it is divided' },
}

/** Which of how many buckets a projection is run for. */
interface PartOfProjection {
  readonly bucket: number
  readonly buckets: number
}

/** A definition that was checked. */
export interface Projection<Event extends EventShape, Db> extends Readonly<ProjectionDefinition<Event, Db>> {
  readonly select: Selector
  /** Which of its buckets it runs for, if it has some. */
  readonly part?: PartOfProjection
  /** For the compiler. */
  readonly event?: Event
}

/** Any projection for a store. */
// Handlers take what they are given; which events those are is known where the projection is defined.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type AnyProjection<Db> = Projection<any, Db>

const NAME = /^[a-z](?:_?[a-z0-9]+)*$/
const LONGEST = 24

/**
 * Defines a read model: which events, and what each does to it. `ReadModels.run` runs it.
 *
 * @throws `BANYAN_INVALID_OPTIONS`
 */
export function projection<Event extends EventShape, Db>(
  definition: ProjectionDefinition<Event, Db>,
): Projection<Event, Db> {
  checkOptions('projection', OPTIONS, definition as ProjectionDefinition<EventShape, unknown>)
  const { name, version, on, apply, effects = {}, schemaVersions = {}, select = {} } = definition
  checkTableName(name, 'name')
  // Its views would have the names of tables of another one.
  if (/_v\d+$/.test(name)) throw invalid(`the name ${name} must not end like that of a version`)
  if (!Number.isInteger(version)) throw invalid(`${name}: version is missing; the first is 1`)
  if ((on === undefined) === (apply === undefined))
    throw invalid(`${name}: a projection has either on or apply`)
  for (const [what, handlers] of Object.entries({ on: on ?? {}, effects }))
    for (const [type, handler] of Object.entries(handlers))
      if (typeof handler !== 'function') throw invalid(`${name}: ${what}.${type} must be a function`)
  for (const [type, newest] of Object.entries(schemaVersions))
    if (!Number.isInteger(newest)) throw invalid(`${name}: schemaVersions.${type} must be a whole number`)
  const types = on && Object.keys(on)
  if (types?.length === 0) throw invalid(`${name}: on has no handler`)
  const withEffects = Object.keys(effects)
  for (const type of withEffects)
    if (select.types && !select.types.includes(type))
      throw invalid(`${name}: effects.${type} would never run, as select.types lacks ${type}`)
  if (definition.buckets !== undefined && withEffects.length > 0)
    throw invalid(
      `${name}: effects run in the order of the log, which buckets do not have; have a subscription do what they do`,
    )
  // What has no handler is not read at all.
  if (!types || select.types) return { ...definition, select }
  return { ...definition, select: { ...select, types: [...new Set([...types, ...withEffects])] } }
}

/** @throws `BANYAN_INVALID_OPTIONS` if it cannot be a part of the name of a table in every engine */
export function checkTableName(name: unknown, what: string): asserts name is string {
  if (typeof name !== 'string' || !NAME.test(name) || name.length > LONGEST)
    throw invalid(
      `${what} must be lower case letters, digits and single _, at most ${LONGEST}, got ${JSON.stringify(name)}`,
    )
}

/** The name of a table of a version. */
export function tableOf(name: string, version: number, table: string): string {
  return `${name}_v${version}_${table}`
}

/** The name under which everybody reads the table of the active version. */
export function viewOf(name: string, table: string): string {
  return `${name}_${table}`
}

function invalid(message: string): Error {
  return new BanyanError('BANYAN_INVALID_OPTIONS', `projection: ${message}`)
}
