import { resolve } from 'node:path'
import { BanyanError } from '../../core/errors.js'
import { specOf } from '../../drivers/open-log.js'
import type { LogSpec } from '../../events/index.js'
import { redact } from '../../node/config/redact.js'
import { logSpecOf, type EventsSpec, type NodeSpec } from '../../node/spec.js'
import { note } from '../output.js'
import { UsageError } from '../usage-error.js'

/** What a command was told of the log it works on. */
export interface PlaceOptions {
  log?: string
  config?: string
  admin?: string
}

/** Where a log is, and how that is known. */
export type Place = {
  /** For people, without secrets. */
  readonly name: string
  /** What said so: `--log`, `BANYAN_LOG`, or the name of a configuration. */
  readonly by: string
  /** Of that configuration. */
  readonly events?: EventsSpec
  /** Of that configuration: what is published, by name; undefined if that may be anything. */
  readonly topics?: NodeSpec['topics']
} & (
  | { readonly spec: LogSpec }
  /** Inside a running node, behind its admin address. */
  | { readonly admin: string }
)

/**
 * Which log a command works on. What was said on the command line comes first, then `BANYAN_LOG`, then the `events` of
 * the configuration in this folder.
 *
 * @param options.looks - whether it only looks: then mistakes elsewhere in the configuration do not matter. Default false.
 * @throws {@link UsageError} if the command line contradicts itself; `BANYAN_CONFIG_NOT_FOUND` if nothing says which
 */
export async function placeOf(
  { log, config, admin }: PlaceOptions,
  { looks = false }: { looks?: boolean } = {},
): Promise<Place> {
  const said = Object.entries({ '--log': log, '--config': config, '--admin': admin })
  const [first, second] = said.filter(([, value]) => value !== undefined)
  if (first && second)
    throw new UsageError(`${first[0]} and ${second[0]} each say which log; give one of them`)
  if (admin !== undefined) return { name: nameOfAdmin(admin), by: '--admin', admin }
  if (log !== undefined) return placeOfUrl(log, '--log')
  const url = process.env['BANYAN_LOG']
  if (config === undefined && url !== undefined && url !== '') return placeOfUrl(url, 'BANYAN_LOG')
  return placeOfConfig(config, looks)
}

/** Text for a log that people recognise, without passwords. */
export function nameOf(spec: LogSpec): string {
  switch (spec.driver) {
    case 'memory':
      return 'memory:'
    case 'sqlite':
      return `sqlite:${resolve(spec.path)}`
    case 'postgres':
      return redact(spec.url) as string
  }
}

function placeOfUrl(url: string, by: string): Place {
  const spec = specOf(url)
  if (spec.driver === 'memory')
    throw new UsageError(
      `${by} says memory:, a log inside one process, which this one would find empty; ` +
        'that of a running node is reached with --admin',
    )
  return { name: nameOf(spec), by, spec }
}

async function placeOfConfig(config: string | undefined, looks: boolean): Promise<Place> {
  // Half of the time that a command takes to start, for who needs it.
  const { loadConfig, readConfig } = await import('../../node/config/load.js')
  const loaded = await loadConfig(config).catch((error: unknown) => {
    if (config !== undefined || !(error instanceof BanyanError)) throw error
    throw new BanyanError(
      'BANYAN_CONFIG_NOT_FOUND',
      `which event log? ${error.message}, a log with --log sqlite:./data or --log postgres://..., or set BANYAN_LOG`,
    )
  })
  const by = loaded.file
  const { eventLogIn } = await import('../../node/config/event-log-part.js')
  const part = !loaded.ok && looks ? eventLogIn((await readConfig(by)).source) : undefined
  if (part) note(`${by} is not right, as banyan check tells; what it says of the event log is`)
  if (!loaded.ok && !part) {
    const { reportProblems } = await import('../check.js')
    reportProblems(loaded.problems)
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `${by} is not right, so it does not say which event log; say it with --log, or ask the running node with -a`,
    )
  }
  const { events, topics, admin } = loaded.ok ? loaded.spec : { ...part!, topics: undefined }
  if (!events)
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `${by} has no event log; say which one there, as \`events: { driver: sqlite, path: ./data }\`, or here with --log`,
    )
  const spec = logSpecOf(events)
  if (spec.driver !== 'memory') return { name: nameOf(spec), by, spec, events, topics }
  if (admin === false)
    throw new BanyanError(
      'BANYAN_LOG_UNAVAILABLE',
      `the events of ${by} are in the memory of the node, and with \`admin: false\` there is no way to them`,
    )
  const address = String(admin)
  return { name: nameOfAdmin(address), by, events, admin: address }
}

function nameOfAdmin(admin: string): string {
  return `the log of the node at ${admin}`
}
