import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { sleep, type Clock } from '../../core/clock.js'
import { BanyanError } from '../../core/errors.js'
import { queryOf, refuseUnknown, signalOf, type Reply } from './reply.js'

/** Between two looks, in ms, however many watch. */
const LOOK_MS = 1000

/** A comment is sent where there is nothing to say for so long, in ms. */
const HEARTBEAT_MS = 15_000

/** What of a node is told under a name, and changes. */
interface Named {
  readonly name: string
}

/** What statuses are read from. */
export interface Watched<Status extends Named> {
  readonly clock: Clock
  now(): Promise<readonly Status[]>
  /** When there may be something new; a second later at the latest. */
  pause(signal: AbortSignal): Promise<void>
  /** Begins to watch, if that is to be told; what it returns ends that. */
  join?(): () => void
}

/** Looks at statuses for all who watch them, at most once a second, and only when one of them asks. */
export class StatusWatch<Status extends Named> implements Watched<Status> {
  readonly clock: Clock
  readonly #look: () => Promise<readonly Status[]>
  #seen: Promise<readonly Status[]> | undefined
  #freshUntil = -Infinity

  constructor(clock: Clock, look: () => Promise<readonly Status[]>) {
    this.clock = clock
    this.#look = look
  }

  /** All of them, as of at most a second ago. */
  now(): Promise<readonly Status[]> {
    const { clock } = this
    if (this.#seen && clock.now() < this.#freshUntil) return this.#seen
    // Nobody looks again before this look has come back.
    this.#freshUntil = Infinity
    this.#seen = this.#look().finally(() => {
      this.#freshUntil = clock.now() + LOOK_MS
    })
    return this.#seen
  }

  /** When there may be something new. */
  pause(signal: AbortSignal): Promise<void> {
    return sleep(this.clock, LOOK_MS, signal).catch(() => undefined)
  }
}

/** Whether that is what a request asks for. */
export function wantsStream(request: IncomingMessage): boolean {
  return (request.headers.accept ?? '').includes('text/event-stream')
}

/**
 * Statuses as Server-Sent Events: each as it is, then each that has changed. The `id` stands for all that was told, so that a
 * client that comes back with `Last-Event-ID` is told only if something has changed since then. Besides there are `caught-up`
 * (there is nothing more now), `removed` with the name of what is there no more, `problem` while nobody can say how it is, and
 * comments.
 *
 * @param only - the one that is told; the stream ends when it is removed
 * @param closing - ends it, without an error
 */
export function statusStream<Status extends Named>(
  request: IncomingMessage,
  watch: Watched<Status>,
  only: string | undefined,
  closing: AbortSignal,
): Reply {
  const refused = refuseUnknown(queryOf(request), [])
  if (refused) return refused
  const last = [request.headers['last-event-id'] ?? ''].flat()[0]!
  return {
    status: 200,
    type: 'text/event-stream',
    headers: { 'X-Accel-Buffering': 'no' },
    body: parts(watch, only, last, AbortSignal.any([signalOf(request), closing])),
  }
}

async function* parts<Status extends Named>(
  watch: Watched<Status>,
  only: string | undefined,
  last: string,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  yield Buffer.from(': follows\n\n')
  const leave = watch.join?.()
  try {
    yield* tellings(watch, only, last, signal)
  } finally {
    leave?.()
  }
}

async function* tellings<Status extends Named>(
  watch: Watched<Status>,
  only: string | undefined,
  last: string,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  let told: Told = new Map()
  let saidAt = -Infinity
  let problem = ''
  for (let isFirst = true; !signal.aborted;) {
    const now = await look(watch, only)
    const isDue = watch.clock.now() - saidAt >= HEARTBEAT_MS
    if (typeof now === 'string') {
      if (now !== problem || isDue) {
        yield Buffer.from(`event: problem\ndata: ${now}\n\n`)
        saidAt = watch.clock.now()
      }
      problem = now
    } else {
      if (isFirst && idOf(now) === last) told = now
      const news = newsOf(told, now)
      const isAnswer = isFirst || news !== '' || problem !== ''
      if (isAnswer || isDue) {
        const end = `id: ${idOf(now)}\nevent: caught-up\ndata: {}\n\n`
        yield Buffer.from(isAnswer ? `${news}${end}` : ':\n\n')
        saidAt = watch.clock.now()
        told = now
      }
      if (only !== undefined && now.size === 0) return
      isFirst = false
      problem = ''
    }
    await watch.pause(signal)
  }
}

/** What there is now, or why nobody can say, as JSON. */
async function look<Status extends Named>(
  watch: Watched<Status>,
  only: string | undefined,
): Promise<Told | string> {
  try {
    const statuses = (await watch.now()).filter(({ name }) => only === undefined || name === only)
    return new Map(statuses.map((each) => [each.name, JSON.stringify(each)]))
  } catch (error) {
    if (!(error instanceof BanyanError)) throw error
    return JSON.stringify({ code: error.code, detail: error.message })
  }
}

/** Names with the JSON of their status. */
type Told = ReadonlyMap<string, string>

/** What is to be told to somebody who knows only what was told before. */
function newsOf(before: Told, now: Told): string {
  const known = new Map(before)
  const news: string[] = []
  for (const name of before.keys())
    if (!now.has(name)) {
      known.delete(name)
      news.push(`id: ${idOf(known)}\nevent: removed\ndata: ${JSON.stringify({ name })}\n\n`)
    }
  for (const [name, status] of now)
    if (known.get(name) !== status) {
      known.set(name, status)
      news.push(`id: ${idOf(known)}\ndata: ${status}\n\n`)
    }
  return news.join('')
}

function idOf(told: Told): string {
  const sorted = [...told].sort(([a], [b]) => (a < b ? -1 : 1))
  return createHash('sha256').update(JSON.stringify(sorted)).digest('base64url').slice(0, 22)
}
