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

/** What some expressions read of a client's request, and how they get it. */
export class RequestReader {
  /** Names in lower case of the header fields that are read; `undefined` for all. */
  readonly headers: ReadonlySet<string> | undefined
  /** Members of the request that are read; `undefined` for all. */
  readonly #members: ReadonlySet<string> | undefined

  constructor(references: readonly Reference[]) {
    const read = references.filter(([first]) => first === undefined || first === 'request')
    this.#members = read.some(({ length }) => length < 2)
      ? undefined
      : new Set(read.map(([, member]) => member!))
    const fields = read.filter(([, member]) => member === undefined || member === 'headers')
    this.headers = fields.some(({ length }) => length < 3)
      ? undefined
      : new Set(fields.map(([, , name]) => name!.toLowerCase()))
  }

  /** Whether that part of the request is read. */
  reads(member: Member): boolean {
    return this.#members?.has(member) ?? true
  }

  /**
   * What expressions read as `request`. Header fields are those that a service would get: without credentials that go
   * no further, with the identity that was found out, whatever the client claims.
   *
   * @param body - as JSON, if it is read
   */
  scope(forwarding: Forwarding, body: unknown): Readonly<Record<string, unknown>> {
    const { request, location, parameters, identity } = forwarding
    const scope: Record<string, unknown> = {}
    const put = (member: Member, value: () => unknown): void => {
      if (this.reads(member)) scope[member] = value()
    }
    put('method', () => request.method)
    put('path', () => location.path)
    put('host', () => request.host)
    put('params', () => parameters)
    put('query', () => queryOf(location.query))
    put('headers', () => this.#headersOf(forwarding))
    put('body', () => body)
    put('identity', () => (identity ? { ...identity } : null))
    return scope
  }

  #headersOf(forwarding: Forwarding): Record<string, string> {
    const headers = emptyRecord<string>()
    const names = this.headers ?? forwarding.request.fields.names.map((name) => name.toLowerCase())
    for (const name of names) {
      const value = forwarding.sent(name)
      if (value !== undefined) headers[name] = value
    }
    return headers
  }
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
