import { Body } from '../../../http/body.js'
import type { UpstreamAnswer } from '../../answer.js'
import { CodingError, decoded, isJsonType } from '../shaping/content.js'
import { JsonError, parseJson } from '../shaping/json.js'
import { mediaFor, type CheckedMedia, type CheckedOperation } from './contract.js'
import type { ReadLimits } from './request.js'

/**
 * Looks at an answer as it passes, and holds nothing back: what is larger than is read is not checked.
 *
 * @param tell - gets what is wrong, once, after the last byte has passed
 * @returns the answer to go on with
 */
export function watchAnswer(
  answer: UpstreamAnswer,
  { responses }: CheckedOperation,
  method: string,
  limits: ReadLimits,
  tell: (mistakes: readonly string[]) => void,
): UpstreamAnswer {
  const { status, fields } = answer
  const content =
    responses.get(String(status)) ?? responses.get(`${String(status)[0]!}XX`) ?? responses.get('DEFAULT')
  if (!content) {
    tell([`the status ${status} is not described`])
    return answer
  }
  if (method === 'HEAD' || status === 204 || status === 304 || answer.socket) return answer
  const contentType = fields.get('content-type')
  const media = mediaFor(content, contentType)
  if (!media) {
    const hasBody = answer.head.framing.kind !== 'none'
    if (content.length > 0 && hasBody) tell([`the type ${contentType ?? 'nothing'} is not described`])
    return answer
  }
  if (!media.validate || !isJsonType(contentType)) return answer
  const coding = fields.get('content-encoding')
  const passing = copyOf(answer.open(), limits.bytes, (data) => {
    void mistakesOf(data, coding, media, limits).then((mistakes) => {
      if (mistakes.length > 0) tell(mistakes)
    })
  })
  return answer.withBody(passing)
}

async function mistakesOf(
  data: Buffer,
  coding: string | undefined,
  { validate }: CheckedMedia,
  limits: ReadLimits,
): Promise<readonly string[]> {
  try {
    const value = parseJson(await decoded(data, coding, limits.bytes), limits.depth, { forChecking: true })
    return validate!(value, data.length).map(({ pointer, detail }) => `${pointer} ${detail}`)
  } catch (error) {
    if (error instanceof JsonError) return [error.message]
    if (error instanceof CodingError) return error.reason === 'too-large' ? [] : [error.message]
    return [`cannot be checked: ${String(error)}`]
  }
}

/** The same body; `whole` gets a copy of it once it is complete, if it is no longer than `most` bytes. */
function copyOf(source: Body, most: number, whole: (data: Buffer) => void): Body {
  let isFull = false
  let parts: Buffer[] | undefined = []
  let length = 0
  const passing = new Body(source.length, {
    pause: () => {
      isFull = true
    },
    resume: () => {
      isFull = false
      source.resume()
    },
  })
  source.pipe({
    write(data) {
      length += data.length
      if (length > most) parts = undefined
      parts?.push(data)
      passing.push(data)
      return !isFull
    },
    end(trailers) {
      passing.finish(trailers)
      if (parts) whole(Buffer.concat(parts))
    },
    fail: (error) => passing.fail(error),
  })
  return passing
}
