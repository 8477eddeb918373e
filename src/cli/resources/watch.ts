import { stringify } from 'yaml'
import { redrawn } from '../coordination/look.js'
import type { Seen } from '../coordination/desk.js'
import { lineWidth, type Output } from '../output.js'
import { paint } from '../paint.js'
import { changesOf, type Selected } from './changes.js'
import type { Format } from './options.js'
import { titleOf, type ResourceServer, type ServedKind, type ServedObject } from './server.js'
import { AS_TABLE, tableText, type ServedRow, type ServedTable } from './table.js'

interface Where {
  readonly output: Output
  readonly signal: AbortSignal
}

/** Shows what happens to resources until Ctrl-C: on a terminal the table as it is now, elsewhere each change. */
export async function watch(
  server: ResourceServer,
  kind: ServedKind,
  selected: Selected,
  format: Format,
  where: Where,
): Promise<void> {
  if (format === 'table' || format === 'wide')
    await watchTable(server, kind, selected, format === 'wide', where)
  else await watchObjects(server, kind, selected, format, where)
}

async function watchObjects(
  server: ResourceServer,
  kind: ServedKind,
  selected: Selected,
  format: Format,
  { output, signal }: Where,
): Promise<void> {
  const form = {
    accept: 'application/json',
    itemsOf: (answer: ServedObject | { readonly items: readonly ServedObject[] }) =>
      'items' in answer ? (answer.items as readonly ServedObject[]) : [answer],
    metadataOf: ({ metadata }: ServedObject) => metadata,
  }
  for await (const change of changesOf(server, kind, selected, form, signal)) {
    if (change.type === 'PROBLEM') console.error(paint('red', change.message))
    else if (format === 'json') output.add(JSON.stringify({ type: change.type, object: change.item }))
    else if (format === 'name') output.add(`${change.type} ${titleOf(kind, change.item.metadata.name)}`)
    else output.add(`---\n# ${change.type}\n${stringify(change.item, { lineWidth: 0 }).trimEnd()}`)
    await output.flush()
  }
}

async function watchTable(
  server: ResourceServer,
  kind: ServedKind,
  selected: Selected,
  wide: boolean,
  { output, signal }: Where,
): Promise<void> {
  let columns: NonNullable<ServedTable['columnDefinitions']> = []
  const text = (rows: readonly ServedRow[]): string => {
    const spaces = kind.namespaced && selected.namespace === undefined
    return tableText(columns, rows, { wide, spaces, kind: undefined, width: lineWidth() })
  }
  const form = {
    accept: AS_TABLE,
    itemsOf: ({ columnDefinitions, rows }: ServedTable) => {
      // They come once, with the list.
      if (columnDefinitions && columnDefinitions.length > 0) columns = columnDefinitions
      return rows ?? []
    },
    metadataOf: ({ object }: ServedRow) => object.metadata,
  }
  const changes = changesOf(server, kind, selected, form, signal)
  if (process.stdout.isTTY) {
    const nothing = `no ${kind.name}`
    return redrawn(gathered(changes), (rows) => (rows.length === 0 ? nothing : text(rows)), signal)
  }
  for await (const change of changes) {
    if (change.type === 'PROBLEM') console.error(paint('red', change.message))
    else output.add(`${change.type.padEnd(8)} ${text([change.item]).split('\n')[1]}`)
    await output.flush()
  }
}

/** All rows as they are after each change. */
async function* gathered(
  changes: ReturnType<typeof changesOf<ServedTable, ServedRow>>,
): AsyncGenerator<Seen<ServedRow>> {
  const rows = new Map<string, ServedRow>()
  for await (const change of changes) {
    if (change.type === 'PROBLEM') {
      yield { statuses: [...rows.values()], problem: change.message }
      continue
    }
    const { namespace = '', name } = change.item.object.metadata
    if (change.type === 'DELETED') rows.delete(`${namespace}/${name}`)
    else rows.set(`${namespace}/${name}`, change.item)
    yield { statuses: [...rows].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row) }
  }
}
