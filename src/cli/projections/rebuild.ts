import { sleep, systemClock } from '../../core/clock.js'
import { eventError } from '../../events/errors.js'
import type { ProjectionControl } from '../../node/projections/state.js'
import { countText } from '../events/show/numbers.js'
import { note } from '../output.js'
import { paint } from '../paint.js'
import { versionOf, type RebuildFlags } from './input.js'
import { onProjections, type ProjectionPlace } from './place.js'

/** How often a version is looked at while it is built, in ms. */
const EVERY_MS = 250
/** How often it is told how far it is, in ms. */
const TELL_MS = 5000

/** `banyan projections rebuild`. */
export async function rebuild(
  name: string,
  version: string | undefined,
  options: ProjectionPlace & RebuildFlags & { json?: true },
): Promise<void> {
  const { switch: switches, force, wait, json } = options
  const chosen = version === undefined ? {} : { version: versionOf(version) }
  await onProjections(options, async ({ projections, output, signal }) => {
    const begun = await projections.rebuild(name, {
      ...chosen,
      switch: switches === true,
      force: force === true,
    })
    if (!wait) {
      if (json) output.json(begun)
      else output.add(`version ${begun.version} of ${name} is being built`)
      return
    }
    await untilBuilt(projections, name, begun.version, signal)
    // The node does the same, also when nobody waits here; whoever comes second finds it done.
    if (switches) await projections.switch(name, begun.version, {})
    if (json) output.json({ ...begun, built: true, switched: switches === true })
    else
      output.add(
        paint(
          'green',
          `version ${begun.version} of ${name} is built${switches ? ', and read from now on' : ''}`,
        ),
      )
  })
}

/**
 * Waits until it has everything.
 *
 * @throws `BANYAN_PROJECTION_FAILED` if that will not come
 */
async function untilBuilt(
  projections: ProjectionControl,
  name: string,
  version: number,
  signal: AbortSignal,
): Promise<void> {
  for (let told = systemClock.now(); ;) {
    const all = await projections.list()
    const found = all.find((each) => each.name === name)?.versions.find((each) => each.version === version)
    const { stored, here } = found ?? {}
    const failed =
      here?.state === 'failed' ? here.error : stored?.state === 'failed' ? stored.error : undefined
    if (failed !== undefined)
      throw eventError('BANYAN_PROJECTION_FAILED', `version ${version} of ${name} has stopped: ${failed}`)
    if (!found)
      throw eventError('BANYAN_PROJECTION_FAILED', `version ${version} of ${name} was dropped meanwhile`)
    if (stored?.state === 'running') return
    if (stored?.lag !== undefined && systemClock.now() - told >= TELL_MS) {
      told = systemClock.now()
      note(`at position ${stored.position}, ${countText(stored.lag)} events or more to go`)
    }
    await sleep(systemClock, EVERY_MS, signal)
  }
}
