import type { Changes, Entry, Listing } from '../../src/coordination/coordinator.js'
import { keyOf, type CoordinatorDriver } from '../../src/coordination/driver.js'
import { systemClock } from '../../src/core/clock.js'
import { MemoryCoordination } from '../../src/drivers/memory/coordinator.js'
import type { CoordinatorSetup } from '../../src/testing/index.js'

/** What a wrong driver does otherwise; called for each handle. */
type Bug = (right: CoordinatorDriver, store: MemoryCoordination) => Partial<CoordinatorDriver>

/** A memory driver, right but for the bug. */
export function memorySetup(bug: Bug = () => ({})): CoordinatorSetup {
  const connect = (store: MemoryCoordination): CoordinatorDriver => {
    const right = store.connect()
    const wrong = bug(right, store)
    return new Proxy(right, {
      get(target, name) {
        const value: unknown = name in wrong ? Reflect.get(wrong, name) : Reflect.get(target, name, target)
        return typeof value === 'function' ? (value as () => unknown).bind(target) : value
      },
    })
  }
  return {
    capabilities: new MemoryCoordination(systemClock).connect().capabilities,
    faults: ['compact'],
    open: () => {
      const store = new MemoryCoordination(systemClock)
      return Promise.resolve({
        driver: connect(store),
        connect: () => Promise.resolve(connect(store)),
        faults: {
          compact: () => {
            store.compact()
            return Promise.resolve()
          },
        },
      })
    },
  }
}

/** Changes listings on their way out. */
function listing(change: (listing: Listing, prefix: string) => Listing): Bug {
  return (_, store) => ({ list: (prefix) => change(store.list(prefix), prefix) })
}

/** Changes entries on their way out. */
function entries(change: (entry: Entry) => Entry): Bug {
  return (_, store) => ({
    get: (key) => {
      const entry = store.get(key)
      return entry && change(entry)
    },
  })
}

/** Changes groups on their way out. */
function watching(
  change: (group: Changes, prefix: string) => Changes[],
  ask: (after: number, prefix: string) => [after: number, prefix: string] = (after, prefix) => [
    after,
    prefix,
  ],
): Bug {
  return (right) => ({
    async *watch(prefix, after, signal) {
      const [from, wider] = ask(after, prefix)
      for await (const group of right.watch(wider, from, signal)) yield* change(group, prefix)
    },
  })
}

const only = (group: Changes, keep: (key: string) => boolean): Changes[] => {
  const changes = group.changes.filter((change) => keep(keyOf(change)))
  return changes.length > 0 ? [{ ...group, changes }] : []
}

/** Drivers that are wrong, and the case that finds each. */
export const BUGS: Readonly<Record<string, { readonly bug: Bug; readonly foundBy: string }>> = {
  'sets a key that is there, though it was to be absent': {
    bug: (_, store) => ({
      put: (key, value, expected, lease) =>
        store.put(key, value, expected === 'absent' ? 'any' : expected, lease),
    }),
    foundBy: '`absent` sets a key that is not there',
  },
  'compares the revision of the creation': {
    bug: (_, store) => ({
      put: (key, value, expected, lease) => {
        const actual = store.get(key)
        if (typeof expected !== 'number') return store.put(key, value, expected, lease)
        if (actual?.created !== expected) return { ok: false, actual }
        return store.put(key, value, 'any', lease)
      },
    }),
    foundBy: 'a revision sets the key that was changed last then',
  },
  'compares, and sets only afterwards': {
    bug: (_, store) => ({
      put: async (key, value, expected, lease) => {
        const actual = store.get(key)
        if (typeof expected === 'number' && actual?.revision !== expected) return { ok: false, actual }
        if (expected === 'absent' && actual) return { ok: false, actual }
        await new Promise((resolve) => setImmediate(resolve))
        return store.put(key, value, 'any', lease)
      },
    }),
    foundBy: 'a counter that is compared and set',
  },
  'refuses, and does it all the same': {
    bug: (_, store) => ({
      put: (key, value, expected, lease) => {
        const result = store.put(key, value, expected, lease)
        if (!result.ok) store.put(key, value, 'any', lease)
        return result
      },
    }),
    foundBy: 'what is refused changes nothing',
  },
  'tells what was expected instead of what is there': {
    bug: (_, store) => ({
      put: (key, value, expected, lease) => {
        const result = store.put(key, value, expected, lease)
        return result.ok ? result : { ok: false, actual: undefined }
      },
    }),
    foundBy: '`absent` sets a key that is not there',
  },
  'sets a key and tells who was there before it': {
    bug: (_, store) => ({
      putAndList: (key, value, expected, lease, prefix) => {
        const listing = store.list(prefix)
        return { put: store.put(key, value, expected, lease), listing }
      },
    }),
    foundBy: 'a key can be set and those around it listed',
  },
  'sets a key, and lists those that it saw a while ago under the revision of now': {
    bug: (_, store) => ({
      putAndList: async (key, value, expected, lease, prefix) => {
        const put = store.put(key, value, expected, lease)
        const { entries } = store.list(prefix)
        await new Promise((resolve) => setImmediate(resolve))
        return { put, listing: { entries, revision: store.revision } }
      },
    }),
    foundBy: 'whoever sets a key and lists in one step',
  },
  'begins to watch only after it has said that it does': {
    bug: (right, store) => ({
      async *watchNow(prefix, signal) {
        yield { revision: store.revision, changes: [] }
        yield* right.watch(prefix, store.revision, signal)
      },
    }),
    foundBy: 'a watch without a revision begins now',
  },
  'removes whatever is there': {
    bug: (_, store) => ({ delete: (key) => store.delete(key, 'any') }),
    foundBy: 'a removal compares, too',
  },
  'gives the removal of nothing a revision': {
    bug: (_, store) => ({
      delete: (key, expected) => {
        const result = store.delete(key, expected)
        return result.ok ? { ok: true, revision: result.revision ?? store.revision } : result
      },
    }),
    foundBy: 'the removal of what is not there',
  },
  'takes each change for a creation': {
    bug: entries((entry) => ({ ...entry, created: entry.revision })),
    foundBy: 'a key has the value',
  },
  'remembers a key beyond its removal': {
    bug: (_, store) => {
      const first = new Map<string, number>()
      return {
        put: (key, value, expected, lease) => {
          const result = store.put(key, value, expected, lease)
          if (!result.ok) return result
          if (!first.has(key)) first.set(key, result.created)
          return { ...result, created: first.get(key)! }
        },
      }
    },
    foundBy: 'a key that comes again is a new one',
  },
  'does not change what is the same': {
    bug: (_, store) => ({
      put: (key, value, expected, lease) => {
        const actual = store.get(key)
        if (actual?.value !== value || expected !== 'any') return store.put(key, value, expected, lease)
        return { ok: true, revision: actual.revision, created: actual.created }
      },
    }),
    foundBy: 'the same value again is a change',
  },
  'trims values': {
    bug: entries((entry) => ({ ...entry, value: entry.value.trim() })),
    foundBy: 'values come back as they were',
  },
  'does not tell the case of keys': {
    bug: (_, store) => ({
      get: (key) => store.get(key.toLowerCase()),
      put: (key, value, expected, lease) => store.put(key.toLowerCase(), value, expected, lease),
    }),
    foundBy: 'keys that differ in anything',
  },
  'composes the characters of keys': {
    bug: (_, store) => ({
      get: (key) => store.get(key.normalize()),
      put: (key, value, expected, lease) => store.put(key.normalize(), value, expected, lease),
    }),
    foundBy: 'keys that differ in anything',
  },
  'lists in the order of UTF-16': {
    bug: listing(({ entries: all, revision }) => ({
      entries: all.toSorted((a, b) => (a.key < b.key ? -1 : 1)),
      revision,
    })),
    foundBy: 'a listing has the keys that begin with the prefix',
  },
  'takes _ and % of a prefix for any character': {
    bug: (_, store) => ({
      list: (prefix) => {
        const pattern = new RegExp(
          `^${prefix.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}`.replaceAll('_', '.').replaceAll('%', '.*'),
          'su',
        )
        const { entries: all, revision } = store.list('')
        return { entries: all.filter(({ key }) => pattern.test(key)), revision }
      },
    }),
    foundBy: 'a listing has the keys that begin with the prefix',
  },
  'lists a page': {
    bug: listing(({ entries: all, revision }) => ({ entries: all.slice(0, 1000), revision })),
    foundBy: 'a listing is complete',
  },
  'lists one state and tells the revision of a later one': {
    bug: (_, store) => ({
      list: async (prefix) => {
        const { entries: all } = store.list(prefix)
        for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
        return { entries: all, revision: store.revision }
      },
      put: async (key, value, expected, lease) => {
        await new Promise((resolve) => setImmediate(resolve))
        return store.put(key, value, expected, lease)
      },
    }),
    foundBy: 'a listing and a watch behind it are the state',
  },
  'reads from a cache': {
    bug: (_, store) => {
      const cache = new Map<string, Entry | undefined>()
      return {
        get: (key) => {
          const old = cache.has(key) ? cache.get(key) : store.get(key)
          cache.set(key, store.get(key))
          return old
        },
      }
    },
    foundBy: 'changes through one handle are seen at once',
  },
  'ends leases early': {
    bug: (_, store) => ({ grant: (ttl) => ({ ...store.grant(ttl * 0.9), ttl }) }),
    foundBy: 'a lease ends by itself, and not before its time',
  },
  'does not renew': {
    bug: () => ({ renew: (leases) => leases.map(() => true) }),
    foundBy: 'the time of a lease counts from its renewal',
  },
  'renews what is gone': {
    bug: (_, store) => ({
      renew: (leases) => {
        for (const id of leases) store.renew(id)
        return leases.map(() => true)
      },
    }),
    foundBy: 'renewals tell for each lease',
  },
  'gives a lease to two': {
    bug: (_, store) => {
      let last: ReturnType<typeof store.grant> | undefined
      return { grant: (ttl) => (last ??= store.grant(ttl)) }
    },
    foundBy: 'renewals tell for each lease',
  },
  'keeps the keys of a lease that was released': {
    bug: (_, store) => ({
      revoke: (id) => {
        for (const entry of store.list('').entries)
          if (entry.lease === id) store.put(entry.key, entry.value, 'any', undefined)
        store.revoke(id)
      },
    }),
    foundBy: 'a release ends all keys of the lease',
  },
  'ends the keys of a lease one by one': {
    bug: (_, store) => ({
      revoke: (id) => {
        for (const entry of store.list('').entries) if (entry.lease === id) store.delete(entry.key, 'any')
        store.revoke(id)
      },
    }),
    foundBy: 'a release ends all keys of the lease',
  },
  'leaves a key with the lease that it had': {
    bug: (_, store) => ({
      put: (key, value, expected, lease) => store.put(key, value, expected, lease ?? store.get(key)?.lease),
    }),
    foundBy: 'a key is of the lease that it was set with last',
  },
  'sets a key with a lease that has ended': {
    bug: (_, store) => ({
      put: (key, value, expected, lease) => {
        try {
          return store.put(key, value, expected, lease)
        } catch {
          return store.put(key, value, expected, undefined)
        }
      },
    }),
    foundBy: 'nothing is set with a lease that has ended',
  },
  'watches without removals': {
    bug: watching((group) => {
      const changes = group.changes.filter(({ kind }) => kind === 'put')
      return changes.length > 0 ? [{ ...group, changes }] : []
    }),
    foundBy: 'a watch gives every change',
  },
  'watches the keys of others': {
    bug: watching(
      (group) => [group],
      (after) => [after, ''],
    ),
    foundBy: 'a watch gives every change',
  },
  'watches the key before the slash': {
    bug: watching(
      (group, prefix) => only(group, (key) => key.startsWith(prefix) || `${key}/` === prefix),
      (after) => [after, ''],
    ),
    foundBy: 'a watch gives every change',
  },
  'repeats what a watch has seen': {
    bug: watching(
      (group) => [group],
      (after, prefix) => [Math.max(0, after - 1), prefix],
    ),
    foundBy: 'a watch goes on from any revision',
  },
  'misses a change now and then': {
    bug: watching((group) => (group.revision % 7 === 0 ? [] : [group])),
    foundBy: 'a watch goes on from any revision',
  },
  'takes changes of one revision apart': {
    bug: watching((group) => group.changes.map((change) => ({ ...group, changes: [change] }))),
    foundBy: 'a release ends all keys of the lease',
  },
  'watches from the future': {
    bug: (right, store) => ({
      watch: (prefix, after, signal) => right.watch(prefix, Math.min(after, store.revision), signal),
    }),
    foundBy: 'a revision that was not reached is refused',
  },
  'says nothing of what was compacted': {
    bug: (right, store) => ({
      watch: (prefix, after, signal) =>
        right.watch(prefix, after < store.revision ? store.revision : after, signal),
    }),
    foundBy: 'a watch says that its changes are not kept',
  },
  'watches on after the signal': {
    bug: (right) => ({
      watch: (prefix, after) => right.watch(prefix, after, new AbortController().signal),
    }),
    foundBy: 'a signal ends a watch',
  },
}
