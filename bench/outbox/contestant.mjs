// @ts-check
/** What is compared, and what it carries. */

export const TOPIC = 'stock'
export const KEYS = 64

/** @typedef {{ type: string, key: string, data: { text: string, at: number } }} Message */

/**
 * @typedef {object} Contestant
 * @property {(number: number) => Promise<unknown>} enter a transaction of the application: a row of its own, and a message
 * @property {(messages: Message[]) => Promise<unknown>} enterMany the same with many messages
 * @property {(log: import('../../dist/events/index.js').EventLog) => void} relay until it is closed
 * @property {() => Promise<number>} waiting whether messages wait
 * @property {() => Promise<unknown>} close
 */

const TEXT = 'a message as an order, a payment or a mail would be '.repeat(3)

/**
 * About 200 bytes of JSON.
 *
 * @param {number} number
 * @param {number} at when it was published, in ms
 * @returns {Message}
 */
export function message(number, at) {
  return { type: 'Taken', key: `key-${number % KEYS}`, data: { text: TEXT, at } }
}
