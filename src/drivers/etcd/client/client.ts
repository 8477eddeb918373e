import { randomBytes } from 'node:crypto'
import { Caller, type CallOptions } from './caller.js'
import { EtcdError, isLeaseMissing } from './fault.js'
import { KeepAlives } from './keep-alives.js'
import type {
  DeleteRangeRequest,
  DeleteRangeResponse,
  LeaseTimeToLiveResponse,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  StatusResponse,
  TxnRequest,
  TxnResponse,
} from './messages.js'
import {
  COMPACT,
  DELETE_RANGE,
  LEASE_GRANT,
  LEASE_REVOKE,
  LEASE_TIME_TO_LIVE,
  PUT,
  RANGE,
  STATUS,
  TXN,
} from './methods.js'
import type { EtcdSettings, Surroundings } from './settings.js'
import { Watch, type WatchRequest } from './watch.js'
import { Watches } from './watches.js'

/**
 * A client of etcd's API v3 (3.4 and later), over gRPC.
 *
 * Every call has a deadline. One that fails throws an {@link EtcdError} that says what came of it; what has not begun, and
 * what only reads, is tried again until the deadline, at another endpoint if there is one.
 */
export class EtcdClient implements Disposable {
  readonly #caller: Caller
  readonly #keepAlives: KeepAlives
  readonly #watches: Watches

  /** Connects with the first call. */
  constructor(settings: EtcdSettings, runtime: Surroundings) {
    this.#caller = new Caller(settings, runtime)
    this.#keepAlives = new KeepAlives(this.#caller, runtime)
    this.#watches = new Watches(this.#caller, runtime)
  }

  range(request: RangeRequest, options?: CallOptions): Promise<RangeResponse> {
    return this.#caller.call(RANGE, request, options)
  }

  put(request: PutRequest, options?: CallOptions): Promise<PutResponse> {
    return this.#caller.call(PUT, request, options)
  }

  deleteRange(request: DeleteRangeRequest, options?: CallOptions): Promise<DeleteRangeResponse> {
    return this.#caller.call(DELETE_RANGE, request, options)
  }

  txn(request: TxnRequest, options?: CallOptions): Promise<TxnResponse> {
    return this.#caller.call(TXN, request, options)
  }

  /** Forgets what was before a revision, apart from what is in force at it. */
  async compact(revision: number, options?: CallOptions): Promise<void> {
    await this.#caller.call(COMPACT, { revision, physical: false }, options)
  }

  /**
   * Grants a lease.
   *
   * @param ttl - seconds; etcd may give more, at least 1.5 times its election timeout
   * @returns its id, drawn here, and the seconds it was given
   */
  async leaseGrant(ttl: number, options?: CallOptions): Promise<{ id: bigint; ttl: number }> {
    const id = newLeaseId()
    const granted = await this.#caller.call(LEASE_GRANT, { ttl, id }, options)
    if (granted.error !== '') throw new EtcdError('refused', `etcd grants no lease: ${granted.error}`)
    return { id, ttl: granted.ttl }
  }

  /** Ends a lease, and deletes what is attached to it. One that is not there has ended. */
  async leaseRevoke(id: bigint, options?: CallOptions): Promise<void> {
    try {
      await this.#caller.call(LEASE_REVOKE, { id }, options)
    } catch (error) {
      if (!isLeaseMissing(error)) throw error
    }
  }

  /**
   * Renews leases, once.
   *
   * @param timeout - ms
   * @returns of each its time to live in seconds; 0 if there is no such lease
   */
  leaseKeepAlive(ids: readonly bigint[], timeout: number, signal?: AbortSignal): Promise<number[]> {
    return this.#keepAlives.renew(ids, timeout, signal)
  }

  /** What is left of a lease; its `ttl` is -1 if there is none. */
  leaseTimeToLive(
    request: { id: bigint; keys?: boolean },
    options?: CallOptions,
  ): Promise<LeaseTimeToLiveResponse> {
    return this.#caller.call(LEASE_TIME_TO_LIVE, request, options)
  }

  /** Begins to watch. */
  watch(request: WatchRequest, signal?: AbortSignal): Watch {
    return new Watch(request, this.#watches, signal)
  }

  /** Of the member that answers. */
  status(options?: CallOptions): Promise<StatusResponse> {
    return this.#caller.call(STATUS, {}, options)
  }

  /** Ends its watches and its connection; leases are left to themselves. */
  close(): void {
    this.#caller.close()
    this.#keepAlives.close()
    this.#watches.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }
}

/** 63 bits, as etcd has them. */
function newLeaseId(): bigint {
  return BigInt.asUintN(63, randomBytes(8).readBigUInt64BE()) || 1n
}
