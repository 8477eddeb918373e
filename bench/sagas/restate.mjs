// @ts-check
import './with-resolvers.mjs'
import { createServer } from 'node:http2'
import * as restate from '@restatedev/restate-sdk'
import * as clients from '@restatedev/restate-sdk-clients'
import { STEPS, answer, undo } from './contestant.mjs'

/** @type {import('./contestant.mjs').Open} */
export async function open(where, onFirstStep) {
  const { ingress, admin } = JSON.parse(where)
  const ordering = restate.service({
    name: 'order',
    handlers: {
      run: async (
        /** @type {restate.Context} */ context,
        /** @type {import('./contestant.mjs').Order} */ order,
      ) => {
        /** @type {(() => Promise<unknown>)[]} */
        const compensations = []
        try {
          for (const name of STEPS) {
            compensations.push(() => context.run(`undo ${name}`, () => undo(name)))
            await context.run(name, () => {
              if (name === STEPS[0]) onFirstStep(order)
              return answer(name, order)
            })
          }
          return order.number
        } catch (error) {
          if (error instanceof restate.TerminalError)
            for (const compensate of compensations.reverse()) await compensate()
          throw error
        }
      },
    },
  })
  const server = createServer(restate.createEndpointHandler({ services: [ordering] }))
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)))
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const registered = await fetch(`${admin}/deployments`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ uri: `http://127.0.0.1:${port}`, force: true }),
  })
  if (!registered.ok) throw new Error(`registering: ${registered.status} ${await registered.text()}`)
  const client = clients.connect({ url: ingress }).serviceClient(ordering)
  return {
    run: (order) => client.run(order),
    async close() {
      server.close()
    },
  }
}
