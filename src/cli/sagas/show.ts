import { systemClock } from '../../core/clock.js'
import { formatDuration } from '../../core/duration.js'
import type { ReactionView, SagaView } from '../../events/index.js'
import type { PlaceOptions } from '../events/place.js'
import { printable } from '../events/show/printable.js'
import { lineWidth } from '../output.js'
import { clip, paint } from '../paint.js'
import { onSagas } from './session.js'
import { stepsTable } from './steps.js'
import { sagaRecord, statusText } from './text.js'

/** `banyan sagas show`: everything about one. */
export async function show(id: string, { json, ...where }: PlaceOptions & { json?: true }): Promise<void> {
  await onSagas(where, async ({ manage, output }) => {
    const view = await manage.show(id)
    if (json) output.json(sagaRecord(view))
    else output.add(render(view, systemClock.wall(), where))
  })
}

function render(view: SagaView, now: number, where: PlaceOptions): string {
  const { id, version, status, steps, timeline } = view
  const rows = headRows(view, now)
  const width = Math.max(...rows.map(([title]) => title.length))
  const sections = [
    [
      `${paint('bold', printable(id))}  ${statusText(status)}  version ${version}`,
      ...rows.map(([title, text]) => `${paint('gray', title.padEnd(width))}  ${text}`),
    ],
    remedyLines(view, where),
    steps.length === 0 ? [] : [stepsTable(steps, now, lineWidth())],
    timeline.map(({ time, what }) => `${paint('gray', timeText(time))}  ${printable(what)}`),
  ]
  return sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.map((line) => clipEach(line)).join('\n'))
    .join('\n\n')
}

/** A table is clipped by itself. */
function clipEach(line: string): string {
  return line.includes('\n') ? line : clip(line, lineWidth())
}

function headRows(view: SagaView, now: number): [string, string][] {
  const { started, metadata, parent, input, deadline, ended, result, failure, parked, beyondReturn } = view
  const { reaction } = view
  const actor = typeof metadata.actor === 'string' ? ` by ${printable(metadata.actor)}` : ''
  const isOver = ended !== undefined
  return [
    ['started', `${momentText(started, now)}${actor}`],
    ...when(parent !== undefined, 'parent', () => printable(parent!)),
    ...when(reaction !== undefined, 'reacts to', () => causeText(reaction!.event)),
    ...when(input !== undefined && !reaction, 'input', () => jsonText(input)),
    ...when(deadline !== undefined && !isOver, 'deadline', () => momentText(deadline!, now)),
    ...when(beyondReturn && !isOver, 'undone', () => 'never: it is past its point of no return'),
    ...when(failure !== undefined, isOver ? 'went back' : 'goes back', () =>
      paint('yellow', printable(failureText(failure!))),
    ),
    ...when(parked !== undefined, 'parked', () => momentText(parked!.time, now)),
    ...when(parked !== undefined, 'reason', () => paint('red', printable(parked!.reason))),
    ...when(isOver, 'ended', () => `${momentText(ended!, now)}, after ${formatDuration(ended! - started)}`),
    ...when(result !== undefined, 'result', () => jsonText(result)),
    ...(reaction?.appended ?? []).map((event): [string, string] => ['appended', causeText(event)]),
  ]
}

function causeText({ stream, revision, type, id }: ReactionView['event']): string {
  const what = type === undefined ? paint('red', 'truncated') : paint('bold', printable(type))
  return `${what}  ${paint('cyan', `${printable(stream)}@${revision}`)}  ${paint('gray', printable(id))}`
}

function when(is: boolean, title: string, text: () => string): [string, string][] {
  return is ? [[title, text()]] : []
}

/** What somebody can do about a parked one, as commands. */
function remedyLines({ id, parked, beyondReturn, reaction }: SagaView, where: PlaceOptions): string[] {
  if (!parked) return []
  const what =
    parked.step === undefined
      ? 'its code'
      : `${parked.direction === 'compensate' ? 'the compensation of ' : ''}step ${printable(parked.step)}`
  const effects = {
    retry: `once the cause is gone: ${parked.step === undefined ? 'runs its code again' : `tries ${what} again`}`,
    skip:
      parked.direction === 'compensate'
        ? `you have undone step ${printable(parked.step!)} by hand: it goes on with the others`
        : `you have done it by hand: it goes on${reaction ? '' : `; --result JSON is what ${what} has returned`}`,
    cancel: reaction ? 'give it up: nothing more is done' : 'give it up: undoes what it has done',
  }
  const commands = parked.remedies.map((remedy) => `banyan sagas ${remedy} ${quoted(id)}${placeText(where)}`)
  const width = Math.max(...commands.map((command) => command.length))
  return [
    `Nothing happens until you decide${beyondReturn ? ' (it can only go forward)' : ''}:`,
    ...parked.remedies.map(
      (remedy, index) => `  ${paint('cyan', commands[index]!.padEnd(width))}  ${effects[remedy]}`,
    ),
  ]
}

/** The options that have led here, so that the commands can be copied. */
function placeText({ log, config, admin }: PlaceOptions): string {
  const given = Object.entries({ log, config, admin }).filter(([, value]) => value !== undefined)
  return given.map(([name, value]) => ` --${name} ${quoted(value!)}`).join('')
}

/** As a shell takes it. */
function quoted(text: string): string {
  const seen = printable(text)
  return /^[\w@%+=:,./-]+$/.test(seen) ? seen : `'${seen.replaceAll("'", `'\\''`)}'`
}

function momentText(time: number, now: number): string {
  const far = formatDuration(Math.abs(now - time))
  return `${timeText(time)}${paint('gray', time > now ? `, in ${far}` : `, ${far} ago`)}`
}

function timeText(time: number): string {
  return new Date(time).toISOString()
}

/** What a step was told with says its class by itself. */
function failureText({ class: kind, error: { message } }: NonNullable<SagaView['failure']>): string {
  return message.includes(`(${kind})`) ? message : `${message} (${kind})`
}

function jsonText(value: unknown): string {
  return printable(JSON.stringify(value))
}
