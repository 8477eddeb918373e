import { BanyanError } from '../../core/errors.js'
import type { NodeSpec } from '../spec.js'
import type { MeaningProblem } from './problem.js'

/**
 * What can be said of sagas without running them: their modules can be loaded and export them, each version once.
 *
 * @returns the problems, and what was read of the user's own
 */
export async function checkSagas({
  sagas = {},
}: NodeSpec): Promise<{ problems: MeaningProblem[]; files: string[] }> {
  const problems: MeaningProblem[] = []
  const files: string[] = []
  for (const [name, { module }] of Object.entries(sagas)) {
    const [{ loadSagas, versionOf }, { filesOf }] = await Promise.all([
      import('../sagas/module.js'),
      import('../user-module.js'),
    ])
    const versions = new Set<number>()
    for (const [index, reference] of [module].flat().entries()) {
      const path = ['sagas', name, 'module', ...(typeof module === 'string' ? [] : [index])]
      const error = (message: string): MeaningProblem => ({ severity: 'error', path, message, at: 'value' })
      try {
        for (const definition of await loadSagas(reference, name)) {
          const version = versionOf(definition)
          if (versions.has(version)) problems.push(error(`has version ${version} of ${name} a second time`))
          versions.add(version)
        }
      } catch (failure) {
        if (!(failure instanceof BanyanError)) throw failure
        problems.push(error(failure.message))
      }
      files.push(...filesOf(reference))
    }
  }
  return { problems, files }
}
