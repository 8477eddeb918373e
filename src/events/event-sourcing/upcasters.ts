import { BanyanError } from '../../core/errors.js'
import { eventError } from '../errors.js'
import type { NewEvent, RecordedEvent } from '../log.js'
import type { EventTransform } from '../transform.js'

/** Makes data of one version what the next version would have been; it may give the event another type, too. */
export type Upcaster = (
  // Old forms have no types any more.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  data: any,
  event: RecordedEvent,
) => unknown

/** Another type, and its data. */
export class Renamed {
  readonly type: string
  readonly data: unknown
  readonly schemaVersion: number

  constructor(type: string, data: unknown, schemaVersion: number) {
    this.type = type
    this.data = data
    this.schemaVersion = schemaVersion
  }
}

/** What an {@link Upcaster} gives back where an event has another type since. */
export function renamed(type: string, data: unknown, schemaVersion = 1): Renamed {
  return new Renamed(type, data, schemaVersion)
}

/** For each type the steps, each under the version that it takes: `{ OrderPlaced: { 1: toVersion2, 2: toVersion3 } }`. */
export type Upcasters = Readonly<Record<string, Readonly<Record<number, Upcaster>>>>

/** Steps that an event may take, renaming included; more are a circle. */
const MOST_STEPS = 100

/**
 * Brings events to their newest version when they are read, one step after the other, and says the newest version of what
 * is appended: for `openLog(where, { transforms: [upcasters(...)] })`. As a part of the log it works wherever events are
 * read: states, projections, subscriptions, exports. What is stored stays as it is.
 *
 * What it refuses to read: `BANYAN_EVENT_NEWER`, an event of a version that these steps do not know.
 *
 * @throws `BANYAN_INVALID_OPTIONS` if a step is missing between two others
 */
export function upcasters(chains: Upcasters): EventTransform {
  const newest = new Map<string, number>()
  for (const [type, steps] of Object.entries(chains)) newest.set(type, newestOf(type, steps))
  return {
    write(event: NewEvent): NewEvent {
      const version = newest.get(event.type)
      return version === undefined || event.schemaVersion !== undefined
        ? event
        : { ...event, schemaVersion: version }
    },
    read(recorded: RecordedEvent): RecordedEvent {
      let event = recorded
      for (let step = 0; newest.has(event.type); step++) {
        const version = newest.get(event.type)!
        if (event.schemaVersion === version) break
        if (event.schemaVersion > version) throw newer(event, version)
        if (step === MOST_STEPS) throw circle(recorded)
        const data = chains[event.type]![event.schemaVersion]!(event.data, event)
        event =
          data instanceof Renamed
            ? { ...event, type: data.type, data: data.data, schemaVersion: data.schemaVersion }
            : { ...event, data, schemaVersion: event.schemaVersion + 1 }
      }
      return event
    },
  }
}

/** Steps go from the first version without a gap. */
function newestOf(type: string, steps: Readonly<Record<number, Upcaster>>): number {
  const versions = Object.keys(steps).map(Number)
  for (let version = 1; version <= versions.length; version++)
    if (typeof steps[version] !== 'function')
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

function circle({ type, stream, revision }: RecordedEvent): Error {
  return eventError(
    'BANYAN_INVALID_EVENT',
    `the upcasters of ${type} lead in a circle, for ${stream}@${revision}`,
  )
}
