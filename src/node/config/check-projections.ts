import { BanyanError } from '../../core/errors.js'
import type { NodeSpec } from '../spec.js'
import { isInstalled } from './check-events.js'
import type { MeaningProblem, Path } from './problem.js'

/** The package that each engine needs. */
const PACKAGES = [
  [/^sqlite:/, 'better-sqlite3'],
  [/^postgres/, 'pg'],
] as const

/**
 * What can be said of projections without running them: their modules can be loaded and export them, the packages are there.
 *
 * @returns the problems, and what was read of the user's own
 */
export async function checkProjections({
  projections = {},
}: NodeSpec): Promise<{ problems: MeaningProblem[]; files: string[] }> {
  const problems: MeaningProblem[] = []
  const files: string[] = []
  for (const [name, { module, store }] of Object.entries(projections)) {
    const path = ['projections', name]
    for (const [pattern, name] of PACKAGES)
      if (pattern.test(store) && !isInstalled(name))
        problems.push(error([...path, 'store'], `needs the package ${name}: npm install ${name}`))
    const [{ loadProjection }, { filesOf }] = await Promise.all([
      import('../projections/module.js'),
      import('../user-module.js'),
    ])
    const versions = new Set<number>()
    for (const [index, reference] of [module].flat().entries()) {
      const at = typeof module === 'string' ? [...path, 'module'] : [...path, 'module', index]
      try {
        const { version } = await loadProjection(reference, name)
        if (versions.has(version))
          problems.push(error(at, `is version ${version}, as another of these modules is`))
        versions.add(version)
      } catch (failure) {
        if (!(failure instanceof BanyanError)) throw failure
        problems.push(error(at, failure.message))
      }
      files.push(...filesOf(reference))
    }
  }
  return { problems, files }
}

function error(path: Path, message: string): MeaningProblem {
  return { severity: 'error', path, message, at: 'value' }
}
