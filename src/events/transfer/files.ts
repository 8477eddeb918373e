import { isUtf8 } from 'node:buffer'
import { createHash, randomUUID } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { link, open, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'
import { eventError } from '../errors.js'

/** Characters that are handed to the file at once. */
const CHUNK_LENGTH = 128 * 1024
const READ_BYTES = 256 * 1024
/** The longest line: bytes of the largest event that a log takes, as base64, and more. */
const MAX_LINE_BYTES = 256 * 1024 * 1024
const NEWLINE = 0x0a

/** What {@link writeLines} wrote. */
export interface WrittenLines {
  readonly lines: number
  /** Bytes on disk. */
  readonly bytes: number
  /** Of the text, each line with its newline, before compression. Hexadecimal. */
  readonly sha256: string
}

/**
 * The lines of a file, without their newlines; unpacked if its name ends in `.gz`. Memory stays flat.
 *
 * @throws `BANYAN_LOG_CORRUPT` if the file was packed and is damaged or not complete; `BANYAN_INVALID_EVENT` with the line for what
 *   is not UTF-8; the error of the file system
 */
export async function* fileLines(path: string): AsyncGenerator<string, void, undefined> {
  const file = createReadStream(path, { highWaterMark: READ_BYTES })
  const bytes = isPacked(path) ? file.pipe(createGunzip({ chunkSize: READ_BYTES })) : file
  if (bytes !== file) file.once('error', (error) => bytes.destroy(error))
  try {
    yield* splitLines(bytes as AsyncIterable<Buffer>)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    if (!code.startsWith('Z_')) throw error
    throw eventError(
      'BANYAN_LOG_CORRUPT',
      `${path} is damaged or not complete: ${(error as Error).message}`,
      error,
    )
  } finally {
    bytes.destroy()
    file.destroy()
  }
}

/**
 * The lines of what is read part by part, as of standard input; otherwise as {@link fileLines}.
 */
export async function* splitLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<string, void, undefined> {
  let count = 0
  /** What is there of a line that has not ended. */
  let begun: Buffer[] = []
  let length = 0
  for await (const chunk of chunks) {
    const end = chunk.lastIndexOf(NEWLINE)
    if (end >= 0) {
      const text = textOf([...begun, chunk.subarray(0, end)], count)
      const lines = text.split('\n')
      yield* lines
      count += lines.length
      begun = []
      length = 0
    }
    const rest = chunk.subarray(end + 1)
    if (rest.length > 0) begun.push(rest)
    length += rest.length
    if (length > MAX_LINE_BYTES)
      throw eventError(
        'BANYAN_EVENT_TOO_LARGE',
        `line ${count + 1}: it is longer than ${MAX_LINE_BYTES} bytes`,
      )
  }
  if (length > 0) yield textOf(begun, count)
}

function textOf(parts: readonly Buffer[], linesBefore: number): string {
  const bytes = parts.length === 1 ? parts[0]! : Buffer.concat(parts)
  if (isUtf8(bytes)) return bytes.toString('utf8')
  let line = linesBefore + 1
  let start = 0
  for (; ; line++) {
    const end = bytes.indexOf(NEWLINE, start)
    if (end < 0 || !isUtf8(bytes.subarray(start, end))) break
    start = end + 1
  }
  throw eventError('BANYAN_INVALID_EVENT', `line ${line}: it is not UTF-8`)
}

/**
 * Writes lines to a new file, packed if its name ends in `.gz`, and makes sure of them: when it resolves, the file is complete,
 * on disk, has been read again, and is what was to be written. Until then it has another name, which ends in `.part`.
 *
 * @param path - a file that does not exist yet; its directory does
 * @returns what was written; without lines no file is made
 * @throws `BANYAN_LOG_CORRUPT` if what was read again is something else; the error of the file system, `EEXIST` if there is such
 *   a file
 */
export async function writeLines(path: string, lines: AsyncIterable<string>): Promise<WrittenLines> {
  const partial = `${path}.${randomUUID().slice(0, 8)}.part${isPacked(path) ? '.gz' : ''}`
  try {
    const written = await writePartial(partial, lines)
    await verify(partial, written)
    if (written.lines > 0) {
      // Unlike renaming, this never replaces a file that came in the meantime.
      await link(partial, path)
      await rm(partial)
      await syncDirectory(dirname(path))
    }
    return written
  } finally {
    await rm(partial, { force: true })
  }
}

async function writePartial(partial: string, lines: AsyncIterable<string>): Promise<WrittenLines> {
  const hash = createHash('sha256')
  let count = 0
  const chunks = async function* (): AsyncGenerator<string> {
    let chunk = ''
    for await (const line of lines) {
      count++
      chunk += `${line}\n`
      if (chunk.length < CHUNK_LENGTH) continue
      hash.update(chunk)
      yield chunk
      chunk = ''
    }
    hash.update(chunk)
    yield chunk
  }
  // Synced to disk before it is closed.
  const sink = createWriteStream(partial, { flags: 'wx', flush: true })
  const source = Readable.from(chunks(), { objectMode: false })
  await (isPacked(partial) ? pipeline(source, createGzip(), sink) : pipeline(source, sink))
  return { lines: count, bytes: (await stat(partial)).size, sha256: hash.digest('hex') }
}

async function verify(path: string, written: WrittenLines): Promise<void> {
  const hash = createHash('sha256')
  let lines = 0
  for await (const line of fileLines(path)) {
    hash.update(line).update('\n')
    lines++
  }
  if (lines === written.lines && hash.digest('hex') === written.sha256) return
  throw eventError(
    'BANYAN_LOG_CORRUPT',
    `${path} was written with ${written.lines} lines and is read with ${lines} or others: the disk is not to be trusted`,
  )
}

/** The name of a new file is on disk only with its directory. */
async function syncDirectory(path: string): Promise<void> {
  // Windows has no way to, and needs none.
  if (process.platform === 'win32') return
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

function isPacked(path: string): boolean {
  return path.endsWith('.gz')
}
