import { BanyanError } from '../../../core/errors.js'
import { boundOf } from '../../../core/hashing/bound.js'
import { checkOptions, type OptionTable } from '../../../core/options.js'
import type { Placement } from './placement.js'

/** Options of {@link boundedPlacement}. */
export interface BoundedPlacementOptions {
  /**
   * Most keys of a shard, as a multiple of its part of all: from 1.01. Lower is more even, and lets more keys stand away from
   * the shard that is theirs. Default 1.25.
   */
  factor?: number
}

const OPTIONS: OptionTable<BoundedPlacementOptions> = {
  factor: { kind: 'number', min: 1.01, doc: 'most keys of a shard, as a multiple of its part of all' },
}

/** A key that has another shard now. */
export interface KeyMove {
  readonly key: string
  readonly from: string
  readonly to: string
}

/** What a shard has, and what it may have. */
export interface BoundedLoad {
  readonly id: string
  readonly keys: number
  readonly bound: number
}

/**
 * Gives keys to shards so that none ever has more than its bound: `factor` times its part of the keys that are assigned, rounded
 * up. It remembers them, in this process; who else wants to know must ask.
 */
export interface BoundedPlacement {
  /** Keys that are assigned. */
  readonly size: number
  /**
   * The shard of a key from now on: the first in `order(key)` that has room, or the one it has already. Nothing else moves.
   */
  assign(key: string): string
  /**
   * A key is gone. The bounds may fall with it: keys of shards above theirs go on to the next with room, the last ones first.
   *
   * @returns what has moved; empty as a rule, and if the key was not assigned
   */
  release(key: string): KeyMove[]
  /** The shard of a key that is assigned. */
  shardOf(key: string): string | undefined
  /**
   * Shards come, go, or have other weights. What is on no shard any more, or above a bound, goes elsewhere; a key whose first shard
   * is another one than before goes there, if there is room.
   *
   * @returns what has moved, each key once
   */
  use(placement: Placement): KeyMove[]
  loads(): BoundedLoad[]
}

/**
 * Consistent hashing with bounded loads (Mirrokni, Thorup and Zadimoghaddam, 2018) over any placement. As in the paper a key goes
 * to the first shard in its order that is not full. Unlike there a key that stands further back stays when room comes up before it:
 * a moved key costs more than one that is not where it would be first.
 *
 * @throws `BANYAN_INVALID_OPTIONS`
 */
export function boundedPlacement(
  placement: Placement,
  options: BoundedPlacementOptions = {},
): BoundedPlacement {
  checkOptions('boundedPlacement', OPTIONS, options)
  return new Bounded(placement, options.factor ?? 1.25)
}

interface Bin {
  readonly id: string
  weight: number
  readonly keys: Seat[]
}

/** A key, and where it is in the list of its bin. */
interface Seat {
  readonly key: string
  bin: Bin
  at: number
}

class Bounded implements BoundedPlacement {
  readonly #factor: number
  readonly #seats = new Map<string, Seat>()
  #placement: Placement
  #bins: ReadonlyMap<string, Bin> = new Map()
  #weights = 0

  constructor(placement: Placement, factor: number) {
    this.#factor = factor
    this.#placement = placement
    this.#adopt(placement)
  }

  get size(): number {
    return this.#seats.size
  }

  assign(key: string): string {
    if (typeof key !== 'string')
      throw new BanyanError(
        'BANYAN_INVALID_OPTIONS',
        `boundedPlacement: a key must be text, got ${typeof key}`,
      )
    const known = this.#seats.get(key)
    if (known) return known.bin.id
    const bin = this.#room(key, this.#seats.size + 1)
    const seat: Seat = { key, bin, at: bin.keys.length }
    bin.keys.push(seat)
    this.#seats.set(key, seat)
    return bin.id
  }

  release(key: string): KeyMove[] {
    const seat = this.#seats.get(key)
    if (!seat) return []
    this.#seats.delete(key)
    leave(seat)
    const moves: KeyMove[] = []
    for (const bin of this.#bins.values())
      while (bin.keys.length > this.#boundOf(bin, this.#seats.size))
        moves.push(this.#move(bin.keys.at(-1)!, this.#seats.size))
    return moves
  }

  shardOf(key: string): string | undefined {
    return this.#seats.get(key)?.bin.id
  }

  use(placement: Placement): KeyMove[] {
    const before = this.#placement
    this.#placement = placement
    this.#adopt(placement)
    const total = this.#seats.size
    const homeless: Seat[] = []
    const drawn: Seat[] = []
    for (const seat of this.#seats.values())
      if (this.#bins.get(seat.bin.id) !== seat.bin) homeless.push(seat)
      else {
        const first = placement.shardOf(seat.key)
        if (first !== seat.bin.id && first !== before.shardOf(seat.key)) drawn.push(seat)
      }
    // First who is drawn elsewhere, while there is most room; then who must go, whose bound may have fallen.
    const from = new Map<Seat, string>()
    const moved = (seat: Seat): void => {
      if (!from.has(seat)) from.set(seat, seat.bin.id)
    }
    for (const seat of drawn) {
      const first = this.#bins.get(placement.shardOf(seat.key))!
      if (first.keys.length >= this.#boundOf(first, total)) continue
      moved(seat)
      leave(seat)
      take(first, seat)
    }
    for (const bin of this.#bins.values())
      while (bin.keys.length > this.#boundOf(bin, total)) {
        const seat = bin.keys.at(-1)!
        moved(seat)
        this.#move(seat, total)
      }
    for (const seat of homeless) {
      moved(seat)
      take(this.#room(seat.key, total), seat)
    }
    return [...from]
      .filter(([seat, id]) => seat.bin.id !== id)
      .map(([seat, id]) => ({ key: seat.key, from: id, to: seat.bin.id }))
  }

  loads(): BoundedLoad[] {
    return Array.from(this.#bins.values(), (bin) => ({
      id: bin.id,
      keys: bin.keys.length,
      bound: this.#boundOf(bin, this.#seats.size),
    }))
  }

  #adopt({ shards }: Placement): void {
    this.#weights = shards.reduce((sum, { weight }) => sum + weight, 0)
    this.#bins = new Map(
      shards.map(({ id, weight }) => {
        const bin = this.#bins.get(id) ?? { id, weight, keys: [] }
        bin.weight = weight
        return [id, bin]
      }),
    )
  }

  #move(seat: Seat, total: number): KeyMove {
    const from = seat.bin.id
    leave(seat)
    take(this.#room(seat.key, total), seat)
    return { key: seat.key, from, to: seat.bin.id }
  }

  #room(key: string, total: number): Bin {
    const hasRoom = (bin: Bin): boolean => bin.keys.length < this.#boundOf(bin, total)
    // Nearly always there is room at once, without the cost of an order.
    const first = this.#bins.get(this.#placement.shardOf(key))!
    if (hasRoom(first)) return first
    for (const id of this.#placement.order(key)) {
      const bin = this.#bins.get(id)!
      if (hasRoom(bin)) return bin
    }
    // All bounds together are more than all keys.
    throw new Error('boundedPlacement: no shard has room')
  }

  #boundOf(bin: Bin, total: number): number {
    return boundOf(this.#factor, total, bin.weight, this.#weights)
  }
}

function leave({ bin, at }: Seat): void {
  const last = bin.keys.pop()!
  if (last.at === at) return
  bin.keys[at] = last
  last.at = at
}

function take(bin: Bin, seat: Seat): void {
  seat.bin = bin
  seat.at = bin.keys.length
  bin.keys.push(seat)
}
