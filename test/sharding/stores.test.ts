import { existsSync, renameSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { shardStoreConformance } from '../../src/testing/index.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'
import { openShard, postgres, sqlite } from './engines.js'

const missing = postgresMissing()
const server = PostgresServer.ofSuite()

describe.each(missing ? [sqlite] : [sqlite, postgres(server)])('a shard in $name', (engine) => {
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

it('makes no file in the place of one that is moved away while reads are under way', async () => {
  const { urls, clean } = await sqlite.places(1)
  const [url] = urls as [string]
  const file = url.slice('sqlite:'.length)
  const store = await openShard(url, { id: 'a' })
  try {
    await store.prepare()
    const cursor = await store.cursor('SELECT 1 AS one', [])
    renameSync(file, `${file}.away`)
    await expect(store.query('SELECT 1', [])).rejects.toMatchObject({
      code: 'BANYAN_SHARD_UNAVAILABLE',
      message: `there is no file ${file} that could hold a shard`,
    })
    expect(existsSync(file)).toBe(false)
    renameSync(`${file}.away`, file)
    expect(await cursor.read(10)).toEqual([{ one: 1 }])
    await cursor.close()
    expect((await store.query('SELECT 1 AS one', [])).rows).toEqual([{ one: 1 }])
  } finally {
    await store.close()
    await clean()
  }
})
