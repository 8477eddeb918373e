// @ts-check
/**
 * Adds one to counters in four places, in each once as anybody does and once fenced, whenever it is told to on stdin: it
 * takes a lock, reads all, makes sure that it holds the lock still, and writes all. `stop` stops it between the two, at the worst
 * place. It prints `stopping`, and then as JSON what became of each write.
 *
 * Its argument is JSON: `coordinator`, `ttl`, `sqlite`, `log`, `http`, and `postgres` if there is one.
 */
import Database from 'better-sqlite3'
import { writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fenced, fencedFetch, lock, openCoordinator, openFences } from 'banyan/coordination'
import { openLog } from 'banyan/events'
import pg from 'pg'

const { coordinator: where, ttl, sqlite, log: logAt, http, postgres } = JSON.parse(process.argv[2] ?? '{}')
const name = 'counters'

/** @typedef {{ read: () => Promise<number>, write: (value: number) => Promise<unknown> }} Counter */
/** @type {Record<string, (token: number) => Counter>} */
const counters = {}

const database = new Database(sqlite)
const sqliteFences = await openFences(`sqlite:${sqlite}`)
counters['sqlite'] = () => ({
  read: async () => Number(database.prepare("SELECT value FROM counter WHERE name = 'plain'").pluck().get()),
  write: async (value) => database.prepare("UPDATE counter SET value = ? WHERE name = 'plain'").run(value),
})
counters['sqlite, fenced'] = (token) => ({
  read: () =>
    sqliteFences.transaction({ name, token }, (db) => {
      const row = db.get("SELECT value FROM counter WHERE name = 'fenced'")
      return Number(row?.['value'])
    }),
  write: (value) =>
    sqliteFences.transaction({ name, token }, (db) =>
      db.run("UPDATE counter SET value = ? WHERE name = 'fenced'", value),
    ),
})

if (postgres) {
  const pool = new pg.Pool({ connectionString: postgres })
  const fences = await openFences(pool)
  /** @type {(db: { query: (text: string) => Promise<{ rows: any[] }> }, row: string) => Promise<number>} */
  const read = async (db, row) =>
    Number((await db.query(`SELECT value FROM counter WHERE name = '${row}'`)).rows[0].value)
  counters['postgres'] = () => ({
    read: () => read(pool, 'plain'),
    write: (value) => pool.query("UPDATE counter SET value = $1 WHERE name = 'plain'", [value]),
  })
  counters['postgres, fenced'] = (token) => ({
    read: () => fences.transaction({ name, token }, (db) => read(db, 'fenced')),
    write: (value) =>
      fences.transaction({ name, token }, (db) =>
        db.query("UPDATE counter SET value = $1 WHERE name = 'fenced'", [value]),
      ),
  })
}

const log = await openLog(logAt)
/** @type {(to: import('banyan/events').EventLog, stream: string) => Counter} */
const inLog = (to, stream) => ({
  async read() {
    for await (const { data } of to.read({ stream }, { backwards: true, limit: 1 })) return Number(data)
    return 0
  },
  write: (value) => to.append({ streams: [{ stream, events: [{ type: 'Counted', data: value }] }] }),
})
counters['log'] = () => inLog(log, 'counter-plain')
counters['log, fenced'] = (token) => inLog(fenced(log, { name, token }), 'counter-fenced')

/** @type {(send: typeof fetch, path: string) => Counter} */
const overHttp = (send, path) => ({
  read: async () => Number(await (await send(`${http}/${path}`)).text()),
  write: async (value) => {
    const { status } = await send(`${http}/${path}`, { method: 'PUT', body: String(value) })
    if (status !== 204) throw new Error(`answered with ${status}`)
  },
})
counters['http'] = () => overHttp(fetch, 'plain')
counters['http, fenced'] = (token) => overHttp(fencedFetch({ name, token }), 'fenced')

const coordinator = await openCoordinator(where)
const mutex = lock(coordinator, name, { ttl })
/** @param {unknown} line */
const say = (line) => writeSync(1, `${line}\n`)

/** @param {boolean} stops */
async function count(stops) {
  const held = await mutex.acquire()
  // What the lock says is asked once, and not again with each write: an answer is old as soon as it is there.
  const { token } = held
  const used = []
  for (const [place, open] of Object.entries(counters)) {
    const counter = open(token)
    used.push({ place, counter, value: await counter.read() })
  }
  if (stops) {
    if (!held.held) {
      // The machine was so busy that it is lost by now: again.
      await held.release()
      return count(stops)
    }
    say('stopping')
    process.kill(process.pid, 'SIGSTOP')
  }
  /** @type {Record<string, string>} */
  const outcomes = {}
  for (const { place, counter, value } of used)
    outcomes[place] = await counter.write(value + 1).then(
      () => 'written',
      (error) => String(error.code ?? error),
    )
  await held.release()
  say(JSON.stringify(outcomes))
}

say('ready')
for await (const line of createInterface({ input: process.stdin })) await count(line === 'stop')
await coordinator.close()
process.exit(0)
