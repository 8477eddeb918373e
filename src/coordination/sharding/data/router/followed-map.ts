import type { Coordinator } from '../../../coordinator.js'
import { openView, type View } from '../../../view/view.js'
import { dataShardsKey, decodeDataShards, ownerIn, readDataShards, type DataShardMap } from '../map.js'

/**
 * The map as far as it is known here. The last one outlives the coordinator; where it is wrong, the databases themselves say who has a
 * bucket.
 */
export class FollowedMap {
  readonly #coordinator: Coordinator
  readonly #name: string
  readonly #view: View
  /** What databases have said since the map was last read. */
  readonly #said = new Map<number, string>()
  #map: DataShardMap

  constructor(coordinator: Coordinator, name: string, map: DataShardMap) {
    this.#coordinator = coordinator
    this.#name = name
    this.#map = map
    const key = dataShardsKey(name)
    this.#view = openView(coordinator, key)
    this.#view.on('change', ({ changes }) => {
      for (const change of changes)
        if (change.kind === 'put' && change.entry.key === key) this.#take(decodeDataShards(change.entry))
    })
  }

  get map(): DataShardMap {
    return this.#map
  }

  ownerOf(bucket: number): string {
    return this.#said.get(bucket) ?? ownerIn(this.#map, bucket)
  }

  /** Reads it anew. Fails in silence, as the databases know better. */
  async refresh(): Promise<void> {
    const map = await readDataShards(this.#coordinator, this.#name).catch(() => undefined)
    if (map) this.#take(map)
  }

  /** A database says that it has a bucket. */
  said(bucket: number, shard: string): void {
    this.#said.set(bucket, shard)
  }

  close(): Promise<void> {
    return this.#view.close()
  }

  #take(map: DataShardMap): void {
    // One that was made anew is of other databases, and may have other buckets: these would refuse to be opened with it.
    if (map.owner !== this.#map.owner || map.version <= this.#map.version) return
    this.#map = map
    this.#said.clear()
  }
}
