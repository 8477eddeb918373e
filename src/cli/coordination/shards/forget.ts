import { confirm } from '../../events/confirm.js'
import { printable } from '../../events/show/printable.js'
import type { PlaceOptions } from '../place.js'
import { onCoordinator } from '../session.js'
import { mustBe } from './kind.js'

/** `banyan shards forget`: a shard map that nobody works for. */
export async function forget(
  name: string,
  { json, yes, ...where }: PlaceOptions & { json?: true; yes?: true },
): Promise<void> {
  await onCoordinator(where, async ({ desk, output, signal }) => {
    await mustBe(desk, name, 'shards', 'what its databases hold is not forgotten like that')
    const facts = [`The shard map ${printable(name)} is removed, with its history, pins and splits.`]
    if (!(await confirm(facts, yes === true, signal))) return
    await desk.forgetShards(name)
    if (json) output.json({ name, forgotten: true })
    else output.add(`${printable(name)} is forgotten`)
  })
}
