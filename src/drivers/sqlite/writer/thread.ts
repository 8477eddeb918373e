/**
 * The thread that writes: it owns the only connection of the process that does, so that the event loop of the
 * application never waits for a disk.
 */
import SQLite from 'better-sqlite3'
import { workerData } from 'node:worker_threads'
import { serve } from '../serve.js'
import { Writer } from './writer.js'

/** What it is started with. */
export interface WriterData {
  readonly file: string
  /** ms */
  readonly lockWait: number
}

const { file, lockWait } = workerData as WriterData
serve(() => new Writer(SQLite, file, lockWait))
