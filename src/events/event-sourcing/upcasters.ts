import { BanyanError } from '../../core/errors.js'
import { eventError } from '../errors.js'
import type { NewEvent, RecordedEvent } from '../log.js'
import type { EventTransform } from '../transform.js'

/** Makes data of one version what the next version would have been; at once, not as a promise. */
export type Upcaster = (
  // Old forms have no types any more.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  data: any,
  event: RecordedEvent,
) => unknown

/** A step that gives events another type, too: see {@link renamed}. */
export interface Renaming {
  readonly type: string
  readonly schemaVersion: number
  readonly step: Upcaster
}

/**
 * A step for events that have another type since. Whoever selects events by type gets them under the new one, and no more
 * under the old one.
 *
 * @param step - makes the data of the new type; default as it is
 * @param schemaVersion - of the new type, which that has; default 1
 */
export function renamed(type: string, step: Upcaster = (data: unknown) => data, schemaVersion = 1): Renaming {
  return { type, step, schemaVersion }
}

/** For each type the steps, each under the version that it takes: `{ OrderPlaced: { 1: toVersion2, 2: toVersion3 } }`. */
export type Upcasters = Readonly<Record<string, Readonly<Record<number, Upcaster | Renaming>>>>

/**
 * Brings events to their newest version when they are read, one step after the other, and says the newest version of what
 * is appended: for `openLog(where, { transforms: [upcasters(...)] })`. As a part of the log it works wherever events are
 * read: states, projections, subscriptions, exports. What is stored stays as it is.
 *
 * What it refuses to read: `BANYAN_EVENT_NEWER`, an event of a version that these steps do not know;
 * `BANYAN_INVALID_EVENT`, one at which a step throws, or gives nothing or a promise.
 *
 * @throws `BANYAN_INVALID_OPTIONS` if a step is missing between two others, or renamings lead in a circle
 */
export function upcasters(chains: Upcasters): EventTransform {
  const newest = new Map<string, number>()
  for (const [type, steps] of Object.entries(chains)) newest.set(type, newestOf(type, steps))
  for (const type of newest.keys()) mustEnd(chains, type)
  return {
    storedTypes: (type) => [...sourcesOf(chains, type)],
    newestVersion: (type) => newest.get(type) ?? renamedTo(chains, type),
    write(event: NewEvent): NewEvent {
      const version = newest.get(event.type)
      return version === undefined || event.schemaVersion !== undefined
        ? event
        : { ...event, schemaVersion: version }
    },
    read(recorded: RecordedEvent): RecordedEvent {
      let event = recorded
      while (newest.has(event.type)) {
        const version = newest.get(event.type)!
        if (event.schemaVersion === version) break
        if (event.schemaVersion > version) throw newer(event, version)
        const step = chains[event.type]![event.schemaVersion]!
        event =
          typeof step === 'function'
            ? { ...event, data: upcast(step, event), schemaVersion: event.schemaVersion + 1 }
            : {
                ...event,
                type: step.type,
                data: upcast(step.step, event),
                schemaVersion: step.schemaVersion,
              }
      }
      return event
    },
  }
}

/** Data after one step; what goes wrong in it is told with the event that it went wrong with. */
function upcast(step: Upcaster, event: RecordedEvent): unknown {
  let data
  try {
    data = step(event.data, event)
  } catch (error) {
    throw notUpcast(event, error instanceof Error ? error.message : String(error), error)
  }
  if (data instanceof Promise) {
    // Nobody waits for it.
    data.catch(() => undefined)
    throw notUpcast(event, 'it gave a Promise; steps must not be asynchronous')
  }
  if (data === undefined && event.data !== undefined) throw notUpcast(event, 'it gave nothing')
  return data
}

function notUpcast(event: RecordedEvent, why: string, cause?: unknown): Error {
  const { type, schemaVersion, stream, revision, position } = event
  return eventError(
    'BANYAN_INVALID_EVENT',
    `the upcaster of ${type} from version ${schemaVersion} does not take the event at position ${position}, ${stream}@${revision}: ${why}`,
    cause,
  )
}

/** The newest version in which renamings give a type that has no steps. */
function renamedTo(chains: Upcasters, type: string): number | undefined {
  let newest: number | undefined
  for (const steps of Object.values(chains))
    for (const step of Object.values(steps))
      if (typeof step !== 'function' && step.type === type)
        newest = Math.max(newest ?? step.schemaVersion, step.schemaVersion)
  return newest
}

/** Steps go from the first version without a gap. */
function newestOf(type: string, steps: Upcasters[string]): number {
  const versions = Object.keys(steps).map(Number)
  for (let version = 1; version <= versions.length; version++)
    if (!isStep(steps[version]))
      throw new BanyanError(
        'BANYAN_INVALID_OPTIONS',
        `upcasters: ${type} has steps for the versions ${versions.join(', ')}, and none for ${version}; a step stands under the version that it takes, from 1 on`,
      )
  return versions.length + 1
}

function newer({ type, schemaVersion, stream, revision }: RecordedEvent, known: number): Error {
  return eventError(
    'BANYAN_EVENT_NEWER',
    `${stream}@${revision} is a ${type} of version ${schemaVersion}, and this program knows versions up to ${known}: ` +
      'a newer program has appended it. Update this one',
  )
}

/** Types that events may have had which have this one now, itself included. */
function sourcesOf(chains: Upcasters, type: string): Set<string> {
  const sources = new Set([type])
  for (const source of sources)
    for (const [before, steps] of Object.entries(chains))
      if (Object.values(steps).some((step) => typeof step !== 'function' && step.type === source))
        sources.add(before)
  return sources
}

function mustEnd(chains: Upcasters, first: string): void {
  const seen = new Set<string>()
  let [type, version] = [first, 1]
  for (;;) {
    const step = chains[type]?.[version]
    if (!step) return
    if (seen.has(`${version} ${type}`))
      throw new BanyanError('BANYAN_INVALID_OPTIONS', `upcasters: the steps of ${first} lead in a circle`)
    seen.add(`${version} ${type}`)
    if (typeof step === 'function') version++
    else [type, version] = [step.type, step.schemaVersion]
  }
}

function isStep(step: Upcaster | Renaming | undefined): boolean {
  return typeof (typeof step === 'object' ? step.step : step) === 'function'
}
