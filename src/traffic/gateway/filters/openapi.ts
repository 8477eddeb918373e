import { bytes } from '../../../core/bytes.js'
import type { Counter } from '../../../core/telemetry.js'
import { defineFilter, type Filter, type RouteContext } from '../filter.js'
import type { Forwarding } from '../forwarding.js'
import { refusal, type Refusal } from '../refusal.js'
import { WatchedFile } from './access/watched-file.js'
import { Contract, type CheckedOperation, type Found, type OperationMatch } from './openapi/contract.js'
import { requestProblem, type ReadLimits } from './openapi/request.js'
import { watchAnswer } from './openapi/response.js'
import type { OpenApiSpec } from './openapi/spec.js'

/** Mistakes that a log line names. */
const LOGGED = 5

/**
 * Checks requests against an OpenAPI document before the service gets them, and answers as they pass.
 *
 * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` if the document cannot be read or is wrong
 */
export function openapi(given: string | OpenApiSpec, context: RouteContext): Filter {
  const spec: OpenApiSpec = typeof given === 'string' ? { document: given } : given
  const { route, runtime } = context
  const { requests = 'refuse', responses = 'ignore', unknown = 'refuse', maxErrors = 20 } = spec
  const limits: ReadLimits = {
    bytes: bytes(spec.maxBytes ?? '1MB', 'openapi: maxBytes'),
    depth: spec.maxDepth ?? 64,
    errors: maxErrors,
    lenient: requests === 'log',
  }
  const file = new WatchedFile(
    spec.document,
    (text) => contractOf(text, spec, maxErrors),
    `routes.${route}.openapi`,
    runtime,
  )
  const reports = new Reports(context)

  return defineFilter(`${route} openapi`, async (forwarding, next) => {
    const contract = await file.current()
    const found = contract.find(forwarding.request.method, pathOf(forwarding.target))
    if (!isOperation(found)) {
      if (unknown === 'pass') return next()
      const problem = unknownProblem(found)
      reports.request(problem, forwarding, requests)
      if (requests === 'refuse') throw problem
      return next()
    }
    const problem = await requestProblem(contract, found, forwarding, limits)
    if (problem) {
      reports.request(problem, forwarding, requests)
      if (requests === 'refuse') throw problem
    }
    const answer = await next()
    if (responses === 'ignore') return answer
    return watchAnswer(answer, found.checked, forwarding.request.method, limits, (mistakes) =>
      reports.response(mistakes, found.checked, answer.status),
    )
  })
}

/** @throws `Error` with the first problem and its place */
export function contractOf(text: string, { base }: OpenApiSpec, maxErrors: number): Contract {
  const contract = new Contract(text, base, maxErrors)
  const [first] = contract.problems
  if (first) throw new Error(`${first.line}:${first.column}: ${first.message}`)
  return contract
}

/** Tells operators of what breaks the document. */
class Reports {
  readonly #context: RouteContext
  readonly #requests: Counter
  readonly #responses: Counter

  constructor(context: RouteContext) {
    const { route, runtime } = context
    this.#context = context
    const attributes = { 'http.route': route }
    this.#requests = runtime.telemetry.counter('banyan.openapi.invalid_requests', {
      description: 'Requests that break the OpenAPI document of their route.',
      unit: '{request}',
      attributes,
    })
    this.#responses = runtime.telemetry.counter('banyan.openapi.invalid_responses', {
      description: 'Answers that break the OpenAPI document of their route.',
      unit: '{response}',
      attributes,
    })
  }

  request({ options }: Refusal, { request }: Forwarding, mode: 'refuse' | 'log'): void {
    this.#requests.add(1, { 'error.type': options.kind })
    // Every client's mistake in the log would let clients write it.
    if (mode === 'refuse') return
    this.#log('A request breaks the OpenAPI document.', {
      'http.request.method': request.method,
      'error.type': options.kind,
      'banyan.openapi.errors': JSON.stringify(options.extensions?.['errors'] ?? options.detail).slice(
        0,
        1000,
      ),
    })
  }

  response(mistakes: readonly string[], { operation }: CheckedOperation, status: number): void {
    this.#responses.add(1)
    this.#log('An answer breaks the OpenAPI document.', {
      'http.request.method': operation.method,
      'url.template': operation.path.text,
      'http.response.status_code': status,
      'banyan.openapi.errors': mistakes.slice(0, LOGGED).join('; ').slice(0, 1000),
    })
  }

  #log(message: string, attributes: Readonly<Record<string, string | number>>): void {
    const { route, runtime } = this.#context
    runtime.telemetry.log('warn', message, { 'http.route': route, ...attributes })
  }
}

function isOperation(found: Found | undefined): found is OperationMatch {
  return found !== undefined && 'checked' in found
}

function unknownProblem(found: Found | undefined): Refusal {
  if (found && 'allowed' in found) {
    return refusal({
      status: 405,
      kind: 'method-not-allowed',
      detail: 'The API does not describe this method for this path.',
      fields: [['Allow', found.allowed.join(', ')]],
    })
  }
  return refusal({ status: 404, kind: 'operation-unknown', detail: 'The API does not describe this path.' })
}

function pathOf(target: string): string {
  const mark = target.indexOf('?')
  return mark < 0 ? target : target.slice(0, mark)
}
