import { describe } from 'vitest'
import { systemRandom } from '../../src/core/random.js'
import { systemClock } from '../../src/core/clock.js'
import type { CoordinatorDriver } from '../../src/coordination/driver.js'
import { EtcdClient } from '../../src/drivers/etcd/client/client.js'
import { openCoordinatorDriver } from '../../src/drivers/open-coordinator.js'
import { EtcdServer, etcdMissing } from '../support/etcd.js'
import { Relay } from '../support/relay.js'
import { runCoordinatorConformance } from './run.js'

async function compact(server: EtcdServer): Promise<void> {
  using client = new EtcdClient(
    { endpoints: [server.endpoint], timeout: 5000 },
    { clock: systemClock, random: systemRandom },
  )
  const { header } = await client.range({ key: 'k' })
  await client.compact(header!.revision)
}

describe.skipIf(etcdMissing())('a coordinator in etcd', () => {
  runCoordinatorConformance({
    capabilities: {
      driver: 'etcd',
      shared: 'network',
      durable: 'power loss',
      minTtl: 1000,
      maxTtl: 24 * 3600 * 1000,
    },
    faults: ['compact', 'restart', 'cut', 'away'],
    open: async () => {
      const server = await EtcdServer.start()
      const relay = await Relay.start(() => server.port)
      const url = `etcd://127.0.0.1:${relay.port}/shop`
      const connect = (): Promise<CoordinatorDriver> =>
        openCoordinatorDriver({ driver: 'etcd', url, timeout: '2s' }, { clock: systemClock })
      return {
        driver: await connect(),
        connect,
        faults: {
          compact: () => compact(server),
          restart: async () => {
            await server.crash()
            await server.restart()
          },
          cut: () => {
            relay.cut()
            return Promise.resolve()
          },
          away: async () => {
            await server.freeze()
            return () => {
              server.thaw()
              return Promise.resolve()
            }
          },
        },
        dispose: async () => {
          await relay[Symbol.asyncDispose]()
          await server.stop()
        },
      }
    },
  })
})
