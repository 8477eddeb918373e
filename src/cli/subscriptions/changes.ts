import { systemClock } from '../../core/clock.js'
import { eventError } from '../../events/errors.js'
import type { DeadLetter, EventLog, SeekTarget, Subscriptions } from '../../events/index.js'
import { confirm } from '../events/confirm.js'
import { positionOf, shortPosition, timeOf } from '../events/moment.js'
import type { PlaceOptions } from '../events/place.js'
import { countOf } from '../events/show/numbers.js'
import { printable } from '../events/show/printable.js'
import { UsageError } from '../usage-error.js'
import { onSubscriptions } from './session.js'
import { headText, laneText, messagesText } from './text.js'

type Options = PlaceOptions & { json?: true }

/** `banyan subscriptions redrive`: parked keys go on with the message that failed. */
export async function redrive(
  name: string,
  keys: readonly string[],
  { all, json, ...where }: Options & { all?: true },
): Promise<void> {
  if ((all === true) === keys.length > 0) throw new UsageError('say which keys, or --all; not both')
  await onSubscriptions(where, async ({ manage, log, output }) => {
    const lanes = all ? 'all' : await lanesOf(log, keys)
    const gone = await manage.redrive(name, lanes)
    const missed = lanes === 'all' ? [] : keys.filter((_, index) => !gone.includes(lanes[index]!))
    if (missed.length > 0) process.exitCode = 1
    if (json) output.json({ redriven: gone, notParked: missed })
    else {
      if (gone.length > 0 || missed.length === 0) output.add(redrivenText(name, gone.length))
      for (const key of missed) console.error(`${printable(key)} is not parked`)
    }
  })
}

function redrivenText(name: string, count: number): string {
  if (count === 0) return `${printable(name)} has no parked keys`
  return `${countOf(count, 'key')} of ${printable(name)} ${count === 1 ? 'goes' : 'go'} on, with the message that failed`
}

/** `banyan subscriptions skip`: a parked key goes on without the message that failed. */
export async function skip(
  name: string,
  key: string,
  { position, yes, json, ...where }: Options & { position?: string; yes?: true },
): Promise<void> {
  await onSubscriptions(where, async ({ manage, log, output, signal }) => {
    const [lane] = await lanesOf(log, [key])
    const letter = await letterOf(manage, name, lane!)
    const { head } = letter
    const given = position === undefined ? head.position : await positionOf(log, position, '--position')
    if (given === head.position) {
      const facts = [
        `${head.type} ${head.stream}@${head.revision}, at position ${shortPosition(head.position)}, has failed: ${letter.reason}.`,
        `${name} will never handle it; what it held back follows.`,
      ]
      if (!(await confirm(facts.map(printable), yes === true, signal))) return
    }
    await manage.skip(name, lane!, given)
    if (json) output.json({ lane, position: given })
    else
      output.add(
        `${laneText(letter)} goes on behind ${printable(head.type)} ${headText(head)}, which was not handled`,
      )
  })
}

/** `banyan subscriptions seek`: to another place of the log. */
export async function seek(
  name: string,
  to: string,
  { yes, json, ...where }: Options & { yes?: true },
): Promise<void> {
  await onSubscriptions(where, async ({ manage, log, output, signal }) => {
    const target = await targetOf(log, to)
    const { waiting } = await manage.status(name, { lanes: 0, signal })
    const facts = [
      to === 'end'
        ? `${printable(name)} will not handle what waits: ${messagesText(waiting)}.`
        : `${printable(name)} goes on at ${printable(to)}: what comes after that is handled, also what was handled before.`,
    ]
    if (!(await confirm(facts, yes === true, signal))) return
    const position = await manage.seek(name, target)
    if (json) output.json({ position })
    else output.add(`${printable(name)} goes on behind position ${shortPosition(position)}`)
  })
}

/** `banyan subscriptions pause` and `resume`. */
export async function setPaused(name: string, isPaused: boolean, { json, ...where }: Options): Promise<void> {
  await onSubscriptions(where, async ({ manage, output }) => {
    await (isPaused ? manage.pause(name) : manage.resume(name))
    if (json) output.json({ isPaused })
    else output.add(`${printable(name)} ${isPaused ? 'is paused, in every process' : 'goes on'}`)
  })
}

/** `banyan subscriptions delete`. */
export async function remove(
  name: string,
  { force, yes, json, ...where }: Options & { force?: true; yes?: true },
): Promise<void> {
  await onSubscriptions(where, async ({ manage, output, signal }) => {
    const { waiting, stalled } = await manage.status(name, { lanes: 0, signal })
    const facts = [
      `This deletes ${printable(name)}: how far it is (waiting: ${messagesText(waiting)}), and ${countOf(stalled.parked, 'dead letter')}.`,
      'The messages themselves stay in the log.',
    ]
    if (!(await confirm(facts, yes === true, signal))) return
    await manage.delete(name, { force: force === true })
    if (json) output.json({ deleted: name })
    else output.add(`${printable(name)} is deleted`)
  })
}

/** Lanes as a status shows them: without the zeros that positions begin with. */
async function lanesOf(log: EventLog, names: readonly string[]): Promise<string[]> {
  const { length } = await log.head()
  return names.map((name) => (/^@\d+$/.test(name) ? `@${name.slice(1).padStart(length, '0')}` : name))
}

async function letterOf(manage: Subscriptions, name: string, lane: string): Promise<DeadLetter> {
  for await (const letter of manage.deadLetters(name)) if (letter.lane === lane) return letter
  throw eventError(
    'BANYAN_CONFLICT',
    `${printable(lane)} of ${printable(name)} is not parked: there is nothing to skip`,
  )
}

/** Times go as such: only who has the log can tell what was recorded then. */
async function targetOf(log: EventLog, to: string): Promise<SeekTarget> {
  if (to === 'start' || to === 'end') return to
  const time = timeOf(to, systemClock.wall())
  return time === undefined || Number.isNaN(time) ? positionOf(log, to, 'PLACE') : { time }
}
