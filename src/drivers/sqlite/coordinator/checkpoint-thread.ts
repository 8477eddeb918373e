/** The thread that copies the write-ahead log into the file, so that the event loop does not wait for the disk. */
import SQLite from 'better-sqlite3'
import { parentPort, workerData } from 'node:worker_threads'
import { flushFully } from '../disk.js'

/** What came of it. */
export interface Copied {
  /** Whether somebody was in the way of beginning the log anew. */
  readonly busy: number
}

/** How long it waits for those who read; those who write wait for it meanwhile. In ms. */
const PATIENCE_MS = 20

const port = parentPort!
const db = new SQLite(workerData as string, { fileMustExist: true, timeout: PATIENCE_MS })
flushFully(db)
// The most of it while others write, and the rest, with which it can begin anew, while they wait.
const most = db.prepare<[], Copied>('PRAGMA wal_checkpoint(PASSIVE)')
const rest = db.prepare<[], Copied>('PRAGMA wal_checkpoint(RESTART)')

port.on('message', () => {
  try {
    most.get()
    port.postMessage(rest.get())
  } catch {
    // What is wrong with the file is met by those who use it.
    port.postMessage(undefined)
  }
})
