import type { Client } from 'pg'
import { sleep } from '../../../core/clock.js'
import type { Runtime } from '../../../core/runtime.js'
import {
  parseLsn,
  type ChangeSource,
  type ConnectRequest,
  type SourceIdentity,
  type SourceSession,
} from '../../../events/cdc/source.js'
import { Clients, quoted } from './clients.js'
import { isInUse, sourceError, unprepared } from './faults.js'
import { PostgresSession } from './session.js'

/** First half of the advisory locks of captures; the other is a hash of the name. */
const LOCK = 0x42434443
/** Between looks at a lock that somebody else holds, in ms. To wait inside the server would hold back its vacuum. */
const LOOK_MS = 300

/**
 * Opens the changes of a PostgreSQL database, version 13 or newer; connects to nothing yet. What is made there for a capture
 * is called `banyan_` and its name: a slot and a publication.
 *
 * @throws an error without a code if the package `pg` is missing
 */
export async function openPostgresChanges(url: string, runtime: Runtime): Promise<ChangeSource> {
  return new PostgresSource(url, await Clients.load(url), runtime)
}

class PostgresSource implements ChangeSource {
  readonly place: string
  readonly #url: string
  readonly #runtime: Runtime

  constructor(url: string, { place }: Clients, runtime: Runtime) {
    this.#url = url
    this.place = place
    this.#runtime = runtime
  }

  async connect({ name, signal, onWaiting }: ConnectRequest): Promise<SourceSession> {
    const clients = await Clients.load(this.#url)
    const slot = slotOf(name)
    try {
      signal.throwIfAborted()
      const control = await clients.connect(slot)
      await this.#own(control, slot, signal, onWaiting)
      // Also shows whether the role may replicate, before anything is made.
      const replication = await clients.connect(slot, true)
      const identity = await identityOf(replication)
      await replication.end()
      return new PostgresSession(slot, clients, control, identity, this.#runtime)
    } catch (error) {
      await clients.end()
      signal.throwIfAborted()
      throw sourceError(error, this.place)
    }
  }

  async remove(name: string): Promise<void> {
    const clients = await Clients.load(this.#url)
    const slot = slotOf(name)
    try {
      const client = await clients.connect(slot)
      await client.query(
        'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1',
        [slot],
      )
      await client.query(`DROP PUBLICATION IF EXISTS ${quoted(slot)}`)
    } catch (error) {
      if (isInUse(error))
        throw unprepared(
          `a node still captures as ${name} from ${this.place}, so its slot ${slot} cannot be dropped: take the capture out of the configuration first, or close it`,
          error,
        )
      throw sourceError(error, this.place)
    } finally {
      await clients.end()
    }
  }

  async names(): Promise<readonly string[]> {
    const clients = await Clients.load(this.#url)
    try {
      const client = await clients.connect(slotOf('names'))
      const { rows } = await client.query<{ name: string }>(NAMES, [slotOf('')])
      return rows.map(({ name }) => name)
    } catch (error) {
      throw sourceError(error, this.place)
    } finally {
      await clients.end()
    }
  }

  /** Waits until nobody else captures under this name. */
  async #own(control: Client, slot: string, signal: AbortSignal, onWaiting: () => void): Promise<void> {
    for (let looks = 0; ; looks++) {
      const { rows } = await control.query<{ own: boolean }>(
        'SELECT pg_try_advisory_lock($1, hashtext($2)) AS own',
        [LOCK, slot],
      )
      if (rows[0]?.own) return
      if (looks === 0) onWaiting()
      await sleep(this.#runtime.clock, LOOK_MS, signal)
    }
  }
}

const NAMES = `
  SELECT substr(name, length($1) + 1) AS name FROM (
    SELECT slot_name::text AS name FROM pg_replication_slots WHERE database = current_database()
    UNION SELECT pubname::text FROM pg_publication) found
   WHERE starts_with(name, $1) ORDER BY name`

function slotOf(name: string): string {
  return `banyan_${name}`
}

async function identityOf(client: Client): Promise<SourceIdentity> {
  const { rows } = await client.query<{
    systemid: string
    timeline: number
    xlogpos: string
    dbname: string
  }>('IDENTIFY_SYSTEM')
  const { systemid, timeline, xlogpos, dbname } = rows[0]!
  return {
    system: systemid,
    timeline,
    database: dbname,
    end: parseLsn(xlogpos),
    history: timeline > 1 ? await historyOf(client, timeline) : [],
  }
}

/** Of each timeline before, where it was left: `1<tab>0/3000000<tab>reason`. */
async function historyOf(client: Client, timeline: number): Promise<{ timeline: number; end: bigint }[]> {
  const { rows } = await client.query<{ content: string | Buffer }>(`TIMELINE_HISTORY ${timeline}`)
  return String(rows[0]?.content ?? '')
    .split('\n')
    .flatMap((line) => {
      const [, number, end] = /^\s*(\d+)\s+([0-9A-F]+\/[0-9A-F]+)/i.exec(line) ?? []
      return number === undefined ? [] : [{ timeline: Number(number), end: parseLsn(end!) }]
    })
}
