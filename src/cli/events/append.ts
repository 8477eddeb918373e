import { BanyanError } from '../../core/errors.js'
import { systemClock } from '../../core/clock.js'
import type { AppendResult, Expected, Metadata, NewEvent } from '../../events/index.js'
import { uuid7 } from '../../events/uuid.js'
import type { Output } from '../output.js'
import { paint } from '../paint.js'
import { UsageError } from '../usage-error.js'
import { CONFLICT, conflictText } from './conflict.js'
import { importLines } from './import.js'
import { inputOf } from './input.js'
import { shortPosition, timeOf } from './moment.js'
import type { Place, PlaceOptions } from './place.js'
import { countOf } from './selection.js'
import { onLog, type Session } from './session.js'
import { printable } from './show/printable.js'

/** Options of `banyan events append`. */
export interface AppendOptions extends PlaceOptions {
  expect?: string
  id?: string
  metadata?: string[]
  tag?: string[]
  time?: string
  schemaVersion?: string
  binary?: true
  batch?: true
  json?: true
}

/**
 * `banyan events append`: one event; or with `--batch` those that stand on standard input.
 *
 * @param check - looks at the log first, and throws what is wrong with it
 */
export async function append(
  stream: string | undefined,
  type: string | undefined,
  data: string | undefined,
  options: AppendOptions,
  check?: (place: Place) => Promise<void>,
): Promise<void> {
  if (options.batch) return appendBatch(stream, type, options)
  if (stream === undefined || type === undefined)
    throw new UsageError(
      'append takes a stream and a type, as banyan events append order-17 OrderPaid; or --batch',
    )
  return appendOne(stream, type, data, options, check)
}

/** Lines of CloudEvents, each to its own stream or all to one; what stands there gets the next revisions. */
async function appendBatch(
  stream: string | undefined,
  type: string | undefined,
  { expect, id, metadata, tag, time, schemaVersion, binary, ...options }: AppendOptions,
): Promise<void> {
  const given = [type, expect, id, metadata, tag, time, schemaVersion, binary]
  if (given.some((value) => value !== undefined))
    throw new UsageError(
      'with --batch, everything but the stream stands in the CloudEvents on standard input',
    )
  const into = stream === undefined ? {} : { stream: () => stream }
  const work = (session: Session): Promise<void> =>
    importLines('-', session, options, { revisions: 'renumber', ...into })
  await onLog(options, work, { appends: true })
}

async function appendOne(
  stream: string,
  type: string,
  data: string | undefined,
  options: AppendOptions,
  check: ((place: Place) => Promise<void>) | undefined,
): Promise<void> {
  const expected = expectedOf(options.expect)
  const event: NewEvent = {
    type,
    ...(data !== undefined && { data: await dataOf(data, options.binary === true) }),
    ...(options.metadata && { metadata: metadataOf(options.metadata) }),
    ...(options.tag && { tags: options.tag }),
    ...(options.time !== undefined && { time: momentOf(options.time) }),
    ...(options.schemaVersion !== undefined && {
      schemaVersion: countOf(options.schemaVersion, '--schema-version'),
    }),
  }
  // Made here, so that it can be told if the answer is lost: with it the append can be repeated.
  const id = options.id ?? uuid7(systemClock.wall())
  const work = async ({ log, place, output }: Session): Promise<void> => {
    await check?.(place)
    const result = await log
      .append({ id, streams: [{ stream, expected, events: [event] }] })
      .catch((error: unknown) => {
        throw repeatable(error, id)
      })
    if (!result.ok) process.exitCode = CONFLICT
    if (options.json) output.json(result)
    else tell(result, id, output)
  }
  await onLog(options, work, { appends: true })
}

function tell(result: AppendResult, id: string, output: Output): void {
  if (result.ok) {
    const { position, streams, duplicate } = result
    const places = streams.map(({ stream, revision }) => `${printable(stream)}@${revision}`).join(', ')
    const where = `${paint('cyan', places)}  ${paint('gray', `position ${shortPosition(position)}`)}`
    output.add(duplicate ? `${where}  was there already, as commit ${printable(id)}` : where)
    return
  }
  console.error(paint('red', `nothing appended: ${result.conflicts.map(conflictText).join('; ')}`))
}

function repeatable(error: unknown, id: string): unknown {
  if (!(error instanceof BanyanError) || error.code !== 'BANYAN_OUTCOME_UNKNOWN') return error
  return new BanyanError(error.code, `${error.message}. To know, run it again with --id ${id}`, {
    cause: error,
  })
}

/** @throws {@link UsageError} */
function expectedOf(text = 'any'): Expected {
  if (text === 'any' || text === 'none' || text === 'exists') return text
  if (/^\d+$/.test(text) && Number.isSafeInteger(Number(text))) return Number(text)
  throw new UsageError(
    `--expect is any, none, exists or the last revision of the stream, got ${JSON.stringify(text)}`,
  )
}

/** What DATA says: itself, a file (`@FILE`), or standard input (`-`). */
async function dataOf(text: string, binary: boolean): Promise<unknown> {
  const source = text === '-' ? 'standard input' : text.startsWith('@') ? text.slice(1) : undefined
  if (binary) {
    if (source === undefined) throw new UsageError('--binary takes its bytes from a file (@FILE) or from -')
    return new Uint8Array(await inputOf(text))
  }
  const json = source === undefined ? text : (await inputOf(text)).toString('utf8')
  try {
    return JSON.parse(json) as unknown
  } catch (error) {
    throw new UsageError(
      `${source ?? 'DATA'} is not JSON: ${(error as Error).message}` +
        (source === undefined ? `; text is written '"in quotes"', and bytes come with --binary` : ''),
    )
  }
}

/** `name=text` and `name:=json`. */
function metadataOf(entries: readonly string[]): Metadata {
  const metadata: Record<string, unknown> = {}
  for (const entry of entries) {
    const [, name, operator, value] = /^([^=:]+)(:?=)(.*)$/s.exec(entry) ?? []
    if (name === undefined || value === undefined)
      throw new UsageError(`--metadata is name=text or name:=json, got ${JSON.stringify(entry)}`)
    if (Object.hasOwn(metadata, name)) throw new UsageError(`--metadata ${name} is given twice`)
    metadata[name] = operator === '=' ? value : jsonOf(name, value)
  }
  return metadata
}

function jsonOf(name: string, text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch (error) {
    throw new UsageError(`--metadata ${name}:= is not JSON: ${(error as Error).message}`)
  }
}

function momentOf(text: string): number {
  const time = timeOf(text)
  if (time !== undefined && !Number.isNaN(time)) return time
  throw new UsageError(
    `--time is a date or time of ISO 8601, or how long ago, as 10m; got ${JSON.stringify(text)}`,
  )
}
