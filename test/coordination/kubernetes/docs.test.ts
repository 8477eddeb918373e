import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { crdOf, defineResource, openCoordinator, openResources } from '../../../src/coordination/index.js'
import { blockOf } from '../../support/example.js'
import { runSnippet } from '../../support/snippet.js'
import { served } from './served.js'

const PAGE = 'coordination/kubernetes.md'

it('the page says how a kind is told to a cluster', async () => {
  const Sale = defineResource({
    group: 'shop.example',
    kind: 'Sale',
    spec: {
      type: 'object',
      required: ['discount'],
      properties: { discount: { type: 'integer', maximum: 90 } },
    },
  })
  expect(JSON.parse(await runSnippet(PAGE))).toEqual(crdOf(Sale))
})

it('the controller of the page finds a cluster by KUBECONFIG, and prints what the page says', async () => {
  const kinds = ['Sale', 'Price'].map((kind) => defineResource({ group: 'shop.example', kind }))
  const directory = mkdtempSync(join(tmpdir(), 'banyan-kubernetes-docs-'))
  await using coordinator = await openCoordinator('memory:')
  await using server = await served(openResources(coordinator), kinds)
  try {
    const file = join(directory, 'config')
    const cluster = { server: server.url, 'insecure-skip-tls-verify': true }
    writeFileSync(
      file,
      JSON.stringify({
        clusters: [{ name: 'here', cluster }],
        users: [{ name: 'me', user: {} }],
        contexts: [{ name: 'here', context: { cluster: 'here', user: 'me' } }],
        'current-context': 'here',
      }),
    )
    const printed = await runSnippet(PAGE, { index: 1, env: { KUBECONFIG: file } })
    expect(printed).toBe(blockOf(PAGE, 'text'))
  } finally {
    rmSync(directory, { recursive: true })
  }
})
