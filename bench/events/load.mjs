// @ts-check
/** The load that all engines get, and how it is measured. */
import { monitorEventLoopDelay } from 'node:perf_hooks'

/** What is appended: about 170 bytes of JSON. */
export function order(/** @type {number} */ number) {
  return {
    order: `order-${number % 10_000}`,
    customer: `customer-${number % 997}`,
    total: 129.9 + (number % 100),
    currency: 'EUR',
    items: [{ sku: 'apple-red-4711', quantity: 3, price: 43.3 }],
    note: 'leave at the door',
  }
}

/** More than any engine answers while it is measured. */
const MOST_CALLS = 5_000_000
/** Warms up for so long before it counts unless told otherwise, in ms. */
export const WARM_MS = 1000

/**
 * Keeps so many calls under way for a time.
 *
 * @param {number} concurrency
 * @param {number} ms
 * @param {(number: number) => Promise<unknown>} call
 * @param {number} [warm] ms before it counts
 * @returns {Promise<{ perSecond: number, p50: number, p99: number, blocked: number }>} calls a second, ms of a call, and
 *   the longest that the event loop could not turn, in ms
 */
export async function keepInFlight(concurrency, ms, call, warm = WARM_MS) {
  // It reports every delay as too long by its own period.
  const resolution = 1
  const delay = monitorEventLoopDelay({ resolution })
  // An array that grows is copied now and then, and stops the event loop.
  const times = new Float64Array(MOST_CALLS)
  let count = 0
  let number = 0
  let counting = false
  let over = false
  const caller = async () => {
    while (!over) {
      const begun = performance.now()
      await call(number++)
      if (counting) times[count++] = performance.now() - begun
    }
  }
  const callers = Array.from({ length: concurrency }, caller)
  await new Promise((resolve) => setTimeout(resolve, warm))
  counting = true
  delay.enable()
  const begun = performance.now()
  await new Promise((resolve) => setTimeout(resolve, ms))
  over = true
  counting = false
  const seconds = (performance.now() - begun) / 1000
  const blocked = delay.max / 1e6 - resolution
  delay.disable()
  await Promise.all(callers)
  return {
    perSecond: count / seconds,
    ...percentiles(times.subarray(0, count)),
    blocked: Math.max(0, blocked),
  }
}

/** Calls that are not answered, when no more are made: some engines fail then, and none gets faster. */
const MOST_WAITING = 1000

/**
 * Makes so many calls a second for a time, whether they are answered or not, and waits for the last answer.
 *
 * @param {number} perSecond
 * @param {number} ms
 * @param {(number: number) => Promise<unknown>} call
 * @returns {Promise<{ reached: number }>} answers a second
 */
export async function atRate(perSecond, ms, call) {
  const begun = now()
  // Promises that are kept would cost the garbage collector more than the log costs.
  let waiting = 0
  let failed
  let number = 0
  while (now() < begun + ms) {
    const due = Math.floor(((now() - begun) / 1000) * perSecond)
    for (; number < due && waiting < MOST_WAITING; number++) {
      waiting++
      call(number)
        .then(() => waiting--)
        .catch((error) => (failed = error))
    }
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  while (waiting > 0 && !failed) await new Promise((resolve) => setTimeout(resolve, 1))
  if (failed) throw failed
  return { reached: number / ((now() - begun) / 1000) }
}

/** @param {ArrayLike<number>} times */
export function percentiles(times) {
  const sorted = Float64Array.from(times).sort()
  const at = (/** @type {number} */ part) =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? NaN
  return { p50: at(0.5), p99: at(0.99) }
}

/** ms on a clock that all processes of the machine share. */
export function now() {
  return Number(process.hrtime.bigint()) / 1e6
}
