/**
 * The inbox: ids of what was received, written in the transaction that makes something of it, so that what comes twice is
 * done once. What a database has to bring is in `store.ts`.
 */
export {
  checkInboxOptions,
  StoredInbox,
  type Inbox,
  type InboxOptions,
  type Once,
  type OnceOptions,
} from './inbox.js'
