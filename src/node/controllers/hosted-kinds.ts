import { isDeepStrictEqual } from 'node:util'
import type { HttpHandler } from '../../core/http-handler.js'
import type { Runtime } from '../../core/runtime.js'
import type { Coordinator } from '../../coordination/coordinator.js'
import { qualifiedPlural } from '../../coordination/resources/define.js'
import type { ControllerSpec } from '../spec.js'
import type { Definitions } from './module.js'
import { ServedKinds } from './served-kinds.js'
import type { HostedKindsState } from './state.js'

/** What is asked for. */
export interface Wanted {
  readonly definitions: Definitions
  readonly specs: Readonly<Record<string, ControllerSpec>>
}

/** The kinds and controllers that a configuration names. As long as they stay the same they go on when it changes. */
export class HostedKinds {
  readonly #runtime: Runtime
  /** What is being closed while the node goes on. */
  readonly #leaving = new Set<Promise<void>>()
  #coordinator: Coordinator | undefined
  #wanted: Wanted
  #served: ServedKinds | undefined

  constructor(wanted: Wanted, runtime: Runtime) {
    this.#wanted = wanted
    this.#runtime = runtime
  }

  /** What answers requests for resources, if there are kinds. */
  get handler(): HttpHandler | undefined {
    if (this.#wanted.definitions.kinds.length === 0) return undefined
    return this.#served?.handler ?? unreached
  }

  get state(): HostedKindsState | undefined {
    const { kinds } = this.#wanted.definitions
    if (kinds.length === 0) return undefined
    return (
      this.#served?.state ?? {
        kinds: kinds.map(qualifiedPlural),
        controllers: {},
        problem: UNREACHED,
      }
    )
  }

  /** Keeps resources there from now on. */
  use(coordinator: Coordinator): void {
    this.#coordinator = coordinator
    this.#begin()
  }

  follow(wanted: Wanted): void {
    // A module that is the same has given the same objects.
    if (isSame(wanted, this.#wanted)) return
    this.#wanted = wanted
    this.#begin()
  }

  async close(): Promise<void> {
    this.#leave()
    await Promise.all(this.#leaving)
  }

  #begin(): void {
    this.#leave()
    const { definitions, specs } = this.#wanted
    if (this.#coordinator && definitions.kinds.length > 0)
      this.#served = new ServedKinds(definitions, specs, this.#coordinator, this.#runtime)
  }

  #leave(): void {
    const leaving = this.#served?.close()
    this.#served = undefined
    if (!leaving) return
    this.#leaving.add(leaving)
    void leaving.finally(() => this.#leaving.delete(leaving))
  }
}

const UNREACHED = 'the coordinator was not reached yet'

const unreached: HttpHandler = () =>
  Promise.resolve({
    status: 503,
    fields: [
      ['Content-Type', 'application/json'],
      ['Retry-After', '1'],
    ],
    body: Buffer.from(
      JSON.stringify({
        kind: 'Status',
        apiVersion: 'v1',
        metadata: {},
        status: 'Failure',
        message: UNREACHED,
        reason: 'ServiceUnavailable',
        code: 503,
      }),
    ),
  })

function isSame(a: Wanted, b: Wanted): boolean {
  const objects = ({ definitions: { kinds, controllers } }: Wanted): readonly unknown[] => [
    ...kinds,
    ...[...controllers].flat(),
  ]
  const [before, after] = [objects(a), objects(b)]
  const same = before.length === after.length && before.every((each, index) => each === after[index])
  return same && isDeepStrictEqual(a.specs, b.specs)
}
