import { BanyanError } from '../core/errors.js'
import { checkOptionNames } from '../core/options.js'
import type { DeleteOptions, Expected, PutOptions, WatchOptions } from './coordinator.js'

const PUT: readonly string[] = ['expected', 'lease'] satisfies (keyof PutOptions)[]
const DELETE: readonly string[] = ['expected'] satisfies (keyof DeleteOptions)[]
const WATCH: readonly string[] = ['after', 'signal'] satisfies (keyof WatchOptions)[]

/** @throws `BANYAN_INVALID_OPTIONS`: what is misspelled would be a write without a condition */
export function checkPutOptions(options: PutOptions): void {
  checkOptionNames('put', PUT, options)
  checkExpected('put', options)
}

/** @throws `BANYAN_INVALID_OPTIONS` */
export function checkDeleteOptions(options: DeleteOptions): void {
  checkOptionNames('delete', DELETE, options)
  checkExpected('delete', options)
}

/** @throws `BANYAN_INVALID_OPTIONS` for what is no option */
export function checkWatchOptions(options: WatchOptions): void {
  checkOptionNames('watch', WATCH, options)
}

/** @throws `BANYAN_INVALID_OPTIONS` */
export function checkExpected(owner: string, options: { expected?: Expected }): void {
  const { expected } = options
  if (expected === 'absent' || expected === 'any') return
  // Given and undefined is most likely the revision of what is not there: to take it for `any` would overwrite what comes there.
  const isFine = expected === undefined ? !('expected' in options) : isRevision(expected)
  if (!isFine)
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `${owner}: expected must be 'any', 'absent', or a revision, which is a whole number of at least 0; got ${show(expected)}`,
    )
}

function isRevision(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}

function show(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value)
}
