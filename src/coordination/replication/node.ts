/**
 * A server of a replicated database, as whoever routes to it needs it. A driver implements it.
 *
 * Laws:
 *
 * 1. **One history.** Positions of one timeline are ordered as what was written, and never written anew. A timeline begins as a
 *    copy of another up to some position; timelines rise with each promotion.
 * 2. **What is seen holds.** What `read` and `write` pass to `admit` is true of the server that the transaction is on, and was
 *    looked at before anything in it was read.
 * 3. **Errors tell the outcome.** {@link NodeFault} says whether anything was done; every other error is of the work, and nothing
 *    was done.
 */
export interface ReplicaNode<Db> {
  /** Where it is, for people; without user and password. */
  readonly place: string

  /** Looks at it, in one round trip where it can. @throws {@link NodeFault} `unsent` */
  look(): Promise<Look>

  /**
   * What a timeline has of others.
   *
   * @returns undefined if this may not be asked, or is not known here
   */
  ancestors(timeline: number): Promise<readonly Ancestor[] | undefined>

  /**
   * Works in a transaction that only reads.
   *
   * @param admit - throws to refuse before anything is read
   */
  read<Result>(admit: (seen: Seen) => void, work: (db: Db) => Promise<Result>): Promise<Result>

  /**
   * Works in a transaction, and commits it.
   *
   * @param admit - throws to refuse before anything is done
   * @param permit - throws to refuse right before the commit is sent
   */
  write<Result>(
    admit: (seen: Seen) => void,
    work: (db: Db) => Promise<Result>,
    permit: () => void,
  ): Promise<Written<Result>>

  /** Makes that nobody writes here, also after a restart: new transactions only read, and sessions are ended. */
  fence(): Promise<void>

  /** Takes that back. */
  unfence(): Promise<void>

  /** Sends to followers all that there is; up to the position that it returns is what was ever acknowledged here. */
  flush(): Promise<bigint>

  /**
   * Makes a leader of a follower; resolves when it is.
   *
   * @param permit - throws to refuse right before that is sent
   */
  promote(permit: () => Promise<void>): Promise<void>

  /** Gives up transactions that are under way, and those that wait for a connection: nobody waits for its answer any more. */
  abandon(): void

  /** Ends in bounded time also if the server does not answer. */
  close(): Promise<void>
}

/** What a transaction sees of its server. */
export interface Seen {
  readonly role: 'leader' | 'follower'
  /** What all copies of one database have in common. */
  readonly cluster: string
  /** The newest that it may be on; undefined if it cannot be told. Up to `position` it has the same as that timeline has. */
  readonly timeline: number | undefined
  /** Of a leader: everything that was acknowledged is up to here. Of a follower: it has all up to here. */
  readonly position: bigint
  /** Whether transactions cannot write unless they say so. */
  readonly readOnly: boolean
}

/** What there is to see of a server. */
export interface Look extends Seen {
  /** Of a follower: up to here it has received. */
  readonly received?: bigint
  /** Of a follower: whether it is connected to what it follows. */
  readonly streaming?: boolean
  /** Of a follower: whether somebody has told it to stand still. */
  readonly paused?: boolean
  /** Another one after each start, also one after a crash. */
  readonly incarnation: string
  /** Of a leader: up to where it had read before it led; undefined after an orderly start as a leader. */
  readonly recovered?: bigint
  /** What it may not be asked, and what would allow it. Then `timeline` is one that it has reached, and transactions see none. */
  readonly limited?: string
}

/** A timeline that another one has come from. */
export interface Ancestor {
  readonly timeline: number
  /** Up to here they are the same. */
  readonly end: bigint
}

/** What came of a transaction that was committed. */
export interface Written<Result> {
  readonly result: Result
  /** It is in what is up to here. */
  readonly position: bigint
}

/** A server that could not be used. */
export class NodeFault extends Error {
  /**
   * - `busy`: it is there, and all connections to it are in use; nothing was begun
   * - `unsent`: it cannot be reached, or does not serve; nothing was begun
   * - `undone`: the connection was lost before the commit was sent; nothing was done
   * - `unknown`: it was lost before the answer to the commit
   */
  readonly outcome: 'busy' | 'unsent' | 'undone' | 'unknown'

  constructor(outcome: NodeFault['outcome'], message: string, cause?: unknown) {
    super(message, { cause })
    this.outcome = outcome
  }
}
