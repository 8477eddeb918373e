import { systemRuntime } from '../../core/runtime.js'
import { eventError } from '../../events/errors.js'
import { openChanges } from '../../drivers/open-changes.js'
import { confirm } from '../events/confirm.js'
import { countOf } from '../events/show/numbers.js'
import { interruptible } from '../output.js'
import { NodeCaptures } from './node-captures.js'

interface Options {
  admin?: string
  json?: true
}

/** `banyan cdc resnapshot`. */
export async function resnapshot(name: string, { admin, json }: Options): Promise<void> {
  await interruptible(async (output) => {
    await new NodeCaptures(admin).resnapshot(name)
    if (json) output.json({ name })
    else output.add(`${name} takes a new snapshot; banyan cdc status tells how far it is`)
  })
}

/** `banyan cdc retry`: ends with 1 if something is left. */
export async function retry(name: string, { admin, json }: Options): Promise<void> {
  await interruptible(async (output) => {
    const retried = await new NodeCaptures(admin).retry(name)
    if (retried.parked > 0) process.exitCode = 1
    if (json) output.json({ name, ...retried })
    else output.add(`${countOf(retried.released, 'row')} taken, ${retried.parked} still parked`)
  })
}

/** `banyan cdc remove`. */
export async function remove(name: string, { from, yes }: { from: string; yes?: true }): Promise<void> {
  await interruptible(async (output, signal) => {
    const source = await openChanges(from, systemRuntime)
    const names = await source.names()
    if (!names.includes(name))
      throw eventError(
        'BANYAN_CAPTURE_UNKNOWN',
        `there is no slot and no publication banyan_${name} at ${source.place}; ${names.length > 0 ? `captures that have some there: ${names.join(', ')}` : 'no capture has any there'}`,
      )
    const facts = [
      `The slot and the publication banyan_${name} are dropped at ${source.place}: a capture that goes on under this name takes a new snapshot.`,
    ]
    if (!(await confirm(facts, yes ?? false, signal))) return
    await source.remove(name)
    output.add(`slot and publication banyan_${name} are gone from ${source.place}`)
  })
}
