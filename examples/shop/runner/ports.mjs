// @ts-check
import { createServer } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'

/** How long another shop, which may be closing, is waited for, in ms. */
const PATIENCE = 3_000

/**
 * Waits until nobody listens on these ports.
 *
 * @param {number[]} ports
 * @throws what to do if somebody goes on doing so
 */
export async function free(ports) {
  const until = performance.now() + PATIENCE
  for (;;) {
    const answers = await Promise.all(ports.map(isTaken))
    const taken = ports.filter((_, index) => answers[index])
    if (taken.length === 0) return
    if (performance.now() > until)
      throw new Error(
        `${taken.length === 1 ? 'Port' : 'Ports'} ${taken.join(', ')} of 127.0.0.1 ${taken.length === 1 ? 'is' : 'are'} taken. ` +
          `If another shop is open, close it with Ctrl-C; else see who it is: lsof -i :${taken[0]}`,
      )
    await wait(100)
  }
}

/**
 * @param {number} port
 * @returns {Promise<boolean>}
 */
function isTaken(port) {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(true))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(false)))
  })
}
