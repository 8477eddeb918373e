import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Choices } from './choices.js'

/** One entry of a trace of `disk.c`. */
export type DiskEntry =
  | { readonly what: 'write'; readonly path: string; readonly offset: number; readonly data: Buffer }
  | { readonly what: 'truncate'; readonly path: string; readonly size: number }
  | { readonly what: 'unlink'; readonly path: string }
  | { readonly what: 'sync'; readonly path: string; readonly id: number }
  | { readonly what: 'synced'; readonly path: string; readonly id: number }
  | { readonly what: 'failed'; readonly path: string; readonly id: number }

type Change = Extract<DiskEntry, { what: 'write' | 'truncate' | 'unlink' }>

/** What a process did to its files, in order. */
export function readTrace(path: string): DiskEntry[] {
  const trace = readFileSync(path)
  const entries: DiskEntry[] = []
  for (let at = 0; at < trace.length;) {
    const end = trace.indexOf('\n', at)
    const [what = '', first = '', second = '', ...name] = trace.toString('utf8', at, end).split(' ')
    const file = name.join(' ')
    at = end + 1
    switch (what) {
      case 'write': {
        const data = trace.subarray(at, at + Number(second))
        at += data.length
        entries.push({ what, path: file, offset: Number(first), data })
        break
      }
      case 'truncate':
        entries.push({ what, path: file, size: Number(first) })
        break
      case 'unlink':
        entries.push({ what, path: file })
        break
      case 'sync':
      case 'synced':
      case 'failed':
        entries.push({ what, path: file, id: Number(first) })
        break
      default:
        throw new Error(`no entry of a trace: ${what}`)
    }
  }
  return entries
}

/** Disks write sectors, not what they were told in one call. */
const SECTOR = 512

/**
 * What is on the disk when the power fails: everything that was written before a sync that has ended, and of the rest
 * whatever the disk had got to, sector by sector, in any order.
 *
 * @param survives - the probability that a sector without a sync is on the disk
 * @returns the files by path
 */
export function afterPowerLoss(
  entries: readonly DiskEntry[],
  survives: number,
  choices: Choices,
): Map<string, Buffer> {
  const files = new Map<string, DiskFile>()
  const synced = syncedChanges(entries)
  for (const [index, entry] of entries.entries()) {
    if (!isChange(entry)) continue
    if (synced.has(index)) apply(files, entry)
    else applyPart(files, entry, survives, choices)
  }
  return new Map([...files].map(([path, file]) => [path, file.content]))
}

function isChange(entry: DiskEntry): entry is Change {
  return entry.what === 'write' || entry.what === 'truncate' || entry.what === 'unlink'
}

/**
 * Indexes of the changes that a sync was asked for after them, and had ended. What a sync has failed for is not on the
 * disk after a later one either: the kernel takes it for written ("fsyncgate", PostgreSQL 2018).
 */
function syncedChanges(entries: readonly DiskEntry[]): Set<number> {
  const ended = new Map<number, boolean>()
  for (const entry of entries)
    if (entry.what === 'synced' || entry.what === 'failed') ended.set(entry.id, entry.what === 'synced')
  const synced = new Set<number>()
  const pending = new Map<string, number[]>()
  for (const [index, entry] of entries.entries()) {
    if (isChange(entry)) {
      // That a file is gone is known to its directory.
      const place = entry.what === 'unlink' ? dirname(entry.path) : entry.path
      const changes = pending.get(place)
      if (changes) changes.push(index)
      else pending.set(place, [index])
    } else if (entry.what === 'sync' && ended.has(entry.id)) {
      if (ended.get(entry.id)) for (const change of pending.get(entry.path) ?? []) synced.add(change)
      pending.delete(entry.path)
    }
  }
  return synced
}

function applyPart(files: Map<string, DiskFile>, change: Change, survives: number, choices: Choices): void {
  if (change.what !== 'write') {
    if (choices.chance(survives)) apply(files, change)
    return
  }
  const { path, offset, data } = change
  for (let from = 0; from < data.length;) {
    const to = Math.min(data.length, from + SECTOR - ((offset + from) % SECTOR))
    if (choices.chance(survives))
      apply(files, { what: 'write', path, offset: offset + from, data: data.subarray(from, to) })
    from = to
  }
}

function apply(files: Map<string, DiskFile>, change: Change): void {
  const { path } = change
  if (change.what === 'unlink') {
    files.delete(path)
    return
  }
  let file = files.get(path)
  if (!file) files.set(path, (file = new DiskFile()))
  if (change.what === 'truncate') file.truncate(change.size)
  else file.write(change.offset, change.data)
}

/** Grows in steps, as it is written to thousands of times. */
class DiskFile {
  #bytes = Buffer.alloc(65_536)
  #size = 0

  get content(): Buffer {
    return this.#bytes.subarray(0, this.#size)
  }

  write(offset: number, data: Buffer): void {
    const end = offset + data.length
    if (end > this.#bytes.length) {
      const grown = Buffer.alloc(end * 2)
      this.#bytes.copy(grown)
      this.#bytes = grown
    }
    data.copy(this.#bytes, offset)
    this.#size = Math.max(this.#size, end)
  }

  truncate(size: number): void {
    if (size < this.#size) this.#bytes.fill(0, size, this.#size)
    else if (size > this.#size) this.write(size, Buffer.alloc(0))
    this.#size = size
  }
}
