import type { ResourceDefinition } from '../../resources/define.js'
import type { Resource } from '../../resources/object.js'
import type { Informer } from '../informer/informer.js'
import { keyOf, keyOfName } from '../keys.js'
import type { Caches } from './caches.js'
import type { ControllerSettings } from './options.js'

/** A cache whose resources concern keys of a controller. */
export interface Trigger {
  readonly cache: Informer
  /** Which keys a resource concerns. */
  readonly keys: (resource: Resource) => readonly string[]
}

/** What makes a controller look at its keys, besides its own resources. */
export function triggersOf(settings: ControllerSettings, caches: Caches): Trigger[] {
  const { name, resource, owns, watches, runtime } = settings
  return [
    ...owns.map((kind) => ({
      cache: caches.of(kind)!,
      keys: (each: Resource) => controllerKey(resource, each),
    })),
    ...watches.map((watch) => ({
      cache: caches.of(watch.resource)!,
      keys: (each: Resource) => {
        try {
          return watch.to(each).map((to) => (typeof to === 'string' ? to : keyOfName(resource, to)))
        } catch (error) {
          const of = `${watch.resource.kind} ${keyOf(each)}`
          runtime.telemetry.log(
            'error',
            `controller ${name}, nobody knows whom ${of} concerns: ${String(error)}`,
          )
          return []
        }
      },
    })),
  ]
}

function controllerKey(kind: ResourceDefinition, { metadata }: Resource): readonly string[] {
  const controller = metadata.ownerReferences?.find((reference) => reference.controller)
  if (controller?.kind !== kind.kind || groupOf(controller.apiVersion) !== kind.group) return []
  return [
    kind.scope === 'Cluster' ? controller.name : keyOf({ metadata: { ...metadata, name: controller.name } }),
  ]
}

function groupOf(apiVersion: string): string {
  return apiVersion.slice(0, apiVersion.lastIndexOf('/'))
}
