import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../../core/random.js'
import { adviseShardKey, type ShardKeyAdvice } from './advise.js'
import type { SampleRow } from './candidate.js'
import type { ShardKeyCandidate } from './judge.js'
import { Distinct } from './distinct.js'
import { hashText } from '../../../core/hashing/hash.js'

const random = seededRandom(11)
const below = (count: number): number => Math.floor(random.next() * count)

/** Orders of a shop, as they come in. */
const orders: readonly SampleRow[] = Array.from({ length: 6_000 }, (_, index) => ({
  id: index + 1,
  at: new Date(1_700_000_000_000 + index * 1_500),
  customer: `c${below(2_000)}`,
  // One tenant has 40% of all.
  tenant: random.next() < 0.4 ? 'acme' : `t${below(900)}`,
  country: ['de', 'fr', 'it', 'us'][below(4)],
  coupon: random.next() < 0.3 ? `x${below(5_000)}` : null,
  lines: [{ article: 1 }],
}))

function of(advice: ShardKeyAdvice, ...columns: string[]): ShardKeyCandidate {
  const found = advice.candidates.find((each) => each.columns.join() === columns.join())
  if (!found) throw new Error(`no candidate ${columns.join()}`)
  return found
}

describe('advice on a shard key', () => {
  test('tells what is known of the sample', async () => {
    const advice = await adviseShardKey(orders, { shards: 16 })
    expect(advice).toMatchObject({ rows: 6_000, shards: 16 })
    const customer = of(advice, 'customer')
    expect(customer).toMatchObject({ verdict: 'good', missing: 0, top: undefined, rises: false })
    expect(customer.distinct / 1_900).toBeCloseTo(1, 1)
    expect(customer.fullest).toBeLessThan(1.25)
    expect(customer.toOneShard).toBeUndefined()

    const tenant = of(advice, 'tenant')
    expect(tenant).toMatchObject({ verdict: 'poor', top: { value: 'acme' } })
    expect(tenant.top!.share).toBeCloseTo(0.4, 1)
    expect(tenant.reasons[0]).toMatch(/^"acme" alone is (39|40|41)% of rows, .* splitting cannot help$/)
    expect(tenant.fullest).toBeGreaterThan(6)

    expect(of(advice, 'country').verdict).toBe('poor')
    expect(of(advice, 'country').reasons[0]).toBe('only 4 values for 16 shards: some would stay empty')

    expect(of(advice, 'coupon').verdict).toBe('poor')
    expect(of(advice, 'coupon').missing).toBeCloseTo(0.7, 1)
    expect(of(advice, 'coupon').reasons[0]).toMatch(/of rows have no value, and so no shard$/)

    expect(of(advice, 'lines')).toMatchObject({ score: 0, missing: 1, verdict: 'poor' })
    expect(of(advice, 'lines').reasons).toEqual(['no row has a value that can be a key'])
  })

  test('knows what rises, and that a hash does not mind', async () => {
    const advice = await adviseShardKey(orders)
    expect(of(advice, 'id')).toMatchObject({ rises: true, isTime: false, verdict: 'good' })
    expect(of(advice, 'at')).toMatchObject({ rises: true, isTime: true, verdict: 'usable' })
    expect(of(advice, 'id').reasons).toContain(
      'values rise: by ranges all new rows would go to the last shard; by hash, as here, they are spread',
    )
    // Sorted by a column that is no sequence.
    const sorted = [...orders].sort((a, b) => String(a['customer']).localeCompare(String(b['customer'])))
    expect(of(await adviseShardKey(sorted), 'customer').rises).toBe(false)
  })

  test('two columns together are found where neither will do', async () => {
    const rows = Array.from({ length: 5_000 }, () => ({ region: below(20), kind: below(40) }))
    const [best, ...others] = (await adviseShardKey(rows, { shards: 8 })).candidates
    expect(best).toMatchObject({ columns: ['region', 'kind'], verdict: 'good' })
    expect(others.map(({ columns }) => columns)).toEqual([['kind'], ['region']])
    expect((await adviseShardKey(rows, { shards: 8, pairs: false })).candidates).toHaveLength(2)
  })

  test('queries decide between what is even', async () => {
    const queries = [
      { filters: ['customer'], weight: 8 },
      { filters: ['customer', 'id'], weight: 1 },
      { filters: ['country'], weight: 1 },
    ]
    const advice = await adviseShardKey(orders, { queries })
    expect(advice.candidates[0]).toMatchObject({ columns: ['customer'], toOneShard: 0.9, verdict: 'good' })
    expect(of(advice, 'id').toOneShard).toBe(0.1)
    expect(of(advice, 'at').reasons[0]).toBe('every query goes to all shards')
    // Only pairs that a query compares.
    expect(
      advice.candidates.filter(({ columns }) => columns.length === 2).map(({ columns }) => columns),
    ).toEqual([['id', 'customer']])
    expect(of(advice, 'customer').reasons[0]).toBe('90% of queries go to one shard, the others to all')
  })

  test('what changes is no shard key', async () => {
    const versions = orders.slice(0, 1_500).flatMap((row) => [
      { ...row, courier: `k${below(800)}` },
      { ...row, courier: `k${below(800)}` },
    ])
    const advice = await adviseShardKey(versions, { id: 'id' })
    expect(of(advice, 'customer').changes).toBe(0)
    expect(of(advice, 'courier').changes).toBeGreaterThan(0.99)
    expect(of(advice, 'courier')).toMatchObject({ verdict: 'poor' })
    expect(of(advice, 'courier').reasons[0]).toBe(
      '100% of changes to rows change it, and each has to move its row to another shard',
    )
    expect(of(await adviseShardKey(versions), 'courier').changes).toBeUndefined()
  })

  test('reads no more than it is told to, and then closes the sample', async () => {
    let read = 0
    let isClosed = false
    async function* endless(): AsyncGenerator<SampleRow> {
      try {
        for (;;) yield await Promise.resolve({ key: `k${read++}` })
      } finally {
        isClosed = true
      }
    }
    const advice = await adviseShardKey(endless(), { rows: 20_000 })
    expect(advice.rows).toBe(20_000)
    expect(read).toBe(20_000)
    expect(isClosed).toBe(true)
    expect(of(advice, 'key').distinct / 20_000).toBeCloseTo(1, 1)
  })

  test('columns can be named, also those that no row has', async () => {
    const advice = await adviseShardKey(orders, { columns: ['customer', 'warehouse'], pairs: false })
    expect(advice.candidates.map(({ columns }) => columns)).toEqual([['customer'], ['warehouse']])
    expect(of(advice, 'warehouse').score).toBe(0)
  })

  test('refuses what is no sample', async () => {
    await expect(adviseShardKey([])).rejects.toThrow('the sample has no rows')
    await expect(adviseShardKey([1 as never])).rejects.toThrow('a row must be an object, got number')
    await expect(adviseShardKey(orders, { shards: 1 })).rejects.toThrow(
      'shards must be a whole number from 2',
    )
    await expect(adviseShardKey(orders, { quries: [] } as never)).rejects.toThrow('did you mean `queries`')
  })
})

test.each([10, 1_000, 10_000, 100_000])(
  'of %d different ones it is known how many, within a twentieth',
  (count) => {
    const distinct = new Distinct()
    for (let round = 0; round < 2; round++)
      for (let index = 0; index < count; index++) distinct.add(hashText(`value ${index}`))
    expect(Math.abs(distinct.estimate() / count - 1)).toBeLessThan(0.05)
  },
)
