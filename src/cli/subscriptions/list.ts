import type { SubscriptionStatus } from '../../events/index.js'
import type { PlaceOptions } from '../events/place.js'
import { lineWidth, note } from '../output.js'
import { statusRecord } from '../times.js'
import { onSubscriptions } from './session.js'
import { subscriptionsTable } from './table.js'

/** How far what waits is counted for each. */
const COUNT = 1000

/** `banyan subscriptions list`. */
export async function list(options: PlaceOptions & { json?: true }): Promise<void> {
  await onSubscriptions(options, async ({ manage, place, output, signal }) => {
    const found: SubscriptionStatus[] = []
    for await (const { name } of manage.list({ signal }))
      found.push(await manage.status(name, { count: COUNT, lanes: 0, signal }))
    if (options.json) output.json(found.map(statusRecord))
    else if (found.length === 0) note(`no subscriptions in ${place.name}`)
    else output.add(subscriptionsTable(found, lineWidth()))
  })
}
