import { describe, expect, it } from 'vitest'
import { defineResource, type PrinterColumn } from '../define.js'
import type { Resource, ResourceList } from '../object.js'
import { tableOf } from './table.js'

const now = Date.parse('2026-01-01T00:10:00Z')

function withColumns(...printerColumns: PrinterColumn[]) {
  return defineResource({ group: 'shop.example', kind: 'Promotion', printerColumns })
}
const plain = withColumns()

function promotion(name: string, spec: unknown, status?: unknown): Resource {
  return {
    apiVersion: 'shop.example/v1',
    kind: 'Promotion',
    metadata: {
      name,
      namespace: 'default',
      uid: `uid-${name}`,
      resourceVersion: '7',
      generation: 1,
      creationTimestamp: '2026-01-01T00:00:00Z',
      labels: { tier: 'web' },
    },
    spec,
    ...(status === undefined ? {} : { status }),
  }
}

function listOf(...items: Resource[]): ResourceList {
  const metadata = { resourceVersion: '9', continue: 'abc', remainingItemCount: 3 }
  return { apiVersion: 'shop.example/v1', kind: 'PromotionList', metadata, items }
}

describe('a table of resources', () => {
  it('has names and ages, who each is, and how the list goes on', () => {
    const item = promotion('summer', { discount: 10 })
    const table = tableOf(plain, listOf(item), { now })
    expect(table).toMatchObject({
      kind: 'Table',
      apiVersion: 'meta.k8s.io/v1',
      metadata: { resourceVersion: '9', continue: 'abc', remainingItemCount: 3 },
    })
    expect(table.columnDefinitions.map(({ name, type, format }) => [name, type, format])).toEqual([
      ['Name', 'string', 'name'],
      ['Age', 'date', ''],
    ])
    expect(table.rows).toEqual([
      {
        cells: ['summer', '10m'],
        object: { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: item.metadata },
      },
    ])
  })

  it('of one resource has its version, and of none no rows', () => {
    const one = tableOf(plain, promotion('summer', {}), { now })
    expect(one.metadata).toEqual({ resourceVersion: '7' })
    expect(one.rows).toHaveLength(1)
    expect(tableOf(plain, listOf(), { now }).rows).toEqual([])
  })

  it('brings whole resources, or nothing of them, to those who ask for it', () => {
    const item = promotion('summer', { discount: 10 })
    expect(tableOf(plain, item, { now, includeObject: 'Object' }).rows[0]?.object).toBe(item)
    expect(tableOf(plain, item, { now, includeObject: 'None' }).rows).toEqual([{ cells: ['summer', '10m'] }])
  })

  it('has the columns of the kind between, each with what its type can say', () => {
    const table = tableOf(
      withColumns(
        { name: 'Discount', type: 'integer', jsonPath: '.spec.discount', description: 'In percent.' },
        { name: 'Weight', type: 'number', jsonPath: '.spec.weight', priority: 1 },
        { name: 'On', type: 'boolean', jsonPath: '.spec.on' },
        { name: 'Until', type: 'date', jsonPath: '.spec.until' },
        {
          name: 'Ready',
          type: 'string',
          jsonPath: '.status.conditions[?(@.type=="Ready")].status',
          format: 'byte',
        },
      ),
      listOf(
        promotion(
          'full',
          { discount: 10.9, weight: 0.5, on: false, until: '2026-01-01T00:09:00Z' },
          { conditions: [{ type: 'Ready', status: 'True' }] },
        ),
        promotion('odd', { discount: '10', weight: null, on: 1, until: 5 }, { conditions: [] }),
        promotion('deep', {}, { conditions: [{ type: 'Ready', status: { a: [1] } }] }),
      ),
      { now },
    )
    expect(table.columnDefinitions.slice(1, -1)).toEqual([
      { name: 'Discount', type: 'integer', format: '', description: 'In percent.', priority: 0 },
      { name: 'Weight', type: 'number', format: '', description: 'At .spec.weight.', priority: 1 },
      { name: 'On', type: 'boolean', format: '', description: 'At .spec.on.', priority: 0 },
      { name: 'Until', type: 'date', format: '', description: 'At .spec.until.', priority: 0 },
      {
        name: 'Ready',
        type: 'string',
        format: 'byte',
        description: 'At .status.conditions[?(@.type=="Ready")].status.',
        priority: 0,
      },
    ])
    expect(table.rows.map(({ cells }) => cells)).toEqual([
      ['full', 10, 0.5, false, '60s', 'True', '10m'],
      ['odd', null, null, null, null, null, '10m'],
      ['deep', null, null, null, null, '{"a":[1]}', '10m'],
    ])
  })

  it('takes the age of the kind, if it has one', () => {
    const age: PrinterColumn = { name: 'AGE', type: 'date', jsonPath: '.spec.since' }
    const note: PrinterColumn = { name: 'Note', type: 'string', jsonPath: '.spec.note' }
    const table = tableOf(
      withColumns(age, note),
      promotion('a', { since: '2026-01-01T00:09:59Z', note: 'x' }),
      { now },
    )
    expect(table.rows[0]?.cells).toEqual(['a', '1s', 'x'])
  })
})
