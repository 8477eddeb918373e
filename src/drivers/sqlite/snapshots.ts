import type { Database } from 'better-sqlite3'
import type { DriverContext } from '../../events/driver.js'
import {
  damagedSnapshot,
  snapshotChecksum,
  type Snapshot,
  type Snapshots,
} from '../../events/event-sourcing/snapshots.js'
import { SideFile, type SideFileKind } from './side-file.js'

const SNAPSHOTS: SideFileKind = {
  holds: 'snapshots of streams',
  name: 'snapshots.db',
  // `BSNP`
  applicationId: 0x42534e50,
  format: 1,
  schema: `
    CREATE TABLE snapshot (
      stream   TEXT PRIMARY KEY,
      revision INTEGER NOT NULL,
      event    TEXT NOT NULL,
      version  INTEGER NOT NULL,
      state    TEXT NOT NULL,
      checksum INTEGER NOT NULL
    ) STRICT;
  `,
  remedy: 'Delete it, the events have everything that was not truncated',
}

type Row = Snapshot & { checksum: number }

/**
 * Opens snapshots in a SQLite file of their own. Several processes of one machine may share it.
 *
 * @param path - a directory, where the file is `snapshots.db`, or a file whose name ends in `.db`; made if it is not there
 */
export async function openSqliteSnapshots(path: string, context: DriverContext): Promise<Snapshots> {
  return new SqliteSnapshots(await SideFile.open(path, SNAPSHOTS, context))
}

class SqliteSnapshots implements Snapshots {
  readonly #file: SideFile
  readonly #sql: ReturnType<typeof statementsOf>

  constructor(file: SideFile) {
    this.#file = file
    this.#sql = statementsOf(file.database)
  }

  async read(stream: string): Promise<Snapshot | undefined> {
    const row = await this.#file.patiently(() => this.#sql.read.get(stream))
    if (!row) return undefined
    const { checksum, ...snapshot } = row
    if (checksum === snapshotChecksum(stream, snapshot)) return snapshot
    // What its revision says is no more to be trusted than the rest: it must not keep a good one out.
    await this.#file.patiently(() => this.#sql.deleteDamaged.run(stream, checksum))
    throw damagedSnapshot(stream, this.#file.file)
  }

  async write(stream: string, snapshot: Snapshot): Promise<void> {
    const { revision, event, version, state } = snapshot
    const checksum = snapshotChecksum(stream, snapshot)
    await this.#file.patiently(() => this.#sql.write.run(stream, revision, event, version, state, checksum))
  }

  async delete(stream: string): Promise<void> {
    await this.#file.patiently(() => this.#sql.delete.run(stream))
  }

  close(): Promise<void> {
    this.#file.close()
    return Promise.resolve()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

function statementsOf(database: Database) {
  return {
    read: database.prepare<[stream: string], Row>(
      'SELECT revision, event, version, state, checksum FROM snapshot WHERE stream = ?',
    ),
    write: database.prepare<[string, number, string, number, string, number]>(
      `INSERT INTO snapshot (stream, revision, event, version, state, checksum) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT (stream) DO UPDATE SET revision = excluded.revision, event = excluded.event,
         version = excluded.version, state = excluded.state, checksum = excluded.checksum
       WHERE excluded.version <> snapshot.version OR excluded.revision >= snapshot.revision`,
    ),
    delete: database.prepare<[stream: string]>('DELETE FROM snapshot WHERE stream = ?'),
    deleteDamaged: database.prepare<[stream: string, checksum: number]>(
      'DELETE FROM snapshot WHERE stream = ? AND checksum = ?',
    ),
  }
}
