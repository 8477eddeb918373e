import { statSync } from 'node:fs'
import { BanyanError } from '../../core/errors.js'
import type { NodeSpec } from '../spec.js'
import type { MeaningProblem, Path } from './problem.js'

/** The package that each driver needs. */
const PACKAGES: Readonly<Record<string, string>> = { sqlite: 'better-sqlite3', postgres: 'pg' }

/** What can be said of an event log without opening it: the package is there, the place can be one, the types are right. */
export async function checkEventLog({ events }: NodeSpec): Promise<MeaningProblem[]> {
  if (!events) return []
  const problems: MeaningProblem[] = []
  const name = PACKAGES[events.driver]
  if (name !== undefined && !isInstalled(name))
    problems.push(
      error(['events', 'driver'], `${events.driver} needs the package ${name}: npm install ${name}`),
    )
  if (events.driver === 'sqlite') problems.push(...checkPlace(events.path, ['events', 'path']))
  try {
    const { loadTypes } = await import('../events/known-types.js')
    await loadTypes(events)
  } catch (failure) {
    if (!(failure instanceof BanyanError)) throw failure
    problems.push(error(['events', 'types'], failure.message))
  }
  return problems
}

/** A path of SQLite is a directory, or a file that is known as a database by its name. */
export function checkPlace(path: string, at: Path): MeaningProblem[] {
  const stats = statSync(path, { throwIfNoEntry: false })
  if (stats?.isFile() && !path.endsWith('.db'))
    return [error(at, `${path} is a file that does not end in .db; name a directory, or such a file`)]
  return []
}

/** Whether a package can be loaded. */
export function isInstalled(name: string): boolean {
  try {
    import.meta.resolve(name)
    return true
  } catch {
    return false
  }
}

function error(path: Path, message: string): MeaningProblem {
  return { severity: 'error', path, message, at: 'value' }
}
