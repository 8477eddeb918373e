import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLog, type EventLog, type LogOptions, type RecordedEvent } from '../../src/events/index.js'

/** What is to be closed or removed after a test, the last first. */
const open: (() => unknown)[] = []

/** Closes the logs of a test, and removes its directories. */
export async function closeLogs(): Promise<void> {
  for (const close of open.splice(0).reverse()) await close()
}

/** A directory for one test. */
export function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'banyan-test-'))
  open.push(() => {
    rmSync(directory, { recursive: true, force: true })
  })
  return directory
}

/** A log for one test. */
export async function newLog(driver: string, options: LogOptions = {}): Promise<EventLog> {
  const log = await openLog(driver === 'memory' ? 'memory:' : `sqlite:${newDirectory()}`, options)
  open.push(() => log.close())
  return log
}

export async function collect<Value>(values: AsyncIterable<Value>): Promise<Value[]> {
  const all: Value[] = []
  for await (const value of values) all.push(value)
  return all
}

/** Everything of a log but what is its own: where events are, and when they were appended. */
export async function contents(log: EventLog): Promise<Partial<RecordedEvent>[]> {
  return (await collect(log.read())).map((event) => {
    const kept: Partial<RecordedEvent> = { ...event }
    delete (kept as { position?: string }).position
    delete (kept as { recorded?: number }).recorded
    return kept
  })
}

/** A log of which some methods do something else. */
export function altered(log: EventLog, methods: Partial<EventLog>): EventLog {
  return new Proxy(log, {
    get(target, name): unknown {
      const method: unknown = Reflect.get(methods, name) ?? Reflect.get(target, name)
      return typeof method === 'function' ? (method as () => unknown).bind(target) : method
    },
  })
}
