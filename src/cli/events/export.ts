import { existsSync } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { exportEvents, type ExportOptions } from '../../events/transfer/index.js'
import { UsageError } from '../usage-error.js'
import { cannot } from './input.js'
import { positionOf } from './moment.js'
import type { PlaceOptions } from './place.js'
import { Progress } from './progress.js'
import { countOf as countOption, selectorOf, type SelectionOptions } from './selection.js'
import { onLog, type Session } from './session.js'
import { countOf } from './show/numbers.js'

/** Characters that are written to a file at once. */
const GATHER = 256 * 1024

/** Options of `banyan events export`. */
export interface ExportCommandOptions extends PlaceOptions, SelectionOptions {
  from?: string
  to?: string
  fromRevision?: string
  toRevision?: string
  source?: string
  json?: true
}

/** `banyan events export`: events as lines of CloudEvents, to standard output or to a file. */
export async function exportTo(file: string | undefined, options: ExportCommandOptions): Promise<void> {
  const selector = selectorOf(options)
  const { from, to, fromRevision, toRevision, source, json } = options
  if (file !== undefined && existsSync(file))
    throw new UsageError(`${file} is there already; name another file`)
  await onLog(options, async (session) => {
    const { log, output, signal } = session
    const part: ExportOptions = {
      selector,
      ...(from !== undefined && { from: await positionOf(log, from, '--from') }),
      ...(to !== undefined && { to: await positionOf(log, to, '--to') }),
      ...(fromRevision !== undefined && { fromRevision: countOption(fromRevision, '--from-revision') }),
      ...(toRevision !== undefined && { toRevision: countOption(toRevision, '--to-revision') }),
      ...(source !== undefined && { source }),
      signal,
    }
    if (file === undefined) {
      for await (const line of exportEvents(log, part)) await output.line(line)
      return
    }
    const events = await toFile(file, exportEvents(log, part), session)
    if (json) output.json({ file, events })
    else await output.line(`${countOf(events, 'event')} in ${file}`)
  })
}

/** Writes lines to a file that has its name only once it is complete and on disk. */
async function toFile(file: string, lines: AsyncIterable<string>, { log }: Session): Promise<number> {
  const progress = new Progress('exported', (await log.stats()).events)
  const partial = `${file}.partial`
  const handle = await open(partial, 'w').catch((error: unknown) => {
    throw cannot('write', partial, error)
  })
  let count = 0
  let gathered = ''
  const write = async (): Promise<void> => {
    await handle.writeFile(gathered).catch((error: unknown) => {
      throw cannot('write', partial, error)
    })
    gathered = ''
    progress.report(count)
  }
  try {
    for await (const line of lines) {
      count++
      gathered += `${line}\n`
      if (gathered.length >= GATHER) await write()
    }
    await write()
    await handle.sync()
    await handle.close()
    await rename(partial, file)
  } catch (error) {
    await handle.close()
    await rm(partial, { force: true })
    throw error
  } finally {
    progress.clear()
  }
  return count
}
