import { systemClock } from '../../../core/clock.js'
import { lineWidth, note } from '../../output.js'
import type { PlaceOptions } from '../place.js'
import { onCoordinator } from '../session.js'
import { record } from '../text.js'
import { historyTable } from './databases.js'
import { kindOf, type KindOptions } from './kind.js'
import { happeningsTable } from './maps.js'

/** `banyan shards history`. */
export async function history(
  name: string,
  { json, workers, databases, ...where }: PlaceOptions & KindOptions & { json?: true },
): Promise<void> {
  await onCoordinator(where, async ({ desk, output }) => {
    const kind = await kindOf(desk, name, { ...(workers && { workers }), ...(databases && { databases }) })
    const [now, width] = [systemClock.wall(), lineWidth()]
    const [all, text] =
      kind === 'shards'
        ? told((await desk.detail('shards', name)).history, happeningsTable)
        : told((await desk.detail('data-shards', name)).history, historyTable)
    if (json) output.json(record({ name, history: all }))
    else if (all.length === 0) note(`nothing is known of the past of ${name}`)
    else output.add(text(now, width))
  })
}

function told<Each>(
  all: readonly Each[],
  table: (all: readonly Each[], now: number, width: number) => string,
): [all: readonly unknown[], text: (now: number, width: number) => string] {
  return [all, (now, width) => table(all, now, width)]
}
