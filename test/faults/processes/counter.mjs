// @ts-check
/**
 * Opens a coordinator, says whether it was the first, and counts up a key of all so many times, comparing and setting; beside
 * it, it leaves a key with its lease for each. It prints a line for each time that it has counted, and `done`; then it stays
 * until SIGTERM.
 *
 * Its argument is JSON: `where`, `name`, `times`, `ttl` of its lease in ms.
 */
import { openCoordinator } from 'banyan/coordination'

const { where, name, times, ttl } = JSON.parse(process.argv[2] ?? '{}')
process.stdin.on('end', () => process.exit(1)).resume()
const coordinator = await openCoordinator(where)
process.once('SIGTERM', () => void coordinator.close().then(() => process.exit(0)))
const first = await coordinator.put('first', name, { expected: 'absent' })
process.stdout.write(first.ok ? 'first\n' : 'later\n')
process.stdout.write('ready\n')
for (let count = 0; count < times;) {
  const entry = await coordinator.get('counter')
  const next = String(Number(entry?.value ?? 0) + 1)
  const { ok } = await coordinator.put('counter', next, { expected: entry?.revision ?? 'absent' })
  if (!ok) continue
  process.stdout.write(`counted ${next}\n`)
  const lease = await coordinator.session(ttl).lease()
  await coordinator.put(`marks/${name}/${count++}`, next, { lease })
}
process.stdout.write('done\n')
