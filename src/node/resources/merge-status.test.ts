import { expect, test } from 'vitest'
import { mergedStatus } from './merge-status.js'
import type { ConditionStatus, EntryStatus, NodeReport } from './status.js'

const [THEN, NOW] = ['2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z']
const nodes = new Set(['a', 'b'])

function report(name: string, status: ConditionStatus, observedGeneration = 1): NodeReport {
  const condition = { type: 'Ready', status, reason: status, message: status.toLowerCase() }
  return { name, observedGeneration, conditions: [condition] }
}

function merged(reports: readonly NodeReport[], generation = 1, now = NOW): EntryStatus {
  return reports.reduce<EntryStatus>(
    (before, each) => mergedStatus(before, each, { generation, nodes, now }),
    {},
  )
}

test('what all nodes say is said once, and otherwise the one that is worst off is named', () => {
  const [same] = merged([report('a', 'True'), report('b', 'True')]).conditions!
  expect(same).toMatchObject({ type: 'Ready', status: 'True', message: 'true', observedGeneration: 1 })
  const [worse] = merged([report('a', 'True'), report('b', 'False')]).conditions!
  expect(worse).toMatchObject({ status: 'False', reason: 'False', message: 'b: false' })
})

test('the order in which nodes say it does not matter', () => {
  const reports = [report('a', 'Unknown'), report('b', 'False')]
  expect(merged(reports)).toEqual(merged(reports.toReversed()))
})

test('who has not looked at the present generation does not know', () => {
  const status = merged([report('a', 'True', 1), report('b', 'True', 2)], 2)
  expect(status.observedGeneration).toBe(1)
  expect(status.conditions).toMatchObject([
    { status: 'Unknown', reason: 'Pending', message: 'a: it has not looked at generation 2 yet' },
  ])
})

test('when something has changed last stays, as long as it does not change', () => {
  const before = merged([report('a', 'True')], 1, THEN)
  const at = (status: ConditionStatus): string =>
    mergedStatus(before, report('a', status), { generation: 1, nodes, now: NOW }).conditions![0]!
      .lastTransitionTime
  expect(at('True')).toBe(THEN)
  expect(at('False')).toBe(NOW)
})

test('what a node has said that is no more is forgotten', () => {
  const before = merged([report('a', 'True'), report('b', 'False')])
  const after = mergedStatus(before, report('a', 'True'), { generation: 1, nodes: new Set(['a']), now: NOW })
  expect(after.nodes!.map(({ name }) => name)).toEqual(['a'])
  expect(after.conditions![0]!.status).toBe('True')
})
