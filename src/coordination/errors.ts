import { BanyanError } from '../core/errors.js'

/**
 * Every error of the coordination plane; all are {@link BanyanError}s.
 *
 * | code | meaning |
 * |---|---|
 * | `BANYAN_INVALID_KEY` | a key, prefix, name or revision that can never be one |
 * | `BANYAN_VALUE_TOO_LARGE` | a value above the limit |
 * | `BANYAN_LEASE_TTL` | a lease shorter or longer than the driver can keep, or too short for how long the engine takes to answer |
 * | `BANYAN_LEASE_LOST` | the lease was not renewed in time, is gone, or was released; or what was held with it was taken away |
 * | `BANYAN_COMPACTED` | the changes behind that revision are not kept any more: list again, and watch behind that |
 * | `BANYAN_REVISION_AHEAD` | a revision that was not reached yet: of another engine, or of this one before it was restored |
 * | `BANYAN_STALE_TOKEN` | a fencing token below one that the resource has seen: somebody else has taken over |
 * | `BANYAN_FENCE_UNKNOWN` | nobody knows the highest token of a fence any more, as it was truncated, or its stream has what is no fence |
 * | `BANYAN_FENCE_BUSY` | work of an earlier holder has not ended in time; nothing was done |
 * | `BANYAN_FENCING_TOKEN_REQUIRED` | a request without a fencing token, where only a holder may change things |
 * | `BANYAN_INVALID_FENCING_TOKEN` | a header field that is no fencing token, or one of another fence |
 * | `BANYAN_FENCES_UNAVAILABLE` | the tables of fences cannot be used: the engine, the file, or that they are not there; nothing was done |
 * | `BANYAN_FENCES_CLOSED` | the fences were closed; nothing was done |
 * | `BANYAN_UNSUPPORTED` | what the engine in use cannot do |
 * | `BANYAN_NOT_LEADER` | work for leaders only, where none is |
 * | `BANYAN_NO_CANDIDATE` | nobody is there who could take over |
 * | `BANYAN_LOCK_TIMEOUT` | a lock was not free in the time that was given, or the engine has not said so |
 * | `BANYAN_NAME_CLASH` | a name that is used otherwise: for another kind of thing, or with other settings |
 * | `BANYAN_ELECTION_UNKNOWN` | nobody takes part in an election of that name |
 * | `BANYAN_LOCK_UNKNOWN` | nobody holds a lock, or a semaphore, of that name |
 * | `BANYAN_SERVICE_UNKNOWN` | no service, or no instance of it, is registered under that name |
 * | `BANYAN_JOB_UNKNOWN` | no job of that name was ever scheduled |
 * | `BANYAN_JOB_STOPPED` | a run of a job was told to end: it took too long, or its scheduler is closed |
 * | `BANYAN_SHARD_KEY_REQUIRED` | a shard key that is missing, empty or null, or a row that is inserted without one: not through the router |
 * | `BANYAN_SHARD_KEY_MISMATCH` | a row whose shard key is not that of its transaction |
 * | `BANYAN_SHARD_KEY_CHANGED` | an update that would take a row into another bucket: insert it there, and delete it here |
 * | `BANYAN_SHARD_MOVED` | a database that does not own the bucket any more: read the map again; routers do |
 * | `BANYAN_SHARD_BUSY` | a bucket that is being switched, or whose transactions do not end; nothing was done |
 * | `BANYAN_SHARD_MOVING` | a bucket that is on its way already |
 * | `BANYAN_SHARD_IN_USE` | a database that has rows, or takes part in a move, and cannot go like that |
 * | `BANYAN_SHARD_UNKNOWN` | no database of that name is among the shards |
 * | `BANYAN_SHARD_UNFIT` | tables that cannot be sharded, or moved: no primary key, no key column, others than elsewhere |
 * | `BANYAN_SHARD_STRAY` | a row in a database that does not own its bucket, or with a bucket that is not that of its key |
 * | `BANYAN_SHARD_FOREIGN` | a database of another application, or of another shard |
 * | `BANYAN_SHARD_UNAVAILABLE` | a database of a shard cannot be used: the engine, the file; nothing was done, unless it was lost in a commit, as the message says then |
 * | `BANYAN_SHARD_CLOSED` | the database of a shard was closed; nothing was done |
 * | `BANYAN_SHARDS_UNKNOWN` | there are no data shards of that name |
 * | `BANYAN_SHARDS_UNAVAILABLE` | a query over several databases, one of which did not answer |
 * | `BANYAN_SHARDS_UNSETTLED` | databases whose answers had a bucket twice or not at all, for longer than a move takes; ask again |
 * | `BANYAN_QUERY_NOT_MERGEABLE` | a query whose answers of several databases do not make that of one; says what to write instead |
 * | `BANYAN_QUERY_TOO_LARGE` | a query with more rows or groups than may be kept in memory |
 * | `BANYAN_MOVE_UNKNOWN` | there is no move of that name |
 * | `BANYAN_MOVE_STEP` | a move that is past, or not yet at, where that can be done |
 * | `BANYAN_INVALID_TOKEN` | what is no consistency token |
 * | `BANYAN_TOKEN_FOREIGN` | a consistency token of another cluster |
 * | `BANYAN_TOKEN_LOST` | what a consistency token stands for was lost when the leader changed, or nobody can tell that it was not |
 * | `BANYAN_FOLLOWER_BEHIND` | no follower is as fresh as a read asks for |
 * | `BANYAN_LEADER_UNKNOWN` | no server takes writes: none leads, or two do, or the coordinator does not say which; nothing was done |
 * | `BANYAN_REPLICA_LOST` | the server of a transaction was lost, or leads no more, before the commit; nothing was done |
 * | `BANYAN_REPLICAS_BUSY` | all connections to the server of a transaction are in use for too long; nothing was done |
 * | `BANYAN_REPLICAS_CLOSED` | the replicas were closed; nothing was done |
 * | `BANYAN_PROMOTION_REFUSED` | a follower was not promoted, and why |
 * | `BANYAN_SHARD_NOT_OWNED` | a bucket that this worker does not have, or not any more |
 * | `BANYAN_SHARD_MAP_UNKNOWN` | nobody has made a shard map of that name |
 * | `BANYAN_SHARD_MAP_BUSY` | a shard map that workers take part in |
 * | `BANYAN_BUCKET_UNKNOWN` | no such bucket in a shard map, or it is split |
 * | `BANYAN_WORKER_UNKNOWN` | no worker of that name takes part in a shard map, or it gives away what it has |
 * | `BANYAN_PATCH_INVALID` | a patch, or a configuration to apply, that is none; nothing was done |
 * | `BANYAN_PATCH_REFUSED` | a patch that does not fit what it is for: a test failed, or a place is not there; nothing was done |
 * | `BANYAN_APPLY_CONFLICT` | a configuration that has other values for fields than those who have them; nothing was done |
 * | `BANYAN_RECONCILE_STOPPED` | a reconcile was told to end: it took too long, has ended, or its controller is closed; nothing was done |
 * | `BANYAN_RESOURCE_NOT_FOUND` | there is no resource of that kind and name |
 * | `BANYAN_RESOURCE_EXISTS` | there is a resource of that kind and name |
 * | `BANYAN_RESOURCE_CONFLICT` | a resource is not as it was, or not what a precondition says: read it again; nothing was done |
 * | `BANYAN_RESOURCE_INVALID` | a resource with something wrong in it; says everything, and where |
 * | `BANYAN_RESOURCE_BAD_REQUEST` | a request for resources that cannot be understood |
 * | `BANYAN_RESOURCE_EXPIRED` | changes or states of resources that are not kept any more: list again, and watch from there |
 * | `BANYAN_RESOURCE_VERSION_AHEAD` | a version of resources that was not reached yet |
 * | `BANYAN_RESOURCE_TOO_LARGE` | a resource above the limit |
 * | `BANYAN_RESOURCE_FORBIDDEN` | a write of a resource that somebody who has a say in it does not want |
 * | `BANYAN_RESOURCE_HOOK_FAILED` | an admission hook threw: nothing was done |
 * | `BANYAN_COORDINATOR_UNAVAILABLE` | the engine cannot be reached, or not used; nothing was done |
 * | `BANYAN_COORDINATOR_CLOSED` | the coordinator was closed; nothing was done |
 * | `BANYAN_COORDINATOR_FORMAT` | what is stored was made by a newer version, or is no store of a coordinator |
 * | `BANYAN_COORDINATOR_CORRUPT` | what is stored is damaged |
 * | `BANYAN_OUTCOME_UNKNOWN` | the connection was lost before the answer: it may have been done |
 * | `BANYAN_DRIVER_MISSING` | the driver is unknown, or the package it needs is not installed |
 */
export type CoordinationErrorCode =
  | 'BANYAN_INVALID_KEY'
  | 'BANYAN_VALUE_TOO_LARGE'
  | 'BANYAN_LEASE_TTL'
  | 'BANYAN_LEASE_LOST'
  | 'BANYAN_COMPACTED'
  | 'BANYAN_REVISION_AHEAD'
  | 'BANYAN_STALE_TOKEN'
  | 'BANYAN_FENCE_UNKNOWN'
  | 'BANYAN_FENCE_BUSY'
  | 'BANYAN_FENCING_TOKEN_REQUIRED'
  | 'BANYAN_INVALID_FENCING_TOKEN'
  | 'BANYAN_FENCES_UNAVAILABLE'
  | 'BANYAN_FENCES_CLOSED'
  | 'BANYAN_UNSUPPORTED'
  | 'BANYAN_NOT_LEADER'
  | 'BANYAN_NO_CANDIDATE'
  | 'BANYAN_LOCK_TIMEOUT'
  | 'BANYAN_NAME_CLASH'
  | 'BANYAN_ELECTION_UNKNOWN'
  | 'BANYAN_LOCK_UNKNOWN'
  | 'BANYAN_SERVICE_UNKNOWN'
  | 'BANYAN_JOB_UNKNOWN'
  | 'BANYAN_JOB_STOPPED'
  | 'BANYAN_SHARD_KEY_REQUIRED'
  | 'BANYAN_SHARD_KEY_MISMATCH'
  | 'BANYAN_SHARD_KEY_CHANGED'
  | 'BANYAN_SHARD_MOVED'
  | 'BANYAN_SHARD_BUSY'
  | 'BANYAN_SHARD_MOVING'
  | 'BANYAN_SHARD_IN_USE'
  | 'BANYAN_SHARD_UNKNOWN'
  | 'BANYAN_SHARD_UNFIT'
  | 'BANYAN_SHARD_STRAY'
  | 'BANYAN_SHARD_FOREIGN'
  | 'BANYAN_SHARD_UNAVAILABLE'
  | 'BANYAN_SHARD_CLOSED'
  | 'BANYAN_SHARDS_UNKNOWN'
  | 'BANYAN_SHARDS_UNAVAILABLE'
  | 'BANYAN_SHARDS_UNSETTLED'
  | 'BANYAN_QUERY_NOT_MERGEABLE'
  | 'BANYAN_QUERY_TOO_LARGE'
  | 'BANYAN_MOVE_UNKNOWN'
  | 'BANYAN_MOVE_STEP'
  | 'BANYAN_INVALID_TOKEN'
  | 'BANYAN_TOKEN_FOREIGN'
  | 'BANYAN_TOKEN_LOST'
  | 'BANYAN_FOLLOWER_BEHIND'
  | 'BANYAN_LEADER_UNKNOWN'
  | 'BANYAN_REPLICA_LOST'
  | 'BANYAN_REPLICAS_BUSY'
  | 'BANYAN_REPLICAS_CLOSED'
  | 'BANYAN_PROMOTION_REFUSED'
  | 'BANYAN_SHARD_NOT_OWNED'
  | 'BANYAN_SHARD_MAP_UNKNOWN'
  | 'BANYAN_SHARD_MAP_BUSY'
  | 'BANYAN_BUCKET_UNKNOWN'
  | 'BANYAN_WORKER_UNKNOWN'
  | 'BANYAN_PATCH_INVALID'
  | 'BANYAN_PATCH_REFUSED'
  | 'BANYAN_APPLY_CONFLICT'
  | 'BANYAN_RECONCILE_STOPPED'
  | 'BANYAN_RESOURCE_NOT_FOUND'
  | 'BANYAN_RESOURCE_EXISTS'
  | 'BANYAN_RESOURCE_CONFLICT'
  | 'BANYAN_RESOURCE_INVALID'
  | 'BANYAN_RESOURCE_BAD_REQUEST'
  | 'BANYAN_RESOURCE_EXPIRED'
  | 'BANYAN_RESOURCE_VERSION_AHEAD'
  | 'BANYAN_RESOURCE_TOO_LARGE'
  | 'BANYAN_RESOURCE_FORBIDDEN'
  | 'BANYAN_RESOURCE_HOOK_FAILED'
  | 'BANYAN_COORDINATOR_UNAVAILABLE'
  | 'BANYAN_COORDINATOR_CLOSED'
  | 'BANYAN_COORDINATOR_FORMAT'
  | 'BANYAN_COORDINATOR_CORRUPT'
  | 'BANYAN_OUTCOME_UNKNOWN'
  | 'BANYAN_DRIVER_MISSING'

/** Makes an error of the coordination plane. */
export function coordinationError(
  code: CoordinationErrorCode,
  message: string,
  cause?: unknown,
): BanyanError {
  return new BanyanError(code, message, cause === undefined ? {} : { cause })
}

/** Whether an error has this code. */
export function hasCode(error: unknown, code: CoordinationErrorCode): error is BanyanError {
  return error instanceof BanyanError && error.code === code
}

/** Errors of a watch that cannot go on: what there is must be read again, and watched behind that. */
export function isGap(error: unknown): error is BanyanError {
  return hasCode(error, 'BANYAN_COMPACTED') || hasCode(error, 'BANYAN_REVISION_AHEAD')
}

/** Errors that pass: the same again may work. */
export function isPassing(error: unknown): error is BanyanError {
  return hasCode(error, 'BANYAN_COORDINATOR_UNAVAILABLE') || hasCode(error, 'BANYAN_OUTCOME_UNKNOWN')
}
