import { metadataProblems } from './check-metadata.js'
import type { ResourceDefinition } from './define.js'
import { ResourceError, type ResourceProblem } from './error.js'
import type { Unwritten } from './lifecycle.js'
import type { Resource } from './object.js'
import { contentOf, type Content } from './schema/content.js'

/**
 * A resource as it is stored: with its defaults, and nothing wrong in it.
 *
 * @param before - what it replaces
 * @throws `BANYAN_RESOURCE_INVALID` with everything that is wrong
 */
export async function admit(
  kind: ResourceDefinition,
  object: Unwritten,
  before: Resource | undefined,
): Promise<Unwritten> {
  const content: Content = {
    ...(object.spec !== undefined && { spec: cloned(object.spec) }),
    ...(object.status !== undefined && { status: cloned(object.status) }),
  }
  const problems = [
    ...metadataProblems(object.metadata, before?.metadata),
    ...(await kind.schema.check(content, before && contentOf(before))),
  ]
  if (problems.length > 0) throw invalid(kind, object.metadata.name, problems)
  return { ...object, ...content }
}

/**
 * A resource with something wrong in it.
 *
 * @param title - what it is said to be; as in Kubernetes the kind, and not the plural, if its content is wrong
 */
export function invalid(
  { group, kind: title }: Pick<ResourceDefinition, 'group' | 'kind'>,
  name: string,
  causes: readonly ResourceProblem[],
): ResourceError {
  const list = causes.map(({ field, message }) => (field === '' ? message : `${field}: ${message}`))
  const text = list.length === 1 ? list[0]! : `[${list.join(', ')}]`
  return new ResourceError(
    'BANYAN_RESOURCE_INVALID',
    `${title}.${group} ${JSON.stringify(name)} is invalid: ${text}`,
    { ...(name !== '' && { name }), group, kind: title, causes },
  )
}

/** For defaults to be filled in: what is there may be frozen. */
function cloned(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value))
}
