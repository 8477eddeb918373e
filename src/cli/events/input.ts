import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { buffer } from 'node:stream/consumers'
import { BanyanError } from '../../core/errors.js'

/** A line that is longer than this is no event of any log, in bytes. */
const LONGEST_LINE = 256 * 1024 * 1024

const NEWLINE = 0x0a

/** All bytes of a file (`@FILE`) or of standard input (`-`). */
export async function inputOf(source: string): Promise<Buffer> {
  if (source === '-') return buffer(process.stdin)
  const file = source.slice(1)
  try {
    return await readFile(file)
  } catch (error) {
    throw cannot('read', file, error)
  }
}

/**
 * The lines of a file or of standard input (`-`), split at newlines and nowhere else: JSON may hold every other
 * character that ends a line somewhere.
 *
 * @throws `BANYAN_INVALID_OPTIONS` with the line that is not UTF-8 or too long
 */
export async function* linesOf(file: string): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  let line = 1
  let parts: Buffer[] = []
  let length = 0
  const text = (last: Buffer): string => {
    try {
      return decoder.decode(parts.length === 0 ? last : Buffer.concat([...parts, last]))
    } catch (error) {
      throw badLine(line, 'is not UTF-8', error)
    }
  }
  for await (const chunk of chunksOf(file)) {
    let start = 0
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      yield text(chunk.subarray(start, end))
      parts = []
      length = 0
      line++
      start = end + 1
    }
    if (start === chunk.length) continue
    parts.push(chunk.subarray(start))
    length += chunk.length - start
    if (length > LONGEST_LINE) throw badLine(line, `is longer than ${LONGEST_LINE / 1024 / 1024} MB`)
  }
  if (length > 0) yield text(Buffer.alloc(0))
}

async function* chunksOf(file: string): AsyncGenerator<Buffer, void, undefined> {
  const stream = file === '-' ? process.stdin : createReadStream(file)
  try {
    for await (const chunk of stream) yield chunk as Buffer
  } catch (error) {
    throw cannot('read', file === '-' ? 'standard input' : file, error)
  }
}

/** The error for a file that the system does not give. */
export function cannot(what: 'read' | 'write', file: string, error: unknown): BanyanError {
  return new BanyanError('BANYAN_INVALID_OPTIONS', `cannot ${what} ${file}: ${(error as Error).message}`, {
    cause: error,
  })
}

function badLine(line: number, what: string, cause?: unknown): BanyanError {
  return new BanyanError('BANYAN_INVALID_OPTIONS', `line ${line} ${what}`, { cause })
}
