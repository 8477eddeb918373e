import { BanyanError } from '../../core/errors.js'
import { checkOptions, type OptionKinds } from '../../core/options.js'
import { asJson } from '../../events/as-read.js'
import type { TrySagaOptions } from './try-saga.js'

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
