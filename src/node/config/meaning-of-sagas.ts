import { parseDuration } from '../../core/duration.js'
import type { MeaningProblem, Path } from './problem.js'
import type { ConfigInput } from './schema/config.js'

/** `sagas.<name>`: there is a log, and every module stands once. */
export function* checkSaga(config: ConfigInput, name: string): Generator<MeaningProblem> {
  const { module, takeover } = config.sagas![name]!
  const path = ['sagas', name]
  if (!config.events)
    yield error(
      path,
      'there is no event log that it could stand in; say at the top which one: `events: { driver: sqlite, path: ./data }`',
      'key',
    )
  if (takeover !== undefined && parseDuration(takeover)! < 1)
    yield error([...path, 'takeover'], 'must be 1ms at least')
  const modules = [module].flat()
  for (const [index, each] of modules.entries())
    if (modules.indexOf(each) !== index) yield error([...path, 'module', index], `${each} stands twice`)
}

function error(path: Path, message: string, at: 'key' | 'value' = 'value'): MeaningProblem {
  return { severity: 'error', path, message, at }
}
