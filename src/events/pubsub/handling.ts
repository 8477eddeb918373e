import { BanyanError } from '../../core/errors.js'
import { checkOptions, type OptionTable } from '../../core/options.js'

const OPTIONS: OptionTable<{ concurrency?: number }> = {
  concurrency: { kind: 'number', min: 1, integer: true, doc: 'events of different keys at the same time' },
}

/**
 * How the events of a subscription are handled, whatever channel they come through.
 *
 * @throws `BANYAN_INVALID_OPTIONS`
 */
export function checkHandling<Options extends { concurrency?: number }>(
  name: string,
  handler: unknown,
  options: Options,
  table: OptionTable<Options> | typeof OPTIONS = OPTIONS,
): { concurrency: number } {
  if (typeof handler !== 'function')
    throw new BanyanError('BANYAN_INVALID_OPTIONS', `subscription ${name}: the handler must be a function`)
  checkOptions<object>(`subscription ${name}`, table, options)
  return { concurrency: options.concurrency ?? 64 }
}

/** Two handlers under one name would get half of the events each. */
export function subscribedAlready(name: string): Error {
  return new BanyanError(
    'BANYAN_INVALID_OPTIONS',
    `${name} has subscribed here already; give the other one another name, so that it gets every event, too, or more concurrency`,
  )
}
