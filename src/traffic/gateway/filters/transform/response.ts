import { isFieldValue } from '../../../http/characters.js'
import { Body } from '../../../http/body.js'
import { collect } from '../../../http/collect.js'
import type { Fields } from '../../../http/fields.js'
import { reasonOf } from '../../../http/writer.js'
import { UpstreamAnswer } from '../../answer.js'
import { refusal, type Refusal } from '../../refusal.js'
import { CodingError, decoded, isJsonType } from '../shaping/content.js'
import { isTruthy, type Scope } from '../shaping/expression.js'
import { JsonError, parseJson, stringifyJson, textOf } from '../shaping/json.js'
import { headersOf } from '../shaping/request-scope.js'
import type { FieldChanges, ResponsePlan } from './plan.js'
import { ABOUT_BYTES } from './request.js'
import type { TagMark } from './tag-mark.js'

/** What is needed besides the answer itself. */
export interface ResponseContext {
  readonly method: string
  /** What expressions read of the request. */
  readonly request: unknown
  readonly bytes: number
  readonly depth: number
  /** Fields of the request that the changes depend on. */
  readonly vary: string
  readonly mark: TagMark
}

/**
 * Changes an answer. A body that is not JSON, or need not be read, streams through.
 *
 * @returns the answer to go on with; rejects with a `Refusal` 502 if its body cannot be changed
 */
export async function changeResponse(
  plan: ResponsePlan,
  answer: UpstreamAnswer,
  context: ResponseContext,
): Promise<UpstreamAnswer> {
  const { status, fields } = answer
  if (answer.socket) return answer
  // What it stands for is the changed answer, which the client has.
  if (status === 304 && plan.body) context.mark.put(fields)
  const head: Scope = { request: context.request, response: { status, headers: headersOf(fields) } }
  const applies = plan.when ? isTruthy(plan.when.evaluate(head)) : status >= 200 && status <= 299
  if (!applies) return answer
  const isJson = isJsonType(fields.get('content-type'))
  const hasBody = context.method !== 'HEAD' && status !== 204 && status !== 304
  const value = plan.readsBody && isJson && hasBody ? await readJson(answer, context) : undefined
  const scope: Scope = {
    request: context.request,
    response: { status, headers: headersOf(fields), body: value === undefined ? null : value.json },
  }
  const changed = shape(() => ({
    status: plan.status === undefined ? status : statusOf(plan.status.evaluate(scope)),
    body: plan.body && value ? Buffer.from(stringifyJson(plan.body.evaluate(scope))) : value?.bytes,
    fields: fieldsOf(plan.headers, scope),
  }))
  if (plan.body && isJson) forgetBytes(fields, context)
  for (const [name, text] of changed.fields) {
    fields.delete(name.toLowerCase())
    if (text !== null) fields.append(name, text)
  }
  if (context.vary !== '') fields.append('Vary', context.vary)
  const next = changed.body
    ? answer.withBody(Body.of(changed.body))
    : withoutLength(answer, plan, isJson && !hasBody)
  return changed.status === status ? next : withStatus(next, changed.status)
}

async function readJson(
  answer: UpstreamAnswer,
  { bytes, depth }: ResponseContext,
): Promise<{ json: unknown; bytes: Buffer }> {
  const data = await collect(answer.open(), bytes)
  if (data === undefined) throw unusable('is larger than what is changed here')
  try {
    const plain = await decoded(data, answer.fields.get('content-encoding'), bytes)
    // Without a change the bytes go on as they came.
    return { json: plain.length === 0 ? null : parseJson(plain, depth), bytes: data }
  } catch (error) {
    if (error instanceof CodingError || error instanceof JsonError) throw unusable('cannot be read', error)
    throw error
  }
}

/** What was true of the bytes that came is not of those that go. */
function forgetBytes(fields: Fields, { mark }: ResponseContext): void {
  for (const name of [...ABOUT_BYTES, 'accept-ranges']) fields.delete(name)
  mark.put(fields)
}

/** The length of an answer to HEAD is that of a body which nobody has made. */
function withoutLength(answer: UpstreamAnswer, plan: ResponsePlan, unmade: boolean): UpstreamAnswer {
  if (!unmade || !plan.body) return answer
  return new UpstreamAnswer({ ...answer.head, contentLength: undefined }, answer.open(), undefined, false)
}

function withStatus(answer: UpstreamAnswer, status: number): UpstreamAnswer {
  return new UpstreamAnswer(
    { ...answer.head, status, reason: reasonOf(status) },
    answer.open(),
    undefined,
    false,
  )
}

function fieldsOf(changes: FieldChanges, scope: Scope): [string, string | null][] {
  return changes.map(([name, template]) => {
    const value = template?.evaluate(scope) ?? null
    if (value === null) return [name, null]
    const text = textOf(value)
    if (!isFieldValue(text)) throw new Error(`the value for the header field \`${name}\` cannot stand there`)
    return [name, text]
  })
}

function statusOf(value: unknown): number {
  const status = Number(value)
  if (!Number.isInteger(status) || status < 200 || status > 599)
    throw new Error('the status is none from 200 to 599')
  return status
}

function shape<T>(make: () => T): T {
  try {
    return make()
  } catch (error) {
    throw unusable('does not fit', error)
  }
}

function unusable(why: string, cause?: unknown): Refusal {
  return refusal({ status: 502, kind: 'answer-unusable', detail: `The answer of the service ${why}.`, cause })
}
