import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import SQLite from 'better-sqlite3'
import { afterAll, expect, test } from 'vitest'
import { requireFencingToken } from '../../src/coordination/index.js'
import { openLog } from '../../src/events/index.js'
import { times } from '../support/effort.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'
import { Child } from './support/child.js'

const ROUNDS = times(3)
const COUNTERS = `CREATE TABLE counter (name text PRIMARY KEY, value integer NOT NULL);
  INSERT INTO counter VALUES ('plain', 0), ('fenced', 0)`

const noPostgres = postgresMissing()
const directory = mkdtempSync(join(tmpdir(), 'banyan-fencing-'))
const server = PostgresServer.ofSuite()
afterAll(() => rmSync(directory, { recursive: true, force: true }))

/** A counter that is read with GET and set with PUT. */
function counterServer(): { counter: { value: number }; listener: RequestListener } {
  const counter = { value: 0 }
  const answer = async (...[request, response]: Parameters<RequestListener>): Promise<void> => {
    if (request.method !== 'PUT') return void response.end(String(counter.value))
    counter.value = Number(await text(request))
    response.writeHead(204).end()
  }
  return { counter, listener: (request, response) => void answer(request, response) }
}

/** Resolves with the next line of JSON that a process says, after so many others. */
async function outcomes(child: Child, lines: number): Promise<Record<string, string>> {
  await child.lines(lines)
  const line = child.stdout.split('\n')[lines - 1]
  if (!line) throw child.failure('ended before it had written')
  return JSON.parse(line) as Record<string, string>
}

/**
 * Two processes take turns with a lock, read counters, and write them one higher. The first is stopped (SIGSTOP) behind its last
 * look at the lock, until the second has had its turn.
 */
test('a holder that is stopped past its lease overwrites what others have written, and nothing that is fenced', async () => {
  const sqlite = join(directory, 'app.db')
  const database = new SQLite(sqlite)
  database.pragma('journal_mode = WAL')
  database.exec(COUNTERS)
  const postgres = noPostgres ? undefined : await server.database()
  if (postgres) await server.query(COUNTERS, [], postgres)
  const log = await openLog(`sqlite:${join(directory, 'log')}`)

  const plain = counterServer()
  const guarded = counterServer()
  const gate = requireFencingToken({ name: 'counters' })
  const fenced = gate.node((request, response) => guarded.listener(request, response))
  const http = createServer((request, response) =>
    (request.url === '/plain' ? plain.listener : fenced)(request, response),
  )
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))

  const argument = {
    coordinator: `sqlite:${join(directory, 'coordination')}`,
    ttl: '2s',
    sqlite,
    postgres,
    log: `sqlite:${join(directory, 'log')}`,
    http: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
  }
  const [stopped, other] = [new Child('fence-holder.mjs', argument), new Child('fence-holder.mjs', argument)]
  await Promise.all([stopped.ready, other.ready])

  const acknowledged = new Map<string, number>()
  const refused = new Map<string, string[]>()
  const note = (written: Record<string, string>): void => {
    for (const [place, outcome] of Object.entries(written))
      if (outcome === 'written') acknowledged.set(place, (acknowledged.get(place) ?? 0) + 1)
      else refused.set(place, [...(refused.get(place) ?? []), outcome])
  }
  for (let round = 0; round < ROUNDS; round++) {
    stopped.tell('stop')
    await stopped.lines(round * 2 + 2)
    other.tell('go')
    note(await outcomes(other, round + 2))
    stopped.signal('SIGCONT')
    note(await outcomes(stopped, round * 2 + 3))
  }
  for (const child of [stopped, other]) {
    child.tell()
    expect(await child.exited).toEqual({ code: 0, signal: null })
  }

  const rowOf = (name: string): number =>
    Number(database.prepare('SELECT value FROM counter WHERE name = ?').pluck().get(name))
  const lastOf = async (stream: string): Promise<number> => {
    for await (const { data } of log.read({ stream }, { backwards: true, limit: 1 })) return Number(data)
    return 0
  }
  const values: Record<string, number> = {
    sqlite: rowOf('plain'),
    'sqlite, fenced': rowOf('fenced'),
    log: await lastOf('counter-plain'),
    'log, fenced': await lastOf('counter-fenced'),
    http: plain.counter.value,
    'http, fenced': guarded.counter.value,
  }
  if (postgres)
    for (const { name, value } of await server.query<{ name: string; value: number }>(
      'SELECT name, value FROM counter',
      [],
      postgres,
    ))
      values[name === 'plain' ? 'postgres' : 'postgres, fenced'] = value

  const lost = Object.entries(values).map(([place, value]) => [place, acknowledged.get(place)! - value])
  expect(Object.fromEntries(lost)).toEqual(
    Object.fromEntries(Object.keys(values).map((place) => [place, place.endsWith('fenced') ? 0 : ROUNDS])),
  )
  expect(Object.fromEntries(refused)).toEqual(
    Object.fromEntries(
      Object.keys(values)
        .filter((place) => place.endsWith('fenced'))
        .map((place) => [place, Array.from({ length: ROUNDS }, () => 'BANYAN_STALE_TOKEN')]),
    ),
  )
  await log.close()
  database.close()
  await new Promise((resolve) => http.close(resolve))
})
