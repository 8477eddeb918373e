import { expect, test } from 'vitest'
import { checkSource } from '../../src/node/config/load.js'
import { readYaml } from '../../src/node/config/yaml-source.js'
import { blockOf } from '../support/example.js'
import { runSnippet } from '../support/snippet.js'

test.each(['events/cloudevents.md', 'events/transfer.md', 'events/retention.md'])(
  'the example of %s prints what the page says',
  async (page) => {
    expect(await runSnippet(page)).toBe(blockOf(page, 'text'))
  },
)

test('the configuration of retention is one', () => {
  const rest =
    'listen: 127.0.0.1:0\nservices: {}\nroutes: { all: { match: { path: /* }, respond: { status: 204 } } }\n'
  const loaded = checkSource('retention.md', readYaml(rest + blockOf('events/retention.md', 'yaml'), {}))
  expect(loaded).toMatchObject({ ok: true })
  expect(loaded.ok && loaded.spec.events?.retention?.rules).toHaveLength(3)
})
