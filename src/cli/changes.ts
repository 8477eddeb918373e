import { stringify } from 'yaml'
import type { ConfigChange } from '../node/config/diff.js'
import { paint } from './paint.js'

const MARKS = { added: '+', removed: '-', changed: '~' } as const
const COLOURS = { added: 'green', removed: 'red', changed: 'yellow' } as const

/** Differences for people: each service, route and so on with what has changed of it. */
export function renderChanges(changes: readonly ConfigChange[]): string {
  const things = new Map<string, ConfigChange[]>()
  for (const change of changes) {
    const name = change.path.slice(0, 2).map(String).join('.')
    things.set(name, [...(things.get(name) ?? []), change])
  }
  return Array.from(things, ([name, each]) => renderThing(name, each)).join('\n')
}

function renderThing(name: string, changes: readonly ConfigChange[]): string {
  const [first] = changes
  if (changes.length === 1 && first && first.path.length <= 2) {
    const { kind, before, after } = first
    if (kind === 'changed') return `${mark(kind)} ${paint('bold', name)}: ${values(before, after)}`
    return `${mark(kind)} ${paint('bold', name)}${block(kind, kind === 'added' ? after : before, 4)}`
  }
  const lines = changes.map(({ kind, path, before, after }) => {
    const value = kind === 'added' ? after : before
    // An element of a list of texts is its own name.
    const field = formatField(path.slice(2, path.at(-1) === value ? -1 : undefined))
    if (kind === 'changed') return `    ${mark(kind)} ${field}: ${values(before, after)}`
    return `    ${mark(kind)} ${field}${block(kind, value, 8)}`
  })
  return [`${mark('changed')} ${paint('bold', name)}`, ...lines].join('\n')
}

/** `retry.attempts`; a name with other characters in brackets, `endpoints[http://...]`. */
function formatField(path: readonly (string | number)[]): string {
  return path
    .map((part, index) => {
      const isName = /^[\w-]+$/.test(String(part))
      return isName ? `${index === 0 ? '' : '.'}${part}` : `[${part}]`
    })
    .join('')
}

function values(before: unknown, after: unknown): string {
  return `${paint('red', inline(before))} -> ${paint('green', inline(after))}`
}

/** What was added or removed, in as many lines as it takes. */
function block(kind: 'added' | 'removed', value: unknown, indent: number): string {
  if (typeof value !== 'object' || value === null) return `: ${paint(COLOURS[kind], inline(value))}`
  const text = stringify(value, { flowCollectionPadding: true, lineWidth: 0 }).trimEnd()
  const lines = text.split('\n').map((line) => `${' '.repeat(indent)}${paint(COLOURS[kind], line)}`)
  return `\n${lines.join('\n')}`
}

function inline(value: unknown): string {
  if (value === undefined) return 'not set'
  return stringify(value, { collectionStyle: 'flow', lineWidth: 0 }).trimEnd()
}

function mark(kind: ConfigChange['kind']): string {
  return paint(COLOURS[kind], MARKS[kind])
}
