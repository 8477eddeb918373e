import { readFileSync } from 'node:fs'
import { BanyanError } from '../core/errors.js'
import type { ConfigChange } from '../node/config/diff.js'
import { isModule, readConfig } from '../node/config/load.js'
import type { ConfigProblem } from '../node/config/problem.js'
import { requestAdmin } from './admin-client.js'
import { renderChanges } from './changes.js'
import { reportProblems } from './check.js'
import { paint } from './paint.js'

/** As of diff(1): whether there are differences, or trouble. */
const EXIT = { same: 0, different: 1, trouble: 2 } as const

/** Options of `banyan diff`. */
export interface DiffOptions {
  config?: string
  admin: string
  json?: true
}

/** `banyan diff`. */
export async function diff(options: DiffOptions): Promise<void> {
  process.exitCode = EXIT.trouble
  try {
    const { file, source } = await readConfig(options.config)
    const asked = isModule(file)
      ? { type: 'application/json', text: JSON.stringify(source.value) }
      : { type: 'application/yaml', text: readFileSync(file, 'utf8') }
    if (isModule(file) && source.problems.length > 0) {
      tellProblems(
        source.problems.map((problem) => ({ severity: 'error', file, ...problem })),
        options.json,
      )
      return
    }
    const { ok, body } = await requestAdmin(options.admin, '/api/config?dryRun=true', {
      method: 'PUT',
      headers: { 'Content-Type': asked.type },
      body: asked.text,
    })
    if (!ok) {
      const { problems, detail } = body as { problems?: ConfigProblem[]; detail?: string }
      if (!problems) throw new BanyanError('BANYAN_ADMIN_REFUSED', detail ?? `${options.admin} says no`)
      tellProblems(
        problems.map((problem) => placed(problem, file)),
        options.json,
      )
      return
    }
    const { generation, changes } = body as { generation: number; changes: ConfigChange[] }
    process.exitCode = changes.length === 0 ? EXIT.same : EXIT.different
    if (options.json) console.log(JSON.stringify({ generation, changes }, undefined, 2))
    else if (changes.length === 0) console.log(`${file} is what generation ${generation} runs already`)
    else console.log(`${paint('gray', `against generation ${generation}`)}\n${renderChanges(changes)}`)
  } catch (error) {
    if (!(error instanceof BanyanError)) throw error
    console.error(paint('red', `${error.message}  [${error.code}]`))
  }
}

/** As the file here has it, not the text that the node got; a module has no lines that the node could know. */
function placed({ line, column, ...problem }: ConfigProblem, file: string): ConfigProblem {
  return {
    ...problem,
    file,
    ...(line === undefined || isModule(file) ? {} : { line, ...(column === undefined ? {} : { column }) }),
  }
}

function tellProblems(problems: readonly ConfigProblem[], json: true | undefined): void {
  if (json) console.log(JSON.stringify({ problems }, undefined, 2))
  else reportProblems(problems)
}
