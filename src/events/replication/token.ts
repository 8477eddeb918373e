import { eventError } from '../errors.js'
import type { Position } from '../log.js'
import { parsePosition, START } from '../position.js'
import { epochOf, type ReplicaState } from '../replica.js'

/**
 * What a reader has seen: the position of an append or a read. With its epoch, also what was lost in a fail-over is found
 * out; with the id of that, also what was done in an epoch of the same number that began elsewhere. `Follower.token` and
 * `tokenOf` give all three.
 */
export type Token = Position | EpochToken

export interface EpochToken {
  readonly position: Position
  readonly epoch: number
  /** Of the epoch, or how that begins. */
  readonly id?: string
}

/** Characters of the id of an epoch that go into a text. */
const ID_LENGTH = 8
const TEXT = /^([1-9]\d{0,14})\.([\da-f-]{1,36})$/

/** What a log has at a position, its end by default. */
export function tokenIn(state: ReplicaState, position = state.head): Required<EpochToken> {
  const { epoch, id } = state.epochs.at(-1)!
  return { position, epoch, id }
}

/** The epoch that a log is in, for a field of HTTP. */
export function epochText({ epochs }: Pick<ReplicaState, 'epochs'>): string {
  const { epoch, id } = epochs.at(-1)!
  return `${epoch}.${id.slice(0, ID_LENGTH)}`
}

/** Undefined for what {@link epochText} has not made. */
export function parseEpoch(text: string): Pick<Required<EpochToken>, 'epoch' | 'id'> | undefined {
  const [, epoch, id] = TEXT.exec(text) ?? []
  return epoch === undefined || id === undefined ? undefined : { epoch: Number(epoch), id }
}

/**
 * What a log lacks of what a token stands for; undefined if nothing.
 *
 * @throws `BANYAN_POSITION_AHEAD` if it will never have that; `BANYAN_INVALID_POSITION`
 */
export function lackOf(state: ReplicaState, after: Token | undefined): string | undefined {
  const { position, epoch, id } = typeof after === 'object' ? after : { position: after }
  if (position === undefined) return undefined
  parsePosition(position)
  const isBlank = state.head === START && state.truncation === 0
  if (epoch !== undefined && !isBlank) {
    if (epoch > epochOf(state)) return `is in epoch ${epochOf(state)}, and not in ${epoch}`
    const own = state.epochs.find((each) => each.epoch === epoch)
    if (!own || (id !== undefined && !own.id.startsWith(id))) throw elsewhere(position, epoch)
    const next = state.epochs.find((each) => each.epoch > epoch)
    if (next && position > next.after) throw lost(position, epoch, next.epoch)
  }
  return state.head < position ? `is at position ${state.head}, and not at ${position}` : undefined
}

function lost(position: Position, epoch: number, next: number): Error {
  return eventError(
    'BANYAN_POSITION_AHEAD',
    `position ${position} of epoch ${epoch} was lost: epoch ${next} began before it was shipped. What was done there has to be done again`,
  )
}

function elsewhere(position: Position, epoch: number): Error {
  return eventError(
    'BANYAN_POSITION_AHEAD',
    `position ${position} is of an epoch ${epoch} that this log was never in: of another log, or of a leader that was promoted beside this one. What was done there is not here`,
  )
}
