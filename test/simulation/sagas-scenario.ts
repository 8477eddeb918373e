import { BanyanError } from '../../src/core/errors.js'
import {
  retain,
  runSagas,
  saga,
  sagas,
  type SagaContext,
  type SagaDefinition,
  type SagaRunner,
  type StepOptions,
} from '../../src/events/index.js'
import { holdOf } from '../../src/events/saga/names.js'
import type { SagaEvent, SagaRecord } from '../../src/events/saga/records.js'
import { SagaState } from '../../src/events/saga/state.js'
import type { SimulatedNode, World } from '../../src/testing/index.js'
import { checkKept, Journals } from './sagas-journals.js'
import { insist, Services, type Behaviour } from './services.js'

const CLIENTS = 2
const SAGAS = 4
const RUNNERS = 3
const ATTEMPTS = 3

type Part =
  | { readonly is: 'step'; readonly name: string; readonly run: Behaviour; readonly undo: Behaviour }
  | { readonly is: 'sleep'; readonly ms: number }
  | { readonly is: 'signal'; readonly timeout?: number }
  | { readonly is: 'child'; readonly name: string; readonly plan: Plan }
  | { readonly is: 'no-return' }
  | { readonly is: 'parallel'; readonly branches: readonly Plan[] }
type Plan = readonly Part[]

/** Goes through a plan. */
async function follow(
  plan: Plan,
  context: SagaContext,
  step: (part: Part & { is: 'step' }) => StepOptions<string>,
): Promise<void> {
  for (const part of plan)
    switch (part.is) {
      case 'step':
        await context.step(part.name, step(part))
        break
      case 'sleep':
        await context.sleep(part.ms)
        break
      case 'signal':
        await context.signal('go', part.timeout === undefined ? {} : { timeout: part.timeout })
        break
      case 'child':
        await context.child(part.name, childOf(step), part.plan)
        break
      case 'no-return':
        context.pointOfNoReturn()
        break
      case 'parallel':
        await Promise.all(part.branches.map((branch) => follow(branch, context, step)))
    }
}

type MakeStep = (part: Part & { is: 'step' }) => StepOptions<string>

function childOf(step: MakeStep): SagaDefinition<Plan, number> {
  return saga<Plan, number>({
    name: 'child',
    async run(plan, context) {
      await follow(plan, context, step)
      return plan.length
    },
  })
}

function parentOf(step: MakeStep): SagaDefinition<Plan, number> {
  return saga<Plan, number>({
    name: 'parent',
    deadline: '20s',
    async run(plan, context) {
      await follow(plan, context, step)
      return plan.length
    },
  })
}

/** Clients that start, signal and cancel sagas, and processes that run them and crash, over a log that fails. */
export async function sagaScenario(world: World): Promise<void> {
  const log = world.log()
  let isRepaired = false
  let violation: Error | undefined
  const violated = (what: string): void => {
    violation ??= new Error(what)
  }
  let acting: SimulatedNode | undefined
  const services = new Services(() => acting!)
  const keepEnded = world.random.pick([undefined, 300, 3000])
  const isCut = world.random.chance(0.4)
  const journals = new Journals(log.truth)
  const following = new AbortController()
  journals.follow(following.signal).catch((error: unknown) => violated(String(error)))
  const started = new Set<string>()
  const running = new Map<string, SagaRunner>()

  const stepsOf = (node: SimulatedNode): MakeStep => {
    const call = async (key: string, behaviour: Behaviour): Promise<string> => {
      const answer = services.call.bind(services)
      acting = node
      await mustBeRegistered(world, log.truth, key, violated)
      acting = node
      return answer(key, behaviour, () => isRepaired)
    }
    return ({ run, undo }) => ({
      run: ({ idempotencyKey }) => call(idempotencyKey, run),
      compensate: ({ idempotencyKey }) => call(idempotencyKey, undo),
      timeout: '400ms',
      attempts: ATTEMPTS,
      backoff: { base: '20ms', max: '100ms' },
    })
  }

  for (let index = 0; index < RUNNERS; index++)
    world.node(`runner-${index}`, async (node) => {
      const step = stepsOf(node)
      const runner = await runSagas(node.open(log), {
        definitions: [parentOf(step), childOf(step)],
        concurrency: world.random.pick([2, 64]),
        partitions: 3,
        takeover: '1s',
        drain: '500ms',
        ...(keepEnded !== undefined && { keepEnded }),
        runtime: node.runtime,
      })
      running.set(node.name, runner)
      await node.sleep(world.random.below(5000))
      if (world.random.chance(0.3)) {
        node.note('closes')
        await runner.close()
        throw new BanyanError('BANYAN_LOG_UNAVAILABLE', 'it is started again')
      }
      await new Promise(() => undefined)
    })

  for (let client = 0; client < CLIENTS; client++) {
    const plans = Array.from({ length: SAGAS }, (_, number) => planOf(world, `${client}${number}`, 0))
    const definition = parentOf(() => ({ run: () => '' }))
    world.node(`client-${client}`, async (node) => {
      const all = sagas(node.open(log), { runtime: node.runtime })
      for (const [number, plan] of plans.entries()) {
        const id = `parent/${client}-${number}`
        await insist(node, () => all.start(definition, plan, { id }))
        started.add(id)
        await node.sleep(world.random.below(300))
        if (plan.some(({ is }) => is === 'signal') && world.random.chance(0.8))
          await insist(node, () => all.signal(id, 'go', undefined, { id: 'once' }))
        if (world.random.chance(0.15))
          await insist(node, () => all.cancel(id, { reason: 'changed her mind' }))
      }
    })
  }

  if (isCut)
    world.node('retention', async (node) => {
      const opened = node.open(log)
      for (;;) {
        await node.sleep(500)
        // What nobody has run yet is held by nobody.
        const { holds } = await log.truth.stats()
        if (!['parent', 'child'].every((saga) => holds.some(({ name }) => name === holdOf(saga)))) continue
        // Later everything else lets go of it.
        for (const { name } of holds) if (!name.startsWith('sagas ')) await log.truth.release(name)
        const rules = ['$saga/parent', '$saga/child', '$scheduled'].map((category) => ({
          category,
          maxAge: 200,
        }))
        await retain(opened, rules, { clock: node.runtime.clock }).catch(() => undefined)
      }
    })

  await world.storm(`${1 + world.random.below(10)}s`)
  isRepaired = world.random.chance(0.5)
  /** What has a parked child is not at its end before that is. */
  const waitsForParked = async (stream: string): Promise<boolean> => {
    const below = `${stream.slice(6).replace('-', '/')}/`
    return (await journals.streams()).some(
      (child) =>
        child !== stream && child.replace('-', '/').includes(`/${below}`) && journals.stateOf(child).parked,
    )
  }
  let looked = ''
  const retried = new Map<string, number>()
  const settled = async (): Promise<boolean> => {
    if (violation) throw violation
    const head = await log.truth.head()
    if (head === looked) return false
    looked = head
    let isOver = true
    if (started.size < CLIENTS * SAGAS) return false
    for (const stream of await journals.streams()) {
      const { end, parked } = journals.stateOf(stream)
      if (end) continue
      const tries = retried.get(stream) ?? 0
      if (!parked && !(await waitsForParked(stream))) isOver = false
      if (parked && isRepaired && tries < 2) isOver = false
      if (!parked || !isRepaired || tries >= 2) continue
      retried.set(stream, tries + 1)
      await sagas(log.truth).retry(stream.slice(6).replace('-', '/'))
    }
    return isOver
  }
  await world.calm(settled, '3m').catch(async (error: unknown) => {
    for (const stream of await journals.streams()) {
      const { end, parked, failing, ops } = journals.stateOf(stream)
      if (!end) world.note(`${stream}: ${JSON.stringify({ parked, failing, ops })}`)
    }
    throw error
  })
  for (const stream of await journals.streams()) {
    check(world, journals, stream, services)
    await checkKept(log.truth, journals, stream, { keepEnded, isCut })
  }
  following.abort()
}

/** What is called stands in the log before, with what undoes it. */
async function mustBeRegistered(
  world: World,
  log: ReturnType<World['log']>['truth'],
  key: string,
  violated: (what: string) => void,
): Promise<void> {
  const parts = key.split('/')
  const [step, direction] = parts.slice(-2)
  const state = await stateOf(log, `$saga/${parts.slice(0, -2).join('/').replace('/', '-')}`)
  const op = state.ops.find((one) => one.name === step)
  if (!op?.compensable) violated(`${key} is called, and is not registered`)
  if (direction === 'compensate' && !state.failing && !state.end)
    violated(`${key} is called, and the saga does not go back`)
  world.note(`calls ${key}`)
}

async function stateOf(log: ReturnType<World['log']>['truth'], stream: string): Promise<SagaState> {
  const state = new SagaState()
  for await (const event of log.read<SagaEvent>({ stream })) state.apply(event)
  return state
}

/** What a saga must be at its end. */
function check(world: World, journals: Journals, stream: string, { done }: Services): void {
  const id = stream.slice(6).replace('-', '/')
  const { end, parked, ops } = journals.stateOf(stream)
  const fail = (what: string): never => {
    throw new Error(`saga ${id} (${end?.outcome ?? 'parked'}): ${what}`)
  }
  const isDone = (name: string, direction: string): boolean => done.has(`${id}/${name}/${direction}`)
  const steps = ops.filter(({ kind }) => kind === 'step')
  if (!end && !parked) return
  if (parked) {
    if (!/failed \d+ times|past|after the point of no return|ended without a word/.test(parked.reason))
      fail(`is parked: ${parked.reason}`)
    return
  }
  for (const { name, status } of steps) {
    if (end?.outcome === 'completed') {
      if (status === 'done' && !isDone(name, 'run')) fail(`${name} is done, and was not`)
      if (isDone(name, 'compensate')) fail(`${name} was undone`)
    } else if (isDone(name, 'run') && !isDone(name, 'compensate')) fail(`${name} was done, and not undone`)
  }
  const order: number[] = []
  for (const { data } of journals.eventsOf(stream))
    for (const record of (data as { records?: readonly SagaRecord[] }).records ?? [])
      if (record.is === 'compensated') order.push(ops[record.op]!.settled!)
  if (order.some((settled, index) => index > 0 && settled >= order[index - 1]!))
    fail(`was undone in the order ${order.join()}`)
  world.note(`saga ${id} is ${end!.outcome}`)
}

function planOf(world: World, prefix: string, depth: number): Plan {
  const { below, chance, pick } = world.random
  const plan: Part[] = []
  const length = 1 + below(4)
  for (let index = 0; index < length; index++) {
    const name = `${prefix}${depth}${index}`
    const kind = below(10)
    if (kind < 5 || depth > 1) {
      const behaviour = (rare: number): Behaviour =>
        chance(rare) ? pick(['flaky', 'slow', 'hangs', 'mute', 'refuses', 'breaks']) : 'good'
      const undo = behaviour(0.3)
      plan.push({ is: 'step', name, run: behaviour(0.5), undo: undo === 'refuses' ? 'breaks' : undo })
    } else if (kind === 5) plan.push({ is: 'sleep', ms: pick([0, 50, 700, 7000]) })
    else if (kind === 6)
      plan.push({ is: 'signal', ...((depth > 0 || index > 0 || chance(0.5)) && { timeout: 2000 }) })
    else if (kind === 7) plan.push({ is: 'child', name, plan: planOf(world, `${name}c`, depth + 1) })
    else if (kind === 8)
      plan.push({
        is: 'parallel',
        branches: [0, 1].map((branch) => planOf(world, `${name}b${branch}`, depth + 1)),
      })
    else if (depth === 0 && chance(0.3)) plan.push({ is: 'no-return' })
  }
  return plan
}
