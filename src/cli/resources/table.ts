import { printable } from '../events/show/printable.js'
import { paint, table } from '../paint.js'
import type { ServedObject, ServedKind } from './server.js'

/** A table as Kubernetes has it: the server says what people want to see of a kind. */
export interface ServedTable {
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string }
  readonly columnDefinitions?: readonly ServedColumn[]
  readonly rows?: readonly ServedRow[]
}

interface ServedColumn {
  readonly name: string
  readonly type: string
  /** 0 is shown always, others in wide tables. */
  readonly priority?: number
}

/** A resource in a table. */
export interface ServedRow {
  readonly cells: readonly unknown[]
  readonly object: Pick<ServedObject, 'metadata'>
}

/** What to ask for to get a {@link ServedTable}. */
export const AS_TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io'

/** How a table looks. */
export interface Look {
  readonly wide: boolean
  /** With the namespaces. */
  readonly spaces: boolean
  /** With the kind before each name, where tables of several are shown. */
  readonly kind: ServedKind | undefined
  readonly width: number
}

export function tableText(
  columns: readonly ServedColumn[],
  rows: readonly ServedRow[],
  { wide, spaces, kind, width }: Look,
): string {
  const shown = columns.flatMap((column, index) => (wide || !column.priority ? [{ ...column, index }] : []))
  const headings = shown.map(({ name, type }) => ({
    heading: name.toUpperCase(),
    right: type === 'integer' || type === 'number',
  }))
  return table(
    [...(spaces ? ['NAMESPACE'] : []), ...headings],
    rows.map(({ cells, object: { metadata } }) => [
      ...(spaces ? [metadata.namespace ?? ''] : []),
      ...shown.map(({ index, name }) => {
        const cell = cellText(cells[index])
        if (name.toLowerCase() !== 'name') return cell
        return paint('bold', kind ? `${kind.singularName}/${cell}` : cell)
      }),
    ]),
    width,
  )
}

function cellText(value: unknown): string {
  if (value === null || value === undefined || value === '') return '-'
  return printable(typeof value === 'string' ? value : JSON.stringify(value))
}
