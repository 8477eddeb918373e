import { isDeepStrictEqual } from 'node:util'
import { duration, formatDuration } from '../../core/duration.js'
import { BanyanError } from '../../core/errors.js'
import type { Runtime } from '../../core/runtime.js'
import { register, type Coordinator, type Registration } from '../../coordination/index.js'
import type { RegisterSpec } from '../spec.js'
import type { RegisteredState } from './state.js'

/** Instances of services that a node keeps in the registry: those of its configuration, as that changes. */
export class Registrations {
  readonly #runtime: Runtime
  readonly #kept = new Map<string, Kept>()
  #wanted: Readonly<Record<string, RegisterSpec>> = {}
  #coordinator: Coordinator | undefined
  /** Entries that others have taken the place of, on their way out. */
  readonly #leaving = new Set<Kept>()

  constructor(runtime: Runtime) {
    this.#runtime = runtime
  }

  /** Registers there from now on. */
  use(coordinator: Coordinator): void {
    this.#coordinator = coordinator
    this.follow(this.#wanted)
  }

  /** Keeps these and no others; those that are the same stay as they are. */
  follow(wanted: Readonly<Record<string, RegisterSpec>>): void {
    this.#wanted = wanted
    const coordinator = this.#coordinator
    if (!coordinator) return
    for (const [name, kept] of this.#kept) {
      if (isDeepStrictEqual(kept.spec, wanted[name])) continue
      this.#kept.delete(name)
      void this.#leave(kept)
    }
    for (const [name, spec] of Object.entries(wanted)) {
      if (this.#kept.has(name)) continue
      // One that is only changed keeps its address: it takes its own place.
      this.#kept.set(name, new Kept(name, spec, coordinator, this.#runtime))
    }
  }

  /** By the name of the entry; undefined if nothing is to be there. */
  state(): Record<string, RegisteredState> | undefined {
    if (Object.keys(this.#wanted).length === 0) return undefined
    return Object.fromEntries(Array.from(this.#kept, ([name, kept]) => [name, kept.state()]))
  }

  /** Takes all of them out, in good order unless `now` aborts. */
  async drain(now: AbortSignal | undefined): Promise<void> {
    const all = [...this.#kept.values(), ...this.#leaving]
    const longest = Math.max(0, ...all.map(({ drainsFor }) => drainsFor))
    if (longest > 0 && !now?.aborted)
      this.#runtime.telemetry.log(
        'info',
        `what is registered here drains first, for up to ${formatDuration(longest)}`,
      )
    this.#wanted = {}
    await Promise.all(all.map((kept) => kept.close(now)))
    this.#kept.clear()
  }

  async #leave(kept: Kept): Promise<void> {
    this.#leaving.add(kept)
    await kept.close()
    this.#leaving.delete(kept)
  }
}

/** One instance that is kept in the registry. */
class Kept {
  readonly spec: RegisterSpec
  readonly #service: string
  readonly #registration: Registration | undefined
  #problem: string | undefined

  constructor(name: string, spec: RegisterSpec, coordinator: Coordinator, { telemetry }: Runtime) {
    this.spec = spec
    const { service = name, ...options } = spec
    this.#service = service
    try {
      this.#registration = register(coordinator, { service, ...options })
    } catch (error) {
      // What this driver cannot keep, such as so short a lease, is no reason to end the node.
      if (!(error instanceof BanyanError)) throw error
      this.#problem = error.message
      telemetry.log('error', `register.${name}: ${error.message}`)
      return
    }
    const about = { 'banyan.service': service, 'banyan.instance': this.#registration.id }
    this.#registration.on('registered', () => {
      this.#problem = undefined
      telemetry.log('info', 'registered', about)
    })
    this.#registration.on('taken', ({ message }) => (this.#problem = message))
    this.#registration.on('asked', ({ by }) => (this.#problem = `drained, asked for by ${by}`))
    this.#registration.on('failed', ({ message }) => (this.#problem = message))
  }

  /** How long it stays when it leaves, in ms; 0 if it is not there. */
  get drainsFor(): number {
    return this.#registration?.registered ? duration(this.spec.drain ?? '2s') : 0
  }

  state(): RegisteredState {
    const { id = '', registered = false, state = 'critical', draining = false } = this.#registration ?? {}
    return {
      ...{ service: this.#service, id, address: this.spec.address, registered, state, draining },
      ...(this.#problem !== undefined && { problem: this.#problem }),
    }
  }

  async close(now?: AbortSignal): Promise<void> {
    await this.#registration?.drain(now ? { signal: now } : {})
  }
}
