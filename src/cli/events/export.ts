import { existsSync } from 'node:fs'
import { exportEvents, writeLines, type ExportOptions } from '../../events/transfer/index.js'
import { UsageError } from '../usage-error.js'
import { fileError } from './input.js'
import { positionOf } from './moment.js'
import type { PlaceOptions } from './place.js'
import { Progress } from './progress.js'
import { revisionsOf, selectorOf, type RevisionOptions, type SelectionOptions } from './selection.js'
import { onLog } from './session.js'
import { bytesText, countOf } from './show/numbers.js'

/** Options of `banyan events export`. */
export interface ExportCommandOptions extends PlaceOptions, SelectionOptions, RevisionOptions {
  from?: string
  to?: string
  source?: string
  json?: true
}

/** `banyan events export`: events as lines of CloudEvents, to standard output or to a file. */
export async function exportTo(name: string | undefined, options: ExportCommandOptions): Promise<void> {
  const file = name === '-' ? undefined : name
  const selector = selectorOf(options)
  const { from, to, source, json } = options
  const revisions = revisionsOf(options)
  if (file !== undefined && existsSync(file))
    throw new UsageError(`${file} is there already; name another file`)
  await onLog(options, async ({ log, output, signal }) => {
    const part: ExportOptions = {
      selector,
      ...(from !== undefined && { from: await positionOf(log, from, '--from') }),
      ...(to !== undefined && { to: await positionOf(log, to, '--to') }),
      ...revisions,
      ...(source !== undefined && { source }),
      signal,
    }
    if (file === undefined) {
      for await (const line of exportEvents(log, part)) await output.line(line)
      return
    }
    const progress = new Progress('exported', (await log.stats()).events)
    const written = await writeLines(file, progress.over(exportEvents(log, part)))
      .catch((error: unknown) => {
        throw fileError('write', file, error)
      })
      .finally(() => progress.clear())
    const { lines, bytes, sha256 } = written
    if (json) output.json({ file, events: lines, bytes, sha256 })
    else if (lines === 0) output.add(`no such events; ${file} was not made`)
    else output.add(`${countOf(lines, 'event')} in ${file}, ${bytesText(bytes)}`)
  })
}
