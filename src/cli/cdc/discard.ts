import { BanyanError } from '../../core/errors.js'
import type { ParkedSelection } from '../../events/index.js'
import { confirm } from '../events/confirm.js'
import { countOf } from '../events/show/numbers.js'
import { printable } from '../events/show/printable.js'
import { interruptible } from '../output.js'
import { UsageError } from '../usage-error.js'
import { NodeCaptures } from './node-captures.js'

interface Options {
  admin?: string
  json?: true
  table?: string
  key?: readonly string[]
  yes?: true
}

/** `banyan cdc discard`. */
export async function discard(name: string, id: string | undefined, options: Options): Promise<void> {
  const which = selectionOf(id, options)
  await interruptible(async (output, signal) => {
    const facts = [
      `${'id' in which ? `The parked row ${printable(which.id)}` : `Everything parked of ${printable(which.table)} with ${printable((options.key ?? []).join(', '))}`} will never come to the log.`,
    ]
    if (!(await confirm(facts, options.yes ?? false, signal))) return
    const { discarded, released, parked } = await new NodeCaptures(options.admin).discard(name, which)
    if (options.json) output.json({ name, discarded, released, parked })
    else
      output.add(
        `${countOf(discarded, 'row')} discarded, ${released} that waited behind taken, ${parked} still parked`,
      )
  })
}

function selectionOf(id: string | undefined, { table, key = [] }: Options): ParkedSelection {
  if (id !== undefined && table === undefined && key.length === 0) return { id }
  if (id !== undefined || table === undefined || key.length === 0)
    throw new UsageError(
      'say which rows: ID, as banyan cdc parked tells it, or --table TABLE --key COLUMN=VALUE',
    )
  return { table, key: Object.fromEntries(key.map(columnOf)) }
}

function columnOf(text: string): [string, string] {
  const at = text.indexOf('=')
  if (at < 1) throw new BanyanError('BANYAN_INVALID_OPTIONS', `--key must be column=value; got ${text}`)
  return [text.slice(0, at), text.slice(at + 1)]
}
