/**
 * For those who write a driver of their own: the interface, and what drivers share. `logConformance` of
 * `banyan/testing` checks the result.
 *
 * @packageDocumentation
 */
export { eventError } from './errors.js'
export { formatPosition, parsePosition, START } from './position.js'
export {
  eventId,
  type DriverContext,
  type EncodedCommit,
  type EncodedEvent,
  type EncodedStream,
  type LogDriver,
  type Outcome,
  type Page,
  type Query,
  type StoredEvent,
} from './driver.js'
export {
  epochOf,
  notLeader,
  type Replica,
  type ReplicaState,
  type ReplicatedDriver,
  type RoleChange,
  type Shipment,
} from './replica.js'
