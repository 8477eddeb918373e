import { systemRuntime } from '../../core/runtime.js'
import { tlsProblems, type UpstreamTlsSpec } from '../../traffic/http/upstream/tls.js'
import type { MeaningProblem, Path } from './problem.js'
import type { ConfigInput } from './schema/config.js'

type ServiceInput = ConfigInput['services'][string]

/** Checks what a service says of its connections; reads the files it names. */
export function* checkUpstreams(config: ConfigInput, name: string): Generator<MeaningProblem> {
  const service = config.services[name]!
  const path = ['services', name]
  const secure = isSecure(service)
  yield* checkTls(service, path, secure)
  if (service.protocol === 'auto' && !secure)
    yield {
      severity: 'warning',
      path: [...path, 'protocol'],
      at: 'value',
      message: 'only endpoints with TLS can be asked what they speak, and all of these are `http`',
    }
}

function* checkTls({ tls }: ServiceInput, path: Path, secure: boolean): Generator<MeaningProblem> {
  if (!tls) return
  const at = [...path, 'tls']
  if (!secure)
    yield {
      severity: 'error',
      path: at,
      at: 'key',
      message: 'is for `https` endpoints, and all of these are `http`',
    }
  for (const { option, severity, message } of tlsProblems(tls as UpstreamTlsSpec, systemRuntime.clock.wall()))
    yield { severity, path: [...at, option], at: 'value', message }
}

/** What is registered may be anything. */
function isSecure({ endpoints = [], registry }: ServiceInput): boolean {
  return (
    registry !== undefined ||
    endpoints.some((each) => /^https:/i.test(typeof each === 'string' ? each : each.url))
  )
}
