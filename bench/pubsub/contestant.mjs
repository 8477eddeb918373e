// @ts-check
/** What is compared, and what it carries. */

export const KEYS = 64
/** Messages handled at once, where that can be chosen. */
export const CONCURRENCY = 64

/** @typedef {{ key: string, text: string, at: number }} Message `at`: when it was published, in ms */

/**
 * @typedef {object} Contestant
 * @property {(message: Message) => Promise<unknown>} publish resolves when it is on the disk
 * @property {(messages: Message[]) => Promise<unknown>} publishAll the same for many, in the cheapest way that it has
 * @property {(handle: (message: Message) => void) => Promise<unknown>} subscribe each message is acknowledged after it was
 *   handled; resolves when it has begun
 * @property {() => Promise<unknown>} close
 */

const TEXT = 'a message as an order, a payment or a mail would be '.repeat(3)

/**
 * About 200 bytes of JSON.
 *
 * @param {number} number
 * @param {number} at
 * @returns {Message}
 */
export function message(number, at) {
  return { key: `key-${number % KEYS}`, text: TEXT, at }
}
