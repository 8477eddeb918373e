import { parseDuration } from '../../core/duration.js'
import { BanyanError } from '../../core/errors.js'
import { interruptible, type Output } from '../output.js'
import { confirm } from '../events/confirm.js'
import { UsageError } from '../usage-error.js'
import { tried, whichOf } from './apply.js'
import { readResources } from './documents.js'
import { wantedOf, type WhereOptions } from './options.js'
import { pathOf, ResourceServer, titleOf, type ServedKind, type ServedObject } from './server.js'

const CASCADES = { background: 'Background', foreground: 'Foreground', orphan: 'Orphan' } as const

/** Options of `banyan delete`. */
export interface DeleteOptions extends WhereOptions {
  filename?: string[]
  selector?: string
  all?: true
  cascade: string
  wait: boolean
  timeout?: string
  yes?: true
}

interface Doomed {
  readonly kind: ServedKind
  readonly namespace: string
  readonly name: string
}

/** `banyan delete`: waits until they are gone. */
export async function remove(what: readonly string[], options: DeleteOptions): Promise<void> {
  const policy = policyOf(options.cascade)
  const patience = patienceOf(options.timeout)
  const written = options.filename ? await readResources(options.filename) : []
  if (written.length === 0 && what.length === 0)
    throw new UsageError('what is to be deleted? KIND NAME, or --filename')
  await interruptible(async (output, signal) => {
    const server = new ResourceServer(options.admin)
    const until = patience === undefined ? signal : AbortSignal.any([signal, AbortSignal.timeout(patience)])
    const removing = { server, policy, wait: options.wait, output, signal, until }
    for (const each of written) {
      const { object } = each
      await tried(whichOf(each), async () => {
        const kind = await server.kindOf(object.apiVersion, object.kind, signal)
        const namespace = object.metadata.namespace ?? options.namespace
        await removeOne({ kind, namespace, name: object.metadata.name }, removing)
      })
    }
    const doomed = await selected(server, what, options, signal)
    if (!(await agreed(doomed, options, signal))) return
    for (const each of doomed) await tried(titleOf(each.kind, each.name), () => removeOne(each, removing))
  })
}

async function selected(
  server: ResourceServer,
  what: readonly string[],
  { namespace, selector, all }: DeleteOptions,
  signal: AbortSignal,
): Promise<Doomed[]> {
  const doomed: Doomed[] = []
  for (const { kind: text, names } of wantedOf(what)) {
    for (const kind of await server.kindsNamed(text, signal)) {
      for (const name of names) doomed.push({ kind, namespace, name })
      if (names.length > 0) continue
      if (selector === undefined && !all)
        throw new UsageError(`which ${kind.name}? say names, --selector or --all`)
      const query = { labelSelector: selector }
      const { items } = await server.ask<{ items: readonly ServedObject[] }>(pathOf(kind, namespace), {
        query,
        signal,
      })
      for (const { metadata } of items)
        doomed.push({ kind, namespace: metadata.namespace ?? namespace, name: metadata.name })
    }
  }
  return doomed
}

/** Who names each of them has said what is meant. */
async function agreed(
  doomed: readonly Doomed[],
  { all, yes }: DeleteOptions,
  signal: AbortSignal,
): Promise<boolean> {
  if (!all || doomed.length === 0) return true
  const names = doomed.map(({ kind, name }) => `${kind.singularName}/${name}`).join(', ')
  return confirm([`${doomed.length} are deleted: ${names}.`], yes === true, signal)
}

interface Removing {
  readonly server: ResourceServer
  /** What becomes of what belongs to it. */
  readonly policy: string
  readonly wait: boolean
  readonly output: Output
  readonly signal: AbortSignal
  /** No longer is waited for any of them. */
  readonly until: AbortSignal
}

async function removeOne(doomed: Doomed, removing: Removing): Promise<void> {
  const { output } = removing
  output.add(await removed(doomed, removing))
  await output.flush()
}

/** What has come of it. */
async function removed(
  { kind, namespace, name }: Doomed,
  { server, policy: propagationPolicy, wait, signal, until }: Removing,
): Promise<string> {
  const title = titleOf(kind, name)
  const path = pathOf(kind, namespace, name)
  const answer = await server.ask<ServedObject>(
    path,
    { signal },
    {
      method: 'DELETE',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy }),
    },
  )
  if (answer.kind === 'Status') return `${title} deleted`
  const { finalizers = [], uid } = answer.metadata
  const waiting = `it waits for ${finalizers.join(', ')}`
  if (!wait) return `${title} is marked for deletion; ${waiting}`
  try {
    await gone(server, { kind, namespace, name }, uid, until)
  } catch (error) {
    if (!isTimeout(until)) throw error
    throw new BanyanError(
      'BANYAN_RESOURCE_WAITS',
      `${title} is marked for deletion, and not gone yet: ${waiting}`,
    )
  }
  return `${title} deleted`
}

function isTimeout(signal: AbortSignal): boolean {
  return signal.aborted && signal.reason instanceof DOMException && signal.reason.name === 'TimeoutError'
}

/** Waits until it is not there any more, or another one of that name is. */
async function gone(
  server: ResourceServer,
  { kind, namespace, name }: Doomed,
  uid: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  const path = pathOf(kind, namespace)
  for (;;) {
    const query = { fieldSelector: `metadata.name=${name}` }
    interface List {
      metadata: { resourceVersion: string }
      items: readonly ServedObject[]
    }
    const { metadata, items } = await server.ask<List>(path, { query, signal })
    if (!items.some((item) => item.metadata.uid === uid)) return
    const from = { ...query, resourceVersion: metadata.resourceVersion }
    for await (const { type } of server.watch(path, { query: from, signal })) if (type === 'DELETED') break
  }
}

function policyOf(cascade: string): string {
  if (Object.hasOwn(CASCADES, cascade)) return CASCADES[cascade as keyof typeof CASCADES]
  throw new UsageError(`--cascade must be one of ${Object.keys(CASCADES).join(', ')}, got ${cascade}`)
}

function patienceOf(timeout: string | undefined): number | undefined {
  if (timeout === undefined) return undefined
  const ms = parseDuration(timeout)
  if (ms === undefined) throw new UsageError(`--timeout must be a duration such as 30s, got ${timeout}`)
  return ms
}
