import { parseDuration } from '../../core/duration.js'
import type { MeaningProblem, Path } from './problem.js'
import type { ConfigInput } from './schema/config.js'

/** `projections.<name>`: there is a log, and the read model can be where it is to be. */
export function* checkProjection(config: ConfigInput, name: string): Generator<MeaningProblem> {
  const { store, module, timeout, takeover } = config.projections![name]!
  const path = ['projections', name]
  if (!config.events)
    yield error(
      path,
      'there is no event log to make it of; say at the top which one: `events: { driver: sqlite, path: ./data }`',
      'key',
    )
  if (/_v\d+$/.test(name))
    yield error(
      path,
      'must not end like a version: its views would be called as tables of another are',
      'key',
    )
  for (const [key, value] of Object.entries({ timeout, takeover }))
    if (value !== undefined && parseDuration(value)! < 1) yield error([...path, key], 'must be 1ms at least')
  const modules = [module].flat()
  for (const [index, each] of modules.entries())
    if (modules.indexOf(each) !== index) yield error([...path, 'module', index], `${each} stands twice`)
  if (store.startsWith('postgres') && !URL.canParse(store))
    yield error([...path, 'store'], 'must be a URL such as postgres://user:password@host:5432/database')
  if (store !== 'memory:') return
  if ((config.workers ?? 1) !== 1)
    yield error(
      [...path, 'store'],
      'memory: belongs to one process, and `workers` makes several; take sqlite, which they share',
    )
  else
    yield {
      severity: 'warning',
      path: [...path, 'store'],
      message: 'memory: keeps nothing: when the node starts again, the read model is made anew of all events',
      at: 'value',
    }
}

function error(path: Path, message: string, at: 'key' | 'value' = 'value'): MeaningProblem {
  return { severity: 'error', path, message, at }
}
