/**
 * The outbox: messages that are published in a transaction of an application's own database (`message.ts` checks them), and
 * a relay (`relay.ts`) that brings them to an event log (`send.ts`). What a database has to bring is in `store.ts`.
 */
export {
  checkOutboxOptions,
  StoredOutbox,
  type Outbox,
  type OutboxOptions,
  type OutboxStatus,
  type OutboxStatusOptions,
  type ParkedLane,
} from './outbox.js'
export type { Relay, RelayOptions, RelayStatus } from './relay.js'
export type { AsyncTransaction, SyncTransaction } from '../../core/application-transaction.js'
