import type { HandlerAnswer, HandlerRequest } from '../../../core/http-handler.js'
import type { Scale, ScaleDraft } from '../object.js'
import { json, warningFields } from './answer.js'
import { readDraft, readPatchOf } from './drafts.js'
import { formOf } from './negotiate.js'
import { Parameters } from './parameters.js'
import { notAllowed } from './status.js'
import type { Surroundings } from './surroundings.js'
import { nameOf, type ObjectTarget } from './target.js'

/** Answers requests for how many of something a resource wants. */
export async function answerScale(
  request: HandlerRequest,
  target: ObjectTarget,
  { api }: Surroundings,
): Promise<HandlerAnswer> {
  const { kind } = target
  const parameters = new Parameters(request.query)
  const { pretty } = parameters
  const warnings: string[] = []
  const warn = (warning: string): void => void warnings.push(warning)
  const answer = (scale: Scale): HandlerAnswer =>
    json(200, scale, { pretty, fields: warningFields(warnings) })
  formOf(request.field('accept'))
  switch (request.method) {
    case 'GET':
    case 'HEAD':
      return answer(await api.getScale(kind, nameOf(target)))
    case 'PUT': {
      const options = parameters.write('Update', request.field('user-agent'), warn)
      const draft = await readDraft(request, target)
      return answer(await api.updateScale(kind, draft as ScaleDraft, options))
    }
    case 'PATCH': {
      const { patch, options } = await readPatchOf(request, parameters, target, warn)
      return answer(await api.patchScale(kind, nameOf(target), patch, options))
    }
  }
  throw notAllowed(['GET', 'HEAD', 'PUT', 'PATCH'])
}
