import { BanyanError } from '../core/errors.js'
import { decodeEvent } from './decode.js'
import type { LogDriver, Page } from './driver.js'
import type { Finding, Position } from './log.js'
import { START } from './position.js'

const PAGE_EVENTS = 512

/**
 * Reads a whole log and checks it: what the engine says of its own structures, then the checksum of every event, that
 * positions rise, and that no revision of any stream is missing.
 *
 * @returns everything that is wrong, and at last one finding that is `ok` if nothing was
 */
export async function* verifyLog(
  driver: LogDriver,
  signal: AbortSignal,
  onProgress?: (events: number) => void,
): AsyncGenerator<Finding, void, undefined> {
  let problems = 0
  for await (const problem of driver.verify(signal)) {
    problems++
    yield { ok: false, ...problem }
  }
  const seen = new Map<string, number>()
  let events = 0
  let after: Position = START
  for (let end = false; !end;) {
    signal.throwIfAborted()
    const page = await pageOf(driver, after)
    if ('problem' in page) {
      yield { ok: false, message: page.problem, position: after }
      return
    }
    for (const event of page.events) {
      const { position, stream, revision } = event
      for (const message of problemsOf(event, after, seen.get(stream))) {
        problems++
        yield { ok: false, message, position, stream, revision }
      }
      seen.set(stream, revision)
      after = position
      events++
    }
    onProgress?.(events)
    after = page.position
    end = page.end
  }
  if (problems === 0) yield { ok: true, events, streams: seen.size }
}

/** A page, or why there is none: what is missing cannot be read past. */
async function pageOf(driver: LogDriver, after: Position): Promise<Page | { problem: string }> {
  try {
    return await driver.read({ after, limit: PAGE_EVENTS, backwards: false })
  } catch (error) {
    if (error instanceof BanyanError && error.code === 'BANYAN_LOG_CORRUPT') return { problem: error.message }
    throw error
  }
}

function problemsOf(
  event: Parameters<typeof decodeEvent>[0],
  before: Position,
  previous: number | undefined,
): string[] {
  const problems: string[] = []
  const { position, stream, revision } = event
  if (position <= before) problems.push(`position ${position} comes after ${before}`)
  if (previous !== undefined && revision !== previous + 1)
    problems.push(`${stream}@${revision} comes after ${stream}@${previous}: what is between is missing`)
  try {
    decodeEvent(event)
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error))
  }
  return problems
}
