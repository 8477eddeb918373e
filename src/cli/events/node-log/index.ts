import { sleep, systemClock } from '../../../core/clock.js'
import { BanyanError } from '../../../core/errors.js'
import { eventError } from '../../../events/errors.js'
import type {
  Appended,
  AppendResult,
  Batch,
  Capabilities,
  Commit,
  Conflict,
  EventLog,
  EventShape,
  Finding,
  FollowOptions,
  LogStats,
  Position,
  ReadOptions,
  Recorded,
  RecordedEvent,
  Selector,
  StreamInfo,
  StreamsOptions,
  VerifyOptions,
} from '../../../events/index.js'
import { START } from '../../../events/position.js'
import { note } from '../../output.js'
import { commitJson, recordedOf } from './recorded.js'
import { serverSentEvents } from './server-sent-events.js'
import { ask, linesOf, RefusedError } from './transport.js'

/** Between tries to come back to a node that has gone, in ms. */
const RETRY_MS = 1000

/** Streams of one answer. */
const PAGE = 1000

/** Events of one batch of a follower. */
const BATCH = 256

/** The event log that a running node hosts, over its admin address: the only way to one in memory. */
export async function nodeLog(admin: string): Promise<EventLog> {
  return new NodeLog(admin, await statsOf(admin))
}

class NodeLog implements EventLog {
  readonly capabilities: Capabilities
  readonly #admin: string
  readonly #closing = new AbortController()

  constructor(admin: string, { driver, durable, shared }: StatsAnswer) {
    this.#admin = admin
    // The node says what differs between drivers; the rest is what each that it hosts promises.
    const same = {
      order: 'log',
      atomic: 'log',
      dedupe: 'for ever',
      transactions: false,
      backup: false,
    } as const
    this.capabilities = { driver, durable, shared, ...same }
  }

  async append(commit: Commit): Promise<AppendResult> {
    const headers = { 'Content-Type': 'application/json' }
    try {
      const response = await ask(this.#admin, '', { method: 'POST', headers, body: commitJson(commit) })
      return { ok: true, ...((await response.json()) as Omit<Appended, 'ok'>) }
    } catch (error) {
      if (error instanceof RefusedError && error.code === 'BANYAN_REVISION_CONFLICT')
        return { ok: false, conflicts: error.document['conflicts'] as Conflict[] }
      if (error instanceof BanyanError && !brokeOff(error)) throw error
      throw eventError('BANYAN_OUTCOME_UNKNOWN', `the connection to the node at ${this.#admin} broke`, error)
    }
  }

  async *read<Event extends EventShape = EventShape>(
    selector: Selector = {},
    { signal, ...part }: ReadOptions = {},
  ): AsyncGenerator<Recorded<Event>, void, undefined> {
    // The node takes no limit of 0.
    if (part.limit === 0) return
    const response = await this.#stream(queryOf(selector, part), 'application/x-ndjson', signal)
    for await (const line of linesOf(response)) yield recordedOf(line) as Recorded<Event>
  }

  async *follow<Event extends EventShape = EventShape>(
    selector: Selector = {},
    { from: start = START, signal }: FollowOptions = {},
  ): AsyncGenerator<Batch<Recorded<Event>>, void, undefined> {
    const ended = signal ? AbortSignal.any([signal, this.#closing.signal]) : this.#closing.signal
    let from = start
    let missed = false
    for (;;) {
      try {
        const response = await this.#stream(queryOf(selector, { from }), 'text/event-stream', ended)
        if (missed) note('the node is back')
        missed = false
        for await (const batch of batchesOf(response)) {
          from = batch.position
          yield batch as Batch<Recorded<Event>>
        }
      } catch (error) {
        if (ended.aborted) return
        // It was there when the log was opened.
        if (!isGone(error)) throw error
      }
      if (ended.aborted) return
      if (!missed) note(`the node at ${this.#admin} does not answer; waiting for it`)
      missed = true
      await sleep(systemClock, RETRY_MS, ended).catch(() => undefined)
    }
  }

  async head(): Promise<Position> {
    const response = await ask(this.#admin, '', { method: 'HEAD' })
    return response.headers.get('log-position') ?? START
  }

  async revision(stream: string): Promise<number | 'none'> {
    const response = await ask(this.#admin, `/streams/${encodeURIComponent(stream)}`, { method: 'HEAD' })
    const revision = response.headers.get('stream-revision')
    return revision === null || revision === 'none' ? 'none' : Number(revision)
  }

  async *streams(options: StreamsOptions = {}): AsyncGenerator<StreamInfo, void, undefined> {
    const { category, signal, limit = Infinity } = options
    let { after } = options
    for (let left = limit; left > 0;) {
      const query = new URLSearchParams({ limit: String(Math.min(left, PAGE)) })
      if (category !== undefined) query.set('category', category)
      if (after !== undefined) query.set('after', after)
      const response = await ask(this.#admin, `/streams?${query.toString()}`, { signal: signal ?? null })
      const page = (await response.json()) as { streams: StreamInfo[]; next?: string }
      yield* page.streams
      left -= page.streams.length
      if (page.next === undefined) return
      after = page.next
    }
  }

  stats(): Promise<LogStats> {
    return statsOf(this.#admin)
  }

  async *verify({ signal }: VerifyOptions = {}): AsyncGenerator<Finding, void, undefined> {
    const response = await ask(this.#admin, '/verify', { signal: signal ?? null })
    for await (const line of linesOf(response)) yield JSON.parse(line) as Finding
  }

  close(): Promise<void> {
    this.#closing.abort()
    return Promise.resolve()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  positionAt = notOverAdmin('finding the position of a time')
  truncate = notOverAdmin('truncating')
  hold = notOverAdmin('setting a hold')
  release = notOverAdmin('releasing a hold')
  backup = notOverAdmin('a backup')
  within = (): never => {
    throw eventError('BANYAN_UNSUPPORTED', 'there are no transactions over HTTP')
  }

  #stream(query: URLSearchParams, type: string, signal: AbortSignal | undefined): Promise<Response> {
    return ask(this.#admin, `?${query.toString()}`, { headers: { Accept: type }, signal: signal ?? null })
  }
}

type StatsAnswer = LogStats & Pick<Capabilities, 'durable' | 'shared'>

/** @throws `BANYAN_LOG_UNAVAILABLE` with what the node says, if its own log cannot be asked */
async function statsOf(admin: string): Promise<StatsAnswer> {
  const stats = (await (await ask(admin, '/stats')).json()) as StatsAnswer & { problem?: string }
  if (stats.problem !== undefined)
    throw eventError('BANYAN_LOG_UNAVAILABLE', `the node says: ${stats.problem}`)
  return stats
}

/** Events that come, as many together as are there. */
async function* batchesOf(response: Response): AsyncGenerator<Batch, void, undefined> {
  let events: RecordedEvent[] = []
  let truncated = false
  for await (const { id, event, data } of serverSentEvents(linesOf(response))) {
    if (event === 'truncated') truncated = true
    if (id === undefined) continue
    if (event === 'message' && data !== '') events.push(recordedOf(data))
    const caughtUp = event === 'caught-up'
    if (!caughtUp && data !== '' && events.length < BATCH) continue
    yield { events, position: id, caughtUp, truncated }
    events = []
    truncated = false
  }
}

function queryOf(
  { tags = [], types = [], ...where }: Selector,
  part: Omit<ReadOptions, 'signal'>,
): URLSearchParams {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries({ ...where, ...part })) query.set(name, String(value))
  for (const tag of tags) query.append('tag', tag)
  for (const type of types) query.append('type', type)
  return query
}

/** Nobody is there, or was and went away. */
function isGone(error: unknown): boolean {
  return (
    error instanceof BanyanError &&
    (error.code === 'BANYAN_ADMIN_UNREACHABLE' || error.code === 'BANYAN_LOG_UNAVAILABLE')
  )
}

/** Whether a connection broke that there was: what was sent may have arrived. */
function brokeOff({ code, cause }: BanyanError): boolean {
  if (code !== 'BANYAN_ADMIN_UNREACHABLE') return false
  const reason = (cause as { cause?: NodeJS.ErrnoException } | undefined)?.cause
  return reason?.code !== 'ECONNREFUSED' && reason?.code !== 'ENOTFOUND'
}

function notOverAdmin(what: string): () => Promise<never> {
  return () =>
    Promise.reject(
      eventError(
        'BANYAN_UNSUPPORTED',
        `${what} takes the log itself, with --log or -c; over the admin address of a node there are tail, read, ` +
          'append, streams, stats, verify, export and import',
      ),
    )
}
