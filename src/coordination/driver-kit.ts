/**
 * For those who write a driver of their own: the interface, and what drivers share. `coordinatorConformance` of
 * `banyan/testing` checks the result.
 *
 * @packageDocumentation
 */
export {
  compareKeys,
  isExpected,
  keyOf,
  type CoordinatorContext,
  type CoordinatorDriver,
  type Grant,
} from './driver.js'
export { coordinationError, isPassing } from './errors.js'
export { Feed, type History, type HistoryPage } from './feed.js'
