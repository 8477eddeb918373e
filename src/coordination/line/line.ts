import { backoffWait } from '../../core/backoff.js'
import type { Coordinator, Entry, Lease, Listing, Session } from '../coordinator.js'
import { hasCode, isPassing } from '../errors.js'
import { RETRY } from '../patiently.js'
import { pause, unless } from './limit.js'
import { onAbort } from '../on-abort.js'
import { leave, ownId, type OwnKey } from './own-key.js'
import { whenGone } from './when-gone.js'

/**
 * A line of waiters, as etcd's: each puts a key of its own under one prefix, and who comes first is who was `created` first.
 * A waiter watches what it waits for and its own key, and reads the line again before it believes that it is in.
 */
export interface Line {
  readonly coordinator: Coordinator
  /** Of all keys in line. */
  readonly prefix: string
  readonly session: Session
  /** What a key has. */
  readonly value: () => string
  /**
   * What somebody still waits for.
   *
   * @param ahead - everybody who came before, first comes first
   * @returns nothing if it is in
   */
  readonly waitsFor: (ahead: readonly Entry[]) => Wait | undefined
}

/** Until of these keys no more than `may` are left. */
export interface Wait {
  readonly keys: readonly string[]
  readonly may: number
}

/** How long somebody waits before they watch their own key as well, in ms; if it is gone by then, that is seen. */
const OWN_KEY_AFTER = 100

/** Somebody in line. */
export interface Place extends OwnKey {
  /** The revision of the put: the order of the line, and a fencing token. */
  readonly created: number
}

/** How somebody comes in. */
export interface EnterOptions {
  /** Gives up and leaves the line; rejects with its reason. */
  readonly signal: AbortSignal | undefined
  /** Told who is in front, each time that was read. */
  readonly seen?: (ahead: readonly Entry[]) => void
}

/**
 * Comes into a line and waits until it is let in. Waits as well while the engine is away. Whoever loses the lease in line
 * begins anew, at its end.
 */
export function enter(line: Line, options: EnterOptions): Promise<Place> {
  return unlessGivenUp(line, options.signal, enterWith(line, options))
}

async function enterWith(line: Line, { signal, seen }: EnterOptions): Promise<Place> {
  for (;;) {
    const lease = await line.session.lease({ signal })
    const arrival = await arrive(line, lease, signal)
    if (!arrival) continue
    const { place } = arrival
    try {
      if (await waitInLine(line, arrival, signal, seen)) return place
    } catch (error) {
      void leave(line.coordinator, place)
      throw error
    }
    // Without the lease there is no place, whatever the engine still has.
    void leave(line.coordinator, place)
  }
}

/** Comes in if nobody has to be waited for. What the engine does not answer fails. */
export function tryEnter(line: Line, { signal }: EnterOptions): Promise<Place | undefined> {
  return unlessGivenUp(line, signal, tryEnterWith(line, signal))
}

/** Whoever has given up is told at once, and leaves the line also if it was let in at that moment. */
function unlessGivenUp<Let extends Place | undefined>(
  { coordinator }: Line,
  signal: AbortSignal | undefined,
  entering: Promise<Let>,
): Promise<Let> {
  if (!signal) return entering
  return unless(signal, entering, (place) => {
    if (place) void leave(coordinator, place)
  })
}

async function tryEnterWith(line: Line, signal: AbortSignal | undefined): Promise<Place | undefined> {
  const { coordinator, prefix } = line
  // Most who try in vain need not write for that.
  const before = await coordinator.list(prefix)
  if (line.waitsFor(inOrder(before))) return undefined
  const lease = await line.session.lease({ signal, wait: false })
  const own = new Own(prefix, lease)
  try {
    const expected = 'absent'
    const { put, listing } = await coordinator.putAndList(own.key, line.value(), prefix, { expected, lease })
    signal?.throwIfAborted()
    if (put.ok) {
      own.created = put.created
      const ahead = aheadOf(listing, own)
      if (ahead && lease.held && !line.waitsFor(ahead)) return own
    }
  } catch (error) {
    // What the signal was aborted with may be the loss of another lease.
    if (!signal?.aborted && hasCode(error, 'BANYAN_LEASE_LOST')) return tryEnterWith(line, signal)
    own.doubtful = hasCode(error, 'BANYAN_OUTCOME_UNKNOWN')
    void leave(coordinator, own)
    throw error
  }
  await leave(coordinator, own)
  return undefined
}

class Own implements Place {
  readonly key: string
  readonly lease: Lease
  created = 0
  doubtful = false

  constructor(prefix: string, lease: Lease) {
    this.key = prefix + ownId(lease)
    this.lease = lease
  }
}

/** Somebody who has just come into line. */
interface Arrival {
  readonly place: Place
  /** The line then. */
  readonly listing: Listing
}

/**
 * Puts a key of this process into a line, and tries until it is known to be there.
 *
 * @returns undefined if the lease was lost before
 */
export async function take(
  line: Pick<Line, 'coordinator' | 'prefix' | 'value'>,
  lease: Lease,
  signal: AbortSignal | undefined,
): Promise<Place | undefined> {
  return (await arrive(line, lease, signal))?.place
}

async function arrive(
  { coordinator, prefix, value }: Pick<Line, 'coordinator' | 'prefix' | 'value'>,
  lease: Lease,
  signal: AbortSignal | undefined,
): Promise<Arrival | undefined> {
  const own = new Own(prefix, lease)
  const expected = 'absent'
  for (let failures = 1; ; failures++) {
    let failure: unknown
    try {
      const { put, listing } = await coordinator.putAndList(own.key, value(), prefix, { expected, lease })
      // Its key is its own, so what is there came of a try whose outcome was not known. As long as it stands, none of those
      // that are still on their way does anything.
      own.created = put.ok ? put.created : put.actual!.created
      if (!signal?.aborted) return { place: own, listing }
    } catch (error) {
      if (hasCode(error, 'BANYAN_LEASE_LOST')) return undefined
      own.doubtful ||= hasCode(error, 'BANYAN_OUTCOME_UNKNOWN')
      failure = error
      if (isPassing(error)) await pauseBefore(coordinator, failures, signal)
    }
    if (isPassing(failure) && !signal?.aborted) continue
    if (own.created > 0 || own.doubtful) void leave(coordinator, own)
    throw signal?.aborted ? signal.reason : failure
  }
}

/** @returns whether it is in; otherwise the lease or the key is lost */
async function waitInLine(
  line: Line,
  { place, listing: first }: Arrival,
  signal: AbortSignal | undefined,
  seen: EnterOptions['seen'],
): Promise<boolean> {
  for (let listing: Listing | undefined = first; ; listing = await listed(line, place, signal)) {
    signal?.throwIfAborted()
    // A lease that was lost meanwhile may have let others in since the line was read.
    if (!listing || !place.lease.held) return false
    const ahead = aheadOf(listing, place)
    if (!ahead) return false
    seen?.(ahead)
    const wait = line.waitsFor(ahead)
    if (!wait) return true
    await untilChanged(line, place, wait, signal)
  }
}

/** The line; undefined if the lease was lost before. */
async function listed(
  { coordinator, prefix }: Line,
  { lease }: Place,
  signal: AbortSignal | undefined,
): Promise<Listing | undefined> {
  for (let failures = 1; lease.held; failures++) {
    try {
      return await coordinator.list(prefix)
    } catch (error) {
      if (!isPassing(error)) throw error
      await pauseBefore(coordinator, failures, signal)
      signal?.throwIfAborted()
    }
  }
  return undefined
}

/** Waits until something has happened that may let it in, or that it has to know. */
async function untilChanged(
  { coordinator, prefix }: Line,
  place: Place,
  { keys, may }: Wait,
  signal: AbortSignal | undefined,
): Promise<void> {
  const ending = new AbortController()
  const end = (): void => ending.abort()
  const forgets = [onAbort(place.lease.signal, end), signal && onAbort(signal, end)]
  try {
    await Promise.race([
      whenGone(coordinator, keys, ending.signal, keys.length > 1 ? { prefix, may } : {}),
      // Most do not wait for as long as it takes to delete a key by hand.
      pause(coordinator.runtime.clock, OWN_KEY_AFTER, ending.signal).then(() =>
        whenGone(coordinator, [place.key], ending.signal),
      ),
    ])
  } finally {
    end()
    for (const forget of forgets) forget?.()
  }
}

/** Who is in front of a place; undefined if the place is not in line. */
function aheadOf({ entries }: Listing, { key, created }: Place): Entry[] | undefined {
  if (!entries.some((entry) => entry.key === key)) return undefined
  return entries.filter((entry) => entry.created < created).sort(byCreation)
}

/** A line, first comes first. */
export function inOrder({ entries }: Pick<Listing, 'entries'>): Entry[] {
  return [...entries].sort(byCreation)
}

function byCreation(a: Entry, b: Entry): number {
  return a.created - b.created
}

function pauseBefore(
  { runtime: { clock, random } }: Coordinator,
  failures: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  return pause(clock, backoffWait(RETRY, failures, 'equal', random), signal)
}
