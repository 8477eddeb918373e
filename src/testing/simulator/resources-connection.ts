import type { ResourceApi, WatchResourcesOptions } from '../../coordination/resources/api.js'
import type { ResourceDefinition } from '../../coordination/resources/define.js'
import { answered, delivered, type Wire } from './connection.js'

/** Resources as one node sees them: once the node has crashed, no answer comes back. */
export function resourcesConnection(api: ResourceApi, wire: Wire): ResourceApi {
  const over = <Given extends readonly unknown[], Answer>(
    ask: (...given: Given) => Promise<Answer>,
  ): ((...given: Given) => Promise<Answer>) => {
    return (...given) => {
      wire.send()
      return answered(ask(...given), wire)
    }
  }
  const methods = [
    'get',
    'list',
    'create',
    'update',
    'updateStatus',
    'patch',
    'getScale',
    'updateScale',
    'patchScale',
    'delete',
    'deleteCollection',
  ] as const
  const asked = Object.fromEntries(
    methods.map((name) => [name, over((api[name] as (...given: unknown[]) => Promise<unknown>).bind(api))]),
  ) as unknown as Pick<ResourceApi, (typeof methods)[number]>
  // The resources outlive their nodes.
  const close = (): Promise<void> => Promise.resolve()
  return {
    ...asked,
    watch: ((kind: ResourceDefinition, options?: WatchResourcesOptions) =>
      delivered(api.watch(kind, options), wire)) as ResourceApi['watch'],
    close,
    [Symbol.asyncDispose]: close,
  }
}
