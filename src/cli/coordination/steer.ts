import { parseDuration, type Duration } from '../../core/duration.js'
import type { JobAction } from '../../node/coordination/operations.js'
import { confirm } from '../events/confirm.js'
import { printable } from '../events/show/printable.js'
import { userName } from '../sagas/input.js'
import { UsageError } from '../usage-error.js'
import type { PlaceOptions } from './place.js'
import { onCoordinator } from './session.js'
import { record } from './text.js'

type Options = PlaceOptions & { json?: true }

/** Whoever asks is whoever is logged in, unless they say otherwise. */
export function asker(actor: string | undefined): string {
  return actor ?? userName() ?? 'an operator'
}

/** `banyan leaders hand-over`. */
export async function handOver(
  name: string,
  { json, to, actor, ...where }: Options & { to?: string; actor?: string },
): Promise<void> {
  await onCoordinator(where, async ({ desk, output }) => {
    const asked = await desk.handOver(name, { by: asker(actor), ...(to !== undefined && { to }) })
    if (json) output.json(record({ name, asked }))
    else
      output.add(
        `${printable(asked.holder)} is asked to hand over ${printable(name)}${to === undefined ? '' : ` to ${printable(to)}`}: it ends its work first`,
      )
  })
}

/** `banyan locks release`: asks first, as whoever holds it may go on with its work. */
export async function release(
  name: string,
  { json, token, yes, ...where }: Options & { token?: string; yes?: true },
): Promise<void> {
  const only = token === undefined ? undefined : Number(token)
  if (only !== undefined && !Number.isSafeInteger(only))
    throw new UsageError(`--token is a whole number, not ${token}`)
  await onCoordinator(where, async ({ desk, output, signal }) => {
    const { holders } = await desk.detail('locks', name)
    const held = holders.filter((each) => only === undefined || each.token === only)
    const facts = [
      `This takes the lock ${name} away from ${held.map(({ holder }) => holder).join(', ')}, which may still work under it.`,
      'Whoever is next has it at once. One that is gone needs no force: its lease ends by itself.',
    ]
    if (held.length > 0 && !(await confirm(facts.map(printable), yes === true, signal))) return
    const released = await desk.release(name, only === undefined ? {} : { token: only })
    if (json) output.json(record({ name, released }))
    else
      for (const { holder, token: taken } of released)
        output.add(`${printable(name)} is taken away from ${printable(holder)}, token ${taken}`)
  })
}

const DONE: Readonly<Record<JobAction, string>> = {
  run: 'is run as soon as somebody who can is free',
  pause: 'is paused: no run of it is started any more',
  resume: 'goes on with its next time',
}

/** `banyan jobs run`, `pause` and `resume`. */
export async function changeJob(
  name: string,
  action: JobAction,
  { json, actor, ...where }: Options & { actor?: string },
): Promise<void> {
  await onCoordinator(where, async ({ desk, output }) => {
    await desk.changeJob(name, action, { by: asker(actor) })
    if (json) output.json({ name })
    else output.add(`${printable(name)} ${DONE[action]}`)
  })
}

/** `banyan registry drain`. */
export async function drain(
  service: string,
  id: string,
  { json, actor, for: time, ...where }: Options & { actor?: string; for?: string },
): Promise<void> {
  if (time !== undefined && parseDuration(time) === undefined)
    throw new UsageError(`--for is a duration such as 10s, not ${time}`)
  await onCoordinator(where, async ({ desk, output }) => {
    const asked = await desk.drain(service, id, {
      by: asker(actor),
      ...(time !== undefined && { for: time as Duration }),
    })
    if (json) output.json(record({ name: service, asked }))
    else
      output.add(
        `${printable(id)} at ${printable(asked.address)} is asked to leave ${printable(service)}: it takes nothing new, and is removed after a while`,
      )
  })
}
