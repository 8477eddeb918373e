// @ts-check
import { openLog, runSagas, saga, sagas } from '../../dist/events/index.js'
import { IN_FLIGHT, STEPS, answer, undo } from './contestant.mjs'

/** @type {import('./contestant.mjs').Open} */
export async function open(where, onFirstStep) {
  const log = await openLog(where)
  const ordering = saga({
    name: 'order',
    async run(/** @type {import('./contestant.mjs').Order} */ order, { step }) {
      for (const name of STEPS)
        await step(name, {
          run: () => {
            if (name === STEPS[0]) onFirstStep(order)
            return answer(name, order)
          },
          compensate: () => undo(name),
        })
      return order.number
    },
  })
  const runner = await runSagas(log, { definitions: [ordering], concurrency: IN_FLIGHT })
  const all = sagas(log)
  /** @type {Map<string, () => void>} by the stream of a saga */
  const waiting = new Map()
  const closing = new AbortController()
  const following = follow()
  async function follow() {
    const selector = { category: '$saga/order', types: ['Ended'] }
    for await (const { events } of log.follow(selector, { from: 'end', signal: closing.signal }))
      for (const { stream } of events) waiting.get(stream)?.()
  }
  return {
    async run(order) {
      const id = String(order.number)
      const ended = new Promise((resolve) => waiting.set(`$saga/order-${id}`, () => resolve(undefined)))
      await all.start(ordering, order, { id })
      await ended
      waiting.delete(`$saga/order-${id}`)
    },
    async close() {
      closing.abort()
      await following
      await runner.close()
      await log.close()
    },
  }
}
