import type { HandlerAnswer, HandlerRequest } from '../../core/http-handler.js'
import { fromCloudEvent, type CloudEvent, type ReceivedEvent } from '../cloudevents/index.js'
import type { Appended, Commit, Conflicted, Expected, NewEvent, StreamAppend } from '../log.js'
import { isSystemStream } from '../transform.js'
import { readAppending, understood } from './cloud-request.js'
import { commitOf } from './commit-json.js'
import { problem } from './problem.js'
import { systemStream } from './scope.js'
import { keptUntilDue, refuseTime, timed } from './schedule.js'
import type { EventsSurroundings } from './surroundings.js'
import { checkTypes, streamOfTopic, type PublishTarget } from './topics.js'

/** What the path of an append names: a stream, a topic, or the log as a whole. */
export interface Target {
  readonly stream?: string
  readonly topic?: PublishTarget
}

/** A commit as a request asks for it: events in the streams that they are for. */
interface Asked {
  readonly commit: Commit
  /** When messages are to be delivered that are not to be there at once, ms since the epoch, by their id. */
  readonly due: ReadonlyMap<string, number>
}

/**
 * Appends what a request holds as one commit. The id of the commit is `Idempotency-Key`, else that of its first event
 * if all have one, as CloudEvents do: the same request again gives the first result.
 *
 * @param target - what the path names
 * @returns 201 where it was appended, 200 where it had been before or only checked; a problem of 409 with every stream
 *   that is not as expected
 */
export async function appendEvents(
  request: HandlerRequest,
  target: Target,
  { log, clock, scope, actor, operators, topics, bodyBytes }: EventsSurroundings,
): Promise<HandlerAnswer> {
  for (const name of request.query.keys())
    throw problem(400, 'invalid-parameter', `Unknown parameter \`${name}\`: an append has none.`)
  const appending = await readAppending(request, bodyBytes)
  const given: Asked =
    'commit' in appending
      ? { commit: commitFor(target, commitOf(appending.commit)), due: new Map() }
      : cloudCommit(appending.cloudEvents, target, clock.wall())
  const commit = withHeaders(request, target, given.commit)
  const { streams = [], checks = [] } = commit
  for (const { stream } of [...streams, ...checks]) {
    scope.checkStream(stream)
    if (isSystemStream(stream) && !operators) throw systemStream(stream)
  }
  for (const { stream, events } of streams) checkTypes(topics(), stream, events)
  const { caller, traceparent } = request
  const around = (event: NewEvent): NewEvent =>
    traced(actor === 'caller' ? doneBy(event, caller) : event, traceparent)
  const appends = streams.map((each) => ({ ...each, events: each.events.map(around) }))
  const result = await log.append({ ...commit, streams: keptUntilDue(appends, given.due) })
  return result.ok ? appended(request, result, given.due.size) : conflicted(result)
}

/** @param scheduled - how many messages are to be delivered later: where they are until then is nobody's business */
function appended(
  { base }: HandlerRequest,
  { id, position, streams: all, duplicate }: Appended,
  scheduled: number,
): HandlerAnswer {
  const streams = scheduled === 0 ? all : all.filter(({ stream }) => !isSystemStream(stream))
  const [first, ...others] = streams
  const fields: [string, string][] = [
    ['Content-Type', 'application/json'],
    ['Cache-Control', 'no-store'],
    ['Log-Position', position],
  ]
  if (first && others.length + scheduled === 0) {
    fields.push(['Location', `${base}/streams/${encodeURIComponent(first.stream)}`])
    fields.push(['Stream-Revision', String(first.revision)])
  }
  const told = { id, position, streams, ...(scheduled > 0 && { scheduled }), duplicate }
  const body = Buffer.from(JSON.stringify(told))
  return { status: duplicate || all.length === 0 ? 200 : 201, fields, body }
}

function conflicted({ conflicts }: Conflicted): never {
  const [first] = conflicts
  const detail =
    conflicts.length === 1 && first
      ? `The stream ${JSON.stringify(first.stream)} was expected at ${first.expected} and is at ${first.actual}. Nothing was appended.`
      : `${conflicts.length} streams are not as expected. Nothing was appended.`
  throw problem(409, 'revision-conflict', detail, { extensions: { conflicts } })
}

/** CloudEvents as a commit: those of one stream together, in their order. */
function cloudCommit(cloudEvents: readonly CloudEvent[], target: Target, now: number): Asked {
  const streams = new Map<string, NewEvent[]>()
  const times = new Map<string, number>()
  for (const [index, each] of cloudEvents.entries()) {
    if (!target.topic) refuseTime(each, index)
    const { cloud, due } = timed(each, index, now)
    const received = understood(() => fromCloudEvent(cloud), 'invalid-cloudevent')
    const name = streamIn(target, cloud, received, index)
    const event = newEventOf(received)
    if (due !== undefined) times.set(received.id, due)
    const events = streams.get(name)
    if (events) events.push(event)
    else streams.set(name, [event])
  }
  const appends = Array.from(streams, ([name, events]) => ({ stream: name, events }))
  return { commit: { streams: appends }, due: times }
}

/** The stream that a CloudEvent goes to. */
function streamIn(
  { stream, topic }: Target,
  cloud: CloudEvent,
  received: ReceivedEvent,
  index: number,
): string {
  if (topic) return streamOfTopic(topic, cloud, index)
  const name = stream ?? received.stream ?? cloud.subject
  if (name !== undefined) return name
  throw problem(
    400,
    'no-stream',
    `CloudEvent ${index} does not say its stream: append to /streams/{stream}, or give it \`banyanstream\` or \`subject\`.`,
  )
}

/** Where an event was in the log that it comes from says nothing of where it will be in this one. */
function newEventOf({ id, type, data, metadata, tags, schemaVersion, time }: ReceivedEvent): NewEvent {
  return { id, type, data, metadata, tags, schemaVersion, ...(time !== undefined && { time }) }
}

/** A commit at the address of a stream is about that stream alone; to a topic goes none. */
function commitFor({ stream, topic }: Target, commit: Commit): Commit {
  if (topic)
    throw problem(
      415,
      'unsupported-media-type',
      'What is published to a topic is a CloudEvent, or a batch of them; commits are appended at the log itself.',
    )
  const other = stream === undefined ? undefined : commit.streams?.find((each) => each.stream !== stream)
  if (other)
    throw problem(
      400,
      'invalid-commit',
      `The path names the stream ${JSON.stringify(stream)}, the commit ${JSON.stringify(other.stream)}. Commits of several streams are appended at the log itself.`,
    )
  return commit
}

/** What header fields say of a commit. */
function withHeaders(request: HandlerRequest, { topic }: Target, commit: Commit): Commit {
  const { streams = [] } = commit
  const key = keyOf(request.field('idempotency-key'))
  if (key !== undefined && commit.id !== undefined && key !== commit.id)
    throw problem(400, 'invalid-commit', 'Idempotency-Key is not the id that the commit has.')
  const expected = expectedOf(request.field('expected-revision'))
  if (expected !== undefined && topic)
    throw problem(400, 'invalid-commit', 'Expected-Revision is for streams; a topic expects nothing.')
  if (expected === undefined) return key === undefined ? commit : { ...commit, id: key }
  const [only, ...others] = streams
  if (!only || others.length > 0)
    throw problem(400, 'invalid-commit', 'Expected-Revision is for one stream; for several, send a commit.')
  if (only.expected !== undefined && only.expected !== expected)
    throw problem(400, 'invalid-commit', 'Expected-Revision contradicts the commit.')
  const one: StreamAppend = { ...only, expected }
  return { ...commit, ...(key !== undefined && { id: key }), streams: [one] }
}

/** In quotes, as the draft of the HTTP working group has it, or without, as most send it. */
function keyOf(value: string | undefined): string | undefined {
  return value?.replace(/^"(.*)"$/, '$1')
}

function expectedOf(value: string | undefined): Expected | undefined {
  if (value === undefined || value === 'any' || value === 'none' || value === 'exists') return value
  if (/^\d{1,15}$/.test(value)) return Number(value)
  throw problem(
    400,
    'invalid-commit',
    `Expected-Revision must be any, none, exists or a whole number from 0, got ${JSON.stringify(value)}.`,
  )
}

/** Nobody does anything in the name of somebody else. */
function doneBy(event: NewEvent, caller: string | undefined): NewEvent {
  const said = event.metadata?.actor
  if (said !== undefined && said !== caller)
    throw problem(
      403,
      'actor-not-caller',
      caller === undefined
        ? 'An event names who has done it, and nobody was authenticated here.'
        : `An event names another actor than ${JSON.stringify(caller)}, who was authenticated.`,
    )
  return caller === undefined || said === caller
    ? event
    : { ...event, metadata: { ...event.metadata, actor: caller } }
}

/** An event that says nothing of a trace belongs to that of the request. */
function traced(event: NewEvent, traceparent: string | undefined): NewEvent {
  if (traceparent === undefined || event.metadata?.traceparent !== undefined) return event
  return { ...event, metadata: { ...event.metadata, traceparent } }
}
