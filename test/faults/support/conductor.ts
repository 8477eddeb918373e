import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Selector } from '../../../src/events/log.js'
import { Child } from './child.js'
import { Choices } from './choices.js'

/** Long enough for a server that recovers on a busy machine. */
const READY_MS = 30_000

/** What a kill loop runs. */
export interface Plan {
  /** Where the log is. */
  log: string
  /** Of histories and checkpoints. */
  directory: string
  seed: number
  /** How many processes are killed before it ends. */
  kills: number
  writers: number
  /** The selectors of each process of followers. */
  followers: readonly (readonly Selector[])[]
  /** Appends that each writer has on their way. */
  lanes: number
  /** How long a lane rests between two appends, in ms, at most. */
  pause: number
}

/** A place for one process after another: it is killed and started again. */
interface Slot {
  readonly program: 'writer.mjs' | 'follower.mjs'
  readonly name: string
  readonly argument: object
  child: Child | undefined
  /** How many processes it has had. */
  started: number
}

/** Runs writers and followers, and kills them at random moments. */
export class Conductor implements Disposable {
  readonly #plan: Plan
  readonly #slots: Slot[] = []
  readonly #killed = new Set<Child>()
  readonly #over = new AbortController()
  #kills = 0
  /** Processes that ended though nobody had told them to. */
  readonly #failures: Error[] = []

  constructor(plan: Plan) {
    this.#plan = plan
    const { directory, log, lanes, pause } = plan
    mkdirSync(directory, { recursive: true })
    for (let index = 0; index < plan.writers; index++)
      this.#add('writer.mjs', `w${index}`, { log, lanes, pause })
    for (const [index, selectors] of plan.followers.entries())
      this.#add('follower.mjs', `f${index}`, { log, directory, selectors })
  }

  /** How many processes were killed so far. */
  get kills(): number {
    return this.#kills
  }

  /** Another process, of the server for example, was killed. */
  countKill(): void {
    if (++this.#kills >= this.#plan.kills) this.#over.abort()
  }

  /** Aborts when no more is to be killed: enough was, or something is wrong. */
  get over(): AbortSignal {
    return this.#over.signal
  }

  /** The files in which the processes recorded what they did. */
  get histories(): string[] {
    return this.#slots.map(({ name }) => this.#history(name))
  }

  /** How often a process was started. */
  get starts(): number {
    return this.#slots.reduce((sum, { started }) => sum + started, 0)
  }

  /**
   * Kills until enough was killed; then lets writers finish and followers read to the end.
   *
   * @param others - what else torments the log until `over`
   */
  async run<T>(others?: () => Promise<T>): Promise<T> {
    const [result] = await Promise.all([
      others?.(),
      ...this.#slots.map((slot, index) => this.#torment(slot, this.#plan.seed + index)),
    ])
    if (this.#failures.length > 0) throw this.#failures[0]!
    for (const program of ['writer.mjs', 'follower.mjs'])
      await Promise.all(
        this.#slots.filter((slot) => slot.program === program).map((slot) => this.#finish(slot)),
      )
    if (this.#failures.length > 0) throw this.#failures[0]!
    return result as T
  }

  /** Leaves no process behind, whatever has happened. */
  [Symbol.dispose](): void {
    for (const { child } of this.#slots) if (child && !child.exit) child.signal('SIGKILL')
  }

  #add(program: Slot['program'], name: string, argument: object): void {
    this.#slots.push({ program, name, argument, child: undefined, started: 0 })
  }

  #history(name: string): string {
    return join(this.#plan.directory, `${name}.ndjson`)
  }

  #start(slot: Slot): Child {
    const { program, name, argument } = slot
    const seed = this.#plan.seed * 1000 + slot.started++
    const child = new Child(program, { ...argument, name, seed, history: this.#history(name) })
    slot.child = child
    return child
  }

  async #torment(slot: Slot, seed: number): Promise<void> {
    const choices = new Choices(seed)
    while (!this.over.aborted) {
      const child = this.#start(slot)
      // Some do not get as far as to open the log, or die while they do.
      if (choices.chance(0.15)) await sleep(choices.below(250))
      else {
        await this.#ready(child)
        // How far it gets in a time depends on the machine; those that have nothing to do are not waited for.
        await Promise.race([child.lines(1 + choices.below(60)), sleep(2_000)])
        await sleep(choices.below(50))
      }
      if (choices.chance(0.2) && !child.exit) {
        child.signal('SIGSTOP')
        await sleep(choices.below(150))
        if (choices.chance(0.7)) {
          child.signal('SIGCONT')
          await sleep(choices.below(100))
        }
      }
      // Now and then all at once, as if the machine had gone.
      if (choices.chance(0.04)) for (const { child: other } of this.#slots) this.#kill(other)
      else if (choices.chance(0.9)) this.#kill(child)
      else {
        child.signal('SIGCONT')
        child.signal('SIGTERM')
      }
      const { code, signal } = await child.exited
      if (signal !== 'SIGKILL' && signal !== 'SIGTERM' && code !== 0)
        this.#fail(child.failure(`ended with ${code ?? signal}`))
    }
  }

  #fail(error: Error): void {
    this.#failures.push(error)
    this.#over.abort()
  }

  #kill(child: Child | undefined): void {
    if (!child || child.exit || this.#killed.has(child)) return
    child.signal('SIGKILL')
    this.#killed.add(child)
    this.countKill()
  }

  async #finish(slot: Slot): Promise<void> {
    const child = this.#start(slot)
    await this.#ready(child)
    await child.finish().catch((error: unknown) => this.#failures.push(error as Error))
  }

  async #ready(child: Child): Promise<void> {
    const late = new AbortController()
    const timeout = sleep(READY_MS, undefined, { signal: late.signal }).then(
      () => {
        this.#fail(child.failure(`was not ready within ${READY_MS} ms`))
        this.#kill(child)
      },
      () => undefined,
    )
    await Promise.race([child.ready, timeout])
    late.abort()
  }
}
