import { isDeepStrictEqual } from 'node:util'
import { BanyanError } from '../core/errors.js'
import type { HttpHandler } from '../core/http-handler.js'
import type { Runtime } from '../core/runtime.js'
import type { GatewayState } from '../traffic/gateway/gateway.js'
import type { ConfigProblem } from './config/problem.js'
import type { Loaded } from './config/load.js'
import type { HostedCoordinator } from './coordination/hosted-coordinator.js'
import type { Applied, ConfigurationState, Origin, Trigger } from './configuration.js'
import { logSpecOf, type NodeSpec } from './spec.js'

/** How a change is to be made. */
export interface ApplyOptions {
  /** The generation that the change was made for; if another is in force by now, the change is refused. */
  ifGeneration?: number | undefined
  /** Whether only to try it: everything is made but for listeners, and given back. Default false. */
  dryRun?: boolean | undefined
}

/** Who brings a running node its configurations; what the admin listener turns to. */
export interface Control {
  /** Reads the file again that the node was started from. */
  reload(by: Trigger): Promise<ChangeOutcome>
  /** The resources that its entries are, as the API of Kubernetes, if no coordinator has them. */
  readonly resources: HttpHandler | undefined
  /** Takes a configuration as text. */
  replace(text: string, options: ReplaceOptions): Promise<ChangeOutcome>
}

/** How {@link Control.replace} reads a configuration. */
export interface ReplaceOptions extends ApplyOptions {
  /** YAML is read as a file is, with `${NAME}` from the node's environment; JSON is taken as it stands. */
  format: 'yaml' | 'json'
}

/** What became of a configuration that was asked for. */
export type ChangeOutcome =
  | ({ ok: true; warnings: readonly ConfigProblem[] } & Applied)
  | {
      ok: false
      /** `invalid`: what it says; `stale`: another generation is in force; `unavailable`: it cannot be had here and now. */
      why: 'invalid' | 'stale' | 'unavailable'
      problems: readonly ConfigProblem[]
      /** The one in force. */
      generation: number
    }

/** Where a configuration that was read goes first, if not straight to the node. */
export interface Door {
  take(loaded: Loaded & { ok: true }, origin: Origin): Promise<ChangeOutcome>
  /** Why a configuration cannot be handed over as a whole, but by what it is made of. */
  readonly whole: string
  /** Serves what it is made of, if no coordinator has that. */
  readonly handler: HttpHandler | undefined
}

/** What runs: one process, or several under a supervisor. */
export interface Running {
  /** The configuration in force. */
  readonly spec: NodeSpec
  readonly configuration: ConfigurationState
  /** Its coordinator, from the start on, if it has one. */
  readonly coordinator: HostedCoordinator | undefined
  readonly runtime: Runtime
  /** How its gateway is. */
  state(): GatewayState | Promise<GatewayState>
  /** Opens the listeners. */
  start(): Promise<void>
  /** Changes everything that the configuration says, as a whole or not at all. */
  apply(spec: NodeSpec, origin?: Origin, options?: ApplyOptions): Promise<Applied>
  /** Notes a configuration that was refused before it got here. */
  refuse(origin: Origin, problems: readonly ConfigProblem[]): void
  /** Lets the admin listener pass on to `control` what operators want to change. */
  controlledBy(control: Control): void
  /** Opens log files anew, after they were moved away. */
  reopenLogs(): void
  /** Finishes the requests in flight, and ends; `now` skips the waiting. */
  stop(now?: AbortSignal): Promise<void>
}

/**
 * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` for what a running process cannot change: from one process to several
 *   or back, where its event log or its coordinator is, and whether its entries are resources
 */
export function refuseRestructuring(before: NodeSpec, after: NodeSpec): void {
  const [processes, next] = [before.workers ?? 1, after.workers ?? 1]
  if ((processes === 1) !== (next === 1))
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `workers: cannot change from ${processes} to ${next} while the node runs; start it anew`,
    )
  refuseOtherLog(before.events, after.events)
  const [was, is] = [before.coordination, after.coordination]
  refuseOther('coordination', was && { ...was }, is && { ...is })
  refuseOther(
    'resources',
    before.resources && { ...before.resources },
    after.resources && { ...after.resources },
  )
}

function refuseOtherLog(before: NodeSpec['events'], after: NodeSpec['events']): void {
  refuseOther('events', before && fixed(before), after && fixed(after))
}

/** What is opened once, at the start. */
function refuseOther(
  kind: string,
  before: Readonly<Record<string, unknown>> | undefined,
  after: Readonly<Record<string, unknown>> | undefined,
): void {
  const refuse = (what: string): never => {
    throw new BanyanError('BANYAN_INVALID_OPTIONS', `${what} while the node runs; start it anew`)
  }
  if (!before && !after) return
  if (!before || !after) return refuse(`${kind}: cannot be ${after ? 'added' : 'removed'}`)
  for (const key of Object.keys({ ...before, ...after }))
    if (!isDeepStrictEqual(before[key], after[key])) refuse(`${kind}.${key}: cannot change`)
}

/** What is given to the log when it is opened. */
function fixed(events: NonNullable<NodeSpec['events']>): Record<string, unknown> {
  return { ...logSpecOf(events), limits: events.limits, follow: events.follow }
}
