import { eventError } from '../errors.js'
import type { Metadata } from '../log.js'

/** What an id is for. */
export interface CommandKind {
  readonly does: 'command' | 'undo' | 'redo'
  /** Of a command that has one. */
  readonly type?: string | undefined
}

/** As the metadata of what it has led to tell it. */
function kindOf({ undoes, redoes, commandType }: Metadata): CommandKind {
  if (typeof undoes === 'string') return { does: 'undo' }
  if (typeof redoes === 'string') return { does: 'redo' }
  return { does: 'command', type: commandType }
}

/**
 * Refuses a command under the id of another one. What else they say is not compared: a command that is repeated may have
 * another time in it.
 *
 * @param metadata - of what was done under this id
 * @throws `BANYAN_COMMIT_OVERLAP`
 */
export function mustBeSame(stream: string, id: string, kind: CommandKind, metadata: Metadata): void {
  const before = kindOf(metadata)
  const isOther = before.type !== undefined && kind.type !== undefined && before.type !== kind.type
  // To undo an undo is to redo.
  const isUndo = kind.does !== 'command'
  if (isUndo === (before.does !== 'command') && !isOther) return
  throw eventError(
    'BANYAN_COMMIT_OVERLAP',
    `the id ${id} belongs to ${named(before)} of ${stream}, and this is ${named(kind)}; an id belongs to one command for ever`,
  )
}

function named({ does, type }: CommandKind): string {
  if (does !== 'command') return does === 'undo' ? 'an undo' : 'a redo'
  return type === undefined ? 'a command' : `a command ${type}`
}
