import { eventError } from '../errors.js'
import { settingsOf, type Settings, type SubscriptionOptions } from '../pubsub/options.js'

/**
 * What a bus cannot do as a subscription of a log does, and why. Other options of those either mean the same here, or only
 * say how work is shared among processes and kept, which changes nothing inside one.
 */
const UNLIKE: readonly {
  readonly option: keyof SubscriptionOptions
  readonly same: unknown
  readonly why: string
}[] = [
  { option: 'from', same: 'end', why: 'it keeps nothing that was published before' },
  { option: 'delivery', same: 'at-most-once', why: 'it brings each event once at most' },
  { option: 'attempts', same: 1, why: 'it tries once, and tells what has failed to onError' },
  { option: 'backoff', same: undefined, why: 'it tries once' },
  { option: 'park', same: 'message', why: 'it parks nothing: what follows an event that has failed goes on' },
]

/**
 * What somebody wants to hear of a bus, with defaults, in ms.
 *
 * @throws `BANYAN_INVALID_OPTIONS` where a subscription of a log would; `BANYAN_UNSUPPORTED` for what only that can do
 */
export function settingsOfInterest(options: SubscriptionOptions): Settings {
  const settings = settingsOf(options)
  for (const { option, same, why } of UNLIKE) {
    const given = options[option]
    if (given === undefined || given === same) continue
    throw eventError(
      'BANYAN_UNSUPPORTED',
      `an event bus does not have \`${option}: ${JSON.stringify(given)}\` (subscription ${settings.name}), as ${why}; subscribe to a topic of a log`,
    )
  }
  return settings
}
