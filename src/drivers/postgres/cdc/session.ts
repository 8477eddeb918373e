import type { Client } from 'pg'
import { sleep } from '../../../core/clock.js'
import type { Runtime } from '../../../core/runtime.js'
import {
  lsnText,
  parseLsn,
  type ChangeStream,
  type SlotState,
  type SourceIdentity,
  type SourceSession,
  type SourceSnapshot,
  type TableShape,
  type WantedTable,
} from '../../../events/cdc/source.js'
import { Catalog } from './catalog.js'
import { quoted, type Clients } from './clients.js'
import { isInUse, sourceError, unprepared } from './faults.js'
import { Feed } from './feed.js'
import { publish } from './publication.js'
import { PostgresSnapshot } from './snapshot.js'
import { PostgresStream } from './stream.js'
import { findTables, type FoundTable } from './tables.js'

/** How long a connection may take to end, in ms, and how often that is looked at. */
const ENDING_MS = 5000
const ENDING_LOOK_MS = 50

interface SlotRow {
  readonly plugin: string | null
  readonly database: string | null
  readonly confirmed: string | null
  readonly restart: string | null
  readonly status: string | null
  readonly invalid: string | null
}

/** A server whose changes this process captures alone, as it holds the lock of the capture. */
export class PostgresSession implements SourceSession {
  readonly identity: SourceIdentity
  /** Of the slot and of the publication. */
  readonly #name: string
  readonly #clients: Clients
  readonly #control: Client
  readonly #catalog: Catalog
  readonly #runtime: Runtime
  readonly #partitioned = new Set<number>()
  #isPublishedAnew = false

  /** @param control - holds the lock */
  constructor(name: string, clients: Clients, control: Client, identity: SourceIdentity, runtime: Runtime) {
    this.#name = name
    this.#clients = clients
    this.#control = control
    this.identity = identity
    this.#catalog = new Catalog(control)
    this.#runtime = runtime
  }

  prepare(wanted: readonly WantedTable[]): Promise<ReadonlyMap<string, FoundTable>> {
    return this.#reached(async () => {
      const { rows } = await this.#control.query<{ level: string }>(
        "SELECT current_setting('wal_level') AS level",
      )
      if (rows[0]?.level !== 'logical')
        throw unprepared(
          `${this.#clients.place} has wal_level = ${rows[0]?.level}, which does not tell of rows: ALTER SYSTEM SET wal_level = logical; then restart the server`,
        )
      const found = await findTables(this.#control, wanted)
      for (const { id, isPartitioned } of found.values()) if (isPartitioned) this.#partitioned.add(id)
      this.#isPublishedAnew = await publish(this.#control, this.#name, [...found.values()])
      return found
    })
  }

  slot(): Promise<SlotState> {
    return this.#reached(async () => {
      const { rows } = await this.#control.query<SlotRow>(SLOT, [this.#name])
      const [slot] = rows
      if (!slot) return { kind: 'missing' }
      if (slot.plugin !== 'pgoutput' || slot.database !== this.identity.database)
        throw unprepared(
          `the replication slot ${this.#name} is of ${slot.plugin ?? 'a standby'}, database ${slot.database ?? 'none'}: somebody else's. Give the capture another name`,
        )
      if (slot.confirmed === null || slot.restart === null || slot.status === 'lost' || slot.invalid !== null)
        return {
          kind: 'lost',
          reason: `the server has invalidated the slot ${this.#name} (${slot.invalid ?? 'max_slot_wal_keep_size'})`,
        }
      // What was changed while it was not there is not decoded, even if it is made again.
      if (this.#isPublishedAnew)
        return { kind: 'lost', reason: `the publication ${this.#name} had been dropped` }
      return { kind: 'ready', confirmed: parseLsn(slot.confirmed) }
    })
  }

  snapshot(tables: readonly TableShape[]): Promise<SourceSnapshot> {
    return this.#reached(async () => {
      await this.#dropSlot()
      const maker = await this.#clients.connect(this.#name, true)
      try {
        const { rows } = await maker.query<{ consistent_point: string; snapshot_name: string }>(
          `CREATE_REPLICATION_SLOT ${quoted(this.#name)} LOGICAL pgoutput EXPORT_SNAPSHOT`,
        )
        const { consistent_point: point, snapshot_name: snapshot } = rows[0]!
        const reader = await this.#clients.connect(this.#name)
        await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
        await reader.query(`SET TRANSACTION SNAPSHOT '${snapshot}'`)
        const partitioned = new Set(tables.map(({ id }) => id).filter((id) => this.#partitioned.has(id)))
        return new PostgresSnapshot(parseLsn(point), reader, this.#catalog, this.#clients.place, partitioned)
      } finally {
        // The snapshot lives on in the transaction that has taken it over.
        await maker.end().catch(() => undefined)
      }
    })
  }

  follow(from: bigint): Promise<ChangeStream> {
    return this.#reached(async () => {
      const client = await this.#clients.connect(this.#name, true)
      const feed = new Feed(
        `START_REPLICATION SLOT ${quoted(this.#name)} LOGICAL ${lsnText(from)} (proto_version '1', publication_names '${this.#name}')`,
        from,
        this.#runtime,
      )
      client.query(feed)
      return new PostgresStream(feed, client, this.#catalog, this.#clients.place)
    })
  }

  end(all = false): Promise<bigint> {
    return this.#reached(async () => {
      // What is committed asynchronously is told of once it is on disk; a commit of our own brings it there.
      if (all) await this.#control.query(COMMIT_SOMETHING)
      const { rows } = await this.#control.query<{ lsn: string }>(END)
      return parseLsn(rows[0]!.lsn)
    })
  }

  close(): Promise<void> {
    return this.#clients.end()
  }

  /** A connection that has just been closed may still be using it. */
  async #dropSlot(): Promise<void> {
    const { clock } = this.#runtime
    const until = clock.now() + ENDING_MS
    for (;;) {
      try {
        await this.#control.query(DROP_SLOT, [this.#name])
        return
      } catch (error) {
        if (!isInUse(error) || clock.now() > until) throw error
      }
      await sleep(clock, ENDING_LOOK_MS)
    }
  }

  async #reached<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await work()
    } catch (error) {
      if (isInUse(error))
        throw sourceError(
          new Error('its slot is still used by a connection that is ending'),
          this.#clients.place,
        )
      throw sourceError(error, this.#clients.place)
    }
  }
}

const SLOT = `
  SELECT plugin, database, confirmed_flush_lsn::text AS confirmed, restart_lsn::text AS restart,
         to_jsonb(s) ->> 'wal_status' AS status, to_jsonb(s) ->> 'invalidation_reason' AS invalid
    FROM pg_replication_slots s WHERE slot_name = $1`

const DROP_SLOT = `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1`

const END = `
  SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END)::text AS lsn`

const COMMIT_SOMETHING = 'SELECT CASE WHEN pg_is_in_recovery() THEN NULL ELSE txid_current() END'
