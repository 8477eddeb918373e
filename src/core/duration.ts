import { BanyanError } from './errors.js'

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

type Unit = keyof typeof UNIT_MS

/** A number of milliseconds, or a number with a unit: `'250ms'`, `'1.5s'`, `'2m'`, `'1h'`, `'7d'`. */
export type Duration = number | `${number}${Unit}`

const PATTERN = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/

/**
 * Reads a duration.
 *
 * @param value - milliseconds, or text such as `'250ms'`
 * @returns milliseconds, or `undefined` if `value` is not a finite duration of at least 0
 */
export function parseDuration(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isFinite(value) && value >= 0 ? value : undefined
  if (typeof value !== 'string') return undefined
  const match = PATTERN.exec(value)
  return match ? Number(match[1]) * UNIT_MS[match[2] as Unit] : undefined
}

/**
 * Reads a duration that must be right.
 *
 * @param value - milliseconds, or text such as `'250ms'`
 * @param name - what to call it in the error
 * @returns milliseconds
 * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` if it is not a duration
 */
export function duration(value: Duration, name = 'duration'): number {
  const ms = parseDuration(value)
  if (ms === undefined) {
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `${name} must be ${DURATION_HINT}, got ${typeof value === 'number' ? value : JSON.stringify(value)}`,
    )
  }
  return ms
}

/** What a wrong duration is told to be. */
export const DURATION_HINT = 'a number of milliseconds or text such as "250ms", "5s", "2m"'

/** Writes milliseconds in the unit a person would choose: `formatDuration(2500)` is `'2.5s'`. */
export function formatDuration(ms: number): string {
  if (ms < 1_000) return `${round(ms)}ms`
  if (ms < UNIT_MS.m) return `${round(ms / 1_000)}s`
  if (ms < UNIT_MS.h) return `${round(ms / UNIT_MS.m)}m`
  if (ms < UNIT_MS.d) return `${round(ms / UNIT_MS.h)}h`
  return `${round(ms / UNIT_MS.d)}d`
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
