import type { HandlerRequest } from '../../../core/http-handler.js'
import type { JsonPatchOperation, ResourcePatch, WriteOptions } from '../api.js'
import { badRequest } from '../error.js'
import type { ResourceDraft } from '../object.js'
import { isObject } from '../schema/is-object.js'
import { patchTypeOf, readObject, readPatch } from './body.js'
import { forbidden, invalid, type Parameters } from './parameters.js'
import type { CollectionTarget, ObjectTarget } from './target.js'

/**
 * The object that a client has sent, in the namespace that it was sent to.
 *
 * @throws 400 if it is none, or says that it is somewhere else; 413, 415
 */
export async function readDraft(
  request: HandlerRequest,
  target: CollectionTarget | ObjectTarget,
): Promise<ResourceDraft> {
  return placed(await readObject(request), target)
}

/** What a patch changes, and how. */
export interface AskedPatch {
  readonly patch: ResourcePatch
  readonly options: WriteOptions & { force?: boolean }
}

/**
 * The patch that a client has sent.
 *
 * @throws 400 if it cannot be one, 413, 415, 422
 */
export async function readPatchOf(
  request: HandlerRequest,
  parameters: Parameters,
  target: ObjectTarget,
  onWarning: (warning: string) => void,
): Promise<AskedPatch> {
  const type = patchTypeOf(request)
  const options = parameters.write('Patch', request.field('user-agent'), onWarning)
  if (type === 'apply') {
    if (!parameters.hasManager)
      throw invalid(
        'PatchOptions',
        'fieldManager',
        'Required value: is required for apply patch',
        'FieldValueRequired',
      )
    const patch = placed(await readPatch(request), target)
    return { patch: { type, patch }, options: { ...options, force: parameters.force } }
  }
  if (parameters.force) throw forbidden('PatchOptions', 'force', 'may not be specified for non-apply patch')
  const patch = await readPatch(request)
  if (type === 'merge') {
    if (!isObject(patch)) throw badRequest('a merge patch must be an object')
    return { patch: { type, patch }, options }
  }
  if (!Array.isArray(patch)) throw badRequest('a JSON patch must be a list of operations')
  return { patch: { type, patch: patch as readonly JsonPatchOperation[] }, options }
}

function placed(body: unknown, target: CollectionTarget | ObjectTarget): ResourceDraft {
  if (!isObject(body)) throw badRequest('the body of the request must be an object')
  const { metadata = {} } = body
  if (!isObject(metadata)) throw badRequest('metadata must be an object')
  const { namespace, kind } = target
  const { name, namespace: named } = metadata
  if (target.type === 'object' && name !== target.name)
    throw badRequest(
      `the name of the object (${text(name)}) does not match the name on the URL (${target.name})`,
    )
  if (kind.scope === 'Namespaced' && named !== undefined && named !== '' && named !== namespace)
    throw badRequest(
      `the namespace of the provided object (${text(named)}) does not match the namespace sent on the request (${namespace})`,
    )
  return {
    ...body,
    metadata: { ...metadata, ...(namespace !== undefined && { namespace }) },
  } as ResourceDraft
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value ?? '')
}
