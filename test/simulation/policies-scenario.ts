import { BanyanError } from '../../src/core/errors.js'
import { policy, runSagas, sagas, subscriptions, topic, type AnyPolicy } from '../../src/events/index.js'
import type { SagaEvent } from '../../src/events/saga/records.js'
import { SagaState } from '../../src/events/saga/state.js'
import type { SimulatedNode, World } from '../../src/testing/index.js'
import { insist, Services, type Behaviour } from './services.js'

const CLIENTS = 2
const ORDERS = 5
const RUNNERS = 3
const BEHAVIOURS: readonly Behaviour[] = ['good', 'flaky', 'slow', 'hangs', 'mute', 'refuses', 'breaks']

type Truth = ReturnType<World['log']>['truth']

interface OrderPlaced {
  type: 'OrderPlaced'
  data: { behaviour: Behaviour }
}

/**
 * Services that react to each other's events, in processes that crash, over a log that fails; an operator lets everything be
 * delivered again in the middle of it, and has what is parked tried again at the end.
 */
export async function policiesScenario(world: World): Promise<void> {
  const log = world.log()
  let isRepaired = false
  let acting: SimulatedNode | undefined
  const services = new Services(() => acting!)

  const policiesOf = (node: SimulatedNode): AnyPolicy[] => {
    const call = async (key: string, behaviour: Behaviour): Promise<void> => {
      acting = node
      await services.call(key, isRepaired ? 'good' : behaviour, () => isRepaired)
    }
    const how = {
      timeout: '400ms',
      attempts: 3,
      backoff: { base: '20ms', max: '100ms' },
      from: 'start',
    } as const
    const reserve = policy<OrderPlaced>({
      ...{ name: 'reserve', topic: 'order', types: ['OrderPlaced'], ...how },
      async run({ data }, { idempotencyKey: id, metadata }) {
        await call(id, data.behaviour)
        const stock = topic(node.open(log), 'stock', { runtime: node.runtime })
        await stock.publish({ id, key: 'shelf', type: 'StockReserved', metadata })
      },
    })
    const ship = policy({
      ...{ name: 'ship', topic: 'stock', ...how },
      run: (_, { idempotencyKey }) => call(idempotencyKey, 'good'),
    })
    return [reserve, ship]
  }

  for (let index = 0; index < RUNNERS; index++)
    world.node(`runner-${index}`, async (node) => {
      const runner = await runSagas(node.open(log), {
        definitions: policiesOf(node),
        concurrency: world.random.pick([2, 64]),
        partitions: 3,
        takeover: '1s',
        drain: '500ms',
        runtime: node.runtime,
      })
      await node.sleep(world.random.below(5000))
      if (world.random.chance(0.3)) {
        node.note('closes')
        await runner.close()
        throw new BanyanError('BANYAN_LOG_UNAVAILABLE', 'it is started again')
      }
      await new Promise(() => undefined)
    })

  const placed = new Set<string>()
  for (let client = 0; client < CLIENTS; client++)
    world.node(`client-${client}`, async (node) => {
      const orders = topic<OrderPlaced | { type: 'OrderPaid' }>(node.open(log), 'order', {
        runtime: node.runtime,
      })
      for (let number = 0; number < ORDERS; number++) {
        const id = `${client}-${number}`
        const behaviour = world.random.chance(0.5) ? 'good' : world.random.pick(BEHAVIOURS)
        const messages = [
          { id, key: id, type: 'OrderPlaced', data: { behaviour } },
          { id: `${id}-paid`, key: id, type: 'OrderPaid' },
        ] as const
        await insist(node, () => orders.publish(messages))
        placed.add(id)
        await node.sleep(world.random.below(300))
      }
    })
  if (world.random.chance(0.5))
    world.node('operator', async (node) => {
      await node.sleep(world.random.below(4000))
      const manage = subscriptions(node.open(log), { runtime: node.runtime })
      await insist(node, () => manage.seek('policy reserve', 'start'))
    })

  await world.storm(`${1 + world.random.below(10)}s`)
  isRepaired = true
  let looked = ''
  const settled = async (): Promise<boolean> => {
    const head = await log.truth.head()
    if (head === looked || placed.size < CLIENTS * ORDERS) return false
    looked = head
    const [reservations, shipments] = [
      await reactionsOf(log.truth, 'reserve'),
      await reactionsOf(log.truth, 'ship'),
    ]
    for (const [id, { parked }] of [...reservations, ...shipments]) {
      if (!parked) continue
      if (!/^step react has failed|ended without a word/.test(parked.reason))
        throw new Error(`${id} is parked: ${parked.reason}`)
      await sagas(log.truth).retry(id)
    }
    const isOver = ({ end }: SagaState): boolean => end !== undefined
    return (
      reservations.size === placed.size &&
      shipments.size === placed.size &&
      [...reservations.values(), ...shipments.values()].every(isOver)
    )
  }
  await world.calm(settled, '3m')
  await check(log.truth, placed, services)
}

/** Every event has one reaction that is completed, and what that has done was done once; nothing else has one. */
async function check(log: Truth, placed: ReadonlySet<string>, { done }: Services): Promise<void> {
  const reservations = await reactionsOf(log, 'reserve')
  const shipments = await reactionsOf(log, 'ship')
  const expected = Array.from(placed, (id) => `reserve/${id}`).sort()
  mustEqual('reactions to orders', [...reservations.keys()].sort(), expected)
  const reserved: string[] = []
  for await (const { id } of log.read({ category: 'stock' })) reserved.push(id)
  mustEqual('reservations', reserved.sort(), expected.map((id) => `${id}/react/run`).sort())
  mustEqual(
    'reactions to reservations',
    [...shipments.keys()].sort(),
    reserved.map((id) => `ship/${id}`).sort(),
  )
  for (const [id, { end }] of [...reservations, ...shipments])
    if (end?.outcome !== 'completed') throw new Error(`${id} is ${end?.outcome ?? 'not at its end'}`)
  mustEqual(
    'what was done',
    [...done.keys()].sort(),
    [...reservations.keys(), ...shipments.keys()].map((id) => `${id}/react/run`).sort(),
  )
  for (const id of placed) {
    const { roots } = await sagas(log).trace(id)
    const [root] = roots
    if (roots.length !== 1 || !root?.leadsTo[0]?.leadsTo[0]?.leadsTo[0])
      throw new Error(`the trace of ${id} has a gap: ${JSON.stringify(roots)}`)
  }
}

function mustEqual(what: string, found: readonly string[], expected: readonly string[]): void {
  if (found.join() !== expected.join())
    throw new Error(`${what}: ${found.join(', ')} in place of ${expected.join(', ')}`)
}

/** The reactions of a policy, by id. */
async function reactionsOf(log: Truth, name: string): Promise<Map<string, SagaState>> {
  const reactions = new Map<string, SagaState>()
  for await (const { stream } of log.streams({ category: `$saga/${name}` })) {
    const state = new SagaState()
    for await (const event of log.read<SagaEvent>({ stream })) {
      if (event.type === 'Started' && event.revision > 0) throw new Error(`${stream} was started twice`)
      state.apply(event)
    }
    reactions.set(stream.slice('$saga/'.length).replace('-', '/'), state)
  }
  return reactions
}
