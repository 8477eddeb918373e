// @ts-check
import { undoable } from 'banyan/events'

/**
 * What an order is: pure functions, without time, chance or I/O. `banyan streams` takes this file, too.
 *
 * @typedef {'none' | 'placed' | 'paid' | 'shipped' | 'cancelled' | 'closed'} Status
 * @typedef {{ status: Status, sku: string, customer: string, parcel?: string }} Order
 * @typedef {{ place: { sku: string, customer: string } } | 'pay' | 'ship' | 'cancel' | 'close'} Command
 * @typedef {{ sku: string, customer: string, parcel?: string }} Data every event has it, so that readers need no other
 * @typedef {'OrderPlaced' | 'OrderPaid' | 'OrderShipped' | 'OrderCancelled' | 'OrderReopened' | 'PaymentRefunded' | 'OrderClosed'} Type
 * @typedef {{ [T in Type]: { type: T, data: Data } }[Type]} Event
 */

/** An order does not do what it was asked to. */
export class Refused extends Error {}

/**
 * How an order is after an event.
 *
 * @type {Record<Type, Status>}
 */
export const AFTER = {
  OrderPlaced: 'placed',
  OrderPaid: 'paid',
  OrderShipped: 'shipped',
  OrderCancelled: 'cancelled',
  OrderReopened: 'placed',
  PaymentRefunded: 'placed',
  OrderClosed: 'closed',
}

/** @type {import('banyan/events').Decider<Order, Command, Event>} */
const decider = {
  initialState: () => ({ status: 'none', sku: '', customer: 'guest' }),

  decide(command, { status, sku, customer }) {
    const data = { sku, customer }
    if (typeof command === 'object') {
      if (status !== 'none') throw new Refused('there is an order of this name')
      return { type: 'OrderPlaced', data: command.place }
    }
    if (command === 'pay' && status === 'placed') return { type: 'OrderPaid', data }
    if (command === 'ship' && status === 'paid')
      return { type: 'OrderShipped', data: { ...data, parcel: `${sku}-parcel` } }
    if (command === 'cancel' && (status === 'placed' || status === 'paid')) return cancelled(status, data)
    // Whoever fulfils it has given it up.
    if (command === 'close' && (status === 'placed' || status === 'paid' || status === 'cancelled'))
      return [...cancelled(status, data), { type: 'OrderClosed', data }]
    throw new Refused(
      `${command} is nothing for an order that is ${status === 'none' ? 'not there' : status}`,
    )
  },

  evolve: (order, { type, data }) => ({ ...order, ...data, status: AFTER[type] }),
}

/**
 * @param {'placed' | 'paid' | 'cancelled'} status
 * @param {Data} data
 * @returns {Event[]}
 */
function cancelled(status, data) {
  if (status === 'cancelled') return []
  return [
    ...(status === 'paid' ? [/** @type {const} */ ({ type: 'PaymentRefunded', data })] : []),
    { type: 'OrderCancelled', data },
  ]
}

/** What takes an event back, by its type. */
export default undoable(decider, {
  inverse: {
    OrderPlaced: ({ data }) => ({ type: 'OrderCancelled', data }),
    OrderPaid: ({ data }) => ({ type: 'PaymentRefunded', data }),
    PaymentRefunded: ({ data }) => ({ type: 'OrderPaid', data }),
    OrderCancelled: ({ data }) => ({ type: 'OrderReopened', data }),
    OrderShipped: () => {
      throw new Refused('the parcel is on its way, and cannot be taken back')
    },
    OrderClosed: () => {
      throw new Refused('nobody fulfils it any more; place another one')
    },
  },
})
