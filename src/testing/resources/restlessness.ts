import type { RecordedChange } from './change-book.js'

/** How many of the last changes are looked at. */
const LAST = 60
const MOST_FIELDS = 6

/** Says who does not let what rest: the field that is written most often, by whom, and between which values. */
export function restlessness(changes: readonly RecordedChange[]): string {
  const last = changes.slice(-LAST)
  const resource = mostFrequent(last.map((change) => change.resource))
  const mine = last.filter((change) => change.resource === resource)
  const fields = new Map<string, { writers: Map<string, number>; values: string[] }>()
  for (const { writer, fields: written } of mine)
    for (const [path, [before, after]] of written) {
      const field = fields.get(path) ?? { writers: new Map<string, number>(), values: [before] }
      field.writers.set(writer, (field.writers.get(writer) ?? 0) + 1)
      field.values.push(after)
      fields.set(path, field)
    }
  const lines = [...fields]
    .sort(([, a], [, b]) => b.values.length - a.values.length)
    .slice(0, MOST_FIELDS)
    .map(([path, { writers, values }]) => {
      const by = Array.from(writers, ([writer, count]) => `${writer} (${count} times)`).join(' and ')
      return `  ${path === '' ? 'whether it is there' : path}: ${values.slice(-4).join(' → ')}, by ${by}`
    })
  const writers = [...new Set(mine.map(({ writer }) => writer))]
  const verdict =
    writers.length > 1
      ? `${writers.join(' and ')} fight over ${resource}: each undoes what the other one writes`
      : `${writers.join('')} writes ${resource} again and again: its own write, or nothing, makes it write anew`
  return `${verdict}\n${lines.join('\n')}`
}

function mostFrequent(texts: readonly string[]): string {
  const counts = new Map<string, number>()
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1)
  return [...counts].sort(([, a], [, b]) => b - a)[0]?.[0] ?? ''
}
