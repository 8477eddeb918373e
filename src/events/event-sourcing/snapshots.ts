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

/** Where snapshots are: a cache, which may lose any of them at any time. */
export interface SnapshotStore {
  read(stream: string): Promise<Snapshot | undefined>
  /** Takes the place of an older one; leaves a newer one of the same version as it is. */
  write(stream: string, snapshot: Snapshot): Promise<void>
  delete(stream: string): Promise<void>
}

/** How many snapshots are kept in memory by default. */
const MOST = 10_000

/**
 * Snapshots in the memory of this process; those that were not used for the longest time go first.
 *
 * @param most - how many are kept; default 10,000
 */
export function memorySnapshots(most = MOST): SnapshotStore {
  const kept = new Map<string, Snapshot>()
  const use = (stream: string, snapshot: Snapshot): void => {
    kept.delete(stream)
    kept.set(stream, snapshot)
    if (kept.size > most) kept.delete(kept.keys().next().value!)
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
  }
}
