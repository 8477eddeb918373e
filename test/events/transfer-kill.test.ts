import { spawn } from 'node:child_process'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, expect, test } from 'vitest'
import {
  exportEvents,
  fileLines,
  importEvents,
  openLog,
  readEvents,
  writeLines,
} from '../../src/events/index.js'
import { closeLogs, collect, contents, newDirectory, newLog } from '../support/logs.js'

afterEach(closeLogs)

const BUILT = pathToFileURL(join(import.meta.dirname, '../../dist/events/index.js')).href
/** Prints a dot for each 50 that go through. */
const TICKING = `async function* ticking(values) {
  let count = 0
  for await (const value of values) {
    if (++count % 50 === 0) process.stdout.write('.')
    yield value
  }
}`

/** Runs code in a process of its own, and kills it -9 when it has printed that many characters. @returns whether it ended before */
async function run(code: string, killAfter: number): Promise<boolean> {
  const file = join(newDirectory(), 'process.mjs')
  writeFileSync(file, `import * as events from '${BUILT}'\n${TICKING}\n${code}`)
  const child = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'inherit'] })
  let printed = 0
  child.stdout.on('data', (data: Buffer) => {
    printed += data.length
    if (printed >= killAfter) child.kill('SIGKILL')
  })
  const [exit, signal] = await new Promise<[number | null, string | null]>((resolve) =>
    child.once('close', (...ended) => {
      resolve(ended)
    }),
  )
  if (signal === null) expect(exit).toBe(0)
  return signal === null
}

async function filled(): ReturnType<typeof newLog> {
  const log = await newLog('memory')
  for (let number = 0; number < 400; number++)
    await log.append({
      id: `c${number}`,
      streams: [`order-${number % 7}`, 'stock-1'].map((stream) => ({
        stream,
        events: [{ type: 'A', data: { number } }, { type: 'B' }],
      })),
    })
  return log
}

test('an import that is killed again and again completes, and the log is what was exported', async () => {
  const log = await filled()
  const directory = newDirectory()
  const file = join(directory, 'events.ndjson.gz')
  await writeLines(file, exportEvents(log))
  const code = `
    const log = await events.openLog(${JSON.stringify(`sqlite:${join(directory, 'log')}`)})
    const lines = ticking(events.fileLines(${JSON.stringify(file)}))
    const result = await events.importEvents(log, lines, { inFlight: 16 })
    if (!result.ok) throw new Error(JSON.stringify(result))
    await log.close()`
  let done = false
  for (let kill = 3; !done; kill += 9) done = await run(code, kill)
  const copy = await openLog(`sqlite:${join(directory, 'log')}`)
  expect(await contents(copy)).toEqual(await contents(log))
  await copy.close()
})

test('an archive that is killed again and again loses nothing', async () => {
  const log = await filled()
  const directory = newDirectory()
  const path = `sqlite:${join(directory, 'log')}`
  const archives = join(directory, 'archive')
  const copy = await openLog(path)
  await importEvents(copy, exportEvents(log))
  await copy.close()
  const code = `
    const log = await events.openLog(${JSON.stringify(path)})
    const watched = new Proxy(log, { get: (target, name) => {
      const method = target[name]
      if (name === 'read') return (...given) => ticking(target.read(...given))
      if (name === 'truncate') return async (what) => {
        process.stdout.write('..')
        const result = await target.truncate(what)
        process.stdout.write('..')
        return result
      }
      return typeof method === 'function' ? method.bind(target) : method
    } })
    await events.archive(watched, { all: true, upTo: await log.head() }, { directory: ${JSON.stringify(archives)} })
    await log.close()`
  let done = false
  // 32 dots while it is read, 2 before it is truncated, 2 behind.
  for (const kill of [5, 31, 33, 35, 36, 1000]) done = await run(code, kill)
  expect(done).toBe(true)

  const after = await openLog(path)
  expect((await after.stats()).events).toBe(0)
  await after.close()
  const files = readdirSync(archives).filter((name) => !name.includes('.part'))
  const archived = new Set<string>()
  for (const name of files)
    for (const { id } of await collect(readEvents(fileLines(join(archives, name))))) archived.add(id)
  expect(archived.size).toBe(1600)
  const again = await newLog('memory')
  for (const name of files)
    expect(await importEvents(again, fileLines(join(archives, name)))).toMatchObject({ ok: true })
  expect(await contents(again)).toEqual(await contents(log))
})
