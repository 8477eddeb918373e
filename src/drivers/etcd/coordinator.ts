import { systemRandom } from '../../core/random.js'
import type {
  Changes,
  CoordinatorCapabilities,
  DeleteResult,
  Entry,
  Expected,
  Listing,
  PutAndListResult,
  PutResult,
} from '../../coordination/coordinator.js'
import type { CoordinatorContext, CoordinatorDriver, Grant } from '../../coordination/driver.js'
import { coordinationError } from '../../coordination/errors.js'
import { EtcdClient } from './client/client.js'
import { CompactedError, isLeaseMissing } from './client/fault.js'
import {
  CompareTarget,
  type Compare,
  type KeyValue,
  type PutRequest,
  type RangeResponse,
  type RequestOp,
  type ResponseOp,
} from './client/messages.js'
import { Entries, leaseId, leaseName } from './entries.js'
import { errorOf } from './errors.js'
import { placeOf } from './place.js'
import { ETCD_LEASES, type EtcdCoordinatorSpec } from './spec.js'

const CAPABILITIES: CoordinatorCapabilities = {
  driver: 'etcd',
  shared: 'network',
  durable: 'power loss',
  ...ETCD_LEASES,
}

/** How many keys are asked for first, and at most; more with each page that was small. */
const FIRST_PAGE = 250
const LARGEST_PAGE = 4000
const SMALL_PAGE_BYTES = 1024 * 1024

/** What no key has: etcd compares keys that are not there as if their revisions were 0. */
const NO_REVISION = -1

/** Keys in etcd, which keeps most of the laws by itself. Each watch is one of etcd's, all of them on one stream. */
class EtcdCoordinator implements CoordinatorDriver {
  readonly capabilities = CAPABILITIES
  readonly #client: EtcdClient
  readonly #entries: Entries

  constructor(client: EtcdClient, prefix: string) {
    this.#client = client
    this.#entries = new Entries(prefix)
  }

  async get(key: string): Promise<Entry | undefined> {
    const { kvs } = await asked(this.#client.range({ key: this.#entries.key(key) }))
    return this.#first(kvs)
  }

  /** @param first - the first page, if it is there */
  async list(prefix: string, first?: RangeResponse): Promise<Listing> {
    for (let page = first; ; page = undefined) {
      try {
        return await this.#pages(prefix, page)
      } catch (error) {
        // Compacted between two pages: the next try begins later.
        if (!(error instanceof CompactedError)) throw errorOf(error)
      }
    }
  }

  async put(key: string, value: string, expected: Expected, lease: string | undefined): Promise<PutResult> {
    const put = this.#putOf(key, value, lease)
    if (expected !== 'any') return (await this.#putIf(put, key, expected, lease, [])).put
    const { header, prevKv } = await withLease(key, lease, this.#client.put(put))
    return done(header!.revision, prevKv)
  }

  async putAndList(
    key: string,
    value: string,
    expected: Expected,
    lease: string | undefined,
    prefix: string,
  ): Promise<PutAndListResult> {
    const range = { ...this.#entries.range(prefix), limit: FIRST_PAGE }
    const { put, responses } = await this.#putIf(this.#putOf(key, value, lease), key, expected, lease, [
      { range },
    ])
    return { put, listing: await this.list(prefix, responses[1]!.range) }
  }

  async delete(key: string, expected: Expected): Promise<DeleteResult> {
    if (expected === 'absent') {
      const actual = await this.get(key)
      return actual ? { ok: false, actual } : { ok: true, revision: undefined }
    }
    const own = this.#entries.key(key)
    if (expected === 'any') {
      const { deleted, header } = await asked(this.#client.deleteRange({ key: own }))
      return { ok: true, revision: deleted > 0 ? header!.revision : undefined }
    }
    const { succeeded, header, responses } = await asked(
      this.#client.txn({
        compare: [compareTo(own, expected)],
        success: [{ deleteRange: { key: own } }],
        failure: [{ range: { key: own } }],
      }),
    )
    return succeeded
      ? { ok: true, revision: header!.revision }
      : { ok: false, actual: this.#actual(responses) }
  }

  async head(): Promise<number> {
    const { key } = this.#entries.range('')
    const { header } = await asked(this.#client.range({ key, countOnly: true }))
    return header!.revision
  }

  async grant(ttl: number): Promise<Grant> {
    const { id, ttl: seconds } = await asked(this.#client.leaseGrant(Math.ceil(ttl / 1000)))
    return { id: leaseName(id), ttl: seconds * 1000 }
  }

  async renew(leases: readonly string[], within: number): Promise<readonly boolean[]> {
    const seconds = await asked(this.#client.leaseKeepAlive(leases.map(leaseId), within))
    return seconds.map((ttl) => ttl > 0)
  }

  async revoke(lease: string): Promise<void> {
    await asked(this.#client.leaseRevoke(leaseId(lease)))
  }

  watch(prefix: string, after: number, signal: AbortSignal): AsyncIterable<Changes> {
    // Nothing happens in the first revision of etcd, and 0 would mean from now on.
    return this.#watch(prefix, Math.max(after, 1) + 1, signal)
  }

  watchNow(prefix: string, signal: AbortSignal): AsyncIterable<Changes> {
    return this.#watch(prefix, undefined, signal)
  }

  close(): void {
    this.#client.close()
  }

  /** What was there before tells since when the key is there. */
  #putOf(key: string, value: string, lease: string | undefined): PutRequest {
    return {
      key: this.#entries.key(key),
      value,
      prevKv: true,
      lease: lease === undefined ? undefined : leaseId(lease),
    }
  }

  /** @param besides - what is looked at in the same step, whatever comes of the put */
  async #putIf(
    put: PutRequest,
    key: string,
    expected: Expected,
    lease: string | undefined,
    besides: readonly RequestOp[],
  ): Promise<{ put: PutResult; responses: readonly ResponseOp[] }> {
    const { succeeded, header, responses } = await withLease(
      key,
      lease,
      this.#client.txn({
        compare: expected === 'any' ? [] : [compareTo(this.#entries.key(key), expected)],
        success: [{ put }, ...besides],
        failure: [{ range: { key: put.key } }, ...besides],
      }),
    )
    return {
      put: succeeded
        ? done(header!.revision, responses[0]?.put?.prevKv)
        : { ok: false, actual: this.#actual(responses) },
      responses,
    }
  }

  async *#watch(
    prefix: string,
    startRevision: number | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<Changes, void> {
    const request = { ...this.#entries.range(prefix), startRevision, progressNotify: true }
    try {
      for await (const { revision, events } of this.#client.watch(request, signal)) {
        if (events.length === 0) yield { revision, changes: [] }
        else yield* this.#entries.groups(events)
        if (signal.aborted) return
      }
    } catch (error) {
      throw errorOf(error)
    }
  }

  async #pages(prefix: string, first: RangeResponse | undefined): Promise<Listing> {
    const { key, rangeEnd } = this.#entries.range(prefix)
    const entries: Entry[] = []
    let begin: Buffer = key
    let page = first
    let revision = 0
    for (let limit = FIRST_PAGE; ; page = undefined) {
      const { header, kvs, more } =
        page ?? (await this.#client.range({ key: begin, rangeEnd, limit, revision }))
      if (revision === 0) revision = header!.revision
      let size = 0
      for (const kv of kvs) {
        size += kv.key.length + kv.value.length
        entries.push(this.#entries.entry(kv))
      }
      if (!more) return { entries, revision }
      begin = Buffer.concat([kvs.at(-1)!.key, NUL])
      if (size < SMALL_PAGE_BYTES) limit = Math.min(limit * 2, LARGEST_PAGE)
    }
  }

  #first(kvs: readonly KeyValue[]): Entry | undefined {
    return kvs[0] && this.#entries.entry(kvs[0])
  }

  #actual(responses: readonly ResponseOp[]): Entry | undefined {
    return this.#first(responses[0]?.range?.kvs ?? [])
  }
}

const NUL = Buffer.alloc(1)

function compareTo(key: string, expected: number | 'absent'): Compare {
  if (expected === 'absent') return { key, target: CompareTarget.create, createRevision: 0 }
  return { key, target: CompareTarget.mod, modRevision: expected === 0 ? NO_REVISION : expected }
}

function done(revision: number, before: KeyValue | undefined): PutResult {
  return { ok: true, revision, created: before?.createRevision ?? revision }
}

/** What came of a put, which needs the lease. */
async function withLease<Answer>(
  key: string,
  lease: string | undefined,
  call: Promise<Answer>,
): Promise<Answer> {
  try {
    return await call
  } catch (error) {
    if (lease === undefined || !isLeaseMissing(error)) throw errorOf(error)
    throw coordinationError(
      'BANYAN_LEASE_LOST',
      `${key} was not set: the lease ${lease} has expired or was released`,
      error,
    )
  }
}

async function asked<Answer>(call: Promise<Answer>): Promise<Answer> {
  try {
    return await call
  } catch (error) {
    throw errorOf(error)
  }
}

/**
 * Opens keys in etcd.
 *
 * @throws `BANYAN_INVALID_OPTIONS`; `BANYAN_COORDINATOR_UNAVAILABLE` if it does not answer, or does not let the user in
 */
export async function openEtcdCoordinator(
  spec: EtcdCoordinatorSpec,
  { clock }: CoordinatorContext,
): Promise<CoordinatorDriver> {
  const { settings, prefix } = await placeOf(spec)
  const client = new EtcdClient(settings, { clock, random: systemRandom })
  const coordinator = new EtcdCoordinator(client, prefix)
  try {
    await coordinator.head()
  } catch (error) {
    client.close()
    throw error
  }
  return coordinator
}
