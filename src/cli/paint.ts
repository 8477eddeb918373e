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
  let cut = false
  for (const part of text.split(/(\u001b\[[0-9;]*m)/)) {
    if (part.startsWith('\u001b')) {
      clipped += part
    } else {
      const kept = fitting(part, room)
      clipped += kept
      if (kept.length < part.length && !cut) {
        clipped += '…'
        cut = true
      }
      room = cut ? 0 : room - visible(kept)
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

/** Cells of a terminal that text takes; colours take none, most characters of East Asia and emoji take two. */
export function visible(text: string): number {
  const plain = text.replace(/\u001b\[[0-9;]*m/g, '')
  return NARROW.test(plain) ? plain.length : Array.from(plain, cellsOf).reduce((sum, cells) => sum + cells, 0)
}

const NARROW = /^[\x20-\x7e\u2026]*$/
const COMBINING = /^[\p{Mn}\p{Me}\u200d]$/u
/** Ranges of UAX #11 that are wide, in rough blocks. */
const WIDE =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}\p{Emoji_Presentation}]$/u

function cellsOf(character: string): number {
  if (COMBINING.test(character)) return 0
  return WIDE.test(character) ? 2 : 1
}

/** The beginning of text without colours, as much as fits. */
function fitting(text: string, width: number): string {
  if (NARROW.test(text)) return text.slice(0, width)
  let used = 0
  let end = 0
  for (const character of text) {
    used += cellsOf(character)
    if (used > width) break
    end += character.length
  }
  return text.slice(0, end)
}
