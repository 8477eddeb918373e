import { Fields } from '../http/fields.js'
import { UpstreamAnswer } from './answer.js'

/** An answer that is always the same. */
export interface FixedAnswerSpec {
  /** Default 200. */
  status?: number
  headers?: Record<string, string>
  /** An object is sent as JSON. */
  body?: unknown
}

/** Makes the answer; each time a new one, as filters may change it. */
export function fixedAnswer({
  status = 200,
  headers = {},
  body = '',
}: FixedAnswerSpec): () => UpstreamAnswer {
  const isText = typeof body === 'string'
  const data = Buffer.from(isText ? body : JSON.stringify(body))
  const fields = Fields.of(Object.entries(headers))
  if (data.length > 0 && fields.get('content-type') === undefined)
    fields.append('Content-Type', isText ? 'text/plain; charset=utf-8' : 'application/json')
  return () => UpstreamAnswer.of(status, fields.copy(), data)
}
