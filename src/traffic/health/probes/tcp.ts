import { connect } from 'node:net'
import type { Probe } from '../health-check.js'

/** Whether a connection is accepted; it is closed at once. */
export function tcpProbe(host: string, port: number): Probe {
  return (onCancel) =>
    new Promise((resolve, reject) => {
      const socket = connect({ host, port })
      // Stays for good: a socket without a listener for its errors takes the process with it.
      socket.on('error', (error) => reject(new Error(`cannot connect (${error.message})`)))
      socket.once('connect', () => {
        resolve()
        socket.destroy()
      })
      onCancel(() => socket.destroy())
    })
}
