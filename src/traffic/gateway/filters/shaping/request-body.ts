import type { Forwarding } from '../../forwarding.js'
import { refusal, type Refusal } from '../../refusal.js'
import { CodingError, decoded, isJsonType } from './content.js'
import { JsonError, parseJson } from './json.js'

/**
 * The body of a client's request as JSON; `null` if there is none.
 *
 * @param most - bytes
 * @param depth - levels of arrays and objects
 * @returns rejects with a `Refusal`: 413 if it is larger, 415 if it is not JSON by its type, 400 if not in fact
 */
export async function readJsonRequest(forwarding: Forwarding, most: number, depth: number): Promise<unknown> {
  const { fields, framing } = forwarding.request
  if (framing.kind === 'none') return null
  if (!isJsonType(fields.get('content-type'))) throw unsupported('The request body must be JSON.')
  const data = await forwarding.readBody(most)
  if (data.length === 0) return null
  try {
    return parseJson(await decoded(data, fields.get('content-encoding'), most), depth)
  } catch (error) {
    if (error instanceof CodingError) throw codingRefusal(error, most)
    if (!(error instanceof JsonError)) throw error
    throw refusal({
      status: 400,
      kind: 'body-malformed',
      detail: `The request body cannot be read: ${error.message}.`,
    })
  }
}

/** What a client is told whose body cannot be decoded. */
export function codingRefusal({ reason }: CodingError, most: number): Refusal {
  if (reason === 'unknown')
    return unsupported('The Content-Encoding of the request body is not supported here.')
  if (reason === 'broken')
    return refusal({
      status: 400,
      kind: 'body-malformed',
      detail: 'The request body does not match its Content-Encoding.',
    })
  return refusal({
    status: 413,
    kind: 'body-too-large',
    detail: `The request body is longer than the ${most} bytes that are read here.`,
  })
}

function unsupported(detail: string): Refusal {
  return refusal({
    status: 415,
    kind: 'unsupported-media-type',
    detail,
    fields: [['Accept-Encoding', 'gzip, deflate, br, identity']],
  })
}
