// @ts-check
import { DBOS } from '@dbos-inc/dbos-sdk'
import { STEPS, answer, undo } from './contestant.mjs'

/** @type {import('./contestant.mjs').Open} */
export async function open(where, onFirstStep) {
  DBOS.setConfig({ name: 'bench', systemDatabaseUrl: where, logLevel: 'error' })
  const ordering = DBOS.registerWorkflow(
    async (/** @type {import('./contestant.mjs').Order} */ order) => {
      /** @type {(() => Promise<unknown>)[]} */
      const compensations = []
      try {
        for (const name of STEPS) {
          compensations.push(() => DBOS.runStep(() => undo(name), { name: `undo ${name}` }))
          await DBOS.runStep(
            () => {
              if (name === STEPS[0]) onFirstStep(order)
              return answer(name, order)
            },
            { name },
          )
        }
        return order.number
      } catch (error) {
        for (const compensate of compensations.reverse()) await compensate()
        throw error
      }
    },
    { name: 'order' },
  )
  await DBOS.launch()
  return {
    async run(order) {
      const handle = await DBOS.startWorkflow(ordering, { workflowID: String(order.number) })(order)
      await handle.getResult()
    },
    close: () => DBOS.shutdown(),
  }
}
