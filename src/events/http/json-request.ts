import { parseDuration } from '../../core/duration.js'
import type { HandlerRequest } from '../../core/http-handler.js'
import { suggest } from '../../core/suggest.js'
import { problem } from './problem.js'

/** A body that says what is wanted is short. */
const MOST_BYTES = 256 * 1024

/** What a request asks for, as a JSON object in its body. */
export class JsonRequest {
  readonly #values: Readonly<Record<string, unknown>>

  private constructor(values: Readonly<Record<string, unknown>>) {
    this.#values = values
  }

  /**
   * Reads the body of a request; nothing is an empty object.
   *
   * @param known - names that it may have
   * @throws a problem of 400 or 415
   */
  static async read(request: HandlerRequest, known: readonly string[]): Promise<JsonRequest> {
    for (const name of request.query.keys())
      throw problem(
        400,
        'invalid-parameter',
        `Unknown parameter \`${name}\`: what is wanted stands in the body.`,
      )
    const text = (await request.body(MOST_BYTES)).toString('utf8')
    if (text.trim() === '') return new JsonRequest({})
    const media = request.field('content-type')?.split(';')[0]!.trim().toLowerCase()
    if (media !== 'application/json')
      throw problem(415, 'unsupported-media-type', 'Send a JSON object (application/json).')
    const values = parse(text)
    for (const name of Object.keys(values)) {
      if (known.includes(name)) continue
      const near = suggest(name, known)
      throw wrong(
        `has an unknown name \`${name}\`${near ? `, did you mean \`${near}\`?` : `; known are ${known.join(', ')}`}`,
      )
    }
    return new JsonRequest(values)
  }

  /** A whole number. */
  count(name: string, most: number): number | undefined {
    const value = this.#values[name]
    if (value === undefined) return undefined
    if (Number.isInteger(value) && (value as number) >= 1 && (value as number) <= most) return value as number
    throw wrong(`must have a whole number from 1 to ${most} as \`${name}\``)
  }

  /** A duration, in ms. */
  time(name: string, most: number): number | undefined {
    const value = this.#values[name]
    if (value === undefined) return undefined
    const ms = parseDuration(value)
    if (ms !== undefined && ms <= most) return ms
    throw wrong(`must have a duration such as "20s", up to ${most / 1000}s, as \`${name}\``)
  }

  text(name: string, most: number): string | undefined {
    const value = this.#values[name]
    if (value === undefined) return undefined
    if (typeof value === 'string' && value !== '' && value.length <= most) return value
    throw wrong(`must have text of 1 to ${most} characters as \`${name}\``)
  }

  /** Texts that are all different, at least one. */
  texts(name: string, most: number): readonly string[] {
    const value = this.#values[name]
    if (
      Array.isArray(value) &&
      value.length > 0 &&
      value.length <= most &&
      new Set(value).size === value.length
    )
      if (value.every((each) => typeof each === 'string')) return value
    throw wrong(`must have a list of 1 to ${most} different texts as \`${name}\``)
  }
}

function parse(text: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw wrong(`is not JSON: ${(error as Error).message}`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong('must be an object')
  return value as Record<string, unknown>
}

function wrong(what: string): Error {
  return problem(400, 'invalid-request', `The body ${what}.`)
}
