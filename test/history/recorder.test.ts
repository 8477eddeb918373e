import { describe, expect, it } from 'vitest'
import { eventError } from '../../src/events/errors.js'
import { openLog, type EventLog } from '../../src/events/index.js'
import {
  checkHistory,
  historyOf,
  historyRecorder,
  loggedEvents,
  readHistory,
  type HistoryEntry,
} from '../../src/testing/index.js'

const commit = (id: string, expected: 'any' | 'none' = 'any') => ({
  id,
  streams: [
    {
      stream: 'a',
      expected,
      events: [
        { type: 'A', data: { id } },
        { type: 'B', data: Buffer.from(id) },
      ],
    },
  ],
})

async function record(): Promise<{ entries: HistoryEntry[]; log: EventLog }> {
  const log = await openLog('memory:')
  const entries: HistoryEntry[] = []
  const recorder = historyRecorder({ name: 'w1', write: (entry) => entries.push(entry) })
  await recorder.append(log, commit('c1'))
  await recorder.append(log, commit('c2', 'none'))
  await recorder.append(log, commit('c1'))
  const lossy = {
    append: () => Promise.reject(eventError('BANYAN_OUTCOME_UNKNOWN', 'the connection was lost')),
  }
  await expect(recorder.append(lossy, commit('c3'))).rejects.toThrow('the connection was lost')
  const full = { append: () => Promise.reject(eventError('BANYAN_LOG_FULL', 'no space is left')) }
  await expect(recorder.append(full, commit('c4'))).rejects.toThrow('no space')
  const stop = new AbortController()
  for await (const batch of recorder.follow('f1', log, { stream: 'a' }, { signal: stop.signal }))
    if (batch.caughtUp) stop.abort()
  return { entries, log }
}

describe('a recorded history', () => {
  it('holds what was tried, what came of it and what was given', async () => {
    const { entries, log } = await record()
    const { attempts, follows } = historyOf(entries)
    expect(attempts.map(({ commit, outcome }) => [commit, outcome])).toEqual([
      ['c1', 'ok'],
      ['c2', 'conflict'],
      ['c1', 'ok'],
      ['c3', 'unknown'],
      ['c4', 'failed'],
    ])
    expect(follows[0]!.batches.flatMap(({ events }) => events.map(({ id }) => id))).toEqual(['c1/0', 'c1/1'])
    const verdict = checkHistory({ attempts, follows, log: await loggedEvents(log) }, { caughtUp: true })
    expect(verdict.summary).toBe(
      'nothing lost, duplicated, reordered, invented or torn\n' +
        '4 commits: 1 acknowledged, 2 refused, 0 without an answer and appended, 1 without an answer and not appended\n' +
        '2 events in the log, 2 given to followers',
    )
  })

  it('is the same after it was written as lines, in whatever order the files come', async () => {
    const { entries } = await record()
    const lines = entries.map((entry) => JSON.stringify(entry))
    expect(await readHistory(lines)).toEqual(historyOf(entries))
    expect((await readHistory(lines.toReversed())).attempts).toHaveLength(5)
  })

  it('goes on behind a line that a killed process left unfinished, and counts it', async () => {
    const { entries } = await record()
    const [first = '', second = '', ...rest] = entries.map((entry) => JSON.stringify(entry))
    const history = await readHistory([
      first,
      `${second.slice(0, -20)}${rest[0]}`,
      ...rest.slice(1),
      '{"is":"out',
    ])
    expect(history.unreadable).toBe(2)
    expect(history.attempts.map(({ outcome }) => outcome)).toEqual([
      'unknown',
      'conflict',
      'ok',
      'unknown',
      'failed',
    ])
  })
})
