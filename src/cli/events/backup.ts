import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { note } from '../output.js'
import type { PlaceOptions } from './place.js'
import { onLog } from './session.js'
import { bytesText } from './show/numbers.js'

/** `banyan events backup`: a copy of a log that is in use. */
export async function backup(file: string, options: PlaceOptions & { json?: true }): Promise<void> {
  await onLog(options, async ({ log, place, output }) => {
    note(`copying ${place.name}`)
    await log.backup(resolve(file))
    const { size } = statSync(file)
    if (options.json) output.json({ log: place.name, file, bytes: size })
    else
      output.add(
        `${file} is a copy of ${place.name}, ${bytesText(size)}; banyan events restore brings it back`,
      )
  })
}
