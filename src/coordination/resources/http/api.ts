/**
 * The API of Kubernetes over HTTP, as much of it as its tools need for resources.
 *
 * A request passes: what it is about (`target.ts`), whether that is open to whoever asks (`access.ts`), then what can be read of
 * the API itself (`documents.ts`: discovery, schemas), or resources (`objects.ts`, `watch.ts`), in the form that is asked for
 * (`negotiate.ts`, `presentation.ts`). What is wrong becomes a `Status` (`status.ts`).
 */
import { setMaxListeners } from 'node:events'
import { BanyanError } from '../../../core/errors.js'
import { FaultLog } from '../../../core/fault-log.js'
import type { HandlerAnswer, HandlerRequest, HttpHandler } from '../../../core/http-handler.js'
import { checkOptions, type OptionTable } from '../../../core/options.js'
import { systemRuntime, type Runtime } from '../../../core/runtime.js'
import type { Span } from '../../../core/telemetry.js'
import { parseTraceContext } from '../../../core/trace-context.js'
import { Turns } from '../../../core/turns.js'
import type { ResourceApi } from '../api.js'
import { qualifiedPlural, type ResourceDefinition } from '../define.js'
import { checkAccess, verbOf, type Authorize } from './access.js'
import { json } from './answer.js'
import { answerCollection } from './collections.js'
import { Documents } from './documents.js'
import { EncodedEvents } from './encoded-events.js'
import { Meter } from './meter.js'
import { answerObject } from './objects.js'
import { Parameters } from './parameters.js'
import { answerScale } from './scales.js'
import { notHere, Refusal, statusOf, type Status } from './status.js'
import type { Surroundings } from './surroundings.js'
import { Paths } from './target.js'

/** Options of {@link kubernetesApi}. */
export interface KubernetesApiOptions {
  /** The kinds that are served. */
  definitions: readonly ResourceDefinition[]
  /**
   * Decides about each request, discovery too. `false` is answered with 403, `'unknown'` with 401. Default: everything is allowed, to
   * requests that come to an address or to `localhost`.
   */
  authorize?: Authorize
  /** Aborted when the server is about to close: watches end, and clients come back elsewhere. */
  closing?: AbortSignal
  /** Time, chance and telemetry; default the system's. */
  runtime?: Runtime
}

const OPTIONS: OptionTable<KubernetesApiOptions> = {
  definitions: {
    kind: 'list',
    of: { kind: 'code', type: 'object', doc: 'a kind' },
    doc: 'The kinds that are served.',
  },
  authorize: { kind: 'code', type: 'function', doc: 'decides about each request' },
  closing: { kind: 'code', type: 'object', doc: 'aborted when the server is about to close' },
  runtime: { kind: 'code', type: 'object', doc: 'time, chance and telemetry' },
}

/**
 * Serves resources as an API server of Kubernetes does, so that `kubectl` and its libraries can be used on them. The caller closes
 * the resources.
 *
 * | request | answer |
 * |---|---|
 * | `GET /version`, `/api`, `/apis`, `/apis/{group}`, `/apis/{group}/{version}` | what there is; of all groups at once for those who ask so |
 * | `GET /healthz`, `/livez`, `/readyz` | `ok`; of the last, once the store answers |
 * | `GET /apis/{group}/{version}/{plural}` | resources of all namespaces: a list, or with `watch=true` what happens to them |
 * | `GET, POST, DELETE /apis/{group}/{version}/namespaces/{namespace}/{plural}` | the same of a namespace; makes one; deletes those that are selected |
 * | `GET, PUT, PATCH, DELETE .../{plural}/{name}` | one resource |
 * | `GET, PUT, PATCH .../{plural}/{name}/status` | its status |
 * | `GET, PUT, PATCH .../{plural}/{name}/scale` | how many of something it wants and has, if its kind says where |
 * | `POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews`, `/apis/authentication.k8s.io/v1/selfsubjectreviews` | what who asks may, and who that is |
 * | `GET, POST /api/v1/namespaces` | namespaces that something is in; they need not be made, and making one does nothing |
 *
 * Parameters, bodies and answers are those of Kubernetes' custom resources, in JSON; bodies may be YAML. There is no
 * `resourceVersion` of one server alone: whoever serves the same store gives the same.
 *
 * Who may ask is for `authorize` to say, or for what the handler is mounted behind. Without `authorize` it is meant for loopback:
 * a request whose `Host` is a name other than `localhost` is refused, so that no page in a browser gets here under a name of its own
 * (DNS rebinding). Requests of pages of other origins are always refused.
 *
 * @throws `BANYAN_INVALID_OPTIONS`, also if two of the kinds have the same place
 */
export function kubernetesApi(resources: ResourceApi, options: KubernetesApiOptions): HttpHandler {
  checkOptions('kubernetesApi', OPTIONS, options)
  const { definitions, authorize, runtime = systemRuntime } = options
  const { closing = new AbortController().signal } = options
  // Each watch listens to it.
  setMaxListeners(0, closing)
  checkPlaces(definitions)
  const paths = new Paths(definitions)
  const documents = new Documents(definitions)
  const faults = new FaultLog(runtime, { what: 'a request for resources failed', attribute: 'banyan.reason' })
  const meter = new Meter(runtime.telemetry, closing)
  const around: Surroundings = {
    ...{ api: resources, authorize, runtime, closing, meter },
    encoded: new EncodedEvents(),
    turns: new Turns(runtime.clock),
    statusOf(error) {
      const { status, fault } = statusOf(error)
      if (fault) faults.note(status.reason ?? '', error)
      return status
    },
  }

  async function answer(request: HandlerRequest, noted: Noted): Promise<HandlerAnswer> {
    const target = paths.target(request.path)
    if (!target) {
      await checkAccess(request, { type: 'document', path: request.path }, 'get', authorize)
      throw notHere()
    }
    const verb = verbOf(request, target, new Parameters(request.query).watch)
    noted.verb = verb
    if (target.type !== 'document') noted.resource = qualifiedPlural(target.kind)
    await checkAccess(request, target, verb, authorize)
    switch (target.type) {
      case 'document':
        return documents.answer(request, target.path, around)
      case 'collection':
        return answerCollection(request, target, around)
      case 'object':
        return (target.subresource === 'scale' ? answerScale : answerObject)(request, target, around)
    }
  }

  return async (request) => {
    const started = runtime.clock.now()
    const noted: Noted = { verb: 'get', resource: '' }
    const span = spanOf(request, runtime)
    let answered: HandlerAnswer
    try {
      answered = await answer(request, noted)
    } catch (error) {
      answered = refused(around.statusOf(error), error)
    }
    meter.answered(noted.verb, noted.resource, answered.status, runtime.clock.now() - started)
    endSpan(span, noted, answered)
    // What would be made part by part need not be made at all.
    if (request.method === 'HEAD' && !Buffer.isBuffer(answered.body))
      return { ...answered, body: Buffer.alloc(0) }
    return answered
  }
}

/** What is told of a request to operators. */
interface Noted {
  verb: string
  /** Empty if it is about none. */
  resource: string
}

function refused(status: Status, error: unknown): HandlerAnswer {
  const seconds = status.details?.retryAfterSeconds
  const fields = error instanceof Refusal ? error.fields : []
  return json(status.code, status, {
    fields: seconds === undefined ? fields : [...fields, ['Retry-After', String(seconds)]],
  })
}

function spanOf(request: HandlerRequest, { telemetry }: Runtime): Span | undefined {
  if (!telemetry.traces) return undefined
  const parent = parseTraceContext(request.traceparent, request.field('tracestate'))
  return telemetry.span('banyan.resources.request', { kind: 'server', parent })
}

function endSpan(span: Span | undefined, { verb, resource }: Noted, { status }: HandlerAnswer): void {
  if (!span) return
  span.setAttribute('banyan.verb', verb)
  span.setAttribute('banyan.resource', resource)
  span.setAttribute('http.response.status_code', status)
  if (status >= 500) span.fail(String(status))
  span.end()
}

function checkPlaces(definitions: readonly ResourceDefinition[]): void {
  const seen = new Set<string>()
  for (const kind of definitions) {
    const place = qualifiedPlural(kind)
    if (seen.has(place))
      throw new BanyanError('BANYAN_INVALID_OPTIONS', `kubernetesApi: there are two kinds ${place}`)
    seen.add(place)
  }
}
