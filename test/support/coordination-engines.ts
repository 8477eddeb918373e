import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { etcdMissing, EtcdServer } from './etcd.js'
import { PostgresServer, postgresMissing } from './postgres.js'

/** Where an engine is that processes share, for as long as it is needed. */
export interface SharedEngine extends AsyncDisposable {
  readonly where: string
  /** A lease as short as it can be, in ms. */
  readonly ttl: number
  /** Whether somebody who is stopped in the middle of a change keeps all others from theirs, as its page says. */
  readonly isLocked: boolean
}

/** Those that are here, by name: a fresh one each. */
export const SHARED_ENGINES: Readonly<Record<string, () => Promise<SharedEngine>>> = {
  sqlite: () => {
    const directory = mkdtempSync(join(tmpdir(), 'banyan-shared-'))
    return Promise.resolve({
      where: `sqlite:${directory}`,
      ttl: 500,
      isLocked: true,
      [Symbol.asyncDispose]: () => {
        rmSync(directory, { recursive: true, force: true })
        return Promise.resolve()
      },
    })
  },
  ...(!postgresMissing() && {
    postgres: async () => {
      const server = await PostgresServer.start({ fsync: 'off' })
      return {
        where: await server.database(),
        ttl: 2000,
        isLocked: false,
        [Symbol.asyncDispose]: () => server.stop(),
      }
    },
  }),
  ...(!etcdMissing() && {
    etcd: async () => {
      const server = await EtcdServer.start()
      return {
        where: `etcd://${server.endpoint}`,
        ttl: 1000,
        isLocked: false,
        [Symbol.asyncDispose]: () => server.stop(),
      }
    },
  }),
}
