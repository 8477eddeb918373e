import { lineWidth, note } from '../output.js'
import { table } from '../paint.js'
import { positionOf, shortPosition } from './moment.js'
import type { PlaceOptions } from './place.js'
import { onLog } from './session.js'
import { printable } from './show/printable.js'

/** `banyan events holds`: who keeps events from being truncated. */
export async function holds(options: PlaceOptions & { json?: true }): Promise<void> {
  await onLog(options, async ({ log, place, output }) => {
    const found = (await log.stats()).holds
    if (options.json) {
      output.json(found)
    } else if (found.length === 0) {
      note(`no holds in ${place.name}`)
    } else {
      const rows = found.map(({ name, position }) => [printable(name), shortPosition(position)])
      output.add(table(['HOLD', { heading: 'KEEPS AFTER', right: true }], rows, lineWidth()))
    }
  })
}

/** `banyan events hold`: keeps everything after a position, or moves what does. */
export async function hold(name: string, at: string, options: PlaceOptions & { json?: true }): Promise<void> {
  await onLog(options, async ({ log, output }) => {
    const position = await positionOf(log, at, 'POSITION')
    await log.hold(name, position)
    if (options.json) output.json({ name, position })
    else output.add(`${printable(name)} keeps everything after position ${shortPosition(position)}`)
  })
}

/** `banyan events release`. */
export async function release(name: string, options: PlaceOptions & { json?: true }): Promise<void> {
  await onLog(options, async ({ log, output }) => {
    const known = (await log.stats()).holds.some((each) => each.name === name)
    await log.release(name)
    if (options.json) output.json({ name, released: known })
    else
      output.add(known ? `${printable(name)} keeps nothing any more` : `there was no hold ${printable(name)}`)
  })
}
