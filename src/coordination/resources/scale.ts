import type { ResourceDefinition } from './define.js'
import { invalid } from './admission.js'
import { badRequest } from './error.js'
import type { Resource, ResourceDraft, Scale, ScaleDraft } from './object.js'
import { isObject } from './schema/is-object.js'

const MOST_REPLICAS = 2 ** 31 - 1

/**
 * The scale of a resource.
 *
 * @param missing - how many it wants if it does not say so
 * @throws `BANYAN_RESOURCE_INVALID` if it does not say so and nothing stands for it; `BANYAN_RESOURCE_BAD_REQUEST` if its kind
 *   cannot be scaled
 */
export function scaleOf(kind: ResourceDefinition, resource: Resource, missing?: number): Scale {
  const { specReplicasPath, statusReplicasPath, labelSelectorPath } = pathsOf(kind)
  const { name, namespace, uid, resourceVersion, creationTimestamp } = resource.metadata
  const wanted = numberAt(resource, specReplicasPath) ?? missing
  if (wanted === undefined)
    throw invalid(kind, name, [
      { reason: 'FieldValueRequired', field: specReplicasPath.slice(1), message: 'Required value' },
    ])
  const selector = labelSelectorPath === undefined ? undefined : at(resource, labelSelectorPath)
  return {
    apiVersion: 'autoscaling/v1',
    kind: 'Scale',
    metadata: {
      name,
      ...(namespace !== undefined && { namespace }),
      uid,
      resourceVersion,
      creationTimestamp,
    },
    spec: { replicas: wanted },
    status: {
      replicas: numberAt(resource, statusReplicasPath) ?? 0,
      ...(typeof selector === 'string' && { selector }),
    },
  }
}

/**
 * What a scale says of a resource.
 *
 * @param base - a resource, or a part of one, that it is said of
 * @param scale - whatever it is, it is checked
 * @throws `BANYAN_RESOURCE_BAD_REQUEST` if it is no scale, `BANYAN_RESOURCE_INVALID` if it wants what cannot be
 */
export function draftOfScale(
  kind: ResourceDefinition,
  base: { readonly spec?: unknown },
  scale: object,
): ResourceDraft {
  const { specReplicasPath } = pathsOf(kind)
  const { apiVersion = 'autoscaling/v1', kind: name = 'Scale', metadata, spec } = scale as Partial<ScaleDraft>
  if (apiVersion !== 'autoscaling/v1' || name !== 'Scale')
    throw badRequest(`the object provided is a ${name} of ${apiVersion}, not a Scale of autoscaling/v1`)
  if (!isObject(metadata)) throw badRequest('metadata must be an object')
  const replicas: unknown = isObject(spec) ? spec.replicas : undefined
  if (
    typeof replicas !== 'number' ||
    !Number.isInteger(replicas) ||
    replicas < 0 ||
    replicas > MOST_REPLICAS
  ) {
    const mistake = `must be a whole number from 0 to ${MOST_REPLICAS}`
    throw invalid({ group: 'autoscaling', kind: 'Scale' }, String(metadata.name), [
      {
        reason: 'FieldValueInvalid',
        field: 'spec.replicas',
        message: `Invalid value: ${JSON.stringify(replicas)}: ${mistake}`,
      },
    ])
  }
  const { name: of, namespace, uid, resourceVersion } = metadata
  return {
    apiVersion: kind.apiVersion,
    kind: kind.kind,
    metadata: JSON.parse(
      JSON.stringify({ name: of, namespace, uid, resourceVersion }),
    ) as ScaleDraft['metadata'],
    spec: withAt(base.spec, stepsOf(specReplicasPath).slice(1), replicas),
  }
}

function pathsOf({ kind, scale }: ResourceDefinition): NonNullable<ResourceDefinition['scale']> {
  if (!scale) throw badRequest(`${kind} cannot be scaled`)
  return scale
}

function stepsOf(path: string): string[] {
  return path.split('.').slice(1)
}

function at(resource: Resource, path: string): unknown {
  return stepsOf(path).reduce<unknown>(
    (value, step) => (isObject(value) && Object.hasOwn(value, step) ? value[step] : undefined),
    resource,
  )
}

function numberAt(resource: Resource, path: string): number | undefined {
  const value = at(resource, path)
  return typeof value === 'number' ? value : undefined
}

/** The same with something else there; what is no object on the way becomes one. */
function withAt(value: unknown, [step, ...rest]: readonly string[], end: number): unknown {
  if (step === undefined) return end
  const object = isObject(value) ? value : {}
  return { ...object, [step]: withAt(Object.hasOwn(object, step) ? object[step] : undefined, rest, end) }
}
