import { existsSync, readFileSync, statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { bytes, type Bytes } from '../../core/bytes.js'
import { BanyanError } from '../../core/errors.js'
import { duration } from '../../core/duration.js'
import type { NodeSpec } from '../spec.js'
import { DEFAULT_ADMIN } from '../address.js'
import { checkBuild, checkMeaning, checkMeaningOfMisshapen } from './meaning.js'
import { checkDocuments } from './check-documents.js'
import { checkEventLog } from './check-events.js'
import { checkControllers } from './check-controllers.js'
import { checkCaptures } from './check-cdc.js'
import { checkProjections } from './check-projections.js'
import { checkReplicaPackages } from './meaning-of-replicas.js'
import { checkOutboxPackages } from './meaning-of-outboxes.js'
import { checkShardPackages } from './meaning-of-shards.js'
import { checkSagas } from './check-sagas.js'
import { checkCoordinator } from './meaning-of-coordination.js'
import { checkRules } from './meaning-of-access.js'
import type { ConfigProblem, MeaningProblem } from './problem.js'
import type { ConfigInput } from './schema/config.js'
import { readModule } from './module-source.js'
import { checkShape } from './shape.js'
import { checkResources } from './meaning-of-resources.js'
import { NOTHING, readYaml, type Source } from './yaml-source.js'

/** Files looked for, in this order. */
const NAMES = [
  'banyan.yaml',
  'banyan.yml',
  'banyan.json',
  'banyan.config.ts',
  'banyan.config.mts',
  'banyan.config.js',
  'banyan.config.mjs',
]

/** A larger file is a mistake. */
const MOST_BYTES = 4 * 1024 * 1024

/** What became of a configuration file. */
export type Loaded =
  | ({ ok: true; spec: NodeSpec; warnings: ConfigProblem[] } & Read)
  | ({ ok: false; problems: ConfigProblem[] } & Read)

interface Read {
  /** As the user gave it. */
  file: string
  /** Everything that was read: the file, and what it imports; modules of projections, sagas and so on, and what those import. */
  files: readonly string[]
  source: Source
}

/**
 * Reads and checks a configuration.
 *
 * @param file - path as the user gave it; without one, the file of a known name in the working directory
 * @param env - what `${NAME}` is replaced from
 * @throws {@link BanyanError} `BANYAN_CONFIG_NOT_FOUND` if there is no file; everything else is a problem in the result
 */
export async function loadConfig(
  file?: string,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<Loaded> {
  const { file: chosen, source } = await readConfig(file, env)
  return checkWhole(chosen, source)
}

/**
 * Reads a configuration without checking it.
 *
 * @throws {@link BanyanError} as {@link loadConfig}
 */
export async function readConfig(
  file?: string,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<{ file: string; source: Source }> {
  const chosen = file ?? findFile()
  if (!existsSync(chosen)) throw new BanyanError('BANYAN_CONFIG_NOT_FOUND', `there is no file \`${chosen}\``)
  return { file: chosen, source: isModule(chosen) ? await readModule(chosen) : readText(chosen, env) }
}

/** Whether a configuration is a program that says it, not text. */
export function isModule(file: string): boolean {
  return /\.[cm]?[jt]s$/.test(file)
}

/** Checks a configuration that has been read, with what takes libraries to check. */
export async function checkWhole(file: string, source: Source): Promise<Loaded> {
  const loaded = checkSource(file, source)
  return loaded.ok ? checkFurther(loaded, source) : loaded
}

/** What takes a library to check, asked only of a configuration that is fine otherwise. */
async function checkFurther(loaded: Loaded & { ok: true }, source: Source): Promise<Loaded> {
  const { file, spec, warnings } = loaded
  const projections = await checkProjections(spec)
  const captures = await checkCaptures(spec)
  const sagas = await checkSagas(spec)
  const controllers = await checkControllers(spec)
  const parts = [projections, captures, sagas, controllers]
  const files = [...new Set([...loaded.files, ...parts.flatMap((part) => part.files)])]
  const found = [
    ...(await checkRules(spec)),
    ...(await checkEventLog(spec)),
    ...projections.problems,
    ...checkOutboxPackages(spec),
    ...checkShardPackages(spec),
    ...checkReplicaPackages(spec),
    ...captures.problems,
    ...sagas.problems,
    ...controllers.problems,
    ...(await checkCoordinator(spec)),
  ]
  const problems: ConfigProblem[] = [
    ...found.map(({ severity, path, at, message }) => ({
      severity,
      file,
      path,
      message,
      ...source.locate(path, at),
    })),
    ...(await checkDocuments(spec)).map((found) => ({
      file,
      ...source.locate(found.path, 'value'),
      ...found,
    })),
  ]
  if (problems.length === 0) return { ...loaded, files }
  return { ok: false, file, files, source, problems: [...warnings, ...problems] }
}

/** Checks a configuration that has been read. */
export function checkSource(file: string, source: Source): Loaded {
  const { files = [file] } = source
  const problems: ConfigProblem[] = source.problems.map((problem) => ({
    severity: 'error',
    file,
    ...problem,
  }))
  if (problems.length > 0) return { ok: false, file, files, source, problems }
  const shape = checkShape(source.value)
  const found =
    'problems' in shape
      ? [
          ...shape.problems.map((each) => ({ severity: 'error' as const, ...each })),
          ...checkMeaningOfMisshapen(source.value),
        ]
      : [...checkAll(shape.config), ...checkResources(shape.config, source)]
  for (const { severity, path, at, message } of found) {
    problems.push({ severity, file, path, message, ...source.locate(path, at) })
  }
  problems.sort((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0))
  if ('config' in shape && problems.every(({ severity }) => severity === 'warning')) {
    return { ok: true, file, files, source, spec: toSpec(shape.config), warnings: problems }
  }
  return { ok: false, file, files, source, problems }
}

function checkAll(config: ConfigInput): MeaningProblem[] {
  const problems = checkMeaning(config)
  return problems.some(({ severity }) => severity === 'error')
    ? problems
    : [...problems, ...checkBuild(config)]
}

function findFile(): string {
  const found = NAMES.filter((name) => existsSync(name))
  if (found.length === 1) return found[0]!
  const hint = 'name one with -c FILE'
  throw new BanyanError(
    'BANYAN_CONFIG_NOT_FOUND',
    found.length === 0
      ? `there is no banyan.yaml or banyan.config.ts in ${process.cwd()}; ${hint}`
      : `there are several configurations here (${found.join(', ')}); ${hint}`,
  )
}

function readText(file: string, env: Readonly<Record<string, string | undefined>>): Source {
  let text: string
  try {
    if (statSync(file).size > MOST_BYTES)
      return failed(`the file is larger than ${MOST_BYTES / 1024 / 1024} MB`)
    text = readFileSync(file, 'utf8')
  } catch (error) {
    return failed(`cannot read the file: ${(error as Error).message}`)
  }
  // JSON is YAML too, and keeps its positions that way.
  return readYaml(text, env)
}

function failed(message: string): Source {
  return { ...NOTHING, problems: [{ path: [], message }] }
}

/** The configuration as a node takes it: defaults filled in, one form for everything that has several. */
function toSpec(config: ConfigInput): NodeSpec {
  const {
    listen,
    admin = DEFAULT_ADMIN,
    drain = {},
    trust = [],
    limits = {},
    services,
    routes,
    policies = {},
    authenticators,
    quotas,
    accessLog = false,
    events,
    topics,
    subscriptions,
    projections,
    outboxes,
    cdc,
    sagas,
    coordination,
    register,
    shards,
    replicas,
    resources,
    kinds,
    controllers,
    workers = 1,
  } = config
  const { delay = 0, grace = '10s' } = drain
  const bounds = Object.entries(limits).map(([name, value]) => [name, boundOf(name, value!)])
  return {
    workers: workers === 'cores' ? availableParallelism() : workers,
    listen: [listen].flat() as NodeSpec['listen'],
    admin,
    drain: { delay, grace } as NodeSpec['drain'],
    trust,
    limits: Object.fromEntries(bounds) as NodeSpec['limits'],
    services: services as NodeSpec['services'],
    routes: routes as NodeSpec['routes'],
    policies: policies as NonNullable<NodeSpec['policies']>,
    ...(authenticators && { authenticators: authenticators as NonNullable<NodeSpec['authenticators']> }),
    ...(quotas && { quotas: quotas as NonNullable<NodeSpec['quotas']> }),
    accessLog: accessLog as NonNullable<NodeSpec['accessLog']>,
    ...(events && { events: events as NonNullable<NodeSpec['events']> }),
    ...(topics && { topics: topics as NonNullable<NodeSpec['topics']> }),
    ...(subscriptions && {
      subscriptions: subscriptions as unknown as NonNullable<NodeSpec['subscriptions']>,
    }),
    ...(projections && { projections: projections as NonNullable<NodeSpec['projections']> }),
    ...(outboxes && { outboxes: outboxes as NonNullable<NodeSpec['outboxes']> }),
    ...(cdc && { cdc: cdc as NonNullable<NodeSpec['cdc']> }),
    ...(sagas && { sagas: sagas as NonNullable<NodeSpec['sagas']> }),
    ...(register && { register: register as unknown as NonNullable<NodeSpec['register']> }),
    ...(shards && { shards: shards as NonNullable<NodeSpec['shards']> }),
    ...(replicas && { replicas: replicas }),
    ...(resources && { resources: resources as NonNullable<NodeSpec['resources']> }),
    ...(kinds && { kinds }),
    ...(controllers && { controllers: controllers as NonNullable<NodeSpec['controllers']> }),
    ...(coordination && { coordination: coordination as unknown as NonNullable<NodeSpec['coordination']> }),
    ...(config.zone === undefined ? {} : { zone: config.zone }),
    ...(config.maintenance === undefined
      ? {}
      : { maintenance: config.maintenance as NonNullable<NodeSpec['maintenance']> }),
  }
}

function boundOf(name: string, value: string | number): number {
  if (name.endsWith('Timeout')) return duration(value as number)
  return bytes(value as Bytes, name)
}
