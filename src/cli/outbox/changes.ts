import { BanyanError } from '../../core/errors.js'
import { confirm } from '../events/confirm.js'
import { printable } from '../events/show/printable.js'
import { UsageError } from '../usage-error.js'
import { onOutboxes, type OutboxPlace } from './place.js'

type Options = OutboxPlace & { json?: true }

/** `banyan outbox redrive`: ends with 1 if one of the lanes is not parked. */
export async function redrive(
  name: string,
  lanes: readonly string[],
  options: Options & { all?: true },
): Promise<void> {
  if ((lanes.length === 0) === (options.all === undefined))
    throw new UsageError('say which lanes go on, or --all')
  await onOutboxes(options, async ({ outboxes, output }) => {
    const moved = (await outboxes.redrive(name, options.all ? 'all' : lanes)) ?? []
    const missing = lanes.filter((lane) => !moved.includes(lane))
    if (missing.length > 0) process.exitCode = 1
    if (options.json) output.json({ name, lanes: moved, missing })
    else {
      for (const lane of moved) output.add(`${printable(lane)} goes on`)
      for (const lane of missing) output.add(`${printable(lane)} is not parked`)
      if (moved.length + missing.length === 0) output.add('nothing is parked')
    }
  })
}

/** `banyan outbox discard`. */
export async function discard(
  name: string,
  id: string,
  options: Options & { lane?: string; yes?: true },
): Promise<void> {
  await onOutboxes(options, async ({ outboxes, output, signal }) => {
    const facts = [`Message ${printable(id)} will never come to the log.`]
    if (!(await confirm(facts, options.yes ?? false, signal))) return
    if (!(await outboxes.discard(name, id, options.lane)))
      throw new BanyanError('BANYAN_INVALID_OPTIONS', `no message ${id} is parked`)
    if (options.json) output.json({ name, discarded: id })
    else output.add(`${printable(id)} is discarded`)
  })
}
