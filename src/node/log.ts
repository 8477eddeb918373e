import { styleText } from 'node:util'
import type { Clock } from '../core/clock.js'
import type { Attributes, LogLevel } from '../core/telemetry.js'

/** Takes a log line. */
export type Log = (level: LogLevel, message: string, attributes?: Attributes) => void

const COLOURS = { debug: 'gray', info: 'green', warn: 'yellow', error: 'red' } as const

/**
 * Log lines for a person at a terminal, or one JSON object a line for everything else.
 *
 * @param output - usually `process.stderr`
 */
export function createLog(output: NodeJS.WritableStream & { isTTY?: boolean }, clock: Clock): Log {
  if (!output.isTTY) {
    return (level, message, attributes = {}) => {
      output.write(
        `${JSON.stringify({ time: new Date(clock.wall()).toISOString(), level, message, ...attributes })}\n`,
      )
    }
  }
  return (level, message, attributes = {}) => {
    const time = new Date(clock.wall()).toTimeString().slice(0, 8)
    const details = Object.entries(attributes).map(([name, value]) => `${name}=${String(value)}`)
    const mark = level === 'info' ? '' : `${styleText(COLOURS[level], level)} `
    output.write(
      `${styleText('gray', time)} ${mark}${message}${details.length > 0 ? styleText('gray', ` ${details.join(' ')}`) : ''}\n`,
    )
  }
}
