import type { Log } from './log.js'

/**
 * Keeps the process alive through faults of our own that nothing has caught: a request may be lost by one, all the others
 * must not. Each is logged with its stack.
 *
 * @returns takes it back
 */
export function surviveFaults(log: Log): () => void {
  const note = (fault: unknown): void => {
    log('error', 'a fault inside the node; the request that it happened in is lost', {
      'exception.message': fault instanceof Error ? (fault.stack ?? fault.message) : String(fault),
    })
  }
  process.on('uncaughtException', note).on('unhandledRejection', note)
  return () => process.off('uncaughtException', note).off('unhandledRejection', note)
}
