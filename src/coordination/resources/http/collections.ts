import type { HandlerAnswer, HandlerRequest } from '../../../core/http-handler.js'
import { json, listAnswer, warningFields } from './answer.js'
import { readObject } from './body.js'
import { readDraft } from './drafts.js'
import { Parameters } from './parameters.js'
import { Presentation } from './presentation.js'
import { notAllowed } from './status.js'
import type { Surroundings } from './surroundings.js'
import type { CollectionTarget } from './target.js'
import { watchAnswer } from './watch.js'

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
  // Of all namespaces there is only to read.
  const isWhole = kind.scope === 'Cluster' || namespace !== undefined
  if (request.method === 'GET' || request.method === 'HEAD') {
    if (parameters.watch && request.method === 'GET')
      return watchAnswer(request, target, parameters.watching(namespace), presentation, around)
    return listAnswer(presentation.list(await api.list(kind, parameters.list(namespace))), pretty, turns)
  }
  if (request.method === 'POST' && isWhole) {
    const warnings: string[] = []
    const options = parameters.write('Create', request.field('user-agent'), (each) => warnings.push(each))
    const created = await api.create(kind, await readDraft(request, target), options)
    return json(201, presentation.one(created), { pretty, fields: warningFields(warnings) })
  }
  if (request.method === 'DELETE' && isWhole) {
    const options = parameters.collectionDeletion(namespace, await readObject(request))
    const deletions = await api.deleteCollection(kind, options)
    const items = deletions.map(({ object }) => object)
    const metadata = { resourceVersion: '' }
    const list = { apiVersion: kind.apiVersion, kind: `${kind.kind}List`, metadata, items }
    return listAnswer(presentation.list(list), pretty, turns)
  }
  throw notAllowed(isWhole ? ['GET', 'HEAD', 'POST', 'DELETE'] : ['GET', 'HEAD'])
}
