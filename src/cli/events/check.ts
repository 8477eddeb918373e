import { BanyanError } from '../../core/errors.js'
import type { EventTransform, RecordedEvent } from '../../events/index.js'
import { loadEventTypes } from '../../events/types/index.js'
import { paint } from '../paint.js'
import { UsageError } from '../usage-error.js'
import type { Place, PlaceOptions } from './place.js'
import { Progress } from './progress.js'
import { selectorOf, type SelectionOptions } from './selection.js'
import { onLog } from './session.js'
import { countOf } from './show/numbers.js'
import { printable } from './show/printable.js'

/** Options of `banyan events check`. */
export interface CheckOptions extends PlaceOptions, SelectionOptions {
  allowUnknown?: true
  json?: true
}

/** An event that is not as its schema says. */
interface Misfit {
  position: string
  stream: string
  revision: number
  type: string
  code: string
  message: string
}

const MISFITS = new Set(['BANYAN_INVALID_EVENT', 'BANYAN_UNKNOWN_EVENT_TYPE'])

/** `banyan events check`: whether what is in the log is as its schemas say; ends with 1 if something is not. */
export async function check(directory: string | undefined, options: CheckOptions): Promise<void> {
  const selector = selectorOf(options)
  const { json } = options
  await onLog(options, async ({ log, place, output, signal }) => {
    const types = await typesOf(directory, place, options.allowUnknown === true)
    const progress = new Progress('checked', (await log.stats()).events)
    const misfits: Misfit[] = []
    let events = 0
    let wrong = 0
    for await (const event of log.read(selector, { signal })) {
      progress.report(++events)
      const misfit = await misfitOf(event, types)
      if (!misfit) continue
      wrong++
      progress.clear()
      if (json) misfits.push(misfit)
      else await output.line(`${paint('red', 'misfit')}  ${printable(misfit.message)}`)
    }
    progress.clear()
    if (wrong > 0) process.exitCode = 1
    const checked = `${countOf(events, 'event')} of ${place.name} checked`
    if (json) output.json({ log: place.name, ok: wrong === 0, events, misfits })
    else if (wrong === 0) output.add(`${paint('green', 'all are as their schemas say')}: ${checked}`)
    else output.add(`${paint('red', `${countOf(wrong, 'event')} not as the schemas say`)}: ${checked}`)
  })
}

/** The schemas of a directory, or those of the configuration that the log is from. */
async function typesOf(
  directory: string | undefined,
  place: Place,
  allowUnknown: boolean,
): Promise<EventTransform> {
  const { types } = place.events ?? {}
  const ofConfig = typeof types === 'string' ? { directory: types } : types
  const from = directory ?? ofConfig?.directory
  if (from === undefined)
    throw new UsageError(
      `which schemas? Name their directory, as banyan events check ./events; ${place.by} has no \`events.types\``,
    )
  const unknown = allowUnknown
    ? 'allow'
    : ((directory === undefined ? ofConfig?.unknown : undefined) ?? 'refuse')
  return loadEventTypes(from, { checkReads: true, unknown })
}

async function misfitOf(event: RecordedEvent, types: EventTransform): Promise<Misfit | undefined> {
  try {
    await types.read?.(event)
    return undefined
  } catch (error) {
    if (!(error instanceof BanyanError) || !MISFITS.has(error.code)) throw error
    const { position, stream, revision, type } = event
    return { position, stream, revision, type, code: error.code, message: error.message }
  }
}
