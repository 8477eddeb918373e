import type { ReadModelStore } from '../../events/projections/store.js'
import { CASES } from './cases.js'
import type { ReadModelSetup } from './setup.js'

/**
 * What every store of read models must do: one case a promise. Give each to the test runner; it throws what is not so.
 */
export function readModelConformance<Db>(
  setup: ReadModelSetup<Db>,
): { readonly name: string; readonly run: () => Promise<void> }[] {
  return CASES.map(({ name, run }) => ({
    name,
    run: async () => {
      const { store, connect, dispose } = await setup.open()
      const others: ReadModelStore<Db>[] = []
      const another = async (): Promise<ReadModelStore<Db>> => {
        const other = connect ? await connect() : store
        others.push(other)
        return other
      }
      const { create, set, get } = setup
      try {
        await run({ store, another, create, set, get })
      } finally {
        for (const opened of [...others, store]) await opened.close()
        await dispose?.()
      }
    },
  }))
}

export type { ReadModelSetup, ReadModelStoreUnderTest } from './setup.js'
