import { sleep, systemClock } from '../../core/clock.js'
import type { ViewName, Views } from '../../node/coordination/views.js'
import { lineWidth, note, type Output } from '../output.js'
import { paint } from '../paint.js'
import type { PlaceOptions } from './place.js'
import type { Seen } from './desk.js'
import { onCoordinator, type Session } from './session.js'
import { record } from './text.js'

/** How often the live view is drawn anew, in ms. */
const EVERY_MS = 1000

/** Options of the commands that only look. */
export interface LookOptions extends PlaceOptions {
  json?: true
  watch?: true
}

/** How people see a view: `now` in ms since the epoch, `width` in characters of a line. */
export interface Look<Name extends ViewName> {
  readonly view: Name
  /** What to say where there is nothing. */
  readonly nothing: string
  table(all: readonly Views[Name]['status'][], now: number, width: number): string
  page(one: Views[Name]['detail'], now: number, width: number): string
}

/** Shows all of them, or one; with `--watch` again and again until Ctrl-C. */
export async function look<Name extends ViewName>(
  how: Look<Name>,
  name: string | undefined,
  { json, watch, ...where }: LookOptions,
): Promise<void> {
  const { view } = how
  const shown = (statuses: readonly Views[Name]['status'][]): unknown =>
    record(name === undefined ? { [view]: statuses } : (statuses[0] ?? {}))
  const text = (statuses: readonly Views[Name]['status'][]): string => {
    const [now, width] = [systemClock.wall(), lineWidth()]
    if (name === undefined) return statuses.length === 0 ? how.nothing : how.table(statuses, now, width)
    const [one] = statuses as readonly Views[Name]['detail'][]
    return one ? how.page(one, now, width) : `${name} is gone`
  }
  const once = async ({ desk, place, output }: Session): Promise<void> => {
    const statuses = name === undefined ? await desk.list(view) : [await desk.detail(view, name)]
    if (json) output.json(shown(statuses))
    else if (statuses.length === 0) note(`${how.nothing} on ${place.name}`)
    else output.add(text(statuses))
  }
  const live = async ({ desk, output, signal }: Session): Promise<void> => {
    if (name !== undefined) await desk.detail(view, name)
    const seen = desk.follow(view, name, signal)
    if (json) await lines(seen, (statuses) => JSON.stringify(shown(statuses)), output)
    else if (process.stdout.isTTY) await redrawn(seen, text, signal)
    else await lines(seen, text, output)
  }
  await onCoordinator(where, watch ? live : once, { endless: watch === true })
}

/** Whenever something has changed, below what was said before. */
export async function lines<Status>(
  seen: AsyncIterable<Seen<Status>>,
  text: (statuses: readonly Status[]) => string,
  output: Output,
): Promise<void> {
  let before: string | undefined
  for await (const { statuses, problem } of seen) {
    const state = JSON.stringify([statuses, problem])
    if (state === before) continue
    before = state
    if (problem === undefined) output.add(text(statuses))
    else console.error(paint('red', problem))
    await output.flush()
  }
}

/** In the place of what was said before, also when only time has passed. */
export async function redrawn<Status>(
  seen: AsyncIterable<Seen<Status>>,
  text: (statuses: readonly Status[]) => string,
  signal: AbortSignal,
): Promise<void> {
  let last: Seen<Status> | undefined
  const ended = new AbortController()
  const draw = (): void => {
    if (!last) return
    const shown = `${text(last.statuses)}${last.problem === undefined ? '' : `\n\n${paint('red', last.problem)}`}`
    // Home, the text with every line cleared to its end, then everything below it.
    process.stdout.write(`\u001b[H${shown.replaceAll('\n', '\u001b[K\n')}\u001b[K\n\u001b[J`)
  }
  process.stdout.write('\u001b[2J')
  const ticking = (async () => {
    const until = AbortSignal.any([signal, ended.signal])
    while (!until.aborted) {
      draw()
      await sleep(systemClock, EVERY_MS, until).catch(() => undefined)
    }
  })()
  try {
    for await (last of seen) draw()
  } finally {
    ended.abort()
    await ticking
  }
}
