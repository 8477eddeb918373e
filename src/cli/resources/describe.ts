import { stringify } from 'yaml'
import { systemClock } from '../../core/clock.js'
import { without } from '../../coordination/resources/without.js'
import { momentText, page } from '../coordination/text.js'
import { interruptible, lineWidth } from '../output.js'
import { paint, table } from '../paint.js'
import { fieldPaths } from './field-paths.js'
import { withoutFields } from './get.js'
import { wantedOf, type WhereOptions } from './options.js'
import {
  pathOf,
  ResourceServer,
  titleOf,
  type FieldsOfManager,
  type ServedKind,
  type ServedObject,
} from './server.js'
import { UsageError } from '../usage-error.js'

/** A condition of a status. */
interface Condition {
  readonly type: string
  readonly status: string
  readonly reason?: string
  readonly message?: string
  readonly lastTransitionTime?: string
}

/** `banyan describe`: all that is known of resources, for people. */
export async function describe(
  what: readonly string[],
  { admin, namespace, json }: WhereOptions & { json?: true },
): Promise<void> {
  const wanted = wantedOf(what)
  if (wanted.some(({ names }) => names.length === 0)) throw new UsageError('which one? say its name')
  await interruptible(async (output, signal) => {
    const server = new ResourceServer(admin)
    const pages: string[] = []
    const objects: ServedObject[] = []
    for (const { kind: text, names } of wanted)
      for (const kind of await server.kindsNamed(text, signal))
        for (const name of names) {
          const object = await server.ask<ServedObject>(pathOf(kind, namespace, name), { signal })
          objects.push(object)
          pages.push(pageOf(kind, object, systemClock.wall()))
        }
    if (json) output.json(objects.length === 1 ? withoutFields(objects[0]!) : objects.map(withoutFields))
    else output.add(pages.join('\n\n\n'))
  })
}

function pageOf(kind: ServedKind, object: ServedObject, now: number): string {
  const { metadata, spec, status, ...others } = without(object, 'apiVersion', 'kind') as ServedObject
  const { conditions = [], ...rest } = Object(status) as { conditions?: readonly Condition[] }
  const { observedGeneration } = rest as { observedGeneration?: number }
  const moment = (time: string): string => momentText(Date.parse(time), now)
  const { namespace, labels, annotations, ownerReferences: owners, finalizers } = metadata
  const rows: [string, string][] = []
  const row = (name: string, text: string | undefined): void => {
    if (text !== undefined && text !== '') rows.push([name, text])
  }
  row('namespace', namespace)
  row('created', metadata.creationTimestamp && moment(metadata.creationTimestamp))
  row('generation', generationText(metadata.generation, observedGeneration))
  row('labels', pairs(labels))
  row('annotations', pairs(annotations))
  row('belongs to', owners?.map((owner) => `${owner.kind} ${owner.name}`).join(', '))
  row('finalizers', finalizers?.join(', '))
  row('deleted', metadata.deletionTimestamp && paint('red', `since ${moment(metadata.deletionTimestamp)}`))
  const parts = { spec, ...others, status: rest }
  const blocks = Object.entries(parts).flatMap(([name, value]) => block(name, value))
  const tables = [conditionsTable(conditions, now), managersTable(metadata.managedFields ?? [])]
  return page(paint('bold', titleOf(kind, metadata.name)), rows, [
    ...blocks,
    ...tables.filter((each) => each !== ''),
  ])
}

/** Who works at it tells which generation it has seen. */
function generationText(generation: number | undefined, observed: number | undefined): string | undefined {
  if (generation === undefined) return undefined
  if (observed === undefined || observed === generation) return String(generation)
  return `${generation}, ${paint('yellow', `and ${observed} is what its controller has seen`)}`
}

function pairs(values: Readonly<Record<string, string>> | undefined): string | undefined {
  // What kubectl keeps for itself is the resource again.
  const shown = Object.entries(values ?? {}).filter(
    ([name]) => name !== 'kubectl.kubernetes.io/last-applied-configuration',
  )
  return shown.map(([name, value]) => `${name}=${value}`).join(', ')
}

function block(name: string, value: unknown): string[] {
  if (value === undefined || (typeof value === 'object' && value !== null && Object.keys(value).length === 0))
    return []
  const text = stringify(value, { lineWidth: 0 }).trimEnd()
  return [`${paint('gray', name)}\n${text.replaceAll(/^/gm, '  ')}`]
}

function conditionsTable(conditions: readonly Condition[], now: number): string {
  if (conditions.length === 0) return ''
  const rows = conditions.map(({ type, status, reason = '', message = '', lastTransitionTime }) => [
    type,
    status,
    reason,
    lastTransitionTime === undefined ? '' : momentText(Date.parse(lastTransitionTime), now),
    message,
  ])
  const columns = ['CONDITION', 'STATUS', 'REASON', { heading: 'SINCE', dispensable: 1 }, 'MESSAGE']
  return table(columns, rows, lineWidth())
}

function managersTable(managers: readonly FieldsOfManager[]): string {
  if (managers.length === 0) return ''
  const rows = managers.map(({ manager, operation, subresource, fieldsV1 = {} }) => [
    manager,
    subresource === undefined ? operation : `${operation} of ${subresource}`,
    fieldPaths(fieldsV1).join(', '),
  ])
  return table(['FIELDS OF', 'BY', 'FIELDS'], rows, lineWidth())
}
