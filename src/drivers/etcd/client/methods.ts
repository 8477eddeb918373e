import {
  AuthenticateRequest,
  AuthenticateResponse,
  CompactRequest,
  CompactResponse,
  DeleteRangeRequest,
  DeleteRangeResponse,
  LeaseGrantRequest,
  LeaseGrantResponse,
  LeaseKeepAliveRequest,
  LeaseKeepAliveResponse,
  LeaseRevokeRequest,
  LeaseRevokeResponse,
  LeaseTimeToLiveRequest,
  LeaseTimeToLiveResponse,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  StatusRequest,
  StatusResponse,
  TxnRequest,
  TxnResponse,
  WatchRequest,
  WatchResponse,
} from './messages.js'
import type { Message } from './wire.js'

/** What can be asked of etcd. */
export interface Method<Given, Answer> {
  readonly path: string
  /** Whether it may change anything: not repeated by itself if its outcome is not known. */
  readonly changes: boolean
  readonly encode: (request: Given) => Buffer
  readonly decode: (bytes: Buffer) => Answer
}

function method<Given, Answer>(
  path: string,
  request: Message<unknown, Given>,
  answer: Message<Answer, never>,
  changes = false,
): Method<Given, Answer> {
  return {
    path: `/etcdserverpb.${path}`,
    changes,
    encode: (given) => request.encode(given),
    decode: (bytes) => answer.decode(bytes),
  }
}

const CHANGES = true

export const RANGE = method('KV/Range', RangeRequest, RangeResponse)
export const PUT = method('KV/Put', PutRequest, PutResponse, CHANGES)
export const DELETE_RANGE = method('KV/DeleteRange', DeleteRangeRequest, DeleteRangeResponse, CHANGES)
export const TXN = method('KV/Txn', TxnRequest, TxnResponse, CHANGES)
export const COMPACT = method('KV/Compact', CompactRequest, CompactResponse, CHANGES)
export const LEASE_GRANT = method('Lease/LeaseGrant', LeaseGrantRequest, LeaseGrantResponse, CHANGES)
export const LEASE_REVOKE = method('Lease/LeaseRevoke', LeaseRevokeRequest, LeaseRevokeResponse, CHANGES)
export const LEASE_TIME_TO_LIVE = method(
  'Lease/LeaseTimeToLive',
  LeaseTimeToLiveRequest,
  LeaseTimeToLiveResponse,
)
export const STATUS = method('Maintenance/Status', StatusRequest, StatusResponse)
export const AUTHENTICATE = method('Auth/Authenticate', AuthenticateRequest, AuthenticateResponse)
/** These two are streams. */
export const LEASE_KEEP_ALIVE = method('Lease/LeaseKeepAlive', LeaseKeepAliveRequest, LeaseKeepAliveResponse)
export const WATCH = method('Watch/Watch', WatchRequest, WatchResponse)
