import { compareKeys, keyOf } from '../../coordination/driver.js'
import type { Change, Changes, Entry } from '../../coordination/coordinator.js'
import { coordinationError } from '../../coordination/errors.js'
import type { Event, KeyValue } from './client/messages.js'

/** Turns what etcd has into what coordinators give: keys without the prefix, leases as `etcdctl` writes them. */
export class Entries {
  readonly #prefix: string
  readonly #prefixBytes: number

  constructor(prefix: string) {
    this.#prefix = prefix
    this.#prefixBytes = Buffer.byteLength(prefix)
  }

  /** As etcd has it. */
  key(key: string): string {
    return this.#prefix + key
  }

  /** All keys that begin with `prefix`. */
  range(prefix: string): { key: Buffer; rangeEnd: Buffer } {
    const key = Buffer.from(this.#prefix + prefix)
    if (key.length === 0) return { key: ZERO, rangeEnd: ZERO }
    const rangeEnd = Buffer.from(key)
    // No byte of UTF-8 is 255.
    rangeEnd[rangeEnd.length - 1]!++
    return { key, rangeEnd }
  }

  entry({ key, value, modRevision, createRevision, lease }: KeyValue): Entry {
    return {
      key: this.#own(key),
      value: value.toString(),
      revision: modRevision,
      created: createRevision,
      ...(lease !== 0n && { lease: leaseName(lease) }),
    }
  }

  /** Events by their revisions. */
  groups(events: readonly Event[]): Changes[] {
    const groups: { revision: number; changes: Change[] }[] = []
    for (const { type, kv } of events) {
      if (!kv) continue
      let group = groups.at(-1)
      if (group?.revision !== kv.modRevision) groups.push((group = { revision: kv.modRevision, changes: [] }))
      group.changes.push(
        type === DELETED
          ? { kind: 'deleted', key: this.#own(kv.key) }
          : { kind: 'put', entry: this.entry(kv) },
      )
    }
    for (const { changes } of groups)
      if (changes.length > 1) changes.sort((a, b) => compareKeys(keyOf(a), keyOf(b)))
    return groups
  }

  #own(key: Buffer): string {
    return key.toString('utf8', this.#prefixBytes)
  }
}

/** As the whole of a range, it means everything. */
const ZERO = Buffer.alloc(1)
const DELETED = 1

/** How `etcdctl` writes the id of a lease. */
export function leaseName(id: bigint): string {
  return id.toString(16)
}

/** @throws `BANYAN_LEASE_LOST` if it cannot be one: 0 would be none at all */
export function leaseId(name: string): bigint {
  if (!/^[1-9a-f][0-9a-f]{0,15}$/.test(name))
    throw coordinationError('BANYAN_LEASE_LOST', `etcd has no lease ${JSON.stringify(name)}`)
  return BigInt(`0x${name}`)
}
