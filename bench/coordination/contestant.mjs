// @ts-check
/** What is compared. */

/**
 * @callback Contestant
 * @param {string} where a coordinator, or a server: `etcd://127.0.0.1:2379`
 * @returns {Promise<Client>}
 */

/**
 * @typedef {object} Client
 * @property {(name: string) => Promise<unknown>} locked takes a lock, waits for it if somebody has it, and gives it back
 * @property {(ttl: number, lost: (why: unknown) => void) => Promise<unknown>} [lease] takes a lease of so many seconds and keeps it
 */
export {}
