import type { KeyObject } from 'node:crypto'

/** The keys of subjects: of the people, or whatever else, that personal data is about. `openSubjectKeys` makes one. */
export interface SubjectKeys extends AsyncDisposable {
  /**
   * The key of a subject.
   *
   * @returns `forgotten` if it was deleted; undefined if there never was one
   * @throws `BANYAN_SUBJECT_KEY_UNAVAILABLE` if it cannot be unwrapped with the master keys that were given
   */
  get(subject: string): Promise<SubjectKey | 'forgotten' | undefined>

  /**
   * The key of a subject, made if there is none. Durable when it resolves, and one, however many processes ask at once.
   *
   * @throws `BANYAN_SUBJECT_FORGOTTEN` if it was deleted: who was forgotten gets no new key
   */
  create(subject: string): Promise<SubjectKey>

  /**
   * Deletes the key of a subject for good. What was encrypted with it cannot be read from then on: in this process at
   * once, in others when their cache of keys is over (`cacheFor`).
   *
   * @returns whether there was a key. If not, none will be made later either
   */
  forget(subject: string): Promise<boolean>

  /** The subjects that have or had a key, in order of their names. */
  list(options?: { after?: string; limit?: number }): AsyncIterable<SubjectInfo>

  /**
   * Wraps with the newest master key every key that is not: those under older ones, and those that no master key wraps.
   * Meanwhile everything works. Once it has resolved, older master keys are not needed any more.
   *
   * @returns how many were wrapped anew
   */
  rotate(): Promise<number>

  /** Lets go of the store and of cached keys. */
  close(): Promise<void>
}

/** A key of 256 bits. */
export interface SubjectKey {
  readonly id: string
  readonly key: KeyObject
}

/** A subject of a store of keys. */
export interface SubjectInfo {
  readonly subject: string
  /** When its key was made, in ms since the epoch; undefined if it was forgotten before it had one. */
  readonly created: number | undefined
  /** When its key was deleted, in ms since the epoch. */
  readonly forgotten: number | undefined
  /** Id of the master key that wraps its key, if one does. */
  readonly masterKey: string | undefined
}

/** What an engine has to bring so that `openSubjectKeys` makes a {@link SubjectKeys} of it. */
export interface SubjectKeyStore {
  /** What it has of a subject. */
  get(subject: string): Promise<StoredKey | undefined>
  /**
   * Keeps a key if the store has nothing of its subject; also if others do the same at the same time.
   *
   * @returns what the store has of the subject then, durably
   */
  insert(key: StoredKey & { secret: Uint8Array }): Promise<StoredKey>
  /**
   * Keeps `secret` in place of what it was, if that is still so.
   *
   * @returns whether it was so
   */
  replace(key: StoredKey, secret: Uint8Array, masterKey: string): Promise<boolean>
  /**
   * Deletes the secret of a subject, so that none of its bytes are left where the engine can see to it; keeps that it
   * did. Does nothing if it was done before.
   *
   * @param time - ms since the epoch
   * @returns whether there was a secret
   */
  forget(subject: string, time: number): Promise<boolean>
  /** Up to `limit` subjects behind a name, in order. */
  list(after: string, limit: number): Promise<StoredKey[]>
  close(): Promise<void>
}

/** What a store has of a subject. */
export interface StoredKey {
  readonly subject: string
  readonly id: string
  readonly created: number | undefined
  readonly forgotten: number | undefined
  /** Undefined if it was forgotten. */
  readonly secret: Uint8Array | undefined
  /** Id of the master key that wraps the secret; undefined if none does. */
  readonly masterKey: string | undefined
}
