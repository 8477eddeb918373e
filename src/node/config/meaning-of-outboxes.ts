import { parseDuration } from '../../core/duration.js'
import type { NodeSpec } from '../spec.js'
import { isInstalled } from './check-events.js'
import type { MeaningProblem, Path } from './problem.js'
import type { ConfigInput } from './schema/config.js'

/** `outboxes.<name>`: there is a log to relay to, and the database can be one. */
export function* checkOutbox(config: ConfigInput, name: string): Generator<MeaningProblem> {
  const { database, poll } = config.outboxes![name]!
  const path = ['outboxes', name]
  if (!config.events)
    yield error(
      path,
      'there is no event log to relay to; say at the top which one: `events: { driver: sqlite, path: ./data }`',
      'key',
    )
  if (database.startsWith('postgres') && !URL.canParse(database))
    yield error([...path, 'database'], 'must be a URL such as postgres://user:password@host:5432/database')
  if (poll !== undefined && parseDuration(poll)! < 1) yield error([...path, 'poll'], 'must be 1ms at least')
  const twin = Object.entries(config.outboxes!).find(([, other]) => other.database === database)?.[0]
  if (twin !== name) yield error([...path, 'database'], `is that of the outbox \`${twin!}\`, too`)
}

/** Whether the package is there that a database needs. */
export function checkOutboxPackages({ outboxes = {} }: NodeSpec): MeaningProblem[] {
  return Object.entries(outboxes).flatMap(([name, { database }]) => {
    const needed = database.startsWith('sqlite:') ? 'better-sqlite3' : 'pg'
    if (isInstalled(needed)) return []
    return [error(['outboxes', name, 'database'], `needs the package ${needed}: npm install ${needed}`)]
  })
}

function error(path: Path, message: string, at: 'key' | 'value' = 'value'): MeaningProblem {
  return { severity: 'error', path, message, at }
}
