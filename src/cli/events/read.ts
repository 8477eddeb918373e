import type { ReadOptions } from '../../events/index.js'
import { note } from '../output.js'
import { positionOf } from './moment.js'
import type { PlaceOptions } from './place.js'
import { countOf, revisionsOf, selectorOf, type RevisionOptions, type SelectionOptions } from './selection.js'
import { onLog } from './session.js'
import { printer, type ShowOptions } from './show/printer.js'

/** Events whose columns are lined up with each other; about what a person sees at once. */
const TOGETHER = 100

/** Options of `banyan events read`. */
export interface ReadCommandOptions extends PlaceOptions, SelectionOptions, RevisionOptions, ShowOptions {
  from?: string
  to?: string
  limit?: string
  backwards?: true
}

/** `banyan events read`: what is there, and ends. */
export async function read(options: ReadCommandOptions): Promise<void> {
  const selector = selectorOf(options)
  const { from, to, limit, backwards } = options
  const numbers: ReadOptions = {
    ...revisionsOf(options),
    ...(limit !== undefined && { limit: countOf(limit, '--limit') }),
    ...(backwards && { backwards }),
  }
  await onLog(options, async ({ log, place, output, signal }) => {
    const part: ReadOptions = {
      ...numbers,
      ...(from !== undefined && { from: await positionOf(log, from, '--from') }),
      ...(to !== undefined && { to: await positionOf(log, to, '--to') }),
      signal,
    }
    const print = printer(output, options)
    let together = []
    let count = 0
    try {
      for await (const event of log.read(selector, part)) {
        count++
        if (together.push(event) < TOGETHER) continue
        await print(together)
        together = []
      }
    } finally {
      // What was read before something is damaged is shown.
      await print(together)
    }
    if (count === 0) note(`no such events in ${place.name}`)
  })
}
