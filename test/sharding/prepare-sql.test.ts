import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openShardStore, shardPrepareSql } from '../../src/drivers/open-shards.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'
import { postgres, sqlite } from './engines.js'

const missing = postgresMissing()
let server: PostgresServer
beforeAll(async () => {
  if (!missing) server = await PostgresServer.start()
})
afterAll(async () => {
  if (!missing) await server.stop()
})

const SCHEMA =
  'CREATE TABLE items (id text NOT NULL PRIMARY KEY, owner text NOT NULL, amount integer NOT NULL)'
const SPEC = { name: 'shop', id: 'a', buckets: 8, tables: { items: { key: 'owner' } } }

describe.each(missing ? [sqlite] : [sqlite, postgres(() => server)])('what would prepare $name', (engine) => {
  test('changes nothing when it is asked for, and is all that is needed when it is executed', async () => {
    const { urls, clean } = await engine.places(1, SCHEMA)
    const [url] = urls as [string]
    const statements = await shardPrepareSql(url, SPEC)
    await expect(openShardStore(url, SPEC, { migrate: false })).rejects.toThrow(
      'make them with banyan shards prepare',
    )
    expect(await shardPrepareSql(url, SPEC)).toEqual(statements)

    for (const statement of statements) await engine.outside(url, statement)
    expect(await shardPrepareSql(url, SPEC)).toEqual([])
    const store = await openShardStore(url, SPEC, { migrate: false })
    expect(await store.prepare()).toEqual({ changed: false, filled: 0 })
    await store.close()
    await clean()
  })

  test('is refused for tables that cannot be sharded', async () => {
    const { urls, clean } = await engine.places(1, SCHEMA)
    await expect(
      shardPrepareSql(urls[0]!, { ...SPEC, tables: { items: { key: 'customer' } } }),
    ).rejects.toMatchObject({ code: 'BANYAN_SHARD_UNFIT' })
    await clean()
  })
})
