import { BanyanError } from '../../core/errors.js'
import { checkOptions, type OptionKinds } from '../../core/options.js'
import { asJson } from '../../events/as-read.js'
import type { AnySaga } from '../../events/saga/definition.js'
import type { SagaOutcome } from '../../events/saga/sagas.js'

/** Options of {@link trySaga}. */
export interface TrySagaOptions<World> {
  /**
   * Makes what its steps work on, anew for every run. It must be in memory: its promises resolve by themselves, in some turns of the
   * event loop, and wait for no timer, file or network, as time is virtual.
   */
  world: () => World
  /** The saga, with steps that work on that. Its children are tried along with it. */
  saga: (world: World) => AnySaga
  /** What it is started with. */
  input?: unknown
  /** Payloads of signals, by name, in their order: each comes when it is waited for, or not in time. */
  signals?: Readonly<Record<string, readonly unknown[]>>
  /** How many things go wrong in one run, at the most. Default 2. */
  faults?: number
  /** How many runs are made, at the most. Default 100,000. */
  runs?: number
  /** Throws if something is not as it must be at the end. */
  check?: (end: SagaOutcome, world: World) => void | Promise<void>
}

const OPTIONS: OptionKinds = {
  world: { kind: 'code', type: 'function', doc: 'makes what steps work on' },
  saga: { kind: 'code', type: 'function', doc: 'what is tried' },
  signals: { kind: 'code', type: 'object', doc: 'payloads by name' },
  faults: { kind: 'number', min: 0, integer: true, doc: 'how many things go wrong in one run' },
  runs: { kind: 'number', min: 1, integer: true, doc: 'how many runs are made' },
  check: { kind: 'code', type: 'function', doc: 'whether the end is as it must be' },
}

/**
 * Options as they are used: the input as a saga gets it.
 *
 * @throws `BANYAN_INVALID_OPTIONS`; `BANYAN_INVALID_EVENT` for an input or a signal that is no JSON
 */
export function checkedTrial<World>(given: TrySagaOptions<World>): TrySagaOptions<World> {
  const { input, ...others } = Object(given) as TrySagaOptions<World>
  checkOptions<object>('trySaga', OPTIONS, others)
  for (const name of ['world', 'saga'] as const)
    if (typeof others[name] !== 'function')
      throw invalid(`trySaga needs ${name}, a function, and got undefined`)
  for (const [name, payloads] of Object.entries(others.signals ?? {})) {
    if (!Array.isArray(payloads)) throw invalid(`trySaga: signals.${name} must be a list of payloads`)
    for (const [at, payload] of payloads.entries())
      if (payload !== undefined) asJson(payload, `trySaga: signals.${name}.${at}`)
  }
  return { ...others, ...(input !== undefined && { input: asJson(input, 'trySaga: input') }) }
}

function invalid(message: string): Error {
  return new BanyanError('BANYAN_INVALID_OPTIONS', message)
}
