import { afterEach, describe, it } from 'vitest'
import { openLog, type EventLog, type LogOptions } from '../../src/events/index.js'
import { closeLogs, newDirectory } from './logs.js'
import { postgresMissing, PostgresServer } from './postgres.js'

/** Runs tests on a log of every driver: in memory, in SQLite, and on a real PostgreSQL. */
export function onEveryLog(
  title: string,
  tests: (open: (options?: LogOptions) => Promise<EventLog>, driver: string) => void,
): void {
  const noPostgres = postgresMissing()
  describe.each(['memory', 'sqlite', 'postgres'])(`${title} on %s`, (driver) => {
    if (driver === 'postgres' && noPostgres) {
      it.skip('needs a server', () => undefined)
      return
    }
    const opened: EventLog[] = []
    afterEach(async () => {
      for (const log of opened.splice(0)) await log.close()
      await closeLogs()
    })
    const place = placesIn(driver)
    tests(async (options) => {
      const log = await openLog(await place(), options)
      opened.push(log)
      return log
    }, driver)
  })
}

/** @returns what makes a place for one log */
function placesIn(driver: string): () => Promise<string> {
  if (driver === 'memory') return () => Promise.resolve('memory:')
  if (driver === 'sqlite') return () => Promise.resolve(`sqlite:${newDirectory()}`)
  const server = PostgresServer.ofSuite()
  return () => server.database()
}
