import type { Body } from '../../../http/body.js'
import type { UpstreamAnswer } from '../../answer.js'
import { CodingError, decoded, isJsonType } from '../../filters/shaping/content.js'
import { JsonError, parseJson } from '../../filters/shaping/json.js'

/** What may still be read for one call of a client. */
export interface Allowance {
  /** Bytes, of all bodies together. */
  bytes: number
  /** Levels of arrays and objects. */
  readonly depth: number
}

/** An answer that cannot be used as it is. */
export class ReadError extends Error {}

/**
 * Reads the body of a branch: JSON as a value, other text as text, nothing as `null`.
 *
 * @throws {@link ReadError} if it is none of these, or larger or deeper than allowed; `UpstreamError` if it breaks off
 */
export async function readAnswer(answer: UpstreamAnswer, allowance: Allowance): Promise<unknown> {
  const { fields } = answer
  const type = fields.get('content-type')
  const data = await collectWithin(answer.open(), allowance)
  if (data.length === 0) return null
  const plain = await decode(data, fields.get('content-encoding'), allowance)
  if (isJsonType(type)) {
    try {
      return parseJson(plain, allowance.depth)
    } catch (error) {
      if (error instanceof JsonError) throw new ReadError(error.message)
      throw error
    }
  }
  if (type !== undefined && /^\s*text\//i.test(type)) return plain.toString('utf8')
  throw new ReadError('its Content-Type is neither JSON nor text')
}

async function decode(data: Buffer, coding: string | undefined, allowance: Allowance): Promise<Buffer> {
  try {
    const plain = await decoded(data, coding, allowance.bytes + data.length)
    allowance.bytes -= Math.max(0, plain.length - data.length)
    return plain
  } catch (error) {
    if (error instanceof CodingError) throw new ReadError(error.message)
    throw error
  }
}

/** Reads a whole body; branches that are read at the same time draw on one allowance. */
function collectWithin(body: Body, allowance: Allowance): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = []
    body.pipe({
      write(data) {
        allowance.bytes -= data.length
        if (allowance.bytes >= 0) {
          parts.push(data)
          return true
        }
        reject(new ReadError('the answers are larger than allowed'))
        return false
      },
      end: () => resolve(Buffer.concat(parts)),
      fail: reject,
    })
  })
}
