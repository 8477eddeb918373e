import { BanyanError } from '../../core/errors.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import type { Runtime } from '../../core/runtime.js'
import { eventError } from '../errors.js'
import type { EventShape } from '../log.js'
import { isSystemStream } from '../transform.js'
import type { SnapshotOptions } from './state-cache.js'

/** Options of `repository`. */
export interface RepositoryOptions<State> {
  /** Streams are called `category-id`: the category, without a dash. */
  category: string
  /** How often a command is decided anew when somebody else has appended to its stream meanwhile. Default 5. */
  retries?: number
  /** Where states are kept, so that long streams need not be read from the start. Default: nowhere. */
  snapshots?: SnapshotOptions<State>
  /**
   * The newest version of each type of event that `evolve` takes: newer ones are refused, and not taken for what they are
   * not. Default: what transforms of the log know, otherwise 1.
   */
  schemaVersions?: Readonly<Record<string, number>>
  /** Time, chance and telemetry. Default: the system's. */
  runtime?: Runtime
}

const SNAPSHOT_OPTIONS: OptionTable<SnapshotOptions<unknown>> = {
  store: { kind: 'code', type: 'object', doc: 'where they are' },
  version: { kind: 'number', min: 0, integer: true, doc: 'of the form of the state' },
  every: { kind: 'number', min: 1, integer: true, doc: 'events between two' },
  toJson: { kind: 'code', type: 'function', doc: 'the state as JSON keeps it' },
  fromJson: { kind: 'code', type: 'function', doc: 'the opposite' },
}

const OPTIONS: OptionTable<RepositoryOptions<unknown>> = {
  category: { kind: 'string', doc: 'what stands before the dash in names of streams' },
  retries: { kind: 'number', min: 0, integer: true, doc: 'tries after a conflict' },
  snapshots: { kind: 'group', options: SNAPSHOT_OPTIONS, doc: 'where states are kept' },
  schemaVersions: { kind: 'code', type: 'object', doc: 'the newest versions that evolve takes' },
  runtime: { kind: 'code', type: 'object', doc: 'time, chance and telemetry' },
}

/**
 * Refuses what the compiler would not have taken, and what it cannot tell.
 *
 * @throws `BANYAN_INVALID_OPTIONS`
 */
export function checkRepository(log: unknown, decider: unknown, options: RepositoryOptions<unknown>): void {
  if (!hasMethods(log, ['append', 'read']))
    throw invalid(`the first argument must be a log, as openLog gives it, got ${show(log)}`)
  if (!hasMethods(decider, ['initialState', 'decide', 'evolve']))
    throw invalid('the second argument must be a decider, with the functions initialState, decide and evolve')
  checkOptions('repository', OPTIONS, options)
  const { category, snapshots, schemaVersions = {} } = options
  // Of what begins with a $, the patterns know how it is read.
  if (typeof category !== 'string' || category === '' || category.includes('-') || isSystemStream(category))
    throw invalid(`category must be a name without a dash that does not begin with $, got ${show(category)}`)
  if (snapshots && !hasMethods(snapshots.store, ['read', 'write', 'delete']))
    throw invalid('snapshots.store must be a SnapshotStore, as openSnapshots gives it')
  if (snapshots && (snapshots.version as number | undefined) === undefined)
    throw invalid('snapshots.version is needed: a number that changes with the form of the state')
  for (const [type, newest] of Object.entries(schemaVersions))
    if (!Number.isInteger(newest) || newest < 1)
      throw invalid(`schemaVersions.${type} must be a whole number from 1, got ${show(newest)}`)
}

function hasMethods(value: unknown, names: readonly string[]): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    names.every((name) => typeof (value as Record<string, unknown>)[name] === 'function')
  )
}

function show(value: unknown): string {
  return value === undefined ? 'undefined' : JSON.stringify(value)
}

function invalid(message: string): Error {
  return new BanyanError('BANYAN_INVALID_OPTIONS', `repository: ${message}`)
}

/** The type of a command that says it. */
export function typeOf(command: unknown): string | undefined {
  const type: unknown =
    typeof command === 'object' && command !== null ? (command as { type?: unknown }).type : undefined
  return typeof type === 'string' ? type : undefined
}

/**
 * What was decided, as a list.
 *
 * @throws `BANYAN_INVALID_EVENT` for what are no events
 */
export function listOf<Event extends EventShape>(
  decided: Event | readonly Event[],
  stream: string,
): readonly Event[] {
  const list: readonly unknown[] = Array.isArray(decided) ? (decided as readonly Event[]) : [decided]
  for (const event of list)
    if (typeof event !== 'object' || event === null || event instanceof Promise)
      throw eventError(
        'BANYAN_INVALID_EVENT',
        `decide must give an event, or a list of them ([] for nothing), for ${stream}; it gave ${
          event instanceof Promise ? 'a Promise: it must not be asynchronous' : show(event)
        }`,
      )
  return list as readonly Event[]
}
