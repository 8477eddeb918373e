import { isDeepStrictEqual } from 'node:util'
import { stringify } from 'yaml'
import { without } from '../../coordination/resources/without.js'
import { BanyanError } from '../../core/errors.js'
import { interruptible, type Output } from '../output.js'
import { paint } from '../paint.js'
import { readResources, type WrittenResource } from './documents.js'
import { formatOf, type WhereOptions } from './options.js'
import { pathOf, ResourceServer, titleOf, type ServedObject } from './server.js'

/** Who owns the fields that are applied, unless it is said otherwise. */
export const MANAGER = 'banyan'

const OF_THE_STORE = ['managedFields', 'generation', 'resourceVersion', 'uid', 'creationTimestamp'] as const

/** Options of `banyan apply`. */
export interface ApplyOptions extends WhereOptions {
  filename: string[]
  manager?: string
  force?: true
  dryRun?: true
  output?: string
  json?: true
}

/** What came of one. */
export interface Applied {
  readonly title: string
  readonly before: ServedObject | undefined
  readonly after: ServedObject
  readonly warnings: readonly string[]
}

/** `banyan apply`: each resource by itself; ends with 1 if one of them was refused. */
export async function apply(options: ApplyOptions): Promise<void> {
  const format = formatOf(options)
  const written = await readResources(options.filename)
  await interruptible(async (output, signal) => {
    const server = new ResourceServer(options.admin)
    for (const each of written) {
      const applied = await tried(whichOf(each), () => applyOne(server, each, options, signal))
      if (!applied) continue
      for (const warning of applied.warnings)
        console.error(paint('yellow', `${each.place}: warning: ${warning}`))
      tell(output, applied, format, options.dryRun === true)
      await output.flush()
    }
  })
}

/** A resource of a file, and its place. */
export function whichOf({ place, object }: WrittenResource): string {
  return `${place}: ${object.kind} ${object.metadata.name}`
}

/** What one that is refused says; the others go on. */
export async function tried<Result>(which: string, work: () => Promise<Result>): Promise<Result | undefined> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof BanyanError) || error.code === 'BANYAN_ADMIN_UNREACHABLE') throw error
    const advice =
      error.code === 'BANYAN_RESOURCE_CONFLICT'
        ? '. Leave these fields out of the file, or take them with `banyan apply --force`'
        : ''
    console.error(paint('red', `${which}: ${error.message}${advice}  [${error.code}]`))
    process.exitCode = 1
    return undefined
  }
}

/** Applies one on the server's side, or asks what would come of it. */
export async function applyOne(
  server: ResourceServer,
  { object }: WrittenResource,
  {
    namespace,
    manager = MANAGER,
    force,
    dryRun,
  }: Pick<ApplyOptions, 'namespace' | 'manager' | 'force' | 'dryRun'>,
  signal: AbortSignal,
): Promise<Applied> {
  const kind = await server.kindOf(object.apiVersion, object.kind, signal)
  const path = pathOf(kind, object.metadata.namespace ?? namespace, object.metadata.name)
  const before = await server.ask<ServedObject>(path, { signal }).catch((error: unknown) => {
    if (error instanceof BanyanError && error.code === 'BANYAN_RESOURCE_NOT_FOUND') return undefined
    throw error
  })
  const query = {
    fieldManager: manager,
    fieldValidation: 'Strict',
    force: force && 'true',
    dryRun: dryRun && 'All',
  }
  const { body: after, warnings } = await server.askFully<ServedObject>(
    path,
    { query, signal },
    {
      method: 'PATCH',
      headers: { 'Content-Type': 'application/apply-patch+yaml' },
      body: JSON.stringify(object),
    },
  )
  return { title: titleOf(kind, object.metadata.name), before, after, warnings }
}

function tell(
  output: Output,
  { title, before, after }: Applied,
  format: ReturnType<typeof formatOf>,
  dryRun: boolean,
): void {
  if (format === 'json') {
    output.json(after)
    return
  }
  if (format === 'yaml') {
    output.add(`---\n${stringify(after, { lineWidth: 0 }).trimEnd()}`)
    return
  }
  if (format === 'name') {
    output.add(title)
    return
  }
  // What would be has the version of what is.
  const same = dryRun
    ? isDeepStrictEqual(comparable(before), comparable(after))
    : before?.metadata.resourceVersion === after.metadata.resourceVersion
  const what = !before ? 'created' : same ? 'unchanged' : 'configured'
  output.add(`${title} ${dryRun && what !== 'unchanged' ? `would be ${what}` : what}`)
}

/** Without what the store sets, which changes each time. */
export function comparable(object: ServedObject | undefined): unknown {
  if (!object) return undefined
  return { ...object, metadata: without(object.metadata, ...OF_THE_STORE) }
}
