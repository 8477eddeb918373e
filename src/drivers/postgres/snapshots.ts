import {
  damagedSnapshot,
  snapshotChecksum,
  type Snapshot,
  type Snapshots,
} from '../../events/event-sourcing/snapshots.js'
import { placeOf } from './settings.js'
import { SideSchema, type SideSchemaKind } from './side-schema.js'

const SNAPSHOTS: SideSchemaKind = {
  holds: 'snapshots of streams',
  name: 'banyan_snapshots',
  // `BSNP`
  lock: 0x42534e50,
  format: 1,
  tables: `
    CREATE TABLE banyan_snapshots.snapshot (
      stream   text COLLATE "C" PRIMARY KEY,
      revision bigint NOT NULL,
      event    text NOT NULL,
      version  bigint NOT NULL,
      state    text NOT NULL,
      checksum bigint NOT NULL
    );
  `,
}

const READ =
  'SELECT revision, event, version, state, checksum FROM banyan_snapshots.snapshot WHERE stream = $1'
const WRITE = `
  INSERT INTO banyan_snapshots.snapshot AS known (stream, revision, event, version, state, checksum)
  VALUES ($1, $2, $3, $4, $5, $6)
  ON CONFLICT (stream) DO UPDATE SET revision = excluded.revision, event = excluded.event,
    version = excluded.version, state = excluded.state, checksum = excluded.checksum
  WHERE excluded.version <> known.version OR excluded.revision >= known.revision`
const DELETE = 'DELETE FROM banyan_snapshots.snapshot WHERE stream = $1'
const DELETE_DAMAGED = `${DELETE} AND checksum = $2`

interface Row {
  revision: string
  event: string
  version: string
  state: string
  checksum: string
}

/** Opens snapshots in a PostgreSQL database, which makes their schema, `banyan_snapshots`, if it is not there. */
export async function openPostgresSnapshots(url: string): Promise<Snapshots> {
  return new PostgresSnapshots(await SideSchema.open(url, SNAPSHOTS), url)
}

class PostgresSnapshots implements Snapshots {
  readonly #schema: SideSchema
  readonly #url: string

  constructor(schema: SideSchema, url: string) {
    this.#schema = schema
    this.#url = url
  }

  async read(stream: string): Promise<Snapshot | undefined> {
    const [row] = await this.#schema.ask<Row>(READ, [stream])
    if (!row) return undefined
    const { event, state } = row
    const snapshot = { revision: Number(row.revision), event, version: Number(row.version), state }
    if (Number(row.checksum) === snapshotChecksum(stream, snapshot)) return snapshot
    // What its revision says is no more to be trusted than the rest: it must not keep a good one out.
    await this.#schema.durably((client) => client.query(DELETE_DAMAGED, [stream, row.checksum]))
    throw damagedSnapshot(stream, placeOf(this.#url))
  }

  async write(stream: string, snapshot: Snapshot): Promise<void> {
    const { revision, event, version, state } = snapshot
    const values = [stream, revision, event, version, state, snapshotChecksum(stream, snapshot)]
    await this.#schema.durably((client) => client.query(WRITE, values))
  }

  async delete(stream: string): Promise<void> {
    await this.#schema.durably((client) => client.query(DELETE, [stream]))
  }

  close(): Promise<void> {
    return this.#schema.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
