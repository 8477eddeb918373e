import { styleText } from 'node:util'

type Style = Parameters<typeof styleText>[0]

/** Whether people read the output on a terminal that wants colours (NO_COLOR, FORCE_COLOR). */
const coloured =
  process.env['FORCE_COLOR'] !== undefined || (process.stdout.isTTY && process.env['NO_COLOR'] === undefined)

/** Text in a colour, where that can be seen. */
export function paint(style: Style, text: string): string {
  return coloured ? styleText(style, text) : text
}

/**
 * Lines up columns; the widths ignore colours.
 *
 * @param rows - cells by row; the first row is the heading
 * @param right - indexes of columns that are aligned to the right
 */
export function table(rows: readonly (readonly string[])[], right: readonly number[] = []): string {
  const widths: number[] = []
  for (const row of rows)
    for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, width(cell))
  return rows
    .map((row) =>
      row
        .map((cell, index) => {
          const space = ' '.repeat(widths[index]! - width(cell))
          return right.includes(index) ? space + cell : cell + space
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

function width(text: string): number {
  return text.replace(/\u001b\[[0-9;]*m/g, '').length
}
