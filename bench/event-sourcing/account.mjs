// @ts-check
/** What is decided: the same for all. It reads every event, and does little with it, so that the stores are measured. */
import { order } from '../events/load.mjs'

/** @typedef {{ events: number, total: number }} Account */
/** @typedef {{ type: 'Order', data: ReturnType<typeof order> }} Order */
/** @typedef {{ type: 'Ordered', data: Order['data'] }} Ordered */

/** @returns {Ordered} */
export const ordered = (/** @type {number} */ number) => ({ type: 'Ordered', data: order(number) })
/** @returns {Order} */
export const command = (/** @type {number} */ number) => ({ type: 'Order', data: order(number) })

export const account = {
  /** @returns {Account} */
  initialState: () => ({ events: 0, total: 0 }),
  /**
   * @param {Order} command
   * @param {Account} state
   * @returns {Ordered}
   */
  decide({ data }, { total }) {
    if (total < 0) throw new Error('nothing is ordered on credit')
    return { type: 'Ordered', data }
  },
  /**
   * @param {Account} state
   * @param {Ordered} event
   * @returns {Account}
   */
  evolve: ({ events, total }, { data }) => ({ events: events + 1, total: total + data.total }),
}

/**
 * What is compared.
 *
 * @typedef {object} Contestant
 * @property {(stream: number, events: Ordered[]) => Promise<unknown>} fill appends to a stream that is not there
 * @property {(stream: number) => Promise<Account>} load its state
 * @property {(stream: number, command: Order) => Promise<Account>} handle loads, decides, appends; gives the new state
 * @property {() => Promise<unknown>} close
 */
