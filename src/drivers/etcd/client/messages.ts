import { bytes, flag, id, int, many, message, one, text, type Read, type Written } from './wire.js'

/**
 * The messages of etcd's API v3, as far as they are used: names and numbers are those of `rpc.proto`, `kv.proto` of
 * etcd 3.4. What later versions add is passed over.
 */

export const Header = message({ clusterId: id(1), memberId: id(2), revision: int(3), raftTerm: id(4) })

export const KeyValue = message({
  key: bytes(1),
  createRevision: int(2),
  modRevision: int(3),
  version: int(4),
  value: bytes(5),
  lease: id(6),
})

export const RangeRequest = message({
  key: bytes(1),
  rangeEnd: bytes(2),
  limit: int(3),
  revision: int(4),
  sortOrder: int(5),
  sortTarget: int(6),
  serializable: flag(7),
  keysOnly: flag(8),
  countOnly: flag(9),
  minModRevision: int(10),
  maxModRevision: int(11),
  minCreateRevision: int(12),
  maxCreateRevision: int(13),
})
export const RangeResponse = message({
  header: one(1, Header),
  kvs: many(one(2, KeyValue)),
  more: flag(3),
  count: int(4),
})

export const PutRequest = message({
  key: bytes(1),
  value: bytes(2),
  lease: id(3),
  prevKv: flag(4),
  ignoreValue: flag(5),
  ignoreLease: flag(6),
})
export const PutResponse = message({ header: one(1, Header), prevKv: one(2, KeyValue) })

export const DeleteRangeRequest = message({ key: bytes(1), rangeEnd: bytes(2), prevKv: flag(3) })
export const DeleteRangeResponse = message({
  header: one(1, Header),
  deleted: int(2),
  prevKvs: many(one(3, KeyValue)),
})

/** `target` of a {@link Compare}. */
export const CompareTarget = { version: 0, create: 1, mod: 2, value: 3, lease: 4 } as const

/**
 * Whether what `target` names of a key is equal (`result` 0), greater (1), less (2) or not equal (3); of a key that is not
 * there, it is 0.
 */
export const Compare = message({
  result: int(1),
  target: int(2),
  key: bytes(3),
  version: int(4),
  createRevision: int(5),
  modRevision: int(6),
  value: bytes(7),
  lease: id(8),
  rangeEnd: bytes(64),
})

/** Exactly one of them. */
export const RequestOp = message({
  range: one(1, RangeRequest),
  put: one(2, PutRequest),
  deleteRange: one(3, DeleteRangeRequest),
})
export const ResponseOp = message({
  range: one(1, RangeResponse),
  put: one(2, PutResponse),
  deleteRange: one(3, DeleteRangeResponse),
})

export const TxnRequest = message({
  compare: many(one(1, Compare)),
  success: many(one(2, RequestOp)),
  failure: many(one(3, RequestOp)),
})
export const TxnResponse = message({
  header: one(1, Header),
  succeeded: flag(2),
  responses: many(one(3, ResponseOp)),
})

export const CompactRequest = message({ revision: int(1), physical: flag(2) })
export const CompactResponse = message({ header: one(1, Header) })

export const LeaseGrantRequest = message({ ttl: int(1), id: id(2) })
export const LeaseGrantResponse = message({ header: one(1, Header), id: id(2), ttl: int(3), error: text(4) })
export const LeaseRevokeRequest = message({ id: id(1) })
export const LeaseRevokeResponse = message({ header: one(1, Header) })
export const LeaseKeepAliveRequest = message({ id: id(1) })
/** Without its header: thousands come at once. */
export const LeaseKeepAliveResponse = message({ id: id(2), ttl: int(3) })
export const LeaseTimeToLiveRequest = message({ id: id(1), keys: flag(2) })
export const LeaseTimeToLiveResponse = message({
  header: one(1, Header),
  id: id(2),
  ttl: int(3),
  grantedTtl: int(4),
  keys: many(bytes(5)),
})

export const WatchCreateRequest = message({
  key: bytes(1),
  rangeEnd: bytes(2),
  startRevision: int(3),
  progressNotify: flag(4),
  filters: many(int(5)),
  prevKv: flag(6),
  watchId: int(7),
  fragment: flag(8),
})
export const WatchCancelRequest = message({ watchId: int(1) })
/** Exactly one of them. */
export const WatchRequest = message({
  create: one(1, WatchCreateRequest),
  cancel: one(2, WatchCancelRequest),
  progress: one(3, message({})),
})
/** `type` is 0 for a put and 1 for a deletion. */
export const Event = message({ type: int(1), kv: one(2, KeyValue), prevKv: one(3, KeyValue) })
export const WatchResponse = message({
  header: one(1, Header),
  watchId: int(2),
  created: flag(3),
  canceled: flag(4),
  compactRevision: int(5),
  cancelReason: text(6),
  fragment: flag(7),
  events: many(one(11, Event)),
})

export const StatusRequest = message({})
export const StatusResponse = message({
  header: one(1, Header),
  version: text(2),
  dbSize: int(3),
  leader: id(4),
  raftIndex: id(5),
  raftTerm: id(6),
})

export const AuthenticateRequest = message({ name: text(1), password: text(2) })
export const AuthenticateResponse = message({ header: one(1, Header), token: text(2) })

/** What the messages hold, by their names. */
export type KeyValue = Read<typeof KeyValue>
export type RangeRequest = Written<typeof RangeRequest>
export type RangeResponse = Read<typeof RangeResponse>
export type PutRequest = Written<typeof PutRequest>
export type PutResponse = Read<typeof PutResponse>
export type DeleteRangeRequest = Written<typeof DeleteRangeRequest>
export type DeleteRangeResponse = Read<typeof DeleteRangeResponse>
export type Compare = Written<typeof Compare>
export type RequestOp = Written<typeof RequestOp>
export type ResponseOp = Read<typeof ResponseOp>
export type TxnRequest = Written<typeof TxnRequest>
export type TxnResponse = Read<typeof TxnResponse>
export type Event = Read<typeof Event>
export type WatchCreateRequest = Written<typeof WatchCreateRequest>
export type WatchResponse = Read<typeof WatchResponse>
export type LeaseTimeToLiveResponse = Read<typeof LeaseTimeToLiveResponse>
export type StatusResponse = Read<typeof StatusResponse>
