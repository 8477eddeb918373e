import { BanyanError } from '../../core/errors.js'
import type { ResourceDefinition } from '../../coordination/index.js'
import type { NodeSpec } from '../spec.js'
import type { MeaningProblem } from './problem.js'

/**
 * What can be said of kinds and controllers without running them: their modules can be loaded and export them, and no two kinds have
 * one place.
 *
 * @returns the problems, and what was read of the user's own
 */
export async function checkControllers(
  spec: Pick<NodeSpec, 'kinds' | 'controllers'>,
): Promise<{ problems: MeaningProblem[]; files: string[] }> {
  const problems: MeaningProblem[] = []
  const files: string[] = []
  const known = new Map<string, ResourceDefinition>()
  for (const part of ['kinds', 'controllers'] as const)
    for (const [name, { module }] of Object.entries(spec[part] ?? {})) {
      const [{ kindsOf, loadController, loadKind }, { filesOf }] = await Promise.all([
        import('../controllers/module.js'),
        import('../user-module.js'),
      ])
      const error = (message: string): void => {
        problems.push({ severity: 'error', path: [part, name, 'module'], message, at: 'value' })
      }
      try {
        const kinds = part === 'kinds' ? [await loadKind(module)] : kindsOf(await loadController(module))
        for (const kind of kinds) {
          const place = `${kind.plural}.${kind.group}`
          const before = known.get(place)
          if (before && before !== kind)
            error(`has another ${place} than a module before it: export it from one module`)
          known.set(place, kind)
        }
      } catch (failure) {
        if (!(failure instanceof BanyanError)) throw failure
        error(failure.message)
      }
      files.push(...filesOf(module))
    }
  return { problems, files }
}
