import { bytes } from '../../../core/bytes.js'
import { duration } from '../../../core/duration.js'
import { BanyanError } from '../../../core/errors.js'
import { Call } from '../../policy.js'
import { defineFilter, type Filter, type RouteContext } from '../filter.js'
import type { Forwarding } from '../forwarding.js'
import { compileEdits, type CompiledEdits } from '../heads.js'
import { subrequest } from '../subrequest.js'
import type { Service } from '../service.js'
import type { MirrorSpec } from './mirror/spec.js'

/** Marks copies, so that a service can tell them from what counts. */
const MARK = 'X-Shadow'

interface Mirror {
  readonly service: Service
  readonly share: number
  readonly methods: ReadonlySet<string>
  readonly timeout: number
  readonly maxBody: number
  readonly concurrency: number
  readonly edits: CompiledEdits | undefined
  active: number
  count(result: 'answered' | 'failed' | 'dropped' | 'skipped', status?: number): void
}

/**
 * Copies requests to other services and drops their answers. The live call neither waits for a copy nor hears of it:
 * each mirror has a bound of its own, beyond which requests are simply not copied. A copy is never copied again.
 */
export function mirror(specs: readonly MirrorSpec[], context: RouteContext): Filter {
  const { route, runtime } = context
  const mirrors = specs.map((spec) => makeMirror(spec, context))
  const { clock, random } = runtime

  const send = async (to: Mirror, origin: Forwarding, body: Promise<Buffer | undefined>): Promise<void> => {
    to.active++
    try {
      const data = await body
      if (data === undefined || data.length > to.maxBody) {
        to.count('skipped')
        return
      }
      const deadline = clock.now() + to.timeout
      const call = new Call(noWork, { deadline })
      const timer = clock.schedule(deadline, () => call.cancel(new Error('The copy took too long')))
      try {
        const answer = await subrequest(to.service, {
          origin,
          call,
          clock,
          method: origin.request.method,
          target: origin.target,
          fields: fieldsOf(origin, to.edits),
          ...(data.length > 0 ? { body: data } : {}),
        })
        const received = answer.open()
        const settled = new Promise<void>((resolve) => received.onSettled(resolve))
        received.discard()
        await settled
        if (received.error) to.count('failed')
        else to.count('answered', answer.status)
      } finally {
        timer.cancel()
        call.end()
      }
    } catch {
      // Whatever it was, it is the copy's: the live call must not hear of it.
      to.count('failed')
    } finally {
      to.active--
    }
  }

  return defineFilter(`${route} mirror`, (forwarding, next) => {
    const { request } = forwarding
    if (request.fields.get('x-shadow') !== undefined || forwarding.upgrade) return next()
    const chosen = mirrors.filter((each) => {
      if (!each.methods.has(request.method) || random.next() >= each.share) return false
      if (each.active < each.concurrency) return true
      each.count('dropped')
      return false
    })
    if (chosen.length > 0) {
      const body = forwarding.copyBody(Math.max(...chosen.map(({ maxBody }) => maxBody)))
      const origin = forwarding.detached()
      for (const each of chosen) void send(each, origin, body)
    }
    return next()
  })
}

function makeMirror(spec: MirrorSpec, { route, services, runtime }: RouteContext): Mirror {
  const service = services.get(spec.service)
  if (!service)
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `routes.${route}.mirror: unknown service \`${spec.service}\``,
    )
  const { share = 1, methods = ['GET', 'HEAD'], timeout = '5s', maxBody = '64kB', concurrency = 100 } = spec
  const attributes = { 'banyan.route': route, 'banyan.service': spec.service }
  const requests = runtime.telemetry.counter('banyan.mirror.requests', {
    description: 'Requests chosen to be copied, by what became of the copy.',
    unit: '{request}',
    attributes,
  })
  const made: Mirror = {
    service,
    share,
    methods: new Set(methods),
    timeout: duration(timeout, 'timeout'),
    maxBody: bytes(maxBody, 'maxBody'),
    concurrency,
    edits: compileEdits(spec.headers),
    active: 0,
    count: (result, status) =>
      requests.add(1, {
        'banyan.mirror.result': result,
        ...(status === undefined ? {} : { 'http.response.status_code': status }),
      }),
  }
  runtime.telemetry.gauge(
    'banyan.mirror.active',
    { description: 'Copies under way.', unit: '{request}', attributes },
    () => made.active,
  )
  return made
}

/** The fields of the request as the service gets it, with the mirror's own edits, and marked. */
function fieldsOf(origin: Forwarding, edits: CompiledEdits | undefined): [string, string][] {
  const fields = origin.sentFields().filter(([name]) => !edits?.dropped.includes(name.toLowerCase()))
  for (const line of edits?.text.split('\r\n') ?? []) {
    const colon = line.indexOf(':')
    if (colon > 0) fields.push([line.slice(0, colon), line.slice(colon + 1).trim()])
  }
  fields.push([MARK, 'true'])
  return fields
}

/** A subrequest takes everything from its own call. */
const noWork = (): never => {
  throw new Error('unreachable: a copy has no innermost work')
}
