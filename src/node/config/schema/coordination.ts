import { z } from 'zod'
import type { OptionKind } from '../../../core/options.js'
import { COORDINATOR_DRIVERS, COORDINATOR_OPTIONS } from '../../../drivers/open-coordinator.js'
import { optionsSchema } from '../options-schema.js'

/** An option, and the drivers that have it, with what each says of it. */
interface SharedOption {
  readonly kind: OptionKind
  readonly docs: Map<string, string>
}

/** The options of all drivers by name. */
export function coordinationOptions(): Map<string, SharedOption> {
  const options = new Map<string, SharedOption>()
  for (const driver of COORDINATOR_DRIVERS)
    for (const [name, kind] of Object.entries(COORDINATOR_OPTIONS[driver])) {
      if (name === 'driver') continue
      const known = options.get(name) ?? { kind, docs: new Map<string, string>() }
      known.docs.set(driver, kind.doc)
      options.set(name, known)
    }
  return options
}

const shape = Object.fromEntries(
  Array.from(coordinationOptions(), ([name, { kind, docs }]) => {
    const doc = Array.from(docs, ([driver, text]) => `Of \`${driver}\`: ${text}.`).join(' ')
    return [name, { ...kind, doc }]
  }),
)

/** `coordination`: which drivers need what is checked with the meaning, where it can be said better. */
export const coordination = z
  .strictObject({
    driver: z.enum(COORDINATOR_DRIVERS).meta({
      description:
        'What keeps the keys: one file for a machine (`sqlite`), a server for many, or nothing (`memory`).',
    }),
    ...optionsSchema(shape).shape,
  })
  .meta({
    description:
      'Where elections, locks, jobs, the registry and shards are that this node shows. Default none.',
  })
