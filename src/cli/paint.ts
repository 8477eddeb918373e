import { styleText } from 'node:util'

type Style = Parameters<typeof styleText>[0]

/** Whether people read the output on a terminal that wants colours (NO_COLOR, FORCE_COLOR). */
const coloured =
  process.env['FORCE_COLOR'] !== undefined || (process.stdout.isTTY && process.env['NO_COLOR'] === undefined)

/** Between two columns. */
const GAP = 2

/** Text in a colour, where that can be seen. */
export function paint(style: Style, text: string): string {
  return coloured ? styleText(style, text) : text
}

/** A column of a table. */
export interface Column {
  heading: string
  /** Aligned to the right. Default false. */
  right?: boolean
  /** Left out if the table is too wide, the highest first. Default: never. */
  dispensable?: number
}

/**
 * Lines up columns; the widths ignore colours. What is too wide loses the columns that are dispensable, then the end
 * of its last column.
 *
 * @param columns - a heading alone, or with how the column behaves
 * @param width - characters of a line; `Infinity` for no bound
 */
export function table(
  columns: readonly (string | Column)[],
  rows: readonly (readonly string[])[],
  width = Infinity,
): string {
  const kept = columns.map((column, index): FilledColumn => ({
    ...(typeof column === 'string' ? { heading: column } : column),
    cells: rows.map((row) => row[index] ?? ''),
  }))
  const order = kept.filter((column) => column.dispensable !== undefined)
  order.sort((a, b) => a.dispensable! - b.dispensable!)
  while (order.length > 0 && totalOf(kept) > width) kept.splice(kept.indexOf(order.pop()!), 1)
  const widths = kept.map(widthOf)
  return Array.from({ length: rows.length + 1 }, (_, row) => {
    const line = kept.map((column, index) => {
      const cell = row === 0 ? paint('gray', column.heading) : column.cells[row - 1]!
      const space = ' '.repeat(widths[index]! - visible(cell))
      return column.right ? space + cell : cell + space
    })
    return clip(line.join(' '.repeat(GAP)).trimEnd(), width)
  }).join('\n')
}

/** Text with its end cut off if it is too wide; colours take no room, and end where they are cut. */
export function clip(text: string, width: number): string {
  if (visible(text) <= width) return text
  let room = width - 1
  let clipped = ''
  for (const part of text.split(/(\u001b\[[0-9;]*m)/)) {
    if (part.startsWith('\u001b')) {
      clipped += part
    } else {
      clipped += part.slice(0, room)
      if (part.length > room && room > 0) clipped += '…'
      room = Math.max(0, room - part.length)
    }
  }
  return clipped
}

interface FilledColumn extends Column {
  cells: readonly string[]
}

function totalOf(columns: readonly FilledColumn[]): number {
  return columns.reduce((sum, column) => sum + widthOf(column) + GAP, -GAP)
}

function widthOf({ heading, cells }: FilledColumn): number {
  return Math.max(heading.length, ...cells.map(visible))
}

/** Characters that are seen. */
function visible(text: string): number {
  return text.replace(/\u001b\[[0-9;]*m/g, '').length
}
