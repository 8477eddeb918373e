import { BanyanError } from '../core/errors.js'

/**
 * A bucket that is this process's for now, as the worker of a shard map is given it. Nobody else gets it before the work on it has
 * ended, or the lease is over.
 */
export interface OwnedPart {
  /** Which: its number, or `17/0` for a half of one. */
  readonly bucket: string | number
  /** The fencing token: higher than that of every owner before. */
  readonly epoch: number
  /** Whether it is this process's at this moment, by the clock, and not to be given up. Once false it is never true again. */
  readonly held: boolean
  /** Aborts when it has to be given up, or was lost. */
  readonly signal: AbortSignal
  /** What keeps it from others, also while it is given up. */
  readonly lease: {
    /** By the clock. */
    readonly held: boolean
    /** Aborts when it is lost. */
    readonly signal: AbortSignal
  }
}

const BUCKET = /^(\d+)((?:\/[01])*)$/

/**
 * The number of a bucket; of one that was split its first part stands for it.
 *
 * @returns undefined for the other parts, and for what is no bucket
 */
export function firstPartOf(bucket: string | number): number | undefined {
  const [, number, halves = ''] = BUCKET.exec(String(bucket)) ?? []
  return number === undefined || halves.includes('1') ? undefined : Number(number)
}

/**
 * The number of a bucket of which there are so many; undefined for all but the first part of one that was split.
 *
 * @throws `BANYAN_INVALID_OPTIONS`
 */
export function numberOfPart(owner: string, { bucket }: OwnedPart, buckets: number): number | undefined {
  if (!BUCKET.test(String(bucket)) || Number.parseInt(String(bucket), 10) >= buckets)
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `${owner} has the buckets 0 to ${buckets - 1}, and not ${JSON.stringify(bucket)}: it and the shard map have the same number of them`,
    )
  return firstPartOf(bucket)
}
