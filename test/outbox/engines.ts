import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import SQLite from 'better-sqlite3'
import type { Client } from 'pg'
import {
  openInbox,
  openLog,
  openOutbox,
  type EventLog,
  type Inbox,
  type InboxOptions,
  type LogOptions,
  type NewMessage,
  type Outbox,
  type OutboxOptions,
  type RecordedEvent,
  type Relay,
  type RelayOptions,
} from '../../src/events/index.js'
import type { PostgresServer } from '../support/postgres.js'

/** A database of an application, with one table of its own: `entry`, of numbers. */
export interface Application {
  /** For `openOutbox`. */
  readonly url: string
  /** Writes a number and publishes messages in one transaction. */
  enter(outbox: Outbox, number: number, topic: string, messages: Messages, outcome?: Outcome): Promise<void>
  /** Does something once in a transaction. */
  once(
    inbox: Inbox<unknown>,
    id: string,
    number: number,
    more?: { fingerprint?: string; outcome?: Outcome },
  ): Promise<unknown>
  /** The numbers that were committed. */
  entries(): Promise<number[]>
  /** Runs SQL without values. */
  sql(text: string): Promise<unknown>
  close(): Promise<void>
}

type Messages = NewMessage | readonly NewMessage[]
type Outcome = 'commit' | 'rollback'

export interface Engine {
  readonly name: 'sqlite' | 'postgres'
  application(): Promise<Application>
}

const sqlite: Engine = {
  name: 'sqlite',
  application() {
    const directory = mkdtempSync(join(tmpdir(), 'banyan-outbox-'))
    const file = join(directory, 'app.db')
    const database = new SQLite(file)
    database.pragma('journal_mode = WAL')
    database.exec('CREATE TABLE entry (number INTEGER)')
    const transact = <Result>(work: () => Result, outcome: Outcome): Result => {
      database.exec('BEGIN IMMEDIATE')
      try {
        const result = work()
        database.exec(outcome)
        return result
      } finally {
        if (database.inTransaction) database.exec('ROLLBACK')
      }
    }
    const insert = (number: number): void => void database.prepare('INSERT INTO entry VALUES (?)').run(number)
    return Promise.resolve({
      url: `sqlite:${file}`,
      // eslint-disable-next-line @typescript-eslint/require-await -- what it throws is to reject
      async enter(outbox, number, topic, messages, outcome = 'commit') {
        transact(() => {
          insert(number)
          outbox.publish(database, topic, messages)
        }, outcome)
      },
      // eslint-disable-next-line @typescript-eslint/require-await -- what it throws is to reject
      async once(inbox, id, number, { outcome = 'commit', ...options } = {}) {
        return transact(
          () =>
            inbox.once(
              database,
              id,
              () => {
                insert(number)
                return { number }
              },
              { scope: 'test', ...options },
            ),
          outcome,
        )
      },
      entries: () =>
        Promise.resolve(
          database.prepare<[], number>('SELECT number FROM entry ORDER BY rowid').pluck().all(),
        ),
      sql: (text) => Promise.resolve(database.exec(text)),
      close() {
        database.close()
        rmSync(directory, { recursive: true })
        return Promise.resolve()
      },
    })
  },
}

function postgres(server: PostgresServer): Engine {
  return {
    name: 'postgres',
    async application() {
      const url = await server.database()
      await server.query('CREATE TABLE entry (place serial, number integer)', [], url)
      const clients: Client[] = []
      const transact = async <Result>(
        work: (client: Client) => Promise<Result>,
        outcome: Outcome,
      ): Promise<Result> => {
        const client = clients.pop() ?? (await server.connect(url))
        try {
          await client.query('BEGIN')
          const result = await work(client)
          await client.query(outcome)
          return result
        } catch (error) {
          await client.query('ROLLBACK')
          throw error
        } finally {
          clients.push(client)
        }
      }
      const insert = (client: Client, number: number): Promise<unknown> =>
        client.query('INSERT INTO entry (number) VALUES ($1)', [number])
      return {
        url,
        enter: (outbox, number, topic, messages, outcome = 'commit') =>
          transact(async (client) => {
            await insert(client, number)
            await outbox.publish(client, topic, messages)
          }, outcome),
        once: (inbox, id, number, { outcome = 'commit', ...options } = {}) =>
          transact(
            (client) =>
              inbox.once(
                client,
                id,
                async () => {
                  await insert(client, number)
                  return { number }
                },
                { scope: 'test', ...options },
              ),
            outcome,
          ),
        entries: async () =>
          (await server.query<{ number: number }>('SELECT number FROM entry ORDER BY place', [], url)).map(
            ({ number }) => number,
          ),
        sql: (text) => server.query(text, [], url),
        close: async () => {
          await Promise.all(clients.map((client) => client.end()))
        },
      }
    },
  }
}

/** @param server - of PostgreSQL; without it that is left out */
export function engines(server?: PostgresServer): Engine[] {
  return server ? [sqlite, postgres(server)] : [sqlite]
}

/** An application with an outbox, and a log. */
export class Bench implements AsyncDisposable {
  readonly application: Application
  readonly log: EventLog
  readonly outbox: Outbox
  readonly #opened: AsyncDisposable[] = []

  private constructor(application: Application, log: EventLog, outbox: Outbox) {
    this.application = application
    this.log = log
    this.outbox = outbox
  }

  static async open(
    engine: Engine,
    options: OutboxOptions = {},
    logOptions: LogOptions = {},
  ): Promise<Bench> {
    const application = await engine.application()
    const log = await openLog('memory:', logOptions)
    return new Bench(application, log, await openOutbox(application.url, options))
  }

  enter(number: number, topic: string, messages: Messages, outcome?: Outcome): Promise<void> {
    return this.application.enter(this.outbox, number, topic, messages, outcome)
  }

  /** Another outbox on the same tables: as of another process. */
  async another(options: OutboxOptions = {}): Promise<Outbox> {
    const outbox = await openOutbox(this.application.url, options)
    this.#opened.push(outbox)
    return outbox
  }

  async inbox(options: InboxOptions = {}): Promise<Inbox<unknown>> {
    const inbox = await openInbox<unknown>(this.application.url, options)
    this.#opened.push(inbox)
    return inbox
  }

  relay(options: RelayOptions = {}, log = this.log): Relay {
    return this.outbox.relay(log, options)
  }

  /** Waits until so many events are in the log, and gives them. */
  async relayed(count: number, log = this.log): Promise<RecordedEvent[]> {
    const events: RecordedEvent[] = []
    for await (const batch of log.follow()) {
      events.push(...batch.events.filter(({ stream }) => !stream.startsWith('$')))
      if (events.length >= count) return events
    }
    throw new Error('the log was closed')
  }

  /** Waits until a status of the outbox is as it should be. */
  async until(is: (status: Awaited<ReturnType<Outbox['status']>>) => boolean): Promise<void> {
    while (!is(await this.outbox.status())) await new Promise((resolve) => setImmediate(resolve))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const each of this.#opened) await each[Symbol.asyncDispose]()
    await this.outbox.close()
    await this.log.close()
    await this.application.close()
  }
}

/** What a promise was rejected with. */
export async function errorOf(promise: Promise<unknown>): Promise<Error & { code?: string }> {
  try {
    await promise
  } catch (error) {
    return error as Error
  }
  throw new Error('it was not rejected')
}
