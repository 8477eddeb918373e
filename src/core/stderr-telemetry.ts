import { noTelemetry, type Telemetry } from './telemetry.js'

/** Controls would break the line or do something to a terminal: much of a message comes from others. */
const CONTROLS = /[\p{Cc}\p{Zl}\p{Zp}]+/gu

/**
 * Writes lines of level `warn` and `error` to stderr, as `banyan: warn: …`, and measures nothing: the default, so that what
 * nobody has wired up does not fail in silence.
 */
export const stderrTelemetry: Telemetry = {
  ...noTelemetry,
  log(level, message, attributes = {}) {
    if (level !== 'warn' && level !== 'error') return
    const details = Object.entries(attributes).map(([name, value]) => ` ${name}=${String(value)}`)
    const line = `banyan: ${level}: ${message}${details.join('')}`.replace(CONTROLS, ' ')
    // By `console`, which test runners show with the test that was running.
    /* eslint-disable no-console -- this is what writes lines where nobody else does */
    if (level === 'error') console.error(line)
    else console.warn(line)
    /* eslint-enable no-console */
  },
}
