import cluster, { type Worker } from 'node:cluster'
import { fileURLToPath } from 'node:url'
import { BanyanError } from '../../core/errors.js'
import type { Clock } from '../../core/clock.js'
import type { Log } from '../log.js'
import type { NodeSpec } from '../spec.js'
import { Channel, type Handlers } from './channel.js'

/** ms before a worker that ended is replaced; doubled for each that ends soon after its start. */
const RESTART_MS = 200
const LONGEST_RESTART_MS = 30_000

/** A worker that has lived for so long has started well, in ms. */
const SETTLED_MS = 10_000

interface Member {
  readonly process: Worker
  readonly channel: Channel
  readonly startedAt: number
  /** It runs what the others run: what is asked of it before is lost, or finds no node. */
  isReady: boolean
  /** Told to end: it is not replaced. */
  dismissed: boolean
}

/** What a crew needs. */
export interface CrewOptions {
  log: Log
  clock: Clock
  /** What workers may ask. */
  handlers: Handlers
  /** What a new worker is to run. */
  spec: () => NodeSpec
  /** What else a new worker is to be asked, by name, once it runs. */
  afterStart: () => readonly (readonly [name: string, value: unknown])[]
}

/** Worker processes: starts them, replaces those that end, asks them, stops them. */
export class Crew {
  readonly #options: CrewOptions
  readonly #members = new Set<Member>()
  #restarts = 0
  /** Workers that ended soon after their start, one after the other. */
  #failures = 0
  #stopping = false

  constructor(options: CrewOptions) {
    this.#options = options
  }

  /** Workers that run. */
  get size(): number {
    return this.#ready.length
  }

  /** Workers that took the place of another. */
  get restarts(): number {
    return this.#restarts
  }

  /** Starts so many; rejects with the error of one that cannot start, and leaves none running. */
  async start(count: number): Promise<void> {
    // Each worker accepts for itself: handing over every connection would make one process the bottleneck again.
    cluster.schedulingPolicy = cluster.SCHED_NONE
    cluster.setupPrimary({
      exec: fileURLToPath(new URL('./worker.js', import.meta.url)),
      args: [],
      serialization: 'advanced',
    })
    try {
      // The first alone, so that what is wrong with all of them is told once.
      await this.#fork()
      await Promise.all(Array.from({ length: count - 1 }, () => this.#fork()))
    } catch (error) {
      this.#stopping = true
      for (const { process } of this.#members) process.process.kill('SIGKILL')
      throw error
    }
  }

  /** Starts more, or lets some finish and end. */
  async resize(count: number, grace: number): Promise<void> {
    const { clock } = this.#options
    const surplus = [...this.#members].slice(count)
    for (const member of surplus) {
      member.dismissed = true
      const timer = clock.schedule(clock.now() + grace, () => void member.channel.ask('hurry').catch(ignore))
      void this.#dismiss(member).then(() => timer.cancel())
    }
    await Promise.all(Array.from({ length: Math.max(0, count - this.#members.size) }, () => this.#fork()))
  }

  /** Asks every worker, and tells which has answered what; one that ends meanwhile has nothing to say. */
  async ask<T>(name: string, value?: unknown): Promise<{ pid: number; answer: T }[]> {
    const members = this.#ready
    const answers = await Promise.allSettled(members.map(({ channel }) => channel.ask<T>(name, value)))
    return answers.flatMap((answer, index) => {
      if (answer.status === 'fulfilled')
        return [{ pid: members[index]!.process.process.pid ?? 0, answer: answer.value }]
      if (answer.reason instanceof BanyanError && answer.reason.code === 'BANYAN_WORKER_GONE') return []
      throw answer.reason
    })
  }

  async askAll<T>(name: string, value?: unknown): Promise<T[]> {
    return (await this.ask<T>(name, value)).map(({ answer }) => answer)
  }

  /** Asks one of them. */
  async askOne<T>(name: string, value?: unknown): Promise<T> {
    const [member] = this.#ready
    if (!member) throw new BanyanError('BANYAN_WORKER_GONE', 'there is no worker to ask')
    return member.channel.ask<T>(name, value)
  }

  /**
   * Asks one after the other. If one refuses, those before it are asked with `undo` instead.
   *
   * @returns rejects with what the one that refused has said
   */
  async askInTurn(name: string, value: unknown, undo: unknown): Promise<void> {
    const asked = new Set<Member>()
    // Also one that has become ready meanwhile.
    for (let member; (member = this.#ready.find((each) => !asked.has(each))) !== undefined;) {
      asked.add(member)
      try {
        await member.channel.ask(name, value)
      } catch (error) {
        if (error instanceof BanyanError && error.code === 'BANYAN_WORKER_GONE') continue
        asked.delete(member)
        for (const each of asked) await each.channel.ask(name, undo).catch(ignore)
        throw error
      }
    }
  }

  /** Lets all of them finish and end. */
  async stop(now?: AbortSignal): Promise<void> {
    this.#stopping = true
    const hurry = (): void => {
      for (const { channel } of this.#members) void channel.ask('hurry').catch(ignore)
    }
    now?.addEventListener('abort', hurry, { once: true })
    if (now?.aborted) hurry()
    await Promise.all([...this.#members].map((member) => this.#dismiss(member)))
    now?.removeEventListener('abort', hurry)
  }

  get #ready(): Member[] {
    return [...this.#members].filter(({ isReady }) => isReady)
  }

  async #dismiss(member: Member): Promise<void> {
    const ended = new Promise<void>((resolve) => member.process.once('exit', () => resolve()))
    // One that is not ready has nothing to finish.
    if (member.isReady) await member.channel.ask('stop').catch(ignore)
    else member.process.process.kill('SIGKILL')
    if (member.process.isConnected()) member.process.disconnect()
    await ended
  }

  async #fork(): Promise<void> {
    const { log, clock, handlers, spec, afterStart } = this.#options
    const process = cluster.fork()
    // What is sent before the worker listens is lost: cluster itself listens, and holds nothing back.
    let listens!: () => void
    const listening = new Promise<void>((resolve) => {
      listens = resolve
    })
    const channel = new Channel(
      {
        send: (message) => {
          if (process.isConnected()) process.send(message as object)
        },
        onMessage: (listener) => void process.on('message', listener),
      },
      { ...handlers, listening: listens },
    )
    const member: Member = { process, channel, startedAt: clock.now(), isReady: false, dismissed: false }
    this.#members.add(member)
    process.once('exit', (code, signal) => {
      this.#onExit(member, signal || `code ${code}`)
      listens()
    })
    // The pipe to a process that is ending may break; its exit is what counts.
    process.on('error', (error) => log('debug', 'the channel to a worker broke', { reason: error.message }))
    try {
      await listening
      let running = spec()
      await channel.ask('start', running)
      for (const [name, value] of afterStart()) await channel.ask(name, value)
      // The configuration may have changed meanwhile, which only those that were ready were told.
      while (running !== spec()) {
        running = spec()
        await channel.ask('apply', { spec: running, dryRun: false })
      }
      member.isReady = true
    } catch (error) {
      process.process.kill('SIGKILL')
      throw error
    }
  }

  #onExit(member: Member, how: string): void {
    const { log, clock } = this.#options
    this.#members.delete(member)
    member.channel.close()
    if (this.#stopping || member.dismissed) return
    const now = clock.now()
    this.#failures = now - member.startedAt > SETTLED_MS ? 0 : this.#failures + 1
    const wait = Math.min(LONGEST_RESTART_MS, RESTART_MS * 2 ** this.#failures)
    const pid = member.process.process.pid ?? 0
    log('error', 'a worker ended; its connections are lost, another takes its place', {
      pid,
      how,
      after: wait,
    })
    clock.schedule(now + wait, () => {
      if (this.#stopping) return
      this.#restarts++
      this.#fork().catch((error: unknown) => {
        log('error', `a worker could not start: ${error instanceof Error ? error.message : String(error)}`)
      })
    })
  }
}

function ignore(): void {
  // Whoever ends has nothing more to say.
}
