import type { MeaningProblem } from './problem.js'
import type { ConfigInput } from './schema/config.js'

/** `kinds.<name>` and `controllers.<name>`: there is a coordinator that resources can be in. */
export function* checkCoordinated(
  config: ConfigInput,
  part: 'kinds' | 'controllers',
  name: string,
): Generator<MeaningProblem> {
  if (config.coordination) return
  yield {
    severity: 'error',
    path: [part, name],
    message:
      'there is no coordinator that resources could be in; say at the top which one: `coordination: { driver: sqlite, path: ./data }`',
    at: 'key',
  }
}
