import { randomUUID } from 'node:crypto'
import { BanyanError } from '../../core/errors.js'
import { sleep, type Clock } from '../../core/clock.js'
import type { Telemetry } from '../../core/telemetry.js'
import type { Log } from '../log.js'
import { processGauges } from './process.js'

/** The packages that export to OpenTelemetry; installed by those who want it. */
const PACKAGES = '@opentelemetry/api @opentelemetry/sdk-node'

/** The same problem of an exporter is told once in that time, in ms. */
const QUIET_MS = 60_000

/** How long a collector may take with what is left at the end, in ms. */
const CLOSE_MS = 3_000

/** What runs as long as the process does. */
export interface Exporting {
  readonly telemetry: Telemetry
  /** Sends what is left, and ends. Never rejects: what cannot be sent is lost, and told. */
  close(): Promise<void>
}

type Environment = Readonly<Record<string, string | undefined>>

/**
 * Exports traces and metrics as the standard environment variables say (`OTEL_EXPORTER_OTLP_ENDPOINT` and its
 * relatives), with the official SDK, which is loaded only then.
 *
 * @returns `undefined` if no variable asks for it, or `OTEL_SDK_DISABLED` forbids it
 * @throws {@link BanyanError} `BANYAN_PACKAGE_MISSING` if the SDK is not installed
 */
export async function exportByEnvironment(
  env: Environment,
  log: Log,
  clock: Clock,
): Promise<Exporting | undefined> {
  if (env['OTEL_SDK_DISABLED']?.toLowerCase() === 'true') return undefined
  const asked = { traces: isAsked(env, 'TRACES'), metrics: isAsked(env, 'METRICS') }
  if (!asked.traces && !asked.metrics) return undefined
  const { sdk, api, bridge } = await load()
  if (env['OTEL_LOG_LEVEL'] === undefined) api.diag.setLogger(diagnostics(log, clock), api.DiagLogLevel.WARN)
  const started = new sdk.NodeSDK({
    // Several workers, or replicas on one host, must not be taken for one.
    resource: sdk.resources
      .defaultResource()
      .merge(sdk.resources.resourceFromAttributes({ 'service.instance.id': randomUUID() })),
    // Nothing of ours looks for spans in the asynchronous context, which would cost every request.
    contextManager: null as never,
    textMapPropagator: null,
    logRecordProcessors: [],
    ...(asked.traces ? {} : { spanProcessors: [] }),
    ...(asked.metrics ? {} : { metricReaders: [] }),
    ...(isNamed(env) ? {} : { serviceName: 'banyan' }),
  })
  started.start()
  const telemetry = bridge.openTelemetry({
    ...(asked.traces ? { tracerProvider: api.trace.getTracerProvider() } : {}),
    ...(asked.metrics ? { meterProvider: api.metrics.getMeterProvider() } : {}),
  })
  if (asked.metrics) processGauges(telemetry)
  log(
    'info',
    `exports ${[asked.traces && 'traces', asked.metrics && 'metrics'].filter(Boolean).join(' and ')} by OpenTelemetry`,
  )
  return {
    telemetry,
    async close() {
      const hurry = new AbortController()
      const patience = sleep(clock, CLOSE_MS, hurry.signal).then(
        () => log('warn', 'the last traces and metrics could not be exported in time'),
        () => undefined,
      )
      const sent = started.shutdown().catch((error: unknown) => {
        log('warn', `the last traces and metrics could not be exported: ${(error as Error).message}`)
      })
      await Promise.race([sent, patience])
      hurry.abort()
      api.trace.disable()
      api.metrics.disable()
      api.diag.disable()
    },
  }
}

/** Whether a variable says where such a signal should go. */
function isAsked(env: Environment, signal: 'TRACES' | 'METRICS'): boolean {
  const exporter = env[`OTEL_${signal}_EXPORTER`]?.trim()
  if (exporter === 'none') return false
  return [exporter, env['OTEL_EXPORTER_OTLP_ENDPOINT'], env[`OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`]].some(
    (value) => value !== undefined && value.trim() !== '',
  )
}

function isNamed(env: Environment): boolean {
  return (
    Boolean(env['OTEL_SERVICE_NAME']) ||
    /(?:^|,)\s*service\.name\s*=/.test(env['OTEL_RESOURCE_ATTRIBUTES'] ?? '')
  )
}

async function load() {
  try {
    const [sdk, api, bridge] = await Promise.all([
      import('@opentelemetry/sdk-node'),
      import('@opentelemetry/api'),
      import('./opentelemetry.js'),
    ])
    return { sdk, api, bridge }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error
    throw new BanyanError(
      'BANYAN_PACKAGE_MISSING',
      `the environment asks for an export by OpenTelemetry, whose packages are not installed: npm install ${PACKAGES}`,
      { cause: error },
    )
  }
}

/** What the SDK has to say goes to our log; a collector that is away is told once a minute, not with every batch. */
function diagnostics(log: Log, clock: Clock) {
  const told = new Map<string, number>()
  const tell =
    (level: 'warn' | 'error') =>
    (message: string, ...more: unknown[]): void => {
      const text = summary([message, ...more])
      const now = clock.now()
      if (now - (told.get(text) ?? -Infinity) < QUIET_MS) return
      if (told.size > 100) told.clear()
      told.set(text, now)
      log(level, `OpenTelemetry: ${text}`)
    }
  const nothing = (): void => undefined
  return { error: tell('warn'), warn: tell('warn'), info: nothing, debug: nothing, verbose: nothing }
}

/** Errors come as JSON with a stack. */
function summary(parts: readonly unknown[]): string {
  return parts
    .map((part) => {
      const text =
        part instanceof Error ? part.message : typeof part === 'string' ? part : JSON.stringify(part)
      try {
        const { message, code, name } = JSON.parse(text) as Record<string, string | undefined>
        return message !== undefined && message !== '' ? message : (code ?? name ?? text)
      } catch {
        return text
      }
    })
    .join(' ')
    .slice(0, 500)
}
