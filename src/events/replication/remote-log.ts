import type { LogDriver } from '../driver.js'
import { DriverLog, type LogOptions } from '../event-log.js'
import { eventError } from '../errors.js'
import type { EventLog } from '../log.js'
import type { Leader } from './source.js'

/** A leader elsewhere as a log that can be read, through the transforms that are here. */
export function remoteLog(leader: Leader, options: LogOptions): EventLog {
  return new DriverLog(remoteDriver(leader), options)
}

function remoteDriver(leader: Leader): LogDriver {
  const closing = new AbortController()
  const refuse = (): Promise<never> =>
    Promise.reject(
      eventError('BANYAN_UNSUPPORTED', `only read and head are asked of ${leader.name} from here`),
    )
  return {
    capabilities: {
      driver: 'remote',
      order: 'log',
      atomic: 'log',
      dedupe: 'for ever',
      durable: 'server',
      shared: 'network',
      transactions: false,
      backup: false,
    },
    parallel: 1,
    read: (query) => leader.read(query, closing.signal),
    head: async () => (await leader.state(closing.signal)).head,
    revision: refuse,
    append: refuse,
    positionAt: refuse,
    streams: refuse,
    truncate: refuse,
    hold: refuse,
    release: refuse,
    stats: refuse,
    changed: () => Promise.resolve(),
    async *verify() {
      await refuse()
    },
    close: () => {
      closing.abort(eventError('BANYAN_LOG_CLOSED', 'the follower was closed'))
      return Promise.resolve()
    },
  }
}
