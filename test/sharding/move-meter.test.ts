import { expect, test } from 'vitest'
import { seededRandom } from '../../src/core/random.js'
import { noTelemetry, type Attributes } from '../../src/core/telemetry.js'
import { finishMove, startMoves } from '../../src/coordination/sharding/data/moves/operate.js'
import { SEED } from '../support/effort.js'
import { MovingWorld } from './moving-world.js'

test(`rows, steps and the time that buckets are blocked are measured (seed ${SEED})`, async () => {
  const told: { name: string; value: number; attributes: Attributes | undefined }[] = []
  const instrument = (name: string) => {
    const tell = (value: number, attributes?: Attributes) => void told.push({ name, value, attributes })
    return { add: tell, record: tell }
  }
  const telemetry = { ...noTelemetry, counter: instrument, histogram: instrument }
  const world = await MovingWorld.open(seededRandom(SEED), telemetry)
  try {
    const [id] = await startMoves(world.coordinator, 'conformance', [
      { buckets: [0, 1, 2, 3], from: 'a', to: 'b' },
    ])
    await world.execute()
    const [move] = await world.moves()
    await finishMove(world.coordinator, 'conformance', id!)
    await world.execute()
    const of = (name: string) => told.filter((each) => each.name === `banyan.shards.move.${name}`)
    expect(of('rows').reduce((sum, { value }) => sum + value, 0)).toBe(move!.rows)
    expect(move!.rows).toBeGreaterThan(0)
    const steps = of('step').map(({ attributes }) => attributes?.['banyan.step'])
    expect(steps).toEqual(expect.arrayContaining(['copy', 'catch-up', 'verify', 'switch', 'drop']))
    expect(of('step').every(({ value }) => value > 0)).toBe(true)
    expect(of('blocked').at(-1)!.value).toBeGreaterThan(0)
  } finally {
    await world.close()
  }
})
