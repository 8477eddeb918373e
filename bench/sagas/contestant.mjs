// @ts-check
/** What is compared, and what it carries. */

/** Sagas under way at the same time. */
export const IN_FLIGHT = 64

/** @typedef {{ number: number, at: number }} Order `at`: when it was begun, in ms */

/**
 * A saga of three steps, each of which answers at once and has a compensation.
 *
 * @typedef {object} Contestant
 * @property {(order: Order) => Promise<unknown>} run begins a saga; resolves when it has ended, durably
 * @property {() => Promise<unknown>} close
 */

/**
 * @typedef {(where: string, onFirstStep: (order: Order) => void) => Promise<Contestant>} Open
 */

/** What the steps are called, and what they return. */
export const STEPS = ['reserve', 'charge', 'ship']
export const answer = async (/** @type {string} */ step, /** @type {Order} */ order) =>
  `${step}-${order.number}`
export const undo = async (/** @type {string} */ step) => step
