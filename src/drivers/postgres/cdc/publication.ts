import type { Client } from 'pg'
import { sqlState } from '../faults.js'
import { quoted, quotedTable } from './clients.js'
import { unprepared } from './faults.js'
import type { FoundTable } from './tables.js'

const NOT_ALLOWED = '42501'
const ALL = "publish = 'insert, update, delete, truncate', publish_via_partition_root = true"

interface PublicationRow {
  readonly complete: boolean
  readonly everything: boolean
}

interface MemberRow {
  readonly id: number
  readonly table: string
  readonly partial: boolean
}

/**
 * Makes the publication of a capture, or brings it up to date.
 *
 * @returns whether it was not there
 * @throws `BANYAN_SOURCE_UNPREPARED` with the statement to run, if the role may not
 */
export async function publish(client: Client, name: string, tables: readonly FoundTable[]): Promise<boolean> {
  const { rows } = await client.query<PublicationRow>(PUBLICATION, [name])
  const [publication] = rows
  if (!publication) {
    await change(
      client,
      `CREATE PUBLICATION ${quoted(name)} FOR TABLE ${tables.map(entryOf).join(', ')} WITH (${ALL})`,
    )
    return true
  }
  if (!publication.complete) await change(client, `ALTER PUBLICATION ${quoted(name)} SET (${ALL})`)
  if (publication.everything) return false
  const { rows: members } = await client.query<MemberRow>(MEMBERS, [name])
  const partial = members.find((member) => member.partial && tables.some(({ id }) => id === member.id))
  if (partial)
    throw unprepared(
      `publication ${name} leaves out rows or columns of ${partial.table}, which a snapshot would show: ` +
        `ALTER PUBLICATION ${quoted(name)} DROP TABLE ${partial.table}; what is not to be captured is left out by map`,
    )
  const missing = tables.filter(({ id }) => !members.some((member) => member.id === id))
  if (missing.length > 0)
    await change(client, `ALTER PUBLICATION ${quoted(name)} ADD TABLE ${missing.map(entryOf).join(', ')}`)
  const left = members.filter((member) => !tables.some(({ id }) => id === member.id))
  if (left.length > 0)
    await change(
      client,
      `ALTER PUBLICATION ${quoted(name)} DROP TABLE ${left.map(({ table }) => table).join(', ')}`,
    )
  return false
}

/** Without those that inherit from it, which are tables of their own. */
function entryOf({ name, isPartitioned }: FoundTable): string {
  return isPartitioned ? quotedTable(name) : `ONLY ${quotedTable(name)}`
}

async function change(client: Client, statement: string): Promise<void> {
  try {
    await client.query(statement)
  } catch (error) {
    if (sqlState(error) !== NOT_ALLOWED) throw error
    throw unprepared(
      `the role may not do this, so somebody who may has to: ${statement}; (${(error as Error).message})`,
      error,
    )
  }
}

const PUBLICATION = `
  SELECT pubinsert AND pubupdate AND pubdelete AND pubtruncate AND pubviaroot AS complete, puballtables AS everything
    FROM pg_publication WHERE pubname = $1`

const MEMBERS = `
  SELECT r.prrelid::int8::float8 AS id, r.prrelid::regclass::text AS table,
         to_jsonb(r) ->> 'prqual' IS NOT NULL OR to_jsonb(r) ->> 'prattrs' IS NOT NULL AS partial
    FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE p.pubname = $1`
