import type { HandlerAnswer, HandlerRequest } from '../../../core/http-handler.js'
import { hasCode } from '../../errors.js'
import type { Deletion, ResourceApi } from '../api.js'
import type { ResourceDefinition } from '../define.js'
import type { Resource } from '../object.js'
import { json, warningFields } from './answer.js'
import { readObject } from './body.js'
import { readDraft, readPatchOf } from './drafts.js'
import { Parameters } from './parameters.js'
import { Presentation } from './presentation.js'
import { notAllowed, success } from './status.js'
import type { Surroundings } from './surroundings.js'
import { nameOf, type ObjectTarget } from './target.js'

/** Answers requests for a resource, or for its status. */
export async function answerObject(
  request: HandlerRequest,
  target: ObjectTarget,
  { api, runtime }: Surroundings,
): Promise<HandlerAnswer> {
  const { kind } = target
  const isStatus = target.subresource === 'status'
  const presentation = new Presentation(kind, request, () => runtime.clock.wall())
  const parameters = new Parameters(request.query)
  const { pretty } = parameters
  const warnings: string[] = []
  const warn = (warning: string): void => void warnings.push(warning)
  const answer = (resource: Resource, status = 200): HandlerAnswer =>
    json(status, presentation.one(resource), { pretty, fields: warningFields(warnings) })
  switch (request.method) {
    case 'GET':
    case 'HEAD':
      return answer(await api.get(kind, nameOf(target)))
    case 'PUT': {
      const options = parameters.write('Update', request.field('user-agent'), warn)
      const draft = await readDraft(request, target)
      return answer(
        await (isStatus ? api.updateStatus(kind, draft, options) : api.update(kind, draft, options)),
      )
    }
    case 'PATCH': {
      const { patch, options } = await readPatchOf(request, parameters, target, warn)
      if (isStatus)
        return answer(await api.patch(kind, nameOf(target), patch, { ...options, subresource: 'status' }))
      const isThere = patch.type !== 'apply' || (await isAt(api, target))
      return answer(await api.patch(kind, nameOf(target), patch, options), isThere ? 200 : 201)
    }
    case 'DELETE': {
      if (isStatus) break
      const options = parameters.deletion(await readObject(request))
      return deletionAnswer(kind, await api.delete(kind, nameOf(target), options), answer, pretty)
    }
  }
  throw notAllowed(isStatus ? ['GET', 'HEAD', 'PUT', 'PATCH'] : ['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE'])
}

/** Whether there is something for an apply to change, or it will make it. */
async function isAt(api: ResourceApi, target: ObjectTarget): Promise<boolean> {
  try {
    await api.get(target.kind, nameOf(target))
    return true
  } catch (error) {
    if (hasCode(error, 'BANYAN_RESOURCE_NOT_FOUND')) return false
    throw error
  }
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
