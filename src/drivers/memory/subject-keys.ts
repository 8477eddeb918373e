import type { StoredKey, SubjectKeyStore } from '../../events/personal-data/keys.js'

/** Keys of subjects in the memory of one process: for tests. */
export function memorySubjectKeys(): SubjectKeyStore {
  return new MemorySubjectKeys()
}

class MemorySubjectKeys implements SubjectKeyStore {
  readonly #keys = new Map<string, StoredKey>()

  get(subject: string): Promise<StoredKey | undefined> {
    return Promise.resolve(this.#keys.get(subject))
  }

  insert(key: StoredKey): Promise<StoredKey> {
    const known = this.#keys.get(key.subject)
    if (!known) this.#keys.set(key.subject, key)
    return Promise.resolve(known ?? key)
  }

  replace(key: StoredKey, secret: Uint8Array, masterKey: string): Promise<boolean> {
    const known = this.#keys.get(key.subject)
    const same = known?.secret !== undefined && known.id === key.id && known.masterKey === key.masterKey
    if (same) this.#keys.set(key.subject, { ...known, secret, masterKey })
    return Promise.resolve(same)
  }

  forget(subject: string, time: number): Promise<boolean> {
    const known = this.#keys.get(subject)
    if (known && !known.secret) return Promise.resolve(false)
    this.#keys.set(subject, {
      subject,
      id: known?.id ?? '',
      created: known?.created,
      forgotten: time,
      secret: undefined,
      masterKey: undefined,
    })
    return Promise.resolve(known !== undefined)
  }

  list(after: string, limit: number): Promise<StoredKey[]> {
    const names = [...this.#keys.keys()].filter((name) => name > after).sort()
    return Promise.resolve(names.slice(0, limit).map((name) => this.#keys.get(name)!))
  }

  close(): Promise<void> {
    this.#keys.clear()
    return Promise.resolve()
  }
}
