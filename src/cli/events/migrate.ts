import { eventError } from '../../events/errors.js'
import { interruptible, note } from '../output.js'
import { placeOf, type PlaceOptions } from './place.js'
import { onLog } from './session.js'

/** `banyan events migrate`: makes the tables of a log on PostgreSQL, or brings those of an older version up to date. */
export async function migrate(options: PlaceOptions & { json?: true }): Promise<void> {
  const place = await placeOf(options)
  if (!('spec' in place))
    throw eventError('BANYAN_UNSUPPORTED', `${place.name} is in memory: there is nothing to migrate`)
  const { spec, name } = place
  if (spec.driver !== 'postgres') return tellFormat(options)
  await interruptible(async (output) => {
    note(`migrating ${name}`)
    const { migratePostgresLog } = await import('../../drivers/postgres/migrate.js')
    const { from, to } = await migratePostgresLog(spec)
    if (options.json) output.json({ log: name, from, to })
    else if (from === to) output.add(`${name} has format ${to} already: nothing to do`)
    else if (from === 0) output.add(`${name}: made the tables of a log, format ${to}`)
    else output.add(`${name}: brought from format ${from} to ${to}`)
  })
}

/** A file of SQLite is brought up to date when it is opened. */
async function tellFormat(options: PlaceOptions & { json?: true }): Promise<void> {
  await onLog(options, async ({ log, place, output }) => {
    const { format } = await log.stats()
    if (options.json) output.json({ log: place.name, from: format, to: format })
    else
      output.add(
        `${place.name} has format ${format}; files of SQLite are brought up to date when they are opened`,
      )
  })
}
