import type { Forwarding } from '../../forwarding.js'
import type { Reference } from './expression.js'

/** What expressions may read of the client's request, as `request.<name>`. */
export const REQUEST_MEMBERS = [
  'method',
  'path',
  'host',
  'params',
  'query',
  'headers',
  'body',
  'identity',
] as const

type Member = (typeof REQUEST_MEMBERS)[number]

/** Which parts of the thing `name` are read, by the references of all expressions; `undefined` for all. */
export function membersRead(references: readonly Reference[], name: string): ReadonlySet<string> | undefined {
  const read = references.filter(([first]) => first === undefined || first === name)
  if (read.some(({ length }) => length < 2)) return undefined
  return new Set(read.map(([, member]) => member!))
}

/** Names in lower case of the request's header fields that are read; `undefined` for all. */
export function headersRead(references: readonly Reference[]): ReadonlySet<string> | undefined {
  const whole = references.filter(
    ([first, member]) =>
      first === undefined || (first === 'request' && (member === undefined || member === 'headers')),
  )
  if (whole.some(({ length }) => length < 3)) return undefined
  return new Set(whole.map(([, , field]) => field!.toLowerCase()))
}

/**
 * What expressions read as `request`.
 *
 * @param members - those that are read; `undefined` for all
 * @param body - the body as JSON, if it is among them
 */
export function requestScope(
  forwarding: Forwarding,
  members: ReadonlySet<string> | undefined,
  body: unknown,
): Readonly<Record<string, unknown>> {
  const { request, location, parameters, identity } = forwarding
  const scope: Record<string, unknown> = {}
  const put = (member: Member, value: () => unknown): void => {
    if (!members || members.has(member)) scope[member] = value()
  }
  put('method', () => request.method)
  put('path', () => location.path)
  put('host', () => request.host)
  put('params', () => parameters)
  put('query', () => queryOf(location.query))
  put('headers', () => headersOf(request.fields))
  put('body', () => body)
  put('identity', () => (identity ? { ...identity } : null))
  return scope
}

/** Header fields by their names in lower case. */
export function headersOf(fields: Iterable<readonly [string, string]>): Record<string, string> {
  const headers = emptyRecord<string>()
  for (const [name, value] of fields) {
    const lower = name.toLowerCase()
    headers[lower] = headers[lower] === undefined ? value : `${headers[lower]}, ${value}`
  }
  return headers
}

/** Query parameters: text, or a list where one stands more than once. */
function queryOf(query: string): Record<string, string | string[]> {
  const values = emptyRecord<string | string[]>()
  for (const [name, value] of new URLSearchParams(query)) {
    const before = values[name]
    values[name] = before === undefined ? value : [before, value].flat()
  }
  return values
}

/** A client names the members; none of them may be an object's own. */
function emptyRecord<T>(): Record<string, T> {
  return Object.create(null) as Record<string, T>
}
