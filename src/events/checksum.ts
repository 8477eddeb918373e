import { crc32 } from 'node:zlib'
import type { EncodedCommit, EncodedEvent, StoredEvent } from './driver.js'

/** What a checksum is of. */
type Sealed = Omit<EncodedEvent, 'checksum'>

/**
 * CRC-32 of everything an event says and where it belongs. NUL stands between the parts, and no name holds one. A record
 * that has come to another stream, commit or place in it has another checksum too.
 */
export function checksumOf(stream: string, commit: string, event: Sealed): number {
  const { id = '', ordinal, type, time, schemaVersion, tags, metadata, data } = event
  const labels = tags.length === 0 ? '' : tags.join('\0')
  const head = `${stream}\0${commit}\0${ordinal}\0${id}\0${type}\0${schemaVersion}\0${labels}\0${metadata}\0`
  // Numbers of that size are slow to write out; as the value to begin with they count as much.
  const start = ((time % 2 ** 32) ^ Math.floor(time / 2 ** 32)) >>> 0
  // One call of zlib costs more than putting two texts together.
  if (typeof data === 'string') return crc32(`${head}json\0${data}`, start)
  if (data === undefined) return crc32(head, start)
  const before = crc32(`${head}bytes\0`, start)
  // Of no bytes at all, zlib gives 0 or the value to begin with, depending on how their memory came about.
  return data.length === 0 ? before : crc32(data, before)
}

/** Whether what an engine gives back is what was appended. */
export function isWhole(stored: StoredEvent): boolean {
  return checksumOf(stored.stream, stored.commit, stored) === stored.checksum
}

/** What tells a repetition of a commit from another one with its id. */
export function digestOf(id: string, streams: EncodedCommit['streams']): number {
  let text = id
  for (const { stream, events } of streams) {
    text += `\0${stream}`
    for (const event of events) text += `\0\0${event.id ?? ''}\0${event.type}`
  }
  return crc32(text)
}
