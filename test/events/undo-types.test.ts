import { expect, it } from 'vitest'
import { openLog, repository, undoable, type Decider } from '../../src/events/index.js'

type Command = { rename: string } | { reprice: number }
type Event = { type: 'Renamed'; data: { name: string } } | { type: 'Repriced'; data: { price: number } }
interface Product {
  name: string
  price: number
}

const product: Decider<Product, Command, Event> = {
  initialState: () => ({ name: '', price: 0 }),
  decide: (command) =>
    'rename' in command
      ? { type: 'Renamed', data: { name: command.rename } }
      : { type: 'Repriced', data: { price: command.reprice } },
  evolve: (state, { data }) => ({ ...state, ...data }),
}

it('an undoable decider may stand inside of repository, and says what its events are', async () => {
  await using log = await openLog('memory:')
  const products = repository(
    log,
    undoable(product, {
      inverse: {
        Renamed: (event, before) => ({ type: 'Renamed', data: { name: before.name } }),
        Repriced: (event, before) => ({ type: 'Repriced', data: { price: before.price } }),
      },
    }),
    { category: 'product' },
  )
  await products.handle('7', { rename: 'pear' })
  const { state } = await products.undo('7')
  const name: string = state.name
  expect(name).toBe('')
  for await (const event of products.history('7'))
    if (event.type === 'Renamed') expect(typeof event.data.name).toBe('string')

  undoable(product, {
    inverse: {
      // @ts-expect-error -- the data of another event
      Renamed: (event, before) => ({ type: 'Renamed', data: { price: before.price } }),
      // @ts-expect-error -- a type that is none
      Repriced: () => ({ type: 'Reprized', data: { price: 1 } }),
    },
  })
  // @ts-expect-error -- what no event is called has no inverse
  undoable(product, { inverse: { Renaned: () => [] } })
})
