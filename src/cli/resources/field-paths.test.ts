import { expect, test } from 'vitest'
import { fieldPaths } from './field-paths.js'

test('fields are told by their paths, and an element of a list without what stands in it', () => {
  const ready = { '.': {}, 'f:type': {}, 'f:status': {}, 'f:message': {} }
  const fields = {
    'f:metadata': { 'f:finalizers': { '.': {}, 'v:"shop.example/labels"': {} } },
    'f:spec': { '.': {}, 'f:steps': { 'k:{"name":"pay","port":80}': { 'f:wait': {} } }, 'f:discount': {} },
    'f:status': { 'f:conditions': { '.': {}, 'k:{"type":"Ready"}': ready } },
  }
  expect(fieldPaths(fields)).toEqual([
    'metadata.finalizers["shop.example/labels"]',
    'spec.steps[name=pay,port=80].wait',
    'spec.discount',
    'status.conditions[type=Ready]',
  ])
})
