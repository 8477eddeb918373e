// @ts-check
/**
 * Changes keys of a coordinator and looks at them, in lanes side by side, and records what it tries, what it was told and what
 * it has seen; a change whose outcome is unknown is made sure of by reading. Then it stays as it is until it is killed.
 *
 * Its argument is JSON: `where`, `history`, `rounds`, `lanes`.
 */
import { openCoordinator } from 'banyan/coordination'
import { openJournal } from './journal.mjs'

const { where, history, rounds, lanes } = JSON.parse(process.argv[2] ?? '{}')
process.stdin.on('end', () => process.exit(1)).resume()
const record = openJournal(history)
const coordinator = await openCoordinator(where)
// Of another process, as far as the file goes: it has not written what it sees.
const reader = await openCoordinator(where)
const lease = await coordinator.lease('1m')
const watching = watch()
await Promise.all([...Array.from({ length: lanes }, (_, lane) => change(`lane-${lane}`)), hold()])
process.stdout.write('done\n')
await watching

/**
 * Keys without a lease: each has the number of its last change, or is deleted.
 *
 * @param {string} key
 */
async function change(key) {
  for (let number = 1; number <= rounds; number++) {
    const deletes = number % 7 === 0
    record({ is: 'tried', key, number, deletes })
    try {
      const { revision } = /** @type {any} */ (
        await (deletes ? coordinator.delete(key) : coordinator.put(key, `${number}`))
      )
      record({ is: 'told', key, number, deletes, revision })
    } catch (error) {
      process.stdout.write(`${/** @type {any} */ (error).code}\n`)
    }
    const entry = await reader.get(key).catch(() => undefined)
    if (entry) record({ is: 'seen', key, number: Number(entry.value), revision: entry.revision })
  }
}

/** Keys with a lease, of which only the revisions matter. */
async function hold() {
  for (let number = 1; number <= 20 * rounds; number++) {
    const { revision } = /** @type {any} */ (await coordinator.put(`held-${number % 5}`, '', { lease }))
    if (number % 5 === 0) record({ is: 'given', revision })
    if (number % 20 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
}

/** What is watched was seen, too. */
async function watch() {
  for await (const { revision, changes } of reader.watch('lane-', { after: 1 }))
    for (const change of changes)
      if (change.kind === 'put')
        record({ is: 'seen', key: change.entry.key, number: Number(change.entry.value), revision })
}
