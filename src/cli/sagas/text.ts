import type { SagaStatus } from '../../events/index.js'
import { paint } from '../paint.js'

const COLOURS = {
  running: 'cyan',
  waiting: 'cyan',
  compensating: 'yellow',
  parked: 'red',
  completed: 'green',
  compensated: 'yellow',
} as const satisfies Record<SagaStatus, string>

export function statusText(status: SagaStatus): string {
  return paint(COLOURS[status], status)
}

/** Names of times, in ms since the epoch, in what is told of sagas. */
const TIMES = new Set(['started', 'ended', 'deadline', 'began', 'time', 'next', 'due'])
/** What is of users stays as it is. */
const OF_USERS = new Set(['input', 'result', 'data', 'metadata'])

/** What is told of sagas as `--json` shows it: with its times in ISO 8601. */
export function sagaRecord(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sagaRecord)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, each]: [string, unknown]) => {
      if (OF_USERS.has(name)) return [name, each]
      return [
        name,
        TIMES.has(name) && typeof each === 'number' ? new Date(each).toISOString() : sagaRecord(each),
      ]
    }),
  )
}
