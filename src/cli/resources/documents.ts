import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { LineCounter, parseAllDocuments } from 'yaml'
import { BanyanError } from '../../core/errors.js'
import { fileError } from '../events/input.js'
import type { ServedObject } from './server.js'

/** A resource that somebody has written, and where. */
export interface WrittenResource {
  readonly object: ServedObject
  /** `file:line`. */
  readonly place: string
}

/**
 * All resources of files, of the YAML and JSON files of folders, or of standard input (`-`): one or several documents each, or a
 * `List` of them.
 *
 * @throws `BANYAN_RESOURCE_BAD_REQUEST` that tells everything that is wrong, with its places, before anything is done
 */
export async function readResources(sources: readonly string[]): Promise<WrittenResource[]> {
  const found: WrittenResource[] = []
  const problems: string[] = []
  for (const source of sources)
    for (const { name, content } of await contentsOf(source)) readInto(found, problems, name, content)
  if (problems.length > 0) throw new BanyanError('BANYAN_RESOURCE_BAD_REQUEST', problems.join('\n'))
  if (found.length === 0)
    throw new BanyanError('BANYAN_RESOURCE_BAD_REQUEST', `there are no resources in ${sources.join(', ')}`)
  return found
}

async function contentsOf(source: string): Promise<{ name: string; content: string }[]> {
  if (source === '-') return [{ name: '<stdin>', content: await text(process.stdin) }]
  try {
    const isFolder = (await stat(source)).isDirectory()
    const files = isFolder
      ? (await readdir(source))
          .filter((file) => /\.(ya?ml|json)$/.test(file))
          .sort()
          .map((file) => join(source, file))
      : [source]
    return await Promise.all(files.map(async (name) => ({ name, content: await readFile(name, 'utf8') })))
  } catch (error) {
    throw fileError('read', source, error)
  }
}

function readInto(found: WrittenResource[], problems: string[], file: string, content: string): void {
  const lines = new LineCounter()
  for (const document of parseAllDocuments(content, { lineCounter: lines })) {
    const at = (offset: number): string => `${file}:${lines.linePos(offset).line}`
    for (const { message, pos } of document.errors) problems.push(`${at(pos[0])}: ${message.split('\n')[0]}`)
    if (document.errors.length > 0) continue
    const value: unknown = document.toJS()
    const place = at(document.contents?.range[0] ?? 0)
    if (value === null || value === undefined) continue
    for (const each of itemsOf(value)) {
      const wrong = mistakeIn(each)
      if (wrong === undefined) found.push({ object: each as ServedObject, place })
      else problems.push(`${place}: ${wrong}`)
    }
  }
}

function itemsOf(value: unknown): readonly unknown[] {
  const { kind, items } = Object(value) as { kind?: unknown; items?: unknown }
  return typeof kind === 'string' && kind.endsWith('List') && Array.isArray(items)
    ? (items as unknown[])
    : [value]
}

function mistakeIn(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return 'is no resource: a map is expected'
  const { apiVersion, kind, metadata } = value as { apiVersion?: unknown; kind?: unknown; metadata?: unknown }
  const { name } = Object(metadata) as { name?: unknown }
  const missing = Object.entries({ apiVersion, kind, 'metadata.name': name })
  const wrong = missing.filter(([, each]) => typeof each !== 'string' || each === '').map(([path]) => path)
  return wrong.length === 0 ? undefined : `is no resource: it has no ${wrong.join(', no ')}`
}
