import type { Maybe } from '../../core/maybe.js'
import type { CoordinatorDriver } from '../../coordination/driver.js'
import { answered, delivered, type Wire } from './connection.js'

/** A coordinator as one node sees it: once the node has crashed, no answer comes back. */
export function coordinatorConnection(driver: CoordinatorDriver, wire: Wire): CoordinatorDriver {
  const ask = <Answer>(request: () => Maybe<Answer>): Promise<Answer> => {
    wire.send()
    return answered((async () => request())(), wire)
  }
  const putAndList = driver.putAndList?.bind(driver)
  return {
    capabilities: driver.capabilities,
    get: (key) => ask(() => driver.get(key)),
    list: (prefix) => ask(() => driver.list(prefix)),
    head: () => ask(() => driver.head()),
    put: (...given) => ask(() => driver.put(...given)),
    ...(putAndList && { putAndList: (...given) => ask(() => putAndList(...given)) }),
    delete: (...given) => ask(() => driver.delete(...given)),
    grant: (ttl) => ask(() => driver.grant(ttl)),
    renew: (...given) => ask(() => driver.renew(...given)),
    revoke: (lease) => ask(() => driver.revoke(lease)),
    watch: (prefix, after, signal) => delivered(driver.watch(prefix, after, signal), wire),
    // The engine outlives its nodes.
    close: () => undefined,
  }
}
