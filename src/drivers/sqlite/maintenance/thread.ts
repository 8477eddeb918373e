/** A thread for what reads the whole file, so that neither the event loop nor the writer waits for it. */
import SQLite from 'better-sqlite3'
import { parentPort, workerData } from 'node:worker_threads'
import { connectReader } from '../connect.js'
import { faultOf, packFault, type Fault } from '../faults.js'
import { copyInto } from './copy.js'
import { findDamagedEvents } from './contents.js'
import { findProblems, type Problem } from './problems.js'

/** What the thread is to do: `check` is `verify` and the checksums of all events. */
export type Task =
  | { readonly kind: 'verify' | 'check'; readonly file: string }
  | { readonly kind: 'backup'; readonly file: string; readonly to: string }

/** What it says: problems while it goes on, and at last that it is done or why not. */
export type Report = { readonly problem: Problem } | { readonly done: true } | { readonly fault: Fault }

const port = parentPort!
const task = workerData as Task

try {
  const db = connectReader(SQLite, task.file)
  try {
    if (task.kind === 'backup') copyInto(db, task.to)
    else {
      report(findProblems(db, task.file))
      if (task.kind === 'check') report(findDamagedEvents(db, task.file))
    }
  } finally {
    db.close()
  }
  port.postMessage({ done: true } satisfies Report)
} catch (error) {
  port.postMessage({ fault: packFault(faultOf(error, task.file)) } satisfies Report)
}

function report(problems: Iterable<Problem>): void {
  for (const problem of problems) port.postMessage({ problem } satisfies Report)
}
