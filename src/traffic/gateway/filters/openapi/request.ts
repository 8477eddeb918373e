import type { Forwarding } from '../../forwarding.js'
import { refusal, type Refusal } from '../../refusal.js'
import { CodingError, decoded, isJsonType } from '../shaping/content.js'
import { JsonError, parseJson } from '../shaping/json.js'
import { codingRefusal } from '../shaping/request-body.js'
import { mediaFor, type CheckedOperation, type Contract, type OperationMatch } from './contract.js'
import { cookiesOf, pairsOf, StyleError, type RawParameters } from './parameters.js'

/** One mistake of a request, as the client is told (RFC 9457 3.1.4 has an example). */
export interface RequestMistake {
  in: 'path' | 'query' | 'header' | 'cookie' | 'body'
  /** Of the parameter. */
  name?: string
  /** JSON Pointer in the value, as a fragment. */
  pointer: string
  detail: string
}

/** Bounds of what is read. */
export interface ReadLimits {
  readonly bytes: number
  readonly depth: number
  readonly errors: number
  /** Whether a body that is too large, or may turn out to be, is left alone instead of refused. */
  readonly lenient: boolean
}

/**
 * Checks a request against the operation it asks for: parameters, then the type of its body, then the body.
 *
 * @returns what is wrong; `undefined` if nothing is. Rejects with a `Refusal` for what cannot be read at all.
 */
export async function requestProblem(
  contract: Contract,
  { checked, parts }: OperationMatch,
  forwarding: Forwarding,
  limits: ReadLimits,
): Promise<Refusal | undefined> {
  const mistakes = parameterMistakes(contract, checked, parts, forwarding)
  if (mistakes.length > 0) {
    return refusal({
      status: 400,
      kind: 'parameters-invalid',
      detail: 'Parameters of the request are not as the API describes them.',
      extensions: { errors: mistakes.slice(0, limits.errors) },
    })
  }
  return bodyProblem(contract, checked, forwarding, limits)
}

function parameterMistakes(
  contract: Contract,
  { parameters }: CheckedOperation,
  parts: ReadonlyMap<string, string>,
  { request, target }: Forwarding,
): RequestMistake[] {
  let raw: RawParameters
  try {
    raw = rawParameters(request.fields, target, parts)
  } catch (error) {
    if (!(error instanceof StyleError)) throw error
    return [{ in: 'query', pointer: '#', detail: error.message }]
  }
  return parameters.flatMap(({ parameter, validate }): RequestMistake[] => {
    const { name, in: place, required } = parameter
    const mistake = (pointer: string, detail: string): RequestMistake => ({
      in: place,
      name,
      pointer,
      detail,
    })
    try {
      const value = contract.readParameter(parameter, raw)
      if (value === undefined) return required ? [mistake('#', 'is missing')] : []
      return (validate?.(value, 0) ?? []).map(({ pointer, detail }) => mistake(pointer, detail))
    } catch (error) {
      if (!(error instanceof StyleError)) throw error
      return [mistake('#', error.message)]
    }
  })
}

function rawParameters(
  fields: Forwarding['request']['fields'],
  target: string,
  path: ReadonlyMap<string, string>,
): RawParameters {
  const mark = target.indexOf('?')
  return {
    path,
    query: mark < 0 ? [] : pairsOf(target.slice(mark + 1)),
    header: (lower) => fields.get(lower),
    cookies: cookiesOf(fields.get('cookie')),
  }
}

async function bodyProblem(
  contract: Contract,
  { body }: CheckedOperation,
  forwarding: Forwarding,
  limits: ReadLimits,
): Promise<Refusal | undefined> {
  const { fields, framing } = forwarding.request
  const isEmpty = framing.kind === 'none' || (framing.kind === 'length' && framing.length === 0)
  if (isEmpty) return body?.required ? malformed('is missing') : undefined
  if (!body) return unsupported('This operation takes no body.', [])
  const contentType = fields.get('content-type')
  const media = mediaFor(body.content, contentType)
  if (!media) {
    const types = body.content.map(({ type }) => type)
    return unsupported('The body is of a type that this operation does not take.', types)
  }
  const isForm = /^\s*application\/x-www-form-urlencoded\s*(;|$)/i.test(contentType!)
  const isText = /^\s*text\//i.test(contentType!)
  if (!media.validate || !(isForm || isText || isJsonType(contentType))) return undefined
  if (limits.lenient && (framing.kind !== 'length' || framing.length > limits.bytes)) return undefined
  const data = await forwarding.readBody(limits.bytes)
  let value: unknown
  try {
    const plain = await decoded(data, fields.get('content-encoding'), limits.bytes)
    if (plain.length === 0) return body.required ? malformed('is missing') : undefined
    if (isForm) value = contract.readForm(plain.toString(), media.schema)
    else if (isText) value = plain.toString()
    else value = parseJson(plain, limits.depth, { forChecking: true })
  } catch (error) {
    if (error instanceof CodingError) return codingRefusal(error, limits.bytes)
    if (error instanceof StyleError || error instanceof JsonError) return malformed(error.message)
    throw error
  }
  const errors = media.validate(value, data.length)
  if (errors.length === 0) return undefined
  return refusal({
    status: 422,
    kind: 'body-invalid',
    detail: 'The body of the request is not as the API describes it.',
    extensions: { errors: errors.map((error): RequestMistake => ({ in: 'body', ...error })) },
  })
}

function malformed(detail: string): Refusal {
  return refusal({
    status: 400,
    kind: 'body-malformed',
    detail: 'The body of the request cannot be read.',
    extensions: { errors: [{ in: 'body', pointer: '#', detail } satisfies RequestMistake] },
  })
}

function unsupported(detail: string, types: readonly string[]): Refusal {
  return refusal({
    status: 415,
    kind: 'unsupported-media-type',
    detail,
    // What would be taken (RFC 9110 15.5.16).
    ...(types.length > 0 ? { fields: [['Accept', types.join(', ')]] as const } : {}),
  })
}
