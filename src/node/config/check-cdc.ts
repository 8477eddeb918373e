import { BanyanError } from '../../core/errors.js'
import type { NodeSpec } from '../spec.js'
import { isInstalled } from './check-events.js'
import type { MeaningProblem, Path } from './problem.js'

/**
 * What can be said of captures without connecting to their databases: the package is there, and so are the mappings.
 *
 * @returns the problems, and what was read of the user's own
 */
export async function checkCaptures({
  cdc = {},
}: NodeSpec): Promise<{ problems: MeaningProblem[]; files: string[] }> {
  const problems: MeaningProblem[] = []
  const files: string[] = []
  for (const [name, { tables }] of Object.entries(cdc)) {
    if (!isInstalled('pg'))
      problems.push(error(['cdc', name, 'from'], 'needs the package pg: npm install pg'))
    for (const [table, { map }] of Object.entries(tables)) {
      if (map === undefined) continue
      const [{ loadMap }, { filesOf }] = await Promise.all([
        import('../cdc/module.js'),
        import('../user-module.js'),
      ])
      try {
        await loadMap(map)
      } catch (failure) {
        if (!(failure instanceof BanyanError)) throw failure
        problems.push(error(['cdc', name, 'tables', table, 'map'], failure.message))
      }
      files.push(...filesOf(map))
    }
  }
  return { problems, files }
}

function error(path: Path, message: string): MeaningProblem {
  return { severity: 'error', path, message, at: 'value' }
}
