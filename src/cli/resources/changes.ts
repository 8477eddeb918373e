import { sleep, systemClock } from '../../core/clock.js'
import { BanyanError } from '../../core/errors.js'
import { pathOf, type ResourceServer, type ServedKind, type ServedMetadata } from './server.js'

/** Between tries to come back to a node, in ms. */
const RETRY_MS = 1000

/** Which resources of a kind. */
export interface Selected {
  /** All if it is not given. */
  readonly namespace: string | undefined
  readonly labelSelector?: string | undefined
  readonly fieldSelector?: string | undefined
}

/** In which form they are asked for. */
export interface Form<Answer, Item> {
  readonly accept: string
  /** What is in a list, and in what a watch tells. */
  readonly itemsOf: (answer: Answer) => readonly Item[]
  readonly metadataOf: (item: Item) => ServedMetadata
}

/** What has happened to a resource, or why nobody can tell. */
export type Change<Item> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly item: Item }
  | { readonly type: 'PROBLEM'; readonly message: string }

/** What there is, and from then on what changes. Comes back to a node that has gone, and tells what has changed meanwhile. */
export async function* changesOf<Answer extends object, Item>(
  server: ResourceServer,
  kind: ServedKind,
  { namespace, ...selectors }: Selected,
  { accept, itemsOf, metadataOf }: Form<Answer, Item>,
  signal: AbortSignal,
): AsyncGenerator<Change<Item>> {
  const path = pathOf(kind, namespace)
  const known = new Map<string, Item>()
  const keyOf = (item: Item): string => `${metadataOf(item).namespace ?? ''}/${metadataOf(item).name}`
  for (let isFirst = true; !signal.aborted; isFirst = false) {
    try {
      const list = await server.ask<Answer>(path, { accept, query: selectors, signal })
      const listed = new Map(itemsOf(list).map((item) => [keyOf(item), item]))
      for (const [key, item] of known) if (!listed.has(key)) yield* take('DELETED', item)
      for (const [key, item] of listed) {
        const before = known.get(key)
        if (!before) yield* take('ADDED', item)
        else if (metadataOf(before).resourceVersion !== metadataOf(item).resourceVersion)
          yield* take('MODIFIED', item)
      }
      const { resourceVersion } = (list as { metadata: { resourceVersion: string } }).metadata
      const query = { ...selectors, resourceVersion }
      for await (const { type, object } of server.watch<Answer>(path, { accept, query, signal }))
        if (type !== 'BOOKMARK' && type !== 'ERROR')
          for (const item of itemsOf(object)) yield* take(type, item)
    } catch (error) {
      if (isAborted(signal)) return
      const expired = error instanceof BanyanError && error.code === 'BANYAN_RESOURCE_EXPIRED'
      if (expired) continue
      // Who asks for what is not there is told so at once.
      if (isFirst && error instanceof BanyanError) throw error
      yield { type: 'PROBLEM', message: error instanceof Error ? error.message : String(error) }
      await sleep(systemClock, RETRY_MS, signal).catch(() => undefined)
    }
  }

  function* take(type: 'ADDED' | 'MODIFIED' | 'DELETED', item: Item): Generator<Change<Item>> {
    if (type === 'DELETED') known.delete(keyOf(item))
    else known.set(keyOf(item), item)
    yield { type, item }
  }
}

/** Asked again, as it may have become so meanwhile. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted
}
