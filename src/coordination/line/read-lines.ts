import type { Coordinator, Entry } from '../coordinator.js'
import { nameOf } from '../keyspace.js'
import { inOrder } from './line.js'

/** Every line below a part of the keyspace, by name; who came first comes first. */
export async function readLines(
  coordinator: Coordinator,
  space: string,
): Promise<{ name: string; entries: Entry[] }[]> {
  const lines = new Map<string, Entry[]>()
  for (const entry of inOrder(await coordinator.list(space))) {
    const name = nameOf(entry.key.slice(space.length).split('/', 1)[0]!)
    const entries = lines.get(name)
    if (entries) entries.push(entry)
    else lines.set(name, [entry])
  }
  return Array.from(lines, ([name, entries]) => ({ name, entries })).sort((a, b) =>
    a.name < b.name ? -1 : 1,
  )
}
