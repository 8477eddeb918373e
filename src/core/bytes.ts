import { BanyanError } from './errors.js'

const UNIT_BYTES = { kB: 1024, MB: 1024 ** 2, GB: 1024 ** 3 } as const

type Unit = keyof typeof UNIT_BYTES

/** A number of bytes, or text: `'64kB'`, `'10MB'`. */
export type Bytes = number | `${number}${Unit}`

const PATTERN = /^(\d+(?:\.\d+)?)(kB|MB|GB)$/

/**
 * Reads a size.
 *
 * @param value - bytes, or text such as `'64kB'`
 * @param name - what to call it in the error
 * @returns bytes, whole
 * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` if it is not a size
 */
export function bytes(value: Bytes, name = 'size'): number {
  const match = typeof value === 'string' ? PATTERN.exec(value) : null
  const size = match ? Number(match[1]) * UNIT_BYTES[match[2] as Unit] : value
  if (typeof size !== 'number' || !Number.isFinite(size) || size < 0) {
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `${name} must be a number of bytes or text such as "64kB", got ${JSON.stringify(value)}`,
    )
  }
  return Math.floor(size)
}
