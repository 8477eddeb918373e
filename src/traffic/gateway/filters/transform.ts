import { bytes } from '../../../core/bytes.js'
import { BanyanError } from '../../../core/errors.js'
import type { Call } from '../../policy.js'
import type { UpstreamAnswer } from '../answer.js'
import { defineFilter, type Filter, type RouteContext } from '../filter.js'
import type { Forwarding } from '../forwarding.js'
import { refusal, Refusal } from '../refusal.js'
import { parsePattern } from '../router.js'
import { isJsonType, readableEncodings } from './shaping/content.js'
import { isTruthy } from './shaping/expression.js'
import { readJsonRequest } from './shaping/request-body.js'
import { RequestReader } from './shaping/request-scope.js'
import { planTransform, type TransformPlan } from './transform/plan.js'
import { changeRequest } from './transform/request.js'
import { changeResponse } from './transform/response.js'
import type { TransformSpec } from './transform/spec.js'
import { TagMark } from './transform/tag-mark.js'

/**
 * Changes requests and answers by their values: JSON bodies, query parameters, header fields. What is not JSON, and
 * what need not be read, streams through.
 */
export function transform(spec: TransformSpec, context: RouteContext): Filter {
  const { route, gateway } = context
  const { names } = parsePattern(gateway.routes[route]?.match.path ?? '/*')
  const { plan, problems } = planTransform(spec, names)
  if (!plan) {
    const { path, message } = problems[0]!
    throw new BanyanError('BANYAN_INVALID_OPTIONS', `routes.${route}.transform.${path.join('.')}: ${message}`)
  }
  const transformer = new Transformer(spec, plan)
  return defineFilter(`${route} transform`, (forwarding, next, call) =>
    transformer.run(forwarding, next, call),
  )
}

class Transformer {
  readonly #plan: TransformPlan
  readonly #bytes: number
  readonly #depth: number
  readonly #request: RequestReader
  readonly #readsBody: boolean
  readonly #vary: string
  readonly #mark: TagMark

  constructor(spec: TransformSpec, plan: TransformPlan) {
    this.#plan = plan
    this.#bytes = bytes(spec.maxBytes ?? '1MB', 'transform: maxBytes')
    this.#depth = spec.maxDepth ?? 64
    this.#request = new RequestReader(plan.references)
    this.#readsBody = this.#request.reads('body') || plan.request?.body !== undefined
    const { headers } = new RequestReader(plan.responseReferences)
    this.#vary = headers ? [...headers].sort().join(', ') : '*'
    this.#mark = new TagMark(spec.response ?? null)
  }

  async run(
    forwarding: Forwarding,
    next: () => Promise<UpstreamAnswer>,
    call: Call,
  ): Promise<UpstreamAnswer> {
    const { request: requestPlan, response: responsePlan } = this.#plan
    const { request } = forwarding
    const hasJson = request.framing.kind !== 'none' && isJsonType(request.fields.get('content-type'))
    const body =
      this.#readsBody && hasJson ? await readJsonRequest(forwarding, this.#bytes, this.#depth) : null
    const scope = { request: this.#request.scope(forwarding, body) }
    if (requestPlan) {
      refusing(() => {
        if (!requestPlan.when || isTruthy(requestPlan.when.evaluate(scope)))
          changeRequest(requestPlan, forwarding, scope, hasJson)
      })
    }
    if (!responsePlan) return next()
    if (responsePlan.readsBody) this.#askForWhole(forwarding)
    const answer = await next()
    try {
      return await changeResponse(responsePlan, answer, {
        method: request.method,
        request: scope.request,
        bytes: this.#bytes,
        depth: this.#depth,
        vary: this.#vary,
        mark: this.#mark,
      })
    } catch (error) {
      // The rest of the answer is of no use.
      call.cancel(error)
      throw error
    }
  }

  /** What is read here must be whole, and coded in a way that can be undone. */
  #askForWhole(forwarding: Forwarding): void {
    const { fields } = forwarding.request
    for (const name of ['Range', 'If-Range'])
      if (fields.get(name.toLowerCase()) !== undefined) forwarding.removeField(name)
    const encodings = readableEncodings(fields.get('accept-encoding'))
    if (encodings !== undefined) forwarding.setField('Accept-Encoding', encodings)
    if (this.#plan.response?.body) this.#mark.takeFrom(forwarding)
  }
}

/** What an expression cannot do with a client's values is the client's mistake. */
function refusing(change: () => void): void {
  try {
    change()
  } catch (error) {
    if (error instanceof Refusal) throw error
    throw refusal({
      status: 400,
      kind: 'request-unfit',
      detail: 'The values of the request are not what is expected here.',
      cause: error,
    })
  }
}
