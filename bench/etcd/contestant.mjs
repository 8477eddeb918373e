// @ts-check
/** What is compared. */

/**
 * @callback Contestant
 * @param {number} port of etcd
 * @returns {Promise<{
 *   locked: (name: string) => Promise<unknown>,
 *   put: (key: string, value: string) => Promise<unknown>,
 *   get: (key: string) => Promise<unknown>,
 *   close: () => Promise<unknown>,
 * }>} `locked` takes a lock that nobody has, and gives it back
 */
export {}
