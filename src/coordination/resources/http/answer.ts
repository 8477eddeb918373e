import type { HandlerAnswer } from '../../../core/http-handler.js'
import type { Turns } from '../../../core/turns.js'
import type { ListParts } from './presentation.js'

export type Field = readonly [name: string, value: string]

const ALWAYS: readonly Field[] = [
  ['Cache-Control', 'no-cache, private'],
  ['X-Content-Type-Options', 'nosniff'],
]
/** Lists are given in parts of about so many characters. */
const PART_LENGTH = 64 * 1024
/** What is no longer than this is given at once, in items. */
const SHORT_LIST = 500
/** The most warnings that an answer has, and the most characters of each. */
const WARNINGS = 30
const WARNING_LENGTH = 256

/** An answer of JSON. */
export function json(
  status: number,
  value: unknown,
  { pretty = false, fields = [] }: { pretty?: boolean; fields?: readonly Field[] } = {},
): HandlerAnswer {
  const body = Buffer.from(`${JSON.stringify(value, undefined, pretty ? 2 : undefined)}\n`)
  return { status, fields: [...head('application/json', fields), length(body)], body }
}

export function plain(status: number, text: string): HandlerAnswer {
  const body = Buffer.from(text)
  return { status, fields: [...head('text/plain; charset=utf-8', []), length(body)], body }
}

/** A list, in parts if it is long, so that it is never in memory as a whole. */
export function listAnswer(list: ListParts, pretty: boolean, turns: Turns): HandlerAnswer {
  if (list.count <= SHORT_LIST || pretty) {
    const items = Array.from({ length: list.count }, (_, index) => list.item(index))
    return json(200, { ...list.head, [list.field]: items }, { pretty })
  }
  return { status: 200, fields: head('application/json', []), body: partsOf(list, turns) }
}

async function* partsOf({ head, field, count, item }: ListParts, turns: Turns): AsyncGenerator<Buffer> {
  let part = `${JSON.stringify(head).slice(0, -1)},"${field}":[`
  for (let index = 0; index < count; index++) {
    if (index > 0) part += ','
    part += JSON.stringify(item(index))
    if (part.length < PART_LENGTH) continue
    yield Buffer.from(part)
    part = ''
    await turns.next()
  }
  yield Buffer.from(`${part}]}\n`)
}

/** An answer that goes on. */
export function streamed(body: AsyncIterable<Buffer>): HandlerAnswer {
  // Some proxies hold back what they could make smaller or longer.
  return { status: 200, fields: head('application/json', [['X-Accel-Buffering', 'no']]), body }
}

/** Fields that tell of what is not as the client may think (RFC 7234 5.5). */
export function warningFields(warnings: readonly string[]): readonly Field[] {
  return warnings.slice(0, WARNINGS).map((text) => {
    const printable = text.slice(0, WARNING_LENGTH).replace(/[^\x20-\x7e]/g, '?')
    return ['Warning', `299 - "${printable.replace(/["\\]/g, '\\$&')}"`]
  })
}

function head(type: string, fields: readonly Field[]): readonly Field[] {
  return [['Content-Type', type], ...ALWAYS, ...fields]
}

function length(body: Buffer): Field {
  return ['Content-Length', String(body.length)]
}
