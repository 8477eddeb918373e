import { parentPort, receiveMessageOnPort } from 'node:worker_threads'
import { packFault } from './faults.js'
import type { Call, Reply } from './thread.js'

/** What a thread serves: its methods are called by whoever has started it. */
interface Served {
  close(): unknown
  /**
   * What need not be done before an answer goes out. Called after each.
   *
   * @param idle - whether nobody waits
   */
  afterwards?(idle: boolean): void
}

/** Serves the methods of an object to the thread that has started this one; see `Thread`. */
export function serve(open: () => Served): void {
  const port = parentPort!
  try {
    const served = open()
    port.on('message', (first: Call) => {
      // All that has come is done before anything that can wait.
      for (let next: Call | undefined = first; next; next = nextCall()) {
        const answered = answer(served, next)
        if (next.method === 'close') {
          void answered.then(() => port.close())
          return
        }
        served.afterwards?.(false)
      }
      served.afterwards?.(true)
    })
    port.postMessage({ call: 0, result: undefined } satisfies Reply)
  } catch (error) {
    port.postMessage({ call: 0, fault: packFault(error) } satisfies Reply)
  }

  function nextCall(): Call | undefined {
    return (receiveMessageOnPort(port) as { message: Call } | undefined)?.message
  }

  async function answer(served: Served, { call, method, args }: Call): Promise<void> {
    try {
      const methods = served as unknown as Record<string, (...args: readonly unknown[]) => unknown>
      const result = methods[method]!(...args)
      port.postMessage({ call, result: result instanceof Promise ? await result : result } satisfies Reply)
    } catch (error) {
      port.postMessage({ call, fault: packFault(error) } satisfies Reply)
    }
  }
}
