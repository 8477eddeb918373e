import type { MeaningProblem } from './problem.js'
import type { ConfigInput } from './schema/config.js'
import { secretsIn } from './secrets.js'
import type { Source } from './yaml-source.js'

/** `resources`: what many can read has no secrets in it, and it is kept where it outlives the process. */
export function checkResources({ resources, coordination }: ConfigInput, source: Source): MeaningProblem[] {
  if (!resources) return []
  const secrets = secretsIn(source.written()).map((path): MeaningProblem => ({
    severity: 'error',
    path,
    at: 'value',
    message:
      'is a secret, and whoever reads resources would see it; write ${NAME}, which each node takes from its environment',
  }))
  if (coordination && coordination.driver !== 'memory') return secrets
  const message =
    'there is no coordinator to keep them: what others change is gone when the process ends, and other nodes do not see it'
  return [...secrets, { severity: 'warning', path: ['resources'], at: 'key', message }]
}
