import { describe, expect, it } from 'vitest'
import { noTelemetry, systemClock } from '../core/index.js'
import type { EncodedCommit, LogDriver, Outcome } from './driver.js'
import { encodeCommit } from './encode.js'
import { GroupCommit } from './group-commit.js'

const SIZE = noTelemetry.histogram('size', { description: '' })
const LIMIT = { commits: 5, bytes: 1e9 }

/** An engine that answers when it is told to. */
function engine(parallel = 1) {
  const groups: { ids: string[]; succeed: () => void; fail: (error: Error) => void }[] = []
  const append = (group: readonly EncodedCommit[]): Promise<Outcome[]> =>
    new Promise((resolve, reject) => {
      const outcomes = group.map((): Outcome => ({ kind: 'conflict', conflicts: [] }))
      groups.push({ ids: group.map(({ id }) => id), succeed: () => resolve(outcomes), fail: reject })
    })
  return { driver: { append, parallel } as unknown as LogDriver, groups }
}

const commit = (id: string, data = ''): EncodedCommit =>
  encodeCommit(
    { id, streams: [{ stream: 'a', events: [{ type: 'A', data }] }] },
    { eventBytes: 1e9, commitBytes: 1e9, commitEvents: 10 },
    systemClock,
  )
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('group commit', () => {
  it('sends what is appended in one turn as one group, in order', async () => {
    const { driver, groups } = engine()
    const group = new GroupCommit(driver, LIMIT, SIZE)
    const all = ['a', 'b', 'c'].map((id) => group.append(commit(id)))
    await turn()
    expect(groups.map(({ ids }) => ids)).toEqual([['a', 'b', 'c']])
    groups[0]!.succeed()
    expect(await Promise.all(all)).toHaveLength(3)
  })

  it('gathers while the engine is busy, and sends no more groups than it takes', async () => {
    const { driver, groups } = engine(2)
    const group = new GroupCommit(driver, LIMIT, SIZE)
    for (const id of ['a', 'b', 'c', 'd']) {
      void group.append(commit(id))
      await turn()
    }
    expect(groups.map(({ ids }) => ids)).toEqual([['a'], ['b']])
    groups[0]!.succeed()
    await turn()
    await turn()
    expect(groups.map(({ ids }) => ids)).toEqual([['a'], ['b'], ['c', 'd']])
  })

  it('fails only the group that failed', async () => {
    const { driver, groups } = engine()
    const group = new GroupCommit(driver, LIMIT, SIZE)
    const first = group.append(commit('a'))
    await turn()
    const second = group.append(commit('b'))
    groups[0]!.fail(new Error('disk'))
    await expect(first).rejects.toThrow('disk')
    await turn()
    groups[1]!.succeed()
    await expect(second).resolves.toEqual({ kind: 'conflict', conflicts: [] })
  })

  it('refuses more than may wait, by count and by bytes, and takes one of any size when none waits', async () => {
    const { driver } = engine()
    const group = new GroupCommit(driver, { commits: 2, bytes: 1000 }, SIZE)
    void group.append(commit('busy'))
    await turn()
    void group.append(commit('large', 'x'.repeat(2000)))
    await expect(group.append(commit('b'))).rejects.toMatchObject({ code: 'BANYAN_LOG_OVERLOADED' })
    const counted = new GroupCommit(engine().driver, { commits: 2, bytes: 1e9 }, SIZE)
    for (const id of ['a', 'b']) void counted.append(commit(id))
    await expect(counted.append(commit('c'))).rejects.toMatchObject({ code: 'BANYAN_LOG_OVERLOADED' })
  })

  it('splits what is too much for one group', async () => {
    const { driver, groups } = engine()
    const group = new GroupCommit(driver, LIMIT, SIZE)
    for (const id of ['a', 'b', 'c']) void group.append(commit(id, 'x'.repeat(3_000_000)))
    await turn()
    expect(groups.map(({ ids }) => ids)).toEqual([['a']])
  })

  it('closes when everything that was taken has its outcome', async () => {
    const { driver, groups } = engine()
    const group = new GroupCommit(driver, LIMIT, SIZE)
    const taken = group.append(commit('a'))
    const closed = group.close()
    await expect(group.append(commit('b'))).rejects.toMatchObject({ code: 'BANYAN_LOG_CLOSED' })
    await turn()
    groups[0]!.succeed()
    await Promise.all([taken, closed])
  })
})
