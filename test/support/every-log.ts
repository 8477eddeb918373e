import { afterAll, afterEach, beforeAll, describe, it } from 'vitest'
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
    let server: PostgresServer | undefined
    if (driver === 'postgres') {
      beforeAll(async () => {
        server = await PostgresServer.start()
      }, 60_000)
      afterAll(() => server?.stop(), 60_000)
    }
    afterEach(async () => {
      for (const log of opened.splice(0)) await log.close()
      await closeLogs()
    })
    const places: Record<string, () => Promise<string>> = {
      memory: () => Promise.resolve('memory:'),
      sqlite: () => Promise.resolve(`sqlite:${newDirectory()}`),
      postgres: () => server!.database(),
    }
    tests(async (options) => {
      const log = await openLog(await places[driver]!(), options)
      opened.push(log)
      return log
    }, driver)
  })
}
