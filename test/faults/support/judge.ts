import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { expect } from 'vitest'
import { categoryOf } from '../../../src/events/names.js'
import type { EventLog, Finding, Selector } from '../../../src/events/log.js'
import {
  checkHistory,
  loggedEvents,
  readHistory,
  type RecordedHistory,
  type SeenEvent,
  type Verdict,
} from '../../../src/testing/index.js'

/** Holds what processes recorded against what is in the log, and the log against itself. */
export async function judge(
  log: EventLog,
  files: readonly string[],
): Promise<{ verdict: Verdict; history: RecordedHistory; events: SeenEvent[] }> {
  expect(await problems(log)).toEqual([])
  const history = await readHistory(linesOf(files))
  const events = await loggedEvents(log)
  const verdict = checkHistory({ ...history, log: events }, { caughtUp: true })
  expect(verdict.ok, verdict.summary).toBe(true)
  expect(refusedAfterAll(history)).toEqual([])
  await expectSameBySelectors(log, events)
  return { verdict, history, events }
}

/** What `verify` finds. */
export async function problems(log: EventLog): Promise<Finding[]> {
  const found: Finding[] = []
  for await (const finding of log.verify()) if (!finding.ok) found.push(finding)
  return found
}

/** Attempts that were refused though their commit had been acknowledged before they began. */
function refusedAfterAll({ attempts }: RecordedHistory): string[] {
  const acknowledged = new Map<string, number>()
  for (const { commit, outcome, ended } of attempts)
    if (outcome === 'ok' && ended! < (acknowledged.get(commit) ?? Infinity)) acknowledged.set(commit, ended!)
  return attempts
    .filter(
      ({ commit, outcome, began }) =>
        outcome === 'conflict' && began > (acknowledged.get(commit) ?? Infinity),
    )
    .map(({ commit, writer }) => `${commit} of ${writer}`)
}

/** Whatever way the log is read, it is the same log. */
async function expectSameBySelectors(log: EventLog, events: readonly SeenEvent[]): Promise<void> {
  const streams = new Set(events.map(({ stream }) => stream))
  const tags = new Set(events.flatMap((event) => event.tags))
  const selectors: Selector[] = [
    ...[...streams].map((stream) => ({ stream })),
    ...[...new Set([...streams].map(categoryOf))].map((category) => ({ category })),
    ...[...tags].map((tag) => ({ tags: [tag] })),
  ]
  for (const selector of selectors) {
    const wanted = events.filter((event) => selects(selector, event)).map(({ position }) => position)
    const found: string[] = []
    for await (const { position } of log.read(selector)) found.push(position)
    expect(found, `read(${JSON.stringify(selector)})`).toEqual(wanted)
  }
}

function selects({ stream, category, tags = [] }: Selector, event: SeenEvent): boolean {
  if (stream !== undefined && event.stream !== stream) return false
  if (category !== undefined && categoryOf(event.stream) !== category) return false
  return tags.every((tag) => event.tags.includes(tag))
}

async function* linesOf(files: readonly string[]): AsyncGenerator<string> {
  for (const file of files) yield* createInterface({ input: createReadStream(file), crlfDelay: Infinity })
}
