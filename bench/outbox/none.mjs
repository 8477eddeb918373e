// @ts-check
/** Transactions of the application without any outbox: what the others add to. */
import { application } from './application.mjs'

/** @returns {Promise<Pick<import('./contestant.mjs').Contestant, 'enter' | 'close'>>} */
export async function open(/** @type {string} */ where) {
  const { enter, close } = await application(where, () => undefined)
  return { enter: (number) => enter(number, () => []), close }
}
