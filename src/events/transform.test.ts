import { expect, it } from 'vitest'
import { collect, newLog } from '../../test/support/logs.js'
import type { Commit, EventTransform } from './index.js'

/** Takes longer for some events than for others. */
const slow: EventTransform = {
  async write(event) {
    for (let turn = 0; turn < (event.type === 'Slow' ? 20 : 0); turn++) await Promise.resolve()
    if (event.type === 'Refused') throw new Error('refused')
    return event
  },
}
const commit = (id: string, ...types: string[]): Commit => ({
  id,
  streams: [{ stream: 'a-1', events: types.map((type) => ({ type })) }],
})

it('appends that were made one after the other are recorded in that order, however long their transforms take', async () => {
  const log = await newLog('memory', { transforms: [slow] })
  const results = await Promise.allSettled([
    log.append(commit('c1', 'Slow', 'Slow')),
    log.append(commit('c2', 'Fast')),
    log.append(commit('c3', 'Slow', 'Refused')),
    log.append(commit('c4', 'Fast')),
    log.append(commit('c5', 'Slow')),
    log.append(commit('c6', 'Fast')),
  ])
  expect(results.map(({ status }) => status).filter((status) => status === 'rejected')).toHaveLength(1)
  const ids = (await collect(log.read())).map((event) => event.commit)
  expect(ids).toEqual(['c1', 'c1', 'c2', 'c4', 'c5', 'c6'])
})
