import { hostname } from 'node:os'
import { backoffWait, type Growth } from '../../core/backoff.js'
import { sleep, type Timer } from '../../core/clock.js'
import type { HttpHandler } from '../../core/http-handler.js'
import type { Runtime } from '../../core/runtime.js'
import { isPassing } from '../../coordination/errors.js'
import { openCoordinator, type Coordinator } from '../../coordination/index.js'
import type { ResourceApi } from '../../coordination/resources/api.js'
import { kubernetesApi } from '../../coordination/resources/http/api.js'
import { openResources } from '../../coordination/resources/store/resources.js'
import type { Environment } from '../config/environment.js'
import type { Loaded } from '../config/load.js'
import { formatProblem, type ConfigProblem } from '../config/problem.js'
import type { Origin } from '../configuration.js'
import { bring } from '../configurator.js'
import type { ChangeOutcome, Door, Running } from '../control.js'
import type { Log } from '../log.js'
import { Composer, type Round } from './composer.js'
import { bringFile } from './file-door.js'
import { KeptResources } from './kept.js'
import { entryKinds, NODE_KIND } from './kinds.js'
import { resourceNameOf } from './names.js'
import { Presence } from './presence.js'
import { resourcesOf, type Whose } from './resources-of.js'
import { tellStatus } from './tell-status.js'
import type { Verdict } from './verdict.js'

/** What {@link HostedResources} works with. */
export interface HostedResourcesParts {
  readonly node: Running
  /** The file that the node was started from. */
  readonly loaded: Loaded & { ok: true }
  readonly log: Log
  readonly env: Environment
}

/** So long after a change more are waited for, in ms: what belongs together comes one by one. */
const SETTLED_MS = 50
/** But not for longer than this, in ms. */
const LONGEST_MS = 1000
/** Between two looks at whether what runs works, in ms. */
const LOOK_MS = 2000
/** Waits between tries to do what could not be done for the time being. */
const RETRY: Growth = { base: 200, factor: 2, max: 10_000 }

/**
 * Runs what resources say: the file is brought to the store, and what the store has then to the node. Until the store can be asked the
 * node runs what the file says, so that it starts without one.
 */
export class HostedResources implements Door, AsyncDisposable {
  readonly whole = 'this node runs what its resources say: change those, or the file'
  readonly whose: Whose
  readonly #parts: HostedResourcesParts
  readonly #runtime: Runtime
  readonly #manager: string
  readonly #composer: Composer
  readonly #closing = new AbortController()
  /** The file as it was read last. */
  #loaded: Loaded & { ok: true }
  #own: Coordinator | undefined
  #api: ResourceApi | undefined
  #handler: HttpHandler | undefined
  #kept: KeptResources | undefined
  /** Undefined if nobody else can be there. */
  #presence: Presence | undefined
  #verdicts: readonly Verdict[] = []
  /** Everything that changes something, one after the other. */
  #turn: Promise<unknown> = Promise.resolve()
  #timer: Timer | undefined
  #waitingSince: number | undefined
  #nextLook: Timer | undefined
  #failures = 0
  #warned = ''
  #isHeld = false

  constructor(parts: HostedResourcesParts) {
    const { node, loaded, env } = parts
    const {
      namespace = 'default',
      node: name = nameOfMachine(),
      manager = 'banyan.yaml',
    } = loaded.spec.resources ?? {}
    this.#parts = parts
    this.#runtime = node.runtime
    this.#loaded = loaded
    this.#manager = manager
    this.whose = { namespace, node: name }
    this.#composer = new Composer({
      node,
      whose: this.whose,
      env,
      resources: () => this.#kept?.all() ?? [],
      settings: () => this.#settings,
    })
  }

  /** Begins as soon as the store can be asked. The node has started. */
  begin(): void {
    const open = (coordinator: Coordinator): void => {
      const api = (this.#api = openResources(coordinator))
      if (coordinator === this.#own) this.#handler = this.#handlerOf(api)
      else this.#presence = this.#presenceIn(coordinator)
      void this.#inTurn(() => this.#begin()).catch((error: unknown) => this.#trouble(error))
    }
    const { coordinator } = this.#parts.node
    if (coordinator) coordinator.whenReached(open)
    else void this.#inTurn(async () => open(await this.#openMemory()))
  }

  /** Serves the resources if they are in memory; those of a coordinator are served with all others that are there. */
  get handler(): HttpHandler | undefined {
    return this.#handler
  }

  /** Takes what a file says now. */
  take(loaded: Loaded & { ok: true }, origin: Origin): Promise<ChangeOutcome> {
    this.#loaded = loaded
    return this.#inTurn(async () => {
      const kept = this.#kept
      if (!kept) return bring(this.#parts.node, loaded, origin)
      this.#isHeld = true
      try {
        const problems = await this.#bringFile(true)
        await kept.refresh(this.#closing.signal)
        const { outcome, left } = await this.#round(origin)
        if (!outcome.ok) return outcome
        const warnings = left.map((problem) => ({ ...problem, severity: 'warning' as const }))
        return { ...outcome, warnings: [...loaded.warnings, ...problems, ...warnings] }
      } catch (error) {
        // What the file says is not brought: whoever has asked for it is told, and asks again.
        this.#trouble(error)
        const problems = [problemOf(error, loaded.file)]
        const { generation } = this.#parts.node.configuration
        return { ok: false, why: 'unavailable', problems, generation }
      } finally {
        this.#isHeld = false
      }
    })
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.#timer?.cancel()
    this.#nextLook?.cancel()
    await this.#turn
    await this.#presence?.close()
    await this.#kept?.close()
    await this.#api?.close()
    await this.#own?.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #begin(): Promise<void> {
    const { signal } = this.#closing
    await this.#persist(() => this.#bringFile(false))
    if (signal.aborted) return
    this.#kept = new KeptResources(this.#api!, this.whose.namespace, this.#runtime, () => this.#soon())
    await this.#kept.synced(signal)
    await this.#round({ by: 'resources' })
    const { namespace, node } = this.whose
    this.#parts.log('info', `runs the resources of ${namespace}`, { node })
    this.#lookAgain()
  }

  #presenceIn(coordinator: Coordinator): Presence {
    const { namespace, node } = this.whose
    const onTaken = (holder: string): void =>
      this.#parts.log(
        'warn',
        `resources: another node is called \`${node}\` (${holder}): give each a name of its own with \`resources.node\`; ` +
          'until that one is gone, this one runs its resources and does not tell how they are',
      )
    return new Presence(coordinator, { namespace, node: resourceNameOf(node), onTaken })
  }

  #handlerOf(api: ResourceApi): HttpHandler {
    const definitions = entryKinds().map(({ definition }) => definition)
    return kubernetesApi(api, { definitions, closing: this.#closing.signal, runtime: this.#runtime })
  }

  async #openMemory(): Promise<Coordinator> {
    this.#own = await openCoordinator({ driver: 'memory' }, { runtime: this.#runtime })
    return this.#own
  }

  /** What the file says of the node itself. */
  get #settings(): Readonly<Record<string, unknown>> {
    const written = (this.#loaded.source.written() ?? {}) as Record<string, unknown>
    return resourcesOf(written, this.whose).at(-1)!.draft.spec
  }

  async #bringFile(again: boolean): Promise<ConfigProblem[]> {
    const { file, source } = this.#loaded
    const options = { whose: this.whose, manager: this.#manager }
    const problems = await bringFile(this.#api!, { file, source }, options, again)
    for (const problem of problems) this.#parts.log('warn', formatProblem(problem))
    return problems
  }

  /** A round once nothing more has come for a moment. */
  #soon(): void {
    if (this.#closing.signal.aborted || this.#isHeld || !this.#kept) return
    const { clock } = this.#runtime
    const now = clock.now()
    this.#waitingSince ??= now
    this.#roundAt(Math.min(now + SETTLED_MS, this.#waitingSince + LONGEST_MS))
  }

  #roundAt(time: number): void {
    this.#timer?.cancel()
    this.#timer = this.#runtime.clock.schedule(time, () => {
      this.#waitingSince = undefined
      void this.#inTurn(() => this.#round({ by: 'resources' })).catch((error: unknown) =>
        this.#trouble(error),
      )
    })
  }

  async #round(origin: Origin): Promise<Round> {
    this.#timer?.cancel()
    const round = await this.#composer.round(origin)
    const { outcome, verdicts } = round
    this.#verdicts = verdicts
    await this.#tell()
    if (outcome.ok) this.#failures = 0
    // What cannot be had now, such as an address, may be free later.
    else if (outcome.why === 'unavailable') this.#retry()
    return round
  }

  #retry(): void {
    if (this.#closing.signal.aborted) return
    const { clock, random } = this.#runtime
    this.#roundAt(clock.now() + backoffWait(RETRY, ++this.#failures, 'equal', random))
  }

  /** Tells resources what has become of them. What cannot be told now is told at the next look. */
  async #tell(): Promise<void> {
    const { node } = this.#parts
    // Two with one name would take back each other's words.
    if (this.#presence?.isTaken) return
    try {
      const { services } = await node.state()
      await tellStatus(this.#api!, this.#verdicts, {
        ...{ node: resourceNameOf(this.whose.node), services, routes: node.spec.routes },
        configGeneration: node.configuration.generation,
        configHash: node.configuration.hash,
        resources: this.#kept?.all() ?? [],
        isThere: (name) => this.#presence?.has(name) ?? true,
        onRefused: ({ kind, metadata }, { message }) =>
          this.#warnOnce(`${kind} ${metadata.name} takes no status: ${message}`),
        now: new Date(this.#runtime.clock.wall()).toISOString().replace(/\.\d+/, ''),
      })
    } catch (error) {
      this.#trouble(error)
    }
  }

  /** Tells resources whether they work. */
  look(): Promise<void> {
    return this.#inTurn(() => this.#tell())
  }

  #lookAgain(): void {
    if (this.#closing.signal.aborted) return
    const { clock } = this.#runtime
    this.#nextLook = clock.schedule(clock.now() + LOOK_MS, () => {
      void this.look().then(() => this.#lookAgain())
    })
  }

  /** Does something again until the store can be asked. */
  async #persist(work: () => Promise<unknown>): Promise<void> {
    const { clock, random } = this.#runtime
    const { signal } = this.#closing
    for (let failures = 1; !signal.aborted; failures++) {
      try {
        await work()
        return
      } catch (error) {
        if (!isPassing(error)) throw error
        this.#trouble(error)
        await sleep(clock, backoffWait(RETRY, failures, 'equal', random), signal).catch(() => undefined)
      }
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work)
    this.#turn = result.catch(() => undefined)
    return result
  }

  /** The same is told again only if something else was told in between. */
  #warnOnce(message: string): void {
    if (message !== this.#warned) this.#parts.log('warn', `resources: ${message}`)
    this.#warned = message
  }

  #trouble(error: unknown): void {
    if (this.#closing.signal.aborted) return
    const message = error instanceof Error ? error.message : String(error)
    this.#warnOnce(message)
  }
}

/** As a label of a domain name. */
function nameOfMachine(): string {
  const name = hostname()
    .toLowerCase()
    .split('.')[0]!
    .replace(/[^a-z0-9-]+/g, '-')
  return name.slice(0, 63).replace(/^-+|-+$/g, '') || NODE_KIND.toLowerCase()
}

function problemOf(error: unknown, file: string): ConfigProblem {
  const message = error instanceof Error ? error.message : String(error)
  return { severity: 'error', file, path: [], message }
}
