import { crc32 } from 'node:zlib'
import { eventError } from '../errors.js'

/** The state of a stream at a revision. */
export interface Snapshot {
  /** The last event that is in it. */
  readonly revision: number
  /** Id of that event: a log that was restored may have another one there. */
  readonly event: string
  /** Of the state's form; one of another version is as good as none. */
  readonly version: number
  /** JSON text. */
  readonly state: string
}

/**
 * Where snapshots are: a cache, which may lose any of them at any time. Repositories may share one, unless they make
 * different states of the same streams.
 */
export interface SnapshotStore {
  /** @throws anything; whoever reads takes it as if there were none, and says so */
  read(stream: string): Promise<Snapshot | undefined>
  /** Takes the place of an older one; leaves a newer one of the same version as it is. */
  write(stream: string, snapshot: Snapshot): Promise<void>
  delete(stream: string): Promise<void>
}

/** Snapshots that were opened, and have to be closed. */
export interface Snapshots extends SnapshotStore, AsyncDisposable {
  close(): Promise<void>
}

/** CRC-32 of everything that a snapshot says, and of whose it is; what drivers on a disk keep with it. */
export function snapshotChecksum(stream: string, { revision, event, version, state }: Snapshot): number {
  return crc32(`${stream}\0${revision}\0${event}\0${version}\0${state}`)
}

/** What {@link SnapshotStore.read} throws where the checksum is another one. */
export function damagedSnapshot(stream: string, place: string): Error {
  return eventError(
    'BANYAN_LOG_CORRUPT',
    `the snapshot of ${stream} in ${place} is not what was written; it was deleted`,
  )
}

/** How many snapshots are kept in memory by default. */
const MOST = 10_000

/**
 * Snapshots in the memory of this process; those that were not used for the longest time go first.
 *
 * @param most - how many are kept; default 10,000
 */
export function memorySnapshots(most = MOST): Snapshots {
  const kept = new Map<string, Snapshot>()
  const use = (stream: string, snapshot: Snapshot): void => {
    kept.delete(stream)
    kept.set(stream, snapshot)
    if (kept.size > most) kept.delete(kept.keys().next().value!)
  }
  const close = (): Promise<void> => {
    kept.clear()
    return Promise.resolve()
  }
  return {
    read(stream) {
      const snapshot = kept.get(stream)
      if (snapshot) use(stream, snapshot)
      return Promise.resolve(snapshot)
    },
    write(stream, snapshot) {
      const known = kept.get(stream)
      const isOlder = known?.version === snapshot.version && known.revision > snapshot.revision
      if (!isOlder) use(stream, snapshot)
      return Promise.resolve()
    },
    delete(stream) {
      kept.delete(stream)
      return Promise.resolve()
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}
