import { stringify } from 'yaml'
import { without } from '../../coordination/resources/without.js'
import { interruptible, lineWidth, note, type Output } from '../output.js'
import { paint, table } from '../paint.js'
import { UsageError } from '../usage-error.js'
import type { Selected } from './changes.js'
import { formatOf, wantedOf, type Format, type WhereOptions } from './options.js'
import {
  apiVersionOf,
  pathOf,
  ResourceServer,
  titleOf,
  type ServedKind,
  type ServedObject,
} from './server.js'
import { AS_TABLE, tableText, type ServedTable } from './table.js'
import { watch } from './watch.js'

/** Options of `banyan get`. */
export interface GetOptions extends WhereOptions {
  allNamespaces?: true
  selector?: string
  fieldSelector?: string
  output?: string
  json?: true
  watch?: true
}

/** Resources that are asked for at a time. */
const PAGE = '500'

/** `banyan get`: without a kind, the kinds. */
export async function get(what: readonly string[], options: GetOptions): Promise<void> {
  const server = new ResourceServer(options.admin)
  const format = formatOf(options)
  const wanted = wantedOf(what)
  await interruptible(async (output, signal) => {
    if (wanted.length === 0) {
      listKinds(await server.kinds(signal), format, output)
      return
    }
    const asked = await Promise.all(
      wanted.map(async ({ kind, names }) =>
        (await server.kindsNamed(kind, signal)).map((each) => ({ kind: each, names })),
      ),
    )
    const all = asked.flat()
    if (options.watch) {
      const [one, ...others] = all
      if (!one || others.length > 0 || one.names.length > 1)
        throw new UsageError('--watch shows one kind, or one resource')
      return watch(server, one.kind, selectionOf(one.names[0], options), format, { output, signal })
    }
    const shown = format === 'table' || format === 'wide' ? showTables : showObjects
    await shown(server, all, { options, format, output, signal })
  }, options.watch === true)
}

function selectionOf(name: string | undefined, options: GetOptions): Selected {
  return {
    namespace: options.allNamespaces ? undefined : options.namespace,
    labelSelector: options.selector,
    fieldSelector: name === undefined ? options.fieldSelector : `metadata.name=${name}`,
  }
}

interface Showing {
  readonly options: GetOptions
  readonly format: Format
  readonly output: Output
  readonly signal: AbortSignal
}

interface Asked {
  readonly kind: ServedKind
  readonly names: readonly string[]
}

function listKinds(kinds: readonly ServedKind[], format: Format, output: Output): void {
  if (format === 'json') {
    output.json({ kinds })
    return
  }
  if (format === 'name') {
    kinds.forEach(({ name, group }) => output.add(`${name}.${group}`))
    return
  }
  if (kinds.length === 0) {
    note('no kinds')
    return
  }
  const rows = kinds.map((kind) => [
    paint('bold', kind.name),
    kind.shortNames?.join(',') ?? '',
    apiVersionOf(kind),
    kind.namespaced ? 'yes' : 'no',
    kind.kind,
    kind.categories?.join(',') ?? '',
  ])
  output.add(table(['NAME', 'SHORT', 'API VERSION', 'NAMESPACED', 'KIND', 'CATEGORIES'], rows, lineWidth()))
}

async function showTables(server: ResourceServer, all: readonly Asked[], showing: Showing): Promise<void> {
  const { format, output, options } = showing
  const { allNamespaces = false } = options
  const texts: string[] = []
  for (const { kind, names } of all) {
    const tables = await ask<ServedTable>(server, kind, names, showing, AS_TABLE)
    const rows = tables.flatMap((each) => each.rows ?? [])
    if (rows.length === 0) continue
    const look = {
      wide: format === 'wide',
      spaces: allNamespaces && kind.namespaced,
      kind: all.length > 1 ? kind : undefined,
      width: lineWidth(),
    }
    texts.push(tableText(tables.find((each) => each.columnDefinitions)?.columnDefinitions ?? [], rows, look))
  }
  if (texts.length > 0) output.add(texts.join('\n\n'))
  else
    note(
      `no ${all.map(({ kind }) => kind.name).join(', ')}${allNamespaces ? '' : ` in ${options.namespace}`}`,
    )
}

async function showObjects(server: ResourceServer, all: readonly Asked[], showing: Showing): Promise<void> {
  const { format, output } = showing
  const objects: { kind: ServedKind; object: ServedObject }[] = []
  for (const { kind, names } of all) {
    type Listed = ServedObject & { items?: readonly ServedObject[] }
    const answers = await ask<Listed>(server, kind, names, showing, 'application/json')
    for (const answer of answers)
      for (const object of names.length > 0 ? [answer] : (answer.items ?? [])) objects.push({ kind, object })
  }
  if (format === 'name') {
    for (const { kind, object } of objects) output.add(titleOf(kind, object.metadata.name))
    return
  }
  const isOne = all.length === 1 && all[0]!.names.length === 1
  const shown = objects.map(({ kind, object }) =>
    withoutFields({ ...object, apiVersion: apiVersionOf(kind), kind: kind.kind }),
  )
  const value = isOne ? shown[0] : { apiVersion: 'v1', kind: 'List', items: shown }
  if (format === 'json') output.json(value)
  else output.add(stringify(value, { lineWidth: 0 }).trimEnd())
}

/** Who owns which field is of no interest for those who look at a resource; `describe` tells it in short. */
export function withoutFields(object: ServedObject): ServedObject {
  return { ...object, metadata: without(object.metadata, 'managedFields') }
}

/** The answers of the server: a page at a time, or one for each name. */
async function ask<Answer extends { readonly metadata?: unknown }>(
  server: ResourceServer,
  kind: ServedKind,
  names: readonly string[],
  { signal, options }: Showing,
  accept: string,
): Promise<Answer[]> {
  const { namespace, labelSelector, fieldSelector } = selectionOf(undefined, options)
  if (names.length > 0) {
    if (kind.namespaced && namespace === undefined)
      throw new UsageError('a name is of one namespace: say which with -n')
    return Promise.all(
      names.map((name) => server.ask<Answer>(pathOf(kind, namespace, name), { accept, signal })),
    )
  }
  const pages: Answer[] = []
  let next: string | undefined
  do {
    const query = { limit: PAGE, labelSelector, fieldSelector, continue: next }
    const page = await server.ask<Answer>(pathOf(kind, namespace), { accept, query, signal })
    pages.push(page)
    next = (page.metadata as { continue?: string } | undefined)?.continue ?? ''
  } while (next !== '')
  return pages
}
