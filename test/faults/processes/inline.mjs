// @ts-check
/**
 * Appends with an inline projection, several at a time, and runs the projection, until it is told to end. It prints the
 * amount of each event whose append has ended.
 *
 * Its argument is JSON: `url`, where log and read models are, and `slot`, a number that no other process has at this time.
 */
import { openLog, openReadModels } from 'banyan/events'
import { entries } from './entries.mjs'

const { url, slot } = JSON.parse(process.argv[2] ?? '{}')
process.stdin.on('end', () => process.exit(1)).resume()

const AT_ONCE = 6
const log = await openLog(url)
const models = await openReadModels(url, log)
const inline = models.inline(entries)
const projector = models.run(entries, { takeover: 200 })
let isOver = false
let next = slot * 100_000_000 + (Date.now() % 10_000_000) * 10
process.stdout.write('ready\n')

async function work() {
  while (!isOver) {
    const amount = next++
    const events = [{ type: 'Entered', data: { amount } }]
    const result = await inline.append({ streams: [{ stream: `ledger-${amount % 5}`, events }] })
    if (result.ok) process.stdout.write(`${amount}\n`)
  }
}
const working = Promise.all(Array.from({ length: AT_ONCE }, work))
process.once('SIGTERM', async () => {
  isOver = true
  await working
  await inline.close()
  await models.close()
  await log.close()
  process.exit(0)
})
for (const ended of [working, projector.ended])
  ended.catch((error) => {
    process.stderr.write(`${error.stack}\n`)
    process.exit(2)
  })
