/** The thread that copies the write-ahead log into the file while the writer goes on. */
import SQLite from 'better-sqlite3'
import { parentPort, workerData } from 'node:worker_threads'
import { flushFully } from '../disk.js'

/** How many frames the log has, and how many of them are in the file; -1 if that is not known. */
export interface Copied {
  readonly log: number
  readonly checkpointed: number
}

const port = parentPort!
const db = new SQLite(workerData as string, { fileMustExist: true, timeout: 0 })
flushFully(db)
const copy = db.prepare<[], Copied>('PRAGMA wal_checkpoint(PASSIVE)')

port.on('message', () => {
  try {
    port.postMessage(copy.get())
  } catch {
    // It is the writer that meets the same, and says so.
    port.postMessage(undefined)
  }
})
