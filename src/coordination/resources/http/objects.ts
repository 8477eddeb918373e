import type { HandlerAnswer, HandlerRequest } from '../../../core/http-handler.js'
import type { Deletion, JsonPatchOperation, ResourcePatch } from '../api.js'
import type { ResourceDefinition } from '../define.js'
import { badRequest } from '../error.js'
import type { Resource, ResourceDraft, ResourceName, ScaleDraft } from '../object.js'
import { isObject } from '../schema/is-object.js'
import { json, listAnswer, warningFields } from './answer.js'
import { patchTypeOf, readObject, readPatch, type PatchType } from './body.js'
import { invalid, Parameters } from './parameters.js'
import { Presentation } from './presentation.js'
import { notAllowed, success } from './status.js'
import type { Surroundings } from './surroundings.js'
import type { CollectionTarget, ObjectTarget } from './target.js'
import { watchAnswer } from './watch.js'

/** Answers requests for a resource, or for a part of one. */
export async function answerObject(
  request: HandlerRequest,
  target: ObjectTarget,
  around: Surroundings,
): Promise<HandlerAnswer> {
  const { kind, name, namespace, subresource } = target
  const place: ResourceName = { name, ...(namespace !== undefined && { namespace }) }
  const presentation = new Presentation(kind, request, () => around.runtime.clock.wall())
  const parameters = new Parameters(request.query)
  const { pretty } = parameters
  const warnings: string[] = []
  const answered = (body: object): HandlerAnswer =>
    json(200, body, { pretty, fields: warningFields(warnings) })
  const answer = (resource: Resource): HandlerAnswer => answered(presentation.one(resource))
  const writing = (verb: 'Update' | 'Patch') =>
    parameters.write(verb, request.field('user-agent'), (warning) => warnings.push(warning))
  switch (request.method) {
    case 'GET':
      return subresource === 'scale'
        ? answered(await around.api.getScale(kind, place))
        : answer(await around.api.get(kind, place))
    case 'PUT': {
      const options = writing('Update')
      const draft = placed(await readObject(request), target)
      const { api } = around
      if (subresource === 'scale') return answered(await api.updateScale(kind, draft as ScaleDraft, options))
      return answer(
        await (subresource === 'status'
          ? api.updateStatus(kind, draft, options)
          : api.update(kind, draft, options)),
      )
    }
    case 'PATCH': {
      const type = patchTypeOf(request)
      const options = writing('Patch')
      if (type === 'apply' && !parameters.hasManager)
        throw invalid(
          'PatchOptions',
          'fieldManager',
          'Required value: is required for apply patch',
          'FieldValueRequired',
        )
      if (type !== 'apply' && parameters.force)
        throw invalid('PatchOptions', 'force', 'Forbidden: may not be specified for non-apply patch')
      const patch = patchOf(type, await readPatch(request), target)
      const patching = { ...options, ...(type === 'apply' && { force: parameters.force }) }
      if (subresource === 'scale') return answered(await around.api.patchScale(kind, place, patch, patching))
      return answer(
        await around.api.patch(kind, place, patch, { ...patching, ...(subresource && { subresource }) }),
      )
    }
    case 'DELETE': {
      if (subresource) break
      const options = parameters.deletion(await readObject(request))
      return deletionAnswer(kind, await around.api.delete(kind, place, options), answer, pretty)
    }
  }
  throw notAllowed(subresource ? ['GET', 'PUT', 'PATCH'] : ['GET', 'PUT', 'PATCH', 'DELETE'])
}

/** Answers requests for all resources of a kind, or of a namespace. */
export async function answerCollection(
  request: HandlerRequest,
  target: CollectionTarget,
  around: Surroundings,
): Promise<HandlerAnswer> {
  const { kind, namespace } = target
  const { api, runtime, turns } = around
  const presentation = new Presentation(kind, request, () => runtime.clock.wall())
  const parameters = new Parameters(request.query)
  const { pretty } = parameters
  const isWhole = kind.scope === 'Cluster' || namespace !== undefined
  switch (request.method) {
    case 'GET': {
      if (parameters.watch)
        return watchAnswer(request, target, parameters.watching(namespace), presentation, around)
      return listAnswer(presentation.list(await api.list(kind, parameters.list(namespace))), pretty, turns)
    }
    case 'POST': {
      if (!isWhole) break
      const warnings: string[] = []
      const options = parameters.write('Create', request.field('user-agent'), (each) => warnings.push(each))
      const created = await api.create(kind, placed(await readObject(request), target), options)
      return json(201, presentation.one(created), { pretty, fields: warningFields(warnings) })
    }
    case 'DELETE': {
      if (!isWhole) break
      const options = parameters.collectionDeletion(namespace, await readObject(request))
      const deletions = await api.deleteCollection(kind, options)
      const items = deletions.map(({ object }) => object)
      const metadata = { resourceVersion: '' }
      const list = { apiVersion: kind.apiVersion, kind: `${kind.kind}List`, metadata, items }
      return listAnswer(presentation.list(list), pretty, turns)
    }
  }
  throw notAllowed(isWhole ? ['GET', 'POST', 'DELETE'] : ['GET'])
}

/** @throws 400 if it cannot be one */
function patchOf(type: PatchType, patch: unknown, target: ObjectTarget): ResourcePatch {
  if (type === 'apply') return { type, patch: placed(patch, target) }
  if (type === 'merge') {
    if (!isObject(patch)) throw badRequest('a merge patch must be an object')
    return { type, patch }
  }
  if (!Array.isArray(patch)) throw badRequest('a JSON patch must be a list of operations')
  return { type, patch: patch as readonly JsonPatchOperation[] }
}

/** What is gone is not given any more, but what waits for its finalizers is. */
function deletionAnswer(
  { group, plural }: ResourceDefinition,
  { removed, object }: Deletion,
  answer: (resource: Resource) => HandlerAnswer,
  pretty: boolean,
): HandlerAnswer {
  if (!removed) return answer(object)
  const { name, uid } = object.metadata
  return json(200, success({ name, group, kind: plural, uid }), { pretty })
}

/**
 * An object that a client has sent, in the namespace that it was sent to.
 *
 * @throws 400 if it is none, or says that it is somewhere else
 */
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
