// @ts-check
/**
 * A worker of a shard map. With each bucket that it has it looks again and again whether it still has it, and adds a row to a
 * fenced table. It prints JSON: of each look the bucket, its epoch as `token`, and when it began and ended to look; `refused` with
 * the token when the table has seen a higher one.
 *
 * Told `stop` on stdin, it prints `stopped` the next time that it has looked, and stops (SIGSTOP) before it writes.
 *
 * Prints `ready` first; until SIGTERM. Its argument is JSON: `where`, `table`, `name`, `ttl` in ms, `buckets`.
 */
import { writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { joinShards, openCoordinator, openFences } from 'banyan/coordination'

const { where, table, name, ttl, buckets } = JSON.parse(process.argv[2] ?? '{}')
const coordinator = await openCoordinator(where)
const fences = await openFences(`sqlite:${table}`)
const now = () => Number(process.hrtime.bigint()) / 1e6
/** @param {unknown} what */
const say = (what) => writeSync(1, `${JSON.stringify(what)}\n`)
let isToStop = false
createInterface({ input: process.stdin })
  .on('line', () => (isToStop = true))
  .on('close', () => process.exit(1))

const worker = joinShards(coordinator, 'orders', {
  worker: name,
  buckets,
  ttl,
  settle: 200,
  tolerance: 0,
  movesAtOnce: 4,
  async own(owned) {
    const { bucket, token } = owned
    while (owned.held) {
      const before = now()
      try {
        owned.check()
        say({ bucket, token, before, after: now() })
        if (isToStop) {
          isToStop = false
          say({ bucket, token, stopped: true })
          process.kill(process.pid, 'SIGSTOP')
        }
        // Only by its number, as of one that believes what is not so any more: the fence has to refuse it.
        await fences.transaction({ name: `orders/${bucket}`, token }, (db) =>
          db.run('INSERT INTO work (bucket, epoch, worker) VALUES (?, ?, ?)', bucket, token, name),
        )
      } catch (error) {
        const { code } = /** @type {any} */ (error)
        if (code === 'BANYAN_STALE_TOKEN') say({ bucket, token, refused: true })
        else if (code !== 'BANYAN_SHARD_NOT_OWNED') throw error
      }
      await sleep(20)
    }
  },
})
process.once('SIGTERM', () => {
  void (async () => {
    await worker.close()
    await fences.close()
    await coordinator.close()
    process.exit(0)
  })()
})
await worker.ready
process.stdout.write('ready\n')
