import { isDeepStrictEqual } from 'node:util'
import { duration } from '../../core/duration.js'
import { suggest } from '../../core/suggest.js'
import { eventError } from '../errors.js'
import type { EventLog } from '../log.js'
import type { AnySaga } from './definition.js'
import { SAGAS, categoryOf, descriptionStream, idOf, nameIn, streamOf } from './names.js'

interface Described {
  type: 'Described'
  data: Description
}

interface Description {
  readonly versions: readonly DescribedVersion[]
  /** Of a policy: what it follows. */
  readonly topic?: string
}

/** What has to be known of a version to start a saga of it. */
export interface DescribedVersion {
  readonly version: number
  /** ms from its start. */
  readonly deadline?: number
}

/** Sagas of a name among which one is looked for that was meant. */
const MOST_COMPARED = 1000

/**
 * Leaves word of what is run, if what is there says something else.
 *
 * @param topic - of a policy: what it follows
 */
export async function describeSaga(
  log: EventLog,
  name: string,
  definitions: readonly AnySaga[],
  topic?: string,
): Promise<void> {
  const stream = descriptionStream(name)
  const versions = definitions
    .map(({ version = 1, deadline }) => ({
      version,
      ...(deadline !== undefined && { deadline: duration(deadline, 'deadline') }),
    }))
    .sort((a, b) => a.version - b.version)
  const description: Description = { versions, ...(topic !== undefined && { topic }) }
  if (isDeepStrictEqual(await descriptionOf(log, name), description)) return
  const result = await log.append({
    streams: [{ stream, events: [{ type: 'Described', data: description }] }],
  })
  if (result.ok) await log.truncate({ stream, beforeRevision: result.streams[0]!.revision })
}

/** Leaves word anew if that was truncated with the rest of the log. */
export async function describeAgain(
  log: EventLog,
  name: string,
  definitions: readonly AnySaga[],
  topic?: string,
): Promise<void> {
  const { versions } = await descriptionOf(log, name)
  if (versions.length === 0) await describeSaga(log, name, definitions, topic)
}

/**
 * That a name does not stand for the other of both, saga or policy.
 *
 * @param topic - of a policy: what it follows
 * @returns whether it is known what it stands for
 * @throws `BANYAN_SAGA_REFUSED`
 */
export async function mustBeOfKind(log: EventLog, name: string, topic?: string): Promise<boolean> {
  const { versions, topic: known } = await descriptionOf(log, name)
  if (versions.length === 0) return false
  if ((known === undefined) === (topic === undefined)) return true
  throw eventError(
    'BANYAN_SAGA_REFUSED',
    known === undefined
      ? `${name} is the name of sagas on this log, and no policy can have it: give that another name`
      : `${name} is the name of a policy on this log, and no saga can have it: give that another name`,
  )
}

/**
 * The highest version that processes run, as they have said when they began to.
 *
 * @throws `BANYAN_SAGA_UNKNOWN`, `BANYAN_SAGA_REFUSED` for a policy
 */
export async function newestOf(log: EventLog, name: string): Promise<DescribedVersion> {
  const { versions, topic } = await descriptionOf(log, name)
  if (topic !== undefined)
    throw eventError(
      'BANYAN_SAGA_REFUSED',
      `${name} is a policy: only events start its reactions, those of the topic ${topic}`,
    )
  const newest = versions.at(-1)
  if (newest) return newest
  throw eventError('BANYAN_SAGA_UNKNOWN', await unknownName(log, name))
}

/** The names of all kinds of sagas that were ever run on a log, or started. */
export async function sagaNames(log: EventLog): Promise<string[]> {
  const names = new Set<string>()
  for await (const { stream } of log.streams({ category: SAGAS })) names.add(stream.slice(SAGAS.length + 1))
  for await (const name of startedNames(log)) names.add(name)
  return [...names].sort()
}

/** Goes from one name to the next, past all sagas between. */
async function* startedNames(log: EventLog): AsyncGenerator<string, void, undefined> {
  for (let after = `${SAGAS}/`; ;) {
    let stream: string | undefined
    for await (const next of log.streams({ after, limit: 1 })) stream = next.stream
    if (stream?.startsWith(`${SAGAS}/`) !== true) return
    const name = nameIn(idOf(stream))
    yield name
    // The first character behind the dash that ends the name.
    after = `${categoryOf(name)}.`
  }
}

/**
 * That there are sagas of a name, or somebody runs them.
 *
 * @throws `BANYAN_SAGA_UNKNOWN`
 */
export async function mustBeKnown(log: EventLog, name: string): Promise<void> {
  if ((await sagaNames(log)).includes(name)) return
  for await (const _ of log.streams({ category: categoryOf(name), limit: 1 })) return
  throw eventError('BANYAN_SAGA_UNKNOWN', await unknownName(log, name))
}

/** What to say of an id that no saga has: which one may be meant. */
export async function unknownSaga(log: EventLog, id: string): Promise<Error> {
  const name = nameIn(id)
  if ((await log.revision(streamOf(id))) !== 'none')
    return eventError('BANYAN_SAGA_UNKNOWN', `saga ${id} has ended, and what was known of it is removed`)
  const ids: string[] = []
  const options = { category: categoryOf(name), limit: MOST_COMPARED }
  for await (const { stream, firstRevision, revision } of log.streams(options))
    if (firstRevision <= revision) ids.push(idOf(stream))
  const near = suggest(id, ids)
  const hint =
    near !== undefined
      ? `, did you mean ${near}?`
      : ids.length > 0
        ? `; there are others of that name, such as ${ids.at(-1)!}`
        : `: ${await unknownName(log, name)}`
  return eventError('BANYAN_SAGA_UNKNOWN', `there is no saga ${id}${hint}`)
}

async function unknownName(log: EventLog, name: string): Promise<string> {
  const names = await sagaNames(log)
  if (names.includes(name)) return `none of the name ${name} was started`
  const near = suggest(name, names)
  const known = names.length === 0 ? 'nor of any other' : `known are ${names.join(', ')}`
  return `no process has run sagas of the name ${name}${near === undefined ? `, ${known}` : `, did you mean ${near}?`}`
}

async function descriptionOf(log: EventLog, name: string): Promise<Description> {
  const options = { backwards: true, limit: 1 }
  for await (const { data } of log.read<Described>({ stream: descriptionStream(name) }, options)) return data
  return { versions: [] }
}
