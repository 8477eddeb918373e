// @ts-check
/**
 * Holds a key with a lease, and while it believes in it, writes its token again and again to another key, as guarded work
 * would. Prints `ready` when it has begun, `working` for what was written, and `lost`, with the code, when it has given up.
 *
 * Its argument is JSON: `where`, `ttl` in ms.
 */
import { openCoordinator } from 'banyan/coordination'
import { setTimeout as sleep } from 'node:timers/promises'

const { where, ttl } = JSON.parse(process.argv[2] ?? '{}')
process.stdin.on('end', () => process.exit(1)).resume()
const coordinator = await openCoordinator(where)
const lease = await coordinator.lease(ttl)
const held = await coordinator.put('held', String(process.pid), { lease, expected: 'absent' })
if (!held.ok) throw new Error('somebody else holds it')
process.stdout.write('ready\n')
try {
  for (;;) {
    lease.check()
    await coordinator.put('guarded', String(held.created), { lease })
    process.stdout.write('working\n')
    await sleep(ttl / 20)
  }
} catch (error) {
  process.stdout.write(`lost ${/** @type {any} */ (error).code}\n`)
}
await coordinator.close()
process.exit(0)
