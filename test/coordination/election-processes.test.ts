import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import {
  openCoordinator,
  readElections,
  requireFencingToken,
  type ElectionAlgorithm,
} from '../../src/coordination/index.js'
import { Child } from '../faults/support/child.js'
import { Choices } from '../faults/support/choices.js'
import { SHARED_ENGINES, type SharedEngine } from '../support/coordination-engines.js'
import { SEED, times } from '../support/effort.js'
import { isStopped } from '../support/is-stopped.js'
import { checkAlone, type Look } from '../support/looks.js'

/** A lease may be over so much later, and the machine so busy. What waits for nothing waits for ever. */
const SLACK = 15_000
const CANDIDATES = 3

/** `stop` is behind a look and before the write, `freeze` anywhere. */
type Blow = 'kill' | 'close' | 'stop' | 'freeze'

/** What befalls who leads, and at the same time who comes next. */
const BLOWS: readonly (readonly [leader: Blow, next?: Blow])[] = [
  ['kill'],
  ['stop'],
  ['freeze'],
  ['close'],
  ['kill', 'kill'],
  ['close', 'stop'],
]

/** What a candidate prints, each with the clock that all processes of a machine share, in ms. */
type Said = Look | { readonly refused: number } | { readonly stopped: number }

function saidBy(child: Child): Said[] {
  const lines = child.stdout.split('\n').filter((line) => line.endsWith('}'))
  return lines.map((line) => JSON.parse(line) as Said)
}

/** What only a leader may write to, over HTTP. */
class Resource implements AsyncDisposable {
  /** Of all writes that were let in, in their order. */
  readonly tokens: number[] = []
  /** Who has written last. */
  holder = ''
  readonly #waiting = new Set<() => void>()
  readonly #server = createServer(
    requireFencingToken({ name: 'x' }).node(async (request, response, token) => {
      const holder = await text(request)
      this.tokens.push(token!.token)
      this.holder = holder
      response.writeHead(204).end()
      for (const look of this.#waiting) look()
    }),
  )

  async open(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Waits for a write with a higher token. */
  async after(token: number): Promise<{ token: number; holder: string }> {
    await new Promise<void>((resolve) => {
      const look = (): void => {
        if ((this.tokens.at(-1) ?? 0) <= token) return
        this.#waiting.delete(look)
        resolve()
      }
      this.#waiting.add(look)
      look()
    })
    return { token: this.tokens.at(-1)!, holder: this.holder }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

/** Candidates of one election as processes of their own. */
class Candidates implements AsyncDisposable {
  readonly all = new Map<string, Child>()
  readonly #engine: SharedEngine
  readonly #resource: string
  readonly #algorithm: ElectionAlgorithm

  constructor(engine: SharedEngine, resource: string, algorithm: ElectionAlgorithm) {
    this.#engine = engine
    this.#resource = resource
    this.#algorithm = algorithm
  }

  get running(): Child[] {
    return [...this.all.values()].filter(({ exit }) => !exit)
  }

  async start(): Promise<void> {
    const name = `p${this.all.size}`
    const { where, ttl } = this.#engine
    const [algorithm, resource] = [this.#algorithm, this.#resource]
    const child = new Child('candidate.mjs', { where, name, ttl, algorithm, resource })
    this.all.set(name, child)
    await child.ready
    if (child.exit) throw child.failure('ended before it was ready')
  }

  /** @returns the token of the write that it has before it, if it is stopped there */
  async strike(child: Child, blow: Blow): Promise<number> {
    if (blow === 'kill') child.signal('SIGKILL')
    else if (blow === 'close') child.signal('SIGTERM')
    else if (blow === 'freeze' && !this.#engine.isLocked) child.signal('SIGSTOP')
    else return this.#stop(child)
    return 0
  }

  async #stop(child: Child): Promise<number> {
    const stops = (): number[] => saidBy(child).flatMap((said) => ('stopped' in said ? [said.stopped] : []))
    const before = stops().length
    child.tell('stop')
    await child.until(() => stops().length > before)
    // Told to go on before it stands still, it would stand still for ever.
    while (!child.exit && !isStopped(child.pid)) await new Promise((resolve) => setImmediate(resolve))
    return stops()[before] ?? 0
  }

  /** Lets go on who was stopped, and replaces who is gone. */
  async recover(child: Child, blow: Blow): Promise<void> {
    if (blow === 'stop' || blow === 'freeze') {
      child.signal('SIGCONT')
    } else {
      await child.exited
      // On a busy machine somebody may have been struck twice.
      while (this.running.length < CANDIDATES) await this.start()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.running) {
      child.signal('SIGKILL')
      await child.exited
    }
  }
}

const ROUNDS = times(1)

test.concurrent.each(Object.keys(SHARED_ENGINES))(
  `over %s leaders that are killed, stopped or closed are followed by others, and no two lead at the same moment (seed ${SEED})`,
  { timeout: 120_000 + ROUNDS * 60_000 },
  async (name) => {
    await using engine = await SHARED_ENGINES[name]!()
    await using resource = new Resource()
    const choices = new Choices(SEED)
    const algorithm = choices.pick(['queue', 'record', 'line'] as const)
    await using candidates = new Candidates(engine, await resource.open(), algorithm)
    await using coordinator = await openCoordinator(engine.where)
    const named = (holder: string | undefined): Child => candidates.all.get(holder!)!

    for (let count = CANDIDATES; count > 0; count--) await candidates.start()
    /** Tokens of writes that were on their way when others had written. */
    const late = new Set<number>()
    let leader = await resource.after(0)
    for (let rounds = ROUNDS; rounds > 0; rounds--)
      for (const [blow, other] of choices.shuffled(BLOWS)) {
        const victims: [Child, Blow][] = [[named(leader.holder), blow]]
        if (other) {
          const [picture] = await readElections(coordinator)
          const [next] = picture!.candidates
          if (next && next.holder !== leader.holder) victims.unshift([named(next.holder), other])
        }
        const began = performance.now()
        const stopped: number[] = []
        for (const [child, how] of victims) stopped.push(await candidates.strike(child, how))
        leader = await resource.after(leader.token)
        expect(performance.now() - began, `${algorithm}: until somebody leads after ${blow}`).toBeLessThan(
          engine.ttl + SLACK,
        )
        for (const token of stopped) if (token > 0 && token < leader.token) late.add(token)
        for (const [child, how] of victims) await candidates.recover(child, how)
      }

    // Nobody was forgotten: each has its turn.
    while (candidates.running.length > 0) {
      const child = named(leader.holder)
      if (!child.exit) await child.finish()
      if (candidates.running.length > 0) leader = await resource.after(leader.token)
    }
    const [picture] = await readElections(coordinator)
    expect(picture).toMatchObject({ leader: undefined, candidates: [] })

    expect(resource.tokens).toEqual([...resource.tokens].sort((a, b) => a - b))
    const said = [...candidates.all.values()].flatMap(saidBy)
    checkAlone(said.filter((each) => 'before' in each))
    const refused = said.flatMap((each) => ('refused' in each ? [each.refused] : []))
    expect(refused).toEqual(expect.arrayContaining([...late]))
  },
)
