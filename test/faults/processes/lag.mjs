// @ts-check
/**
 * Appends with many on their way at once, and prints as JSON how long its event loop was held up meanwhile.
 *
 * Its argument is JSON: `log`; `lanes`, how many are on their way; `appends`, how many all in all; `bytes` of an event.
 */
import { openLog } from 'banyan/events'
import { performance } from 'node:perf_hooks'

const { log: where, lanes, appends, bytes } = JSON.parse(process.argv[2] ?? '{}')
const log = await openLog(where)
const data = 'x'.repeat(bytes)
let left = appends
/** @type {number[]} */
const waits = []

await run(lanes * 4)
waits.length = 0
const blocked = watchLoop()
await run(appends)
const held = blocked()
await log.close()
const sorted = (/** @type {number[]} */ values) => values.sort((a, b) => a - b)
const at = (/** @type {number[]} */ values, /** @type {number} */ part) =>
  values[Math.min(values.length - 1, Math.floor(values.length * part))]
sorted(waits)
sorted(held)
process.stdout.write(
  `${JSON.stringify({
    samples: held.length,
    blocked: { p50: at(held, 0.5), p90: at(held, 0.9), p99: at(held, 0.99), max: at(held, 1) },
    waited: { min: at(waits, 0), p50: at(waits, 0.5), max: at(waits, 1) },
  })}\n`,
)

/** A timer for each ms, and how late it comes each time, in ms. (`monitorEventLoopDelay` sees nothing of a loop that is always late.) */
function watchLoop() {
  /** @type {number[]} */
  const late = []
  let due = performance.now() + 1
  let timer = setTimeout(look, 1)
  function look() {
    const now = performance.now()
    late.push(Math.max(0, now - due))
    due = now + 1
    timer = setTimeout(look, 1)
  }
  return () => {
    clearTimeout(timer)
    return late
  }
}

/** @param {number} count */
async function run(count) {
  left = count
  await Promise.all(Array.from({ length: lanes }, (_, lane) => appendAll(`stream-${lane % 64}`)))
}

/** @param {string} stream */
async function appendAll(stream) {
  while (left-- > 0) {
    const begun = performance.now()
    await log.append({ streams: [{ stream, events: [{ type: 'Happened', data }] }] })
    waits.push(performance.now() - begun)
  }
}
