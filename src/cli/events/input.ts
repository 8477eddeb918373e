import { readFile } from 'node:fs/promises'
import { buffer } from 'node:stream/consumers'
import { BanyanError } from '../../core/errors.js'
import { fileLines, splitLines } from '../../events/transfer/index.js'

/** All bytes of a file (`@FILE`) or of standard input (`-`). */
export async function inputOf(source: string): Promise<Buffer> {
  if (source === '-') return buffer(process.stdin)
  const file = source.slice(1)
  try {
    return await readFile(file)
  } catch (error) {
    throw fileError('read', file, error)
  }
}

/** The lines of a file or of standard input (`-`). */
export async function* linesOf(file: string): AsyncGenerator<string, void, undefined> {
  try {
    yield* file === '-' ? splitLines(process.stdin) : fileLines(file)
  } catch (error) {
    throw fileError('read', file, error)
  }
}

/** What people are told if the system does not give a file. */
export function fileError(what: 'read' | 'write', file: string, error: unknown): unknown {
  if (!(error instanceof Error) || !('syscall' in error)) return error
  return new BanyanError('BANYAN_INVALID_OPTIONS', `cannot ${what} ${file}: ${error.message}`, {
    cause: error,
  })
}
