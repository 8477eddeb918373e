import type { OutboxStatus, RelayStatus } from '../../events/index.js'

/** What is told of an outbox that a node relays, or of one in a database. */
export interface OutboxState extends Partial<OutboxStatus> {
  readonly name: string
  /** Where it is, without secrets. */
  readonly database: string
  /** What the relay of this node does; undefined where none runs. */
  readonly relay?: RelayStatus
  /** Why the database cannot be asked; then there are no counts. */
  readonly problem?: string
}

/** Outboxes, as operators see and move them. */
export interface OutboxControl {
  list(): Promise<OutboxState[]>
  /**
   * Lets parked lanes go on.
   *
   * @returns those that were parked; undefined if there is no such outbox
   */
  redrive(name: string, lanes: readonly string[] | 'all'): Promise<string[] | undefined>
  /**
   * Removes a parked message for good.
   *
   * @param lane - needed if messages of that id are parked in several
   * @returns whether it was parked; undefined if there is no such outbox
   */
  discard(name: string, id: string, lane?: string): Promise<boolean | undefined>
}
