import type { SagaView } from '../../events/index.js'
import { confirm } from '../events/confirm.js'
import type { PlaceOptions } from '../events/place.js'
import { printable } from '../events/show/printable.js'
import { askerOf, jsonOf, userName, type AskerFlags } from './input.js'
import { onSagas } from './session.js'

type Options = PlaceOptions & { json?: true }

/** `banyan sagas retry`: what a parked saga was parked for is tried again. */
export async function retry(
  id: string,
  { json, reason, actor, ...where }: Options & AskerFlags,
): Promise<void> {
  await onSagas(where, async ({ manage, output }) => {
    await manage.retry(id, askerOf(reason, actor))
    if (json) output.json({ id })
    else output.add(`${printable(id)} goes on: what it was parked for is tried again`)
  })
}

/** `banyan sagas skip`: a parked saga goes on as if what it was parked for had been done. */
export async function skip(
  id: string,
  { json, result, yes, reason, actor, ...where }: Options & AskerFlags & { result?: string; yes?: true },
): Promise<void> {
  const value = result === undefined ? undefined : await jsonOf(result, '--result')
  await onSagas(where, async ({ manage, output, signal }) => {
    const { parked } = await manage.show(id)
    // What is not parked for a step is refused below, with the reason.
    if (parked?.step !== undefined && !(await confirm(skipFacts(id, parked, result), yes === true, signal)))
      return
    const by = askerOf(reason, actor)
    await manage.skip(id, { ...by, ...(value !== undefined && { result: value }) })
    if (json) output.json({ id })
    else output.add(`${printable(id)} goes on, as if what it was parked for had been done`)
  })
}

function skipFacts(
  id: string,
  { step = '', direction, reason }: NonNullable<SagaView['parked']>,
  result: string | undefined,
): string[] {
  const what =
    direction === 'compensate'
      ? `${id} goes on as if step ${step} had been undone.`
      : `${id} goes on as if step ${step} had been done and had returned ${result ?? 'nothing'}.`
  return [`${reason}.`, what, 'Nothing is called for that: it must have been done by hand.'].map(printable)
}

/** `banyan sagas cancel`: what a saga has done is undone. */
export async function cancel(
  id: string,
  { json, yes, reason, actor, ...where }: Options & AskerFlags & { yes?: true },
): Promise<void> {
  await onSagas(where, async ({ manage, output, signal }) => {
    const { ended, beyondReturn, steps } = await manage.show(id)
    const undone = steps.filter(({ compensable, compensated }) => compensable && !compensated)
    const facts = [
      undone.length === 0
        ? `${id} ends; it has done nothing that had to be undone.`
        : `This undoes ${undone
            .map(({ name }) => name)
            .toReversed()
            .join(', ')} of ${id}, and ends it.`,
    ]
    const isRefused = ended !== undefined || beyondReturn
    if (!isRefused && !(await confirm(facts.map(printable), yes === true, signal))) return
    await manage.cancel(id, askerOf(reason, actor))
    if (json) output.json({ id })
    else output.add(`${printable(id)} goes back: what it has done is undone`)
  })
}

/** `banyan sagas signal`. */
export async function signal(
  id: string,
  name: string,
  payload: string | undefined,
  { json, actor = userName(), signalId, ...where }: Options & { actor?: string; signalId?: string },
): Promise<void> {
  const value = payload === undefined ? undefined : await jsonOf(payload, 'PAYLOAD')
  await onSagas(where, async ({ manage, output }) => {
    await manage.signal(id, name, value, {
      ...(actor !== undefined && { actor }),
      ...(signalId !== undefined && { id: signalId }),
    })
    if (json) output.json({ id, signal: name })
    else output.add(`${printable(id)} has the signal ${printable(name)}`)
  })
}

/** `banyan sagas start`. */
export async function start(
  name: string,
  {
    json,
    input,
    id,
    actor = userName(),
    ...where
  }: Options & { input?: string; id?: string; actor?: string },
): Promise<void> {
  const value = input === undefined ? undefined : await jsonOf(input, '--input')
  await onSagas(where, async ({ manage, output }) => {
    const started = await manage.start(name, value, {
      ...(id !== undefined && { id }),
      ...(actor !== undefined && { metadata: { actor } }),
    })
    if (json) output.json(started)
    else
      output.add(
        `${printable(started.id)} ${started.duplicate ? 'was started before, with the same input' : 'is started'}`,
      )
  })
}
