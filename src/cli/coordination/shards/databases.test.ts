import { expect, test } from 'vitest'
import type { DataMove } from '../../../coordination/sharding/data/map.js'
import type { DataShardsDetail } from '../../../node/coordination/shard-views.js'
import { bucketsText, databases, historyTable, stillText } from './databases.js'

const NOW = 1_000_000

const move: DataMove = {
  ...{ id: 'm1', buckets: [3, 4, 5, 9], from: 'a', to: 'b', step: 'copy', since: NOW - 60_000 },
  ...{ reversed: false, aborted: false, paused: false, rows: 0, estimate: 0 },
}

const shop: DataShardsDetail = {
  ...{ name: 'shop', buckets: 16, founded: true, version: 3, moves: [move], owners: [], history: [] },
  databases: [
    { shard: 'a', weight: 1, buckets: 16 },
    { shard: 'b', weight: 1, buckets: 0 },
  ],
}

test('moves that nobody makes are told of, with what to do', () => {
  expect(databases.table([shop], NOW, 200)).toContain('1: copy, nobody makes them')
  expect(databases.page(shop, NOW, 200)).toContain('moves    nobody makes them')
  expect(stillText(shop)).toContain('run a node with `shards.shop` in its configuration')
  const mover = { holder: 'web:1', since: NOW - 5000 }
  expect(databases.table([{ ...shop, mover }], NOW, 200)).toMatch(/1: copy$/)
  expect(databases.page({ ...shop, mover }, NOW, 200)).toContain('moves    made by web:1, for 5s')
  expect(stillText({ ...shop, mover })).toBeUndefined()
  expect(stillText({ ...shop, moves: [] })).toBeUndefined()
})

test('buckets are shown as the first of their ranges', () => {
  expect(bucketsText(move.buckets)).toBe('3-5,9')
  expect(bucketsText([1, 3, 5, 7])).toBe('1,3,5,…')
  const past = {
    ...{ id: 'm0', from: 'a', to: 'b', rows: 7, since: 0, ended: NOW },
    outcome: 'moved',
  } as const
  expect(historyTable([{ ...past, buckets: 40, ranges: [[0, 16]] }], NOW, 200)).toContain(' 0-15,… ')
})
