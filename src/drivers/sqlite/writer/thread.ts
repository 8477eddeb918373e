/**
 * The thread that writes: it owns the only connection of the process that does, so that the event loop of the
 * application never waits for a disk.
 */
import SQLite from 'better-sqlite3'
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { packFault, type Fault } from '../faults.js'
import { Writer } from './writer.js'

/** A request to the thread. */
export interface Call {
  readonly call: number
  readonly method: 'append' | 'hold' | 'release' | 'truncate' | 'close'
  readonly args: readonly unknown[]
}

/** What it answers; `call` is 0 for the answer to being started. */
export type Reply =
  { readonly call: number; readonly result: unknown } | { readonly call: number; readonly fault: Fault }

/** What it is started with. */
export interface ThreadData {
  readonly file: string
  /** ms */
  readonly lockWait: number
}

const port = parentPort!
const { file, lockWait } = workerData as ThreadData

try {
  const writer = new Writer(SQLite, file, lockWait)
  port.on('message', (first: Call) => {
    // All that has come is done before anything that can wait.
    for (let next: Call | undefined = first; next; next = nextCall()) {
      const { call, method, args } = next
      const run = writer[method].bind(writer) as (...args: readonly unknown[]) => unknown
      void answer(call, () => run(...args))
      if (method === 'close') {
        port.close()
        return
      }
      writer.afterwards(false)
    }
    writer.afterwards(true)
  })
  port.postMessage({ call: 0, result: undefined } satisfies Reply)
} catch (error) {
  port.postMessage({ call: 0, fault: packFault(error) } satisfies Reply)
}

function nextCall(): Call | undefined {
  return (receiveMessageOnPort(port) as { message: Call } | undefined)?.message
}

async function answer(call: number, run: () => unknown): Promise<void> {
  try {
    const result = run()
    port.postMessage({ call, result: result instanceof Promise ? await result : result } satisfies Reply)
  } catch (error) {
    port.postMessage({ call, fault: packFault(error) } satisfies Reply)
  }
}
