import type { ConfigChange } from '../node/config/diff.js'
import type { ConfigProblem } from '../node/config/problem.js'
import { requestAdmin } from './admin-client.js'
import { renderChanges } from './changes.js'
import { reportProblems } from './check.js'
import { paint } from './paint.js'

/** How long a node may take to read its file and to make what it says, in ms. */
const PATIENCE_MS = 60_000

/** `banyan reload`. */
export async function reload(options: { admin: string; json?: true }): Promise<void> {
  const { ok, body } = await requestAdmin(options.admin, '/api/reload', { method: 'POST' }, PATIENCE_MS)
  if (!ok) process.exitCode = 1
  if (options.json) {
    console.log(JSON.stringify(body, undefined, 2))
    return
  }
  if (!ok) {
    const { problems, detail, generation } = body as {
      problems?: ConfigProblem[]
      detail?: string
      generation?: number
    }
    if (problems) reportProblems(problems)
    else console.error(paint('red', detail ?? 'the node says no'))
    if (generation !== undefined) console.error(`generation ${generation} stays in force`)
    return
  }
  const { generation, changes, warnings } = body as {
    generation: number
    changes: ConfigChange[]
    warnings: ConfigProblem[]
  }
  reportProblems(warnings)
  if (changes.length === 0) console.log(`nothing has changed: generation ${generation} is in force`)
  else console.log(`${renderChanges(changes)}\n\n${paint('green', `generation ${generation} is in force`)}`)
}
