// @ts-check
/**
 * Prints every change of a coordinator behind a revision as a line of JSON, until it has seen the key `end`.
 *
 * Its argument is JSON: `where`, `after`.
 */
import { openCoordinator } from 'banyan/coordination'

const { where, after } = JSON.parse(process.argv[2] ?? '{}')
process.stdin.on('end', () => process.exit(1)).resume()
const coordinator = await openCoordinator(where)
process.stdout.write('ready\n')
for await (const group of coordinator.watch('', { after })) {
  process.stdout.write(`${JSON.stringify(group)}\n`)
  if (group.changes.some((change) => change.kind === 'put' && change.entry.key === 'end')) break
}
await coordinator.close()
// What a pipe does not take at once would be lost.
process.stdout.write('', () => process.exit(0))
