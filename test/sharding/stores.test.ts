import { afterAll, beforeAll, describe, it } from 'vitest'
import { shardStoreConformance } from '../../src/testing/index.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'
import { openShard, postgres, sqlite } from './engines.js'

const missing = postgresMissing()
let server: PostgresServer
beforeAll(async () => {
  if (!missing) server = await PostgresServer.start()
})
afterAll(async () => {
  if (!missing) await server.stop()
})

describe.each(missing ? [sqlite] : [sqlite, postgres(() => server)])('a shard in $name', (engine) => {
  const cases = shardStoreConformance<unknown>({
    open: async () => {
      const { urls, clean } = await engine.places(2)
      const [a, b] = [await openShard(urls[0]!, { id: 'a' }), await openShard(urls[1]!, { id: 'b' })]
      for (const store of [a, b]) await store.prepare()
      return {
        stores: [a, b],
        connect: (as) => openShard(urls[0]!, { id: 'a', ...as }),
        outside: (shard, sql) => engine.outside(urls[shard]!, sql),
        dispose: clean,
      }
    },
    run: (db, sql, values) => engine.run(db, sql, values),
  })
  for (const { name, run } of cases) it(name, { timeout: 300_000 }, run)
})
