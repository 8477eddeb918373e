import { BanyanError } from '../../src/core/errors.js'
import type { LogDriver } from '../../src/events/driver.js'
import {
  memorySnapshots,
  repository,
  type EventLog,
  type Handled,
  type RecordedEvent,
  type SnapshotStore,
  type UndoableRepository,
} from '../../src/events/index.js'
import type { SimulatedNode, World } from '../../src/testing/index.js'
import {
  undoableAccount as decider,
  type Account,
  type AccountCommand,
  type AccountEvent,
} from '../support/account.js'

const HANDLERS = 3
const COMMANDS = 7
const ACCOUNTS = 2

type Accounts = UndoableRepository<Account, AccountCommand, AccountEvent>

/** What somebody wants done, under an id. */
interface Order {
  readonly id: string
  readonly account: string
  readonly what: AccountCommand | 'undo' | 'redo' | { readonly undo: string }
}

/** What somebody was told about an order. */
interface Told {
  readonly order: Order
  readonly answer: Handled<Account> | 'refused'
}

/** What may be wrong in the world of the scenario. */
export interface Wrong {
  readonly driver?: LogDriver
  readonly snapshots?: SnapshotStore
}

/**
 * Nodes that handle commands on the same few accounts, repeat those of which they do not know what came of them, and
 * crash. At the end everything is decided again, one after the other in the order of the log, and must come out the same.
 */
export async function commandsOnAccounts(world: World, wrong: Wrong = {}): Promise<void> {
  const log = world.log(wrong.driver)
  const store = wrong.snapshots ?? (world.random.chance(0.7) ? weakSnapshots(world) : undefined)
  const snapshots = store && { store, version: 1, every: 1 + world.random.below(4) }
  const accountsOn = (on: EventLog, node?: SimulatedNode): Accounts =>
    repository(on, decider, {
      category: 'account',
      retries: world.random.below(3),
      ...(snapshots && { snapshots }),
      ...(node && { runtime: node.runtime }),
    })

  const told: Told[] = []
  const finished = new Set<string>()
  for (let handler = 0; handler < HANDLERS; handler++) {
    const orders = Array.from({ length: COMMANDS }, (_, number) => orderOf(world, `h${handler}-${number}`))
    world.node(`handler-${handler}`, async (node) => {
      const accounts = accountsOn(node.open(log), node)
      // Having crashed, it begins from the start: it knows nothing of what it was told.
      for (const order of orders) {
        told.push({ order, answer: await untilKnown(node, accounts, order) })
        await node.sleep(world.random.below(400))
      }
      finished.add(node.name)
    })
  }

  await world.storm(`${2 + world.random.below(8)}s`)
  await world.calm(() => finished.size === HANDLERS)

  const events: RecordedEvent[] = []
  for await (const event of log.truth.read()) events.push(event)
  checkDecisions(events, told)
  checkAnswers(events, told)
  const [kept, plain] = [accountsOn(log.truth), repository(log.truth, decider, { category: 'account' })]
  for (let account = 0; account < ACCOUNTS; account++) {
    const [one, other] = [await kept.load(String(account)), await plain.load(String(account))]
    if (JSON.stringify(one) !== JSON.stringify(other))
      throw new Error(`with snapshots ${JSON.stringify(one)}, without ${JSON.stringify(other)}`)
  }
}

function orderOf(world: World, id: string): Order {
  const { pick, below, chance } = world.random
  const what: Order['what'] = chance(0.35)
    ? pick(['undo', 'undo', 'redo', { undo: `h${below(HANDLERS)}-${below(COMMANDS)}` }])
    : pick([{ deposit: 1 + below(9) }, { withdraw: 1 + below(12) }, { rename: pick(['a', 'b', 'c']) }])
  return { id, account: String(below(ACCOUNTS)), what }
}

/** Tries an order under its id until there is an answer. */
async function untilKnown(
  node: SimulatedNode,
  accounts: Accounts,
  { id, account, what }: Order,
): Promise<Told['answer']> {
  for (;;) {
    try {
      if (what === 'undo') return await accounts.undo(account, { id })
      if (what === 'redo') return await accounts.redo(account, { id })
      if ('undo' in what) return await accounts.undo(account, { id, of: what.undo })
      return await accounts.handle(account, what, { id })
    } catch (error) {
      if (!(error instanceof BanyanError) || error.code === 'BANYAN_NOT_UNDOABLE') return 'refused'
      await node.sleep('100ms')
    }
  }
}

/** A store that several nodes share, and that fails and forgets now and then. */
function weakSnapshots({ random }: World): SnapshotStore {
  const store = memorySnapshots(2)
  const fails = (): void => {
    if (random.chance(0.1)) throw new Error('the store of snapshots is away')
  }
  return {
    async read(stream) {
      fails()
      if (random.chance(0.05)) await store.delete(stream)
      return store.read(stream)
    },
    async write(stream, snapshot) {
      fails()
      await store.write(stream, snapshot)
      fails()
    },
    delete: (stream) => store.delete(stream),
  }
}

/** Everything in the log is what an order must have led to, on the state that all before it have left. */
function checkDecisions(events: readonly RecordedEvent[], told: readonly Told[]): void {
  const orders = new Map(told.map(({ order }) => [order.id, order]))
  const models = new Map<string, Model>()
  for (const [id, commit] of commitsOf(events)) {
    const order = orders.get(id)
    if (!order) throw new Error(`nobody was told of ${id}, which is in the log`)
    const stream = `account-${order.account}`
    const model = models.get(stream) ?? new Model()
    models.set(stream, model)
    const expected = decided(model, order)
    const actual = commit.map(({ stream, type, data }) => ({ stream, type, data }))
    const wanted = expected.map((event) => ({
      stream,
      type: event.type,
      data: 'data' in event ? event.data : undefined,
    }))
    if (JSON.stringify(actual) !== JSON.stringify(wanted))
      throw new Error(
        `${id} (${JSON.stringify(order.what)}) has led to ${JSON.stringify(actual)}, and should have led to ${JSON.stringify(wanted)}`,
      )
    if (model.state.balance < 0) throw new Error(`${stream} is at ${model.state.balance} after ${id}`)
  }
}

function decided(model: Model, order: Order): readonly AccountEvent[] {
  try {
    return model.decide(order)
  } catch (error) {
    throw new Error(`${order.id} (${JSON.stringify(order.what)}) must be refused, and is in the log`, {
      cause: error,
    })
  }
}

/**
 * Whoever was told what an order has led to was told the truth, and always the same from then on. One that was refused is
 * not kept: whoever has forgotten that, and asks again, may get another answer.
 */
function checkAnswers(events: readonly RecordedEvent[], told: readonly Told[]): void {
  const commits = commitsOf(events)
  const handled = new Set<string>()
  for (const { order, answer } of told) {
    if (answer === 'refused') {
      if (handled.has(order.id)) throw new Error(`${order.id} was refused after it was handled`)
      continue
    }
    handled.add(order.id)
    const commit = commits.get(order.id)
    const last = commit?.at(-1)
    if (last?.position !== answer.position || commit!.length !== answer.events)
      throw new Error(
        `${order.id} was answered with ${JSON.stringify(answer)}, and is ${JSON.stringify(last)}`,
      )
  }
  for (const id of commits.keys())
    if (!handled.has(id)) throw new Error(`${id} was refused, and is in the log`)
}

/** The events of each commit, which must stand together, each once. */
function commitsOf(events: readonly RecordedEvent[]): Map<string, RecordedEvent[]> {
  const commits = new Map<string, RecordedEvent[]>()
  let before: string | undefined
  for (const event of events) {
    const commit = commits.get(event.commit)
    if (commit && before !== event.commit) throw new Error(`${event.commit} is in the log twice`)
    if (commit) commit.push(event)
    else commits.set(event.commit, [event])
    before = event.commit
  }
  return commits
}

/** What an account knows of one of its commands. */
interface Known {
  /** What happened the last time it was done, and the state before that. */
  readonly events: readonly AccountEvent[]
  readonly before: Account
  readonly isDone: boolean
  /** Who has done, undone or redone it the last time. */
  readonly by: string
}

/** One account, by one process, with its stacks in memory. */
class Model {
  state = decider.initialState()
  readonly #known = new Map<string, Known>()
  readonly #commandOf = new Map<string, string>()
  #done: string[] = []
  #undone: string[] = []

  decide({ id, what }: Order): readonly AccountEvent[] {
    if (what === 'undo') return this.#undo(id, this.#done.at(-1)!)
    if (what === 'redo') return this.#redo(id, this.#undone.at(-1)!)
    if ('undo' in what) {
      const command = this.#commandOf.get(what.undo)!
      const { isDone, by } = this.#known.get(command)!
      if (what.undo !== command && what.undo !== by) throw new Error(`${what.undo} was taken back twice`)
      if (isDone) return this.#undo(id, command)
      if (what.undo === command) throw new Error(`${command} was undone twice`)
      return this.#redo(id, command)
    }
    this.#undone = []
    return this.#do(
      id,
      id,
      [decider.decide(what, this.state)].flat<(AccountEvent | readonly AccountEvent[])[]>(),
    )
  }

  #undo(id: string, command: string): readonly AccountEvent[] {
    const known = this.#known.get(command)!
    this.#known.set(command, { ...known, isDone: false, by: id })
    this.#commandOf.set(id, command)
    this.#done = this.#done.filter((each) => each !== command)
    this.#undone.push(command)
    return this.#happen(known.events.map((event) => inverseOf(event, known.before)))
  }

  #redo(id: string, command: string): readonly AccountEvent[] {
    this.#undone = this.#undone.filter((each) => each !== command)
    return this.#do(id, command, this.#known.get(command)!.events)
  }

  #do(id: string, command: string, events: readonly AccountEvent[]): readonly AccountEvent[] {
    this.#known.set(command, { events, before: this.state, isDone: true, by: id })
    this.#commandOf.set(id, command)
    this.#done.push(command)
    return this.#happen(events)
  }

  #happen(events: readonly AccountEvent[]): readonly AccountEvent[] {
    this.state = events.reduce((state, event) => decider.evolve(state, event), this.state)
    return events
  }
}

function inverseOf(event: AccountEvent, before: Account): AccountEvent {
  switch (event.type) {
    case 'Deposited':
      return { type: 'Withdrawn', data: event.data }
    case 'Withdrawn':
      return { type: 'Deposited', data: event.data }
    case 'Renamed':
      return { type: 'Renamed', data: { to: before.name ?? '' } }
    case 'Closed':
      throw new Error('nobody closes an account here')
  }
}
