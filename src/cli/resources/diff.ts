import { diffValues, type ConfigChange } from '../../node/config/diff.js'
import { renderChanges } from '../changes.js'
import { interruptible } from '../output.js'
import { applyOne, comparable, tried, whichOf, type ApplyOptions } from './apply.js'
import { readResources } from './documents.js'
import { ResourceServer } from './server.js'

/** As of diff(1): whether there are differences, or trouble. */
const EXIT = { different: 1, trouble: 2 } as const

/** Options of `banyan diff` for resources. */
export type ResourceDiffOptions = Pick<ApplyOptions, 'admin' | 'namespace' | 'filename' | 'manager' | 'json'>

/** `banyan diff --filename`: what `apply` would change. */
export async function diffResources(options: ResourceDiffOptions): Promise<void> {
  const written = await readResources(options.filename)
  await interruptible(async (output, signal) => {
    const server = new ResourceServer(options.admin)
    const changes: ConfigChange[] = []
    let refused = false
    for (const each of written) {
      const applied = await tried(whichOf(each), () =>
        applyOne(server, each, { ...options, dryRun: true }, signal),
      )
      if (!applied) refused = true
      else {
        const path = [each.object.kind, each.object.metadata.name]
        changes.push(...diffValues(path, comparable(applied.before), comparable(applied.after)))
      }
    }
    if (options.json) output.json({ changes })
    else if (changes.length > 0) output.add(renderChanges(changes))
    if (refused) process.exitCode = EXIT.trouble
    else if (changes.length > 0) process.exitCode = EXIT.different
  })
}
