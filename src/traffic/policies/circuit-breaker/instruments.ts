import type { Runtime } from '../../../core/runtime.js'
import type { BreakerState } from './state.js'
import type { Tally } from './window.js'

/** How states look on a graph. */
const STATE_NUMBERS: Readonly<Record<BreakerState, number>> = {
  closed: 0,
  'half-open': 1,
  open: 2,
  'forced-open': 3,
  disabled: 4,
}

/** Everything that a breaker reports through telemetry. */
export function instruments(
  { telemetry }: Runtime,
  name: string,
  { state, tally }: { state: () => BreakerState; tally: () => Tally },
) {
  const calls = (outcome: string) =>
    telemetry.counter('banyan.breaker.calls', {
      description: 'Calls by their outcome as the circuit breaker judged it.',
      unit: '{call}',
      attributes: { 'banyan.policy': name, 'banyan.outcome': outcome },
    })
  const attributes = { 'banyan.policy': name }
  telemetry.gauge(
    'banyan.breaker.state',
    {
      description: 'State of the circuit: 0 closed, 1 half-open, 2 open, 3 forced-open, 4 disabled.',
      attributes,
    },
    () => STATE_NUMBERS[state()],
  )
  const counted = { calls: 'Calls', failures: 'Failed calls', slow: 'Slow calls' } as const
  for (const kind of ['calls', 'failures', 'slow'] as const) {
    telemetry.gauge(
      `banyan.breaker.window.${kind}`,
      {
        description: `${counted[kind]} in the window that the breaker judges by.`,
        unit: '{call}',
        attributes,
      },
      () => tally()[kind],
    )
  }
  return {
    succeeded: calls('success'),
    failed: calls('failure'),
    slow: calls('slow'),
    refused: calls('refused'),
    ignored: calls('ignored'),
    transitions: telemetry.counter('banyan.breaker.transitions', {
      description: 'Changes of state of the circuit breaker.',
      unit: '{transition}',
      attributes,
    }),
  }
}
