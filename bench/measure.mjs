// @ts-check

/** @param {number[]} values */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2
    ? /** @type {number} */ (sorted[middle])
    : /** @type {number} */ (sorted[middle - 1] + /** @type {number} */ (sorted[middle])) / 2
}

/**
 * Median with the lowest and highest value, written for people.
 *
 * @param {number[]} values
 * @param {(value: number) => string} write
 */
export function spread(values, write = (value) => value.toFixed(0)) {
  return `${write(median(values))} (${write(Math.min(...values))} – ${write(Math.max(...values))})`
}

/**
 * A table in Markdown.
 *
 * @param {string[]} heading
 * @param {string[][]} rows
 */
export function table(heading, rows) {
  const line = (/** @type {string[]} */ cells) => `| ${cells.join(' | ')} |`
  return [line(heading), line(heading.map(() => '---')), ...rows.map(line)].join('\n')
}
