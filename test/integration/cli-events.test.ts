import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CloudEvent } from 'cloudevents'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { sleep, systemClock } from '../../src/core/clock.js'
import { openLog, type NewEvent } from '../../src/events/index.js'
import { configFile } from '../support/cli.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'

/**
 * `banyan events` as its users run it: the built command line in processes of its own, on files of SQLite and on the
 * log of a running node.
 */

const MAIN = new URL('../../dist/cli/main.js', import.meta.url).pathname
const directory = mkdtempSync(join(tmpdir(), 'banyan-cli-events-'))
afterAll(() => rmSync(directory, { recursive: true }))

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

interface Result {
  code: number | NodeJS.Signals | null
  stdout: string
  stderr: string
}

interface Settings {
  input?: string
  env?: Record<string, string>
  cwd?: string
}

/** A process that runs, and what it has printed. */
class Running {
  readonly #child
  readonly ended: Promise<Result>
  stdout = ''
  stderr = ''
  #changed = (): void => undefined

  constructor(command: string, args: readonly string[], { input, env = {}, cwd = directory }: Settings = {}) {
    const inherited = { ...process.env }
    delete inherited['BANYAN_LOG']
    this.#child = spawn(command, args, { cwd, env: { ...inherited, NO_COLOR: '1', ...env } })
    this.#child.stdin.on('error', () => undefined).end(input)
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text
      this.#changed()
    })
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
      this.#changed()
    })
    this.ended = new Promise((resolve) =>
      this.#child.once('close', (code, signal) => {
        const { stdout, stderr } = this
        resolve({ code: code ?? signal, stdout, stderr })
      }),
    )
    cleanUps.push(async () => {
      this.#child.kill('SIGKILL')
      await this.ended
    })
  }

  /** Waits until standard output or standard error has this. */
  async printed(pattern: RegExp): Promise<RegExpExecArray> {
    let over = false as boolean
    void this.ended.then(() => {
      over = true
      this.#changed()
    })
    for (;;) {
      const match = pattern.exec(this.stdout + this.stderr)
      if (match) return match
      if (over) throw new Error(`ended without ${String(pattern)}:\n${this.stdout}${this.stderr}`)
      await new Promise<void>((resolve) => (this.#changed = resolve))
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }
}

function start(args: readonly string[], settings?: Settings): Running {
  return new Running(process.execPath, [MAIN, 'events', ...args], settings)
}

function banyan(args: readonly string[], settings?: Settings): Promise<Result> {
  return start(args, settings).ended
}

/** What `--json` printed. */
async function json(args: readonly string[], settings?: Settings): Promise<unknown> {
  const { code, stdout, stderr } = await banyan([...args, '--json'], settings)
  if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}: ${stderr}`)
  return JSON.parse(stdout)
}

let count = 0

/** The address of a log that is not there yet. */
function newLog(): string {
  return `sqlite:${join(directory, `log-${count++}`)}`
}

/** Lines of CloudEvents of another producer, for `append --batch`. */
function cloudEvents(number: number): string {
  const lines = Array.from({ length: number }, (_, index) => {
    const subject = `order-${index % 3}`
    const data = { index }
    return JSON.stringify(
      new CloudEvent({ id: `e${index}`, source: '/shop', type: 'Counted', subject, data }),
    )
  })
  return `${lines.join('\n')}\n`
}

/** A log with so many events in the streams `order-0`, `order-1` and `order-2`. */
async function filledLog(number: number): Promise<string> {
  const url = newLog()
  await using log = await openLog(url)
  const events = Array.from({ length: number }, (_, index) => ({ type: 'Counted', data: { index } }))
  await Promise.all(
    events.map((event, index) =>
      log.append({ streams: [{ stream: `order-${index % 3}`, events: [event] }] }),
    ),
  )
  return url
}

async function append(url: string, events: NewEvent[], stream = 'order-1'): Promise<void> {
  await using log = await openLog(url)
  for (const event of events) await log.append({ streams: [{ stream, events: [event] }] })
}

async function countIn(url: string): Promise<number> {
  await using log = await openLog(url)
  return (await log.stats()).events
}

/** Runs commands that are wrong, and looks at exit code and message. */
async function refused(
  log: string | undefined,
  cases: readonly [command: string, code: number, message: string][],
): Promise<void> {
  for (const [command, code, message] of cases) {
    const run = await banyan([...command.split(' '), ...(log === undefined ? [] : ['--log', log])])
    expect([command, run.code, run.stdout]).toEqual([command, code, ''])
    expect(run.stderr).toContain(message)
  }
}

describe('append', () => {
  test('appends, says where, and keeps what was given', async () => {
    const log = newLog()
    const first = await banyan(['append', 'order-17', 'OrderPlaced', '{"total":30}', '--log', log])
    expect(first).toEqual({ code: 0, stdout: 'order-17@0  position 1\n', stderr: '' })
    const args = ['append', 'order-17', 'OrderPaid', '-', '--expect', '0', '--id', 'p-1', '-t', 'customer:7']
    const more = ['-t', 'eu', '-m', 'actor=ada', '-m', 'attempt:=3', '--time', '2026-09-22T12:00:00Z']
    expect(
      await json([...args, ...more, '--schema-version', '2', '--log', log], { input: '{"by":"card"}' }),
    ).toMatchObject({ ok: true, id: 'p-1', streams: [{ stream: 'order-17', revision: 1 }], duplicate: false })
    expect(await json(['read', '--from-revision', '1', '-s', 'order-17', '--log', log])).toMatchObject({
      type: 'OrderPaid',
      data: { by: 'card' },
      actor: 'ada',
      time: '2026-09-22T12:00:00.000Z',
      banyanrevision: 1,
      banyancommit: 'p-1',
      banyantags: '["customer:7","eu"]',
    })
  })

  test('bytes of a file, and no data at all', async () => {
    const log = newLog()
    const file = join(directory, 'bytes')
    writeFileSync(file, Uint8Array.of(0, 255))
    await json(['append', 's', 'Stored', `@${file}`, '--binary', '--log', log])
    await json(['append', 's', 'Emptied', '--log', log])
    const { stdout } = await banyan(['read', '--json', '--log', log])
    const [stored, emptied] = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as object)
    expect(stored).toMatchObject({ data_base64: 'AP8=' })
    expect(emptied).not.toHaveProperty('data')
  })

  test('a conflict ends with 3 and tells what is', async () => {
    const log = newLog()
    await json(['append', 'order-1', 'OrderPlaced', '--expect', 'none', '--log', log])
    const again = ['append', 'order-1', 'OrderPlaced', '--expect', 'none', '--log', log]
    expect(await banyan(again)).toEqual({
      code: 3,
      stdout: '',
      stderr: 'nothing appended: order-1 is at revision 0, expected a stream that was never written\n',
    })
    const { code, stdout, stderr } = await banyan([...again, '--json'])
    expect([code, stderr]).toEqual([3, ''])
    expect(JSON.parse(stdout)).toEqual({
      ok: false,
      conflicts: [{ stream: 'order-1', expected: 'none', actual: 0 }],
    })
    const other = await banyan(['append', 'order-2', 'OrderPaid', '--expect', '4', '--log', log])
    expect([other.code, other.stderr]).toEqual([
      3,
      'nothing appended: order-2 was never written, expected revision 4\n',
    ])
  })

  test('the same id again appends nothing and tells the first result', async () => {
    const log = newLog()
    const args = ['append', 's', 'T', '--id', 'once', '--log', log]
    await banyan(args)
    const again = await banyan(args)
    expect(again).toEqual({
      code: 0,
      stdout: 's@0  position 1  was there already, as commit once\n',
      stderr: '',
    })
    expect(await countIn(log)).toBe(1)
  })

  test('--batch appends CloudEvents to their streams, each once for ever', async () => {
    const log = newLog()
    const input = cloudEvents(10)
    const batch = ['append', '--batch', '--log', log]
    expect(await json(batch, { input })).toMatchObject({ ok: true, events: 10, duplicates: 0 })
    expect(await json(batch, { input: `${input}\n` })).toMatchObject({ ok: true, events: 0, duplicates: 10 })
    const { stdout } = await banyan(['streams', '--json', '--log', log])
    expect(
      stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as object),
    ).toMatchObject([
      { stream: 'order-0', revision: 3 },
      { stream: 'order-1', revision: 2 },
      { stream: 'order-2', revision: 2 },
    ])
    const one = newLog()
    expect(await json(['append', 'all', '--batch', '--log', one], { input })).toMatchObject({ events: 10 })
    expect(await json(['streams', '--log', one])).toMatchObject({ stream: 'all', revision: 9 })
  })

  test('--batch names the line that is no CloudEvent; those before it are in the log', async () => {
    const log = newLog()
    const input = `${cloudEvents(2)}{"specversion":"1.0","id":"x"}\n${cloudEvents(3)}`
    const { code, stdout, stderr } = await banyan(['append', '--batch', '--log', log], { input })
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toMatch(/^line 3: not a CloudEvent: it has no source.*\[BANYAN_INVALID_EVENT\]\n$/)
    expect(await countIn(log)).toBe(2)
  })

  test('what is not right is refused, and nothing is appended', async () => {
    const log = await filledLog(1)
    await refused(log, [
      ['append s', 2, 'append takes a stream and a type'],
      ['append s T {total:30}', 2, 'DATA is not JSON'],
      ['append s T @/nowhere', 1, 'cannot read /nowhere: ENOENT'],
      ['append s T text --binary', 2, '--binary takes its bytes from a file'],
      ['append s T --expect -1', 2, '--expect is any, none, exists or the last revision'],
      ['append s T -m actor', 2, '--metadata is name=text or name:=json'],
      ['append s T -m a:={', 2, '--metadata a:= is not JSON'],
      ['append s T -m a=1 -m a=2', 2, '--metadata a is given twice'],
      ['append s T --time noon', 2, '--time is a date or time'],
      [`append ${'s'.repeat(513)} T`, 1, 'longer than 512 bytes'],
      ['append s T --batch', 2, 'with --batch'],
      ['append s T --expected 1', 2, 'unknown option'],
    ])
    expect(await countIn(log)).toBe(1)
  })
})

describe('read', () => {
  test('selects, in both directions', async () => {
    const log = await filledLog(9)
    await append(log, [{ type: 'Reserved', tags: ['a', 'b'] }], 'stock-1')
    const indexes = async (...args: string[]): Promise<unknown[]> => {
      const { code, stdout, stderr } = await banyan(['read', ...args, '--json', '--log', log])
      expect([code, stderr]).toEqual([0, ''])
      const lines = stdout
        .trim()
        .split('\n')
        .filter((line) => line !== '')
      return lines.map((line) => (JSON.parse(line) as { data?: { index: number } }).data?.index)
    }
    expect(await indexes('-s', 'order-1')).toEqual([1, 4, 7])
    expect(await indexes('-s', 'order-1', '--from-revision', '1', '--to-revision', '1')).toEqual([4])
    expect(await indexes('--category', 'order', '-n', '2', '--backwards')).toEqual([8, 7])
    expect(await indexes('--type', 'Reserved', '--type', 'Other')).toEqual([undefined])
    expect(await indexes('-t', 'a', '-t', 'b')).toEqual([undefined])
    expect(await indexes('-t', 'a', '-t', 'c')).toEqual([])
    expect(await indexes('--from', '2', '--to', '0000000000000004')).toEqual([2, 3])
    expect(await indexes('--from', '1h', '-n', '1')).toEqual([0])
    expect(await indexes('--from', 'end')).toEqual([])
  })

  test('in a pipe, lines are whole and have the time in ISO 8601', async () => {
    const log = newLog()
    const long = 'x'.repeat(500)
    await banyan([
      'append',
      's-1',
      'T',
      JSON.stringify(long),
      '-t',
      'a',
      '--time',
      '2026-09-22T12:00Z',
      '--log',
      log,
    ])
    expect((await banyan(['read', '--log', log])).stdout).toBe(
      `2026-09-22T12:00:00.000Z  1  s-1@0  T  "${long}"  #a\n`,
    )
  })

  test('a reader that goes away ends it quietly', async () => {
    const log = await filledLog(5000)
    const script = `"$0" "$1" events read --log "$2" | head -1; echo "\${PIPESTATUS[0]}"`
    const { stdout, stderr } = await new Running('bash', ['-c', script, process.execPath, MAIN, log]).ended
    expect(stdout).toMatch(/^\S+ {2}1 {2}order-0@0 .*\n0\n$/)
    expect(stderr).toBe('')
  })

  test('Ctrl-C before the end is told by the exit code, also while nobody takes what was written', async () => {
    const url = newLog()
    await append(url, [{ type: 'Large', data: 'x'.repeat(1_000_000) }])
    const child = spawn(process.execPath, [MAIN, 'events', 'read', '--log', url])
    const ended = new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal)))
    cleanUps.push(() => child.kill('SIGKILL'))
    await new Promise((resolve) => child.stdout.once('readable', resolve))
    child.kill('SIGINT')
    expect(await ended).toBe(130)
  })

  test('what is not right is refused', async () => {
    await refused(await filledLog(1), [
      ['read -s a --category b', 2, 'contradict'],
      ['read --from-revision 1', 1, 'BANYAN_INVALID_SELECTOR'],
      ['read -s a --from-revision x', 2, '--from-revision is a whole number'],
      ['read --limit -1', 2, '--limit is a whole number'],
      ['read --from yesterday', 1, 'BANYAN_INVALID_POSITION'],
      ['read --from 2026-99-99', 2, 'is no time'],
      ['read --from 4711', 1, 'BANYAN_POSITION_AHEAD'],
      ['tail -n x', 2, '--lines is a whole number'],
      ['tail -n 1 --from start', 2, '--lines and --from'],
    ])
  })
})

describe('tail', () => {
  test('shows the last events, then those that another process appends, until Ctrl-C', async () => {
    const log = await filledLog(30)
    const tail = start(['tail', '-n', '2', '--log', log])
    await tail.printed(/"index":29/)
    expect(tail.stdout.trim().split('\n')).toHaveLength(2)
    await banyan(['append', 'order-1', 'OrderPaid', '{"by":"card"}', '--log', log])
    await tail.printed(/OrderPaid {2}\{"by":"card"\}/)
    await banyan(['append', 'order-1', 'OrderShipped', '--log', log])
    await tail.printed(/OrderShipped/)
    tail.signal('SIGINT')
    const { code, stdout, stderr } = await tail.ended
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout.trim().split('\n')).toHaveLength(4)
  })

  test('from a position, only what is selected, as CloudEvents', async () => {
    const log = await filledLog(6)
    const tail = start(['tail', '--from', '2', '-s', 'order-1', '--json', '--log', log])
    await tail.printed(/"index":4/)
    await banyan(['append', 'order-2', 'OrderPaid', '--log', log])
    await banyan(['append', 'order-1', 'OrderShipped', '--log', log])
    await tail.printed(/OrderShipped/)
    tail.signal('SIGTERM')
    const { code, stdout } = await tail.ended
    expect(code).toBe(0)
    const events = stdout
      .trim()
      .split('\n')
      .map((line) => new CloudEvent(JSON.parse(line) as object))
    expect(events.map(({ type }) => type)).toEqual(['Counted', 'OrderShipped'])
  })

  test('ends quietly when nobody reads any more', async () => {
    const log = await filledLog(3)
    const script = `"$0" "$1" events tail -n 3 --log "$2" | head -1; echo "\${PIPESTATUS[0]}"`
    const pipe = new Running('bash', ['-c', script, process.execPath, MAIN, log])
    await pipe.printed(/order-0@0/)
    // What is written after the reader has gone shows that it is gone.
    let over = false as boolean
    void pipe.ended.then(() => (over = true))
    await using writer = await openLog(log)
    while (!over) {
      await writer.append({ streams: [{ stream: 's', events: [{ type: 'T' }] }] })
      await sleep(systemClock, 20)
    }
    expect(await pipe.ended).toMatchObject({ stdout: expect.stringMatching(/\n0\n$/) as string, stderr: '' })
  })
})

describe('which log', () => {
  test('--log, -c, BANYAN_LOG, then the banyan.yaml of the folder', async () => {
    const [one, two, three] = [await filledLog(1), await filledLog(2), await filledLog(3)]
    const cwd = mkdtempSync(join(directory, 'folder-'))
    const yaml = (log: string): string =>
      `listen: 0\nadmin: false\nservices: {}\nroutes: { r: { match: {}, respond: { status: 204 } } }\n` +
      `events: { driver: sqlite, path: ${log.slice('sqlite:'.length)} }\n`
    writeFileSync(join(cwd, 'banyan.yaml'), yaml(three))
    const events = async (args: string[], env: Record<string, string> = {}): Promise<unknown> =>
      ((await json(['stats', ...args], { cwd, env })) as { events: number }).events
    expect(await events([])).toBe(3)
    expect(await events([], { BANYAN_LOG: two })).toBe(2)
    expect(await events(['-c', 'banyan.yaml'], { BANYAN_LOG: two })).toBe(3)
    expect(await events(['--log', one], { BANYAN_LOG: two })).toBe(1)
    const both = await banyan(['stats', '--log', one, '-c', 'banyan.yaml'], { cwd })
    expect([both.code, both.stderr]).toEqual([2, expect.stringContaining('each say which log')])
  })

  test('none is told, with what to do', async () => {
    const cwd = mkdtempSync(join(directory, 'folder-'))
    const { code, stderr } = await banyan(['stats'], { cwd })
    expect(code).toBe(1)
    expect(stderr).toContain('--log sqlite:./data')
    const bare = configFile({
      listen: 0,
      services: {},
      routes: { r: { match: {}, respond: { status: 204 } } },
    })
    const without = await banyan(['stats', '-c', bare])
    expect([without.code, without.stderr]).toEqual([1, expect.stringContaining('has no event log')])
  })

  test('one that is not there is not made by looking', async () => {
    const log = newLog()
    for (const command of ['read', 'tail', 'export', 'holds']) {
      const { code, stderr } = await banyan([command, '--log', log])
      expect([command, code]).toEqual([command, 1])
      expect(stderr).toContain(`there is no event log at ${log}`)
    }
  })

  test('what is no log is refused', async () => {
    await refused(undefined, [
      ['stats --log memory:', 2, '--admin'],
      ['stats --log mysql://x', 1, 'BANYAN_DRIVER_MISSING'],
    ])
  })

  test('no password is ever printed', async () => {
    const log = 'postgres://ada:hunter2@127.0.0.1:9/none?password=hunter2'
    const runs = [banyan(['stats', '--log', log]), banyan(['stats', '--json'], { env: { BANYAN_LOG: log } })]
    for (const { code, stdout, stderr } of await Promise.all(runs)) {
      expect(code).toBe(1)
      expect(stdout + stderr).not.toContain('hunter2')
    }
  }, 60_000)
})

describe('verify', () => {
  test('a sound log ends with 0', async () => {
    const log = await filledLog(5)
    expect(await banyan(['verify', '--log', log])).toEqual({
      code: 0,
      stdout: `${log} is sound: 5 events in 3 streams checked\n`,
      stderr: '',
    })
    expect(await json(['verify', '--log', log])).toMatchObject({ ok: true, events: 5, findings: [] })
  })

  test('a damaged one ends with 1, and every finding says where; reading it stops there', async () => {
    const log = newLog()
    await append(
      log,
      ['unharmed', 'harmless', 'untouched'].map((word) => ({ type: 'Said', data: word.repeat(20) })),
    )
    const file = join(log.slice('sqlite:'.length), 'events.db')
    const bytes = readFileSync(file)
    const at = bytes.indexOf('harmlessharmless')
    expect(at).toBeGreaterThan(0)
    bytes[at]! ^= 1
    writeFileSync(file, bytes)
    const { code, stdout, stderr } = await banyan(['verify', '--log', log])
    expect(code).toBe(1)
    expect(stdout).toMatch(/^damaged {2}order-1@1 {2}position 2 {2}.*$/m)
    expect(stderr).toContain(`${log} is damaged`)
    const found = await banyan(['verify', '--json', '--log', log])
    expect(found.code).toBe(1)
    expect(JSON.parse(found.stdout)).toMatchObject({
      ok: false,
      findings: [{ stream: 'order-1', revision: 1 }],
    })
    const read = await banyan(['read', '--log', log])
    expect([read.code, read.stdout]).toEqual([1, ''])
    expect(read.stderr).toMatch(/position 0*2, order-1@1, is not what was appended.*\[BANYAN_LOG_CORRUPT\]/)
    // What is sound can still be had.
    expect((await banyan(['read', '--to', '1', '--log', log])).stdout).toContain('order-1@0')
    expect((await banyan(['read', '--from', '2', '--log', log])).stdout).toContain('order-1@2')
  })
})

describe('export and import', () => {
  test('a log is the same in another one, and again changes nothing', async () => {
    const [from, to] = [await filledLog(7), newLog()]
    const file = join(directory, 'all.ndjson.gz')
    expect(await json(['export', file, '--log', from])).toMatchObject({ file, events: 7 })
    expect(await json(['import', file, '--dry-run', '--log', to])).toMatchObject({ ok: true, events: 7 })
    expect(await json(['import', file, '--log', to])).toMatchObject({ ok: true, events: 7, duplicates: 0 })
    expect(await banyan(['import', file, '--log', to])).toMatchObject({
      code: 0,
      stdout: '0 events in 0 commits appended, 7 events were there already  up to position 7\n',
    })
    const [before, after] = await Promise.all([from, to].map((log) => banyan(['read', '--log', log])))
    expect(after).toEqual(before)
    await refused(from, [[`export ${file}`, 2, 'is there already']])
  })

  test('through pipes, in parts', async () => {
    const [from, to] = [await filledLog(9), newLog()]
    const script = `"$0" "$1" events export -s order-2 --log "$2" | "$0" "$1" events import - --log "$3"`
    const piped = await new Running('bash', ['-c', script, process.execPath, MAIN, from, to]).ended
    expect(piped).toMatchObject({ code: 0, stderr: '' })
    expect(piped.stdout).toContain('3 events in 3 commits appended')
    const { stdout } = await banyan(['export', '--from', '8', '--source', '/here', '--log', from])
    expect(new CloudEvent(JSON.parse(stdout) as object).source).toBe('/here')
  })

  test('a stream that is further than the file ends with 3 and the line', async () => {
    const [from, to] = [await filledLog(3), await filledLog(2)]
    const file = join(directory, 'conflict.ndjson')
    await json(['export', file, '--log', from])
    const { code, stderr } = await banyan(['import', file, '--log', to])
    expect(code).toBe(3)
    expect(stderr).toMatch(
      /^line 1: order-0 is at revision 0, expected a stream that was never written\. Nothing/,
    )
    expect(await json(['import', file, '--renumber', '--log', to])).toMatchObject({ ok: true, events: 3 })
    expect(await countIn(to)).toBe(5)
  })

  test('what is not right is refused', async () => {
    const bad = join(directory, 'bad.ndjson')
    writeFileSync(bad, `${cloudEvents(1)}{"specversion":"1.0",\n`)
    await refused(newLog(), [
      ['import /nowhere', 1, 'cannot read /nowhere: ENOENT'],
      [`import ${bad}`, 1, 'line 2'],
      [`import ${bad} --dry-run`, 1, 'line 2'],
      ['import', 2, 'missing required argument'],
    ])
    await refused(await filledLog(1), [
      ['export /nowhere/file', 1, 'cannot write /nowhere/file: ENOENT'],
      ['export --source %', 1, 'BANYAN_INVALID_EVENT'],
    ])
  })
})

describe('removing', () => {
  test('truncate removes what it is told, and says which hold keeps more', async () => {
    const log = await filledLog(9)
    expect((await banyan(['hold', 'reports', '4', '--log', log])).stdout).toBe(
      'reports keeps everything after position 4\n',
    )
    expect(await json(['holds', '--log', log])).toEqual([{ name: 'reports', position: '0000000000000004' }])
    expect(
      (await banyan(['truncate', '-s', 'order-0', '--before-revision', '1', '--yes', '--log', log])).stdout,
    ).toBe('1 event removed\n')
    expect(await json(['truncate', '--all', '--up-to', 'end', '--yes', '--log', log])).toMatchObject({
      removed: 3,
      heldBy: 'reports',
    })
    expect((await banyan(['release', 'reports', '--log', log])).stdout).toBe(
      'reports keeps nothing any more\n',
    )
    expect((await banyan(['release', 'reports', '--log', log])).stdout).toBe('there was no hold reports\n')
    expect(
      await json(['truncate', '--category', 'order', '--up-to', '6', '--yes', '--log', log]),
    ).toMatchObject({
      removed: 2,
    })
    expect(await countIn(log)).toBe(3)
  })

  test('archive moves events to a file, from which they can be had again', async () => {
    const log = await filledLog(6)
    const archive = ['archive', directory, '-s', 'order-1', '--before-revision', '2', '--yes', '--log', log]
    const { file, removed } = (await json(archive)) as { file: string; removed: number }
    expect(removed).toBe(2)
    expect(await countIn(log)).toBe(4)
    expect(await json(['import', file, '--log', newLog()])).toMatchObject({ events: 2 })
  })

  test('retain removes what a rule does not keep', async () => {
    const log = await filledLog(9)
    const { code, stdout } = await banyan([
      'retain',
      '--category',
      'order',
      '--max-events',
      '1',
      '--yes',
      '--log',
      log,
    ])
    expect([code, stdout]).toEqual([
      0,
      '6 events removed: all but the last 1 event of each, of the category order\n',
    ])
    expect(await json(['retain', '--max-age', '1h', '--yes', '--log', log])).toMatchObject({ removed: 0 })
  })

  test('nothing is removed without a yes, or by mistake', async () => {
    const log = await filledLog(3)
    await refused(log, [
      ['truncate --all --up-to end', 2, 'There is nobody to ask; if that is meant, say --yes'],
      ['archive dir --all --up-to end', 2, 'say --yes'],
      ['retain --max-age 1ms', 2, 'say --yes'],
      ['truncate --yes', 2, 'say of what'],
      ['truncate --all --yes', 2, '--up-to'],
      ['truncate --all -s order-1 --yes --up-to end', 2, 'one of them'],
      ['truncate -s order-1 --up-to end --yes', 2, '--before-revision'],
      ['truncate --category order --before-revision 2 --yes', 2, '--up-to'],
      ['truncate --all --up-to 99 --yes', 1, 'BANYAN_POSITION_AHEAD'],
      ['retain --yes', 2, 'what is to be kept?'],
      ['retain --category order --yes', 2, 'say what is kept'],
      ['retain --max-age soon --yes', 1, 'maxAge'],
      ['hold x 99', 1, 'BANYAN_POSITION_AHEAD'],
    ])
    expect(await countIn(log)).toBe(3)
  })
})

test('backup copies a log that is in use, restore makes a log of it; neither replaces anything', async () => {
  const url = await filledLog(5)
  await using log = await openLog(url)
  const file = join(directory, 'copy.db')
  expect((await banyan(['backup', file, '--log', url])).stdout).toContain(`${file} is a copy of ${url}`)
  await append(url, [{ type: 'After' }])
  const to = newLog()
  expect(await json(['restore', file, to])).toMatchObject({ log: to, events: 5, head: '0000000000000005' })
  expect(await json(['verify', '--log', to])).toMatchObject({ ok: true, events: 5 })
  expect((await log.stats()).events).toBe(6)
  const damaged = join(directory, 'damaged.db')
  const bytes = readFileSync(file)
  writeFileSync(damaged, bytes.subarray(0, bytes.length - 4096))
  await refused(undefined, [
    [`backup ${file} --log ${url}`, 1, `${file} is there already`],
    [`restore ${file} ${to}`, 1, 'is there already'],
    [`restore /nowhere ${newLog()}`, 1, 'there is no backup at /nowhere'],
    [`restore ${damaged} ${newLog()}`, 1, 'BANYAN_LOG_CORRUPT'],
    [`restore ${file} postgres://ada:secret@host/db`, 1, 'pg_restore'],
  ])
})

describe('the types of a configuration', () => {
  const types = mkdtempSync(join(directory, 'types-'))
  writeFileSync(
    join(types, 'OrderPaid.schema.json'),
    JSON.stringify({ type: 'object', required: ['total'], properties: { total: { type: 'number' } } }),
  )

  test('check tells what in the log is not as its schema says', async () => {
    const log = newLog()
    await append(log, [
      { type: 'OrderPaid', data: { total: 3 } },
      { type: 'OrderPaid', data: { total: 'three' } },
      { type: 'OrderSent' },
    ])
    const { code, stdout } = await banyan(['check', types, '--log', log])
    expect(code).toBe(1)
    expect(stdout).toMatch(/^misfit {2}OrderPaid at position 0*2, order-1@1, .*total.*number$/m)
    expect(stdout).toMatch(/^misfit {2}OrderSent at position 0*3, .*not a type of the registry$/m)
    const allowing = await banyan(['check', types, '--allow-unknown', '--json', '--log', log])
    expect(JSON.parse(allowing.stdout)).toMatchObject({ ok: false, events: 3, misfits: [{ revision: 1 }] })
    expect((await banyan(['check', types, '--to', '1', '--log', log])).code).toBe(2)
    await refused(log, [
      ['check', 2, 'which schemas?'],
      ['check /nowhere', 1, '/nowhere'],
    ])
  })

  test('are asked for what is appended', async () => {
    const config = configFile({
      listen: 0,
      admin: false,
      services: {},
      routes: { r: { match: {}, respond: { status: 204 } } },
      events: { driver: 'sqlite', path: newLog().slice('sqlite:'.length), types },
    })
    const appending = ['append', 'order-1', 'OrderPaid', '{"total":"three"}', '-c', config]
    expect(await banyan(appending)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('[BANYAN_INVALID_EVENT]') as string,
    })
    await json(['append', 'order-1', 'OrderPaid', '{"total":3}', '-c', config])
    expect(await json(['check', '-c', config])).toMatchObject({ ok: true, events: 1 })
  })
})

describe('the log of a running node', () => {
  test('is reached over its admin address, also by a configuration whose log is in memory', async () => {
    const config = configFile({
      listen: 0,
      admin: 0,
      services: {},
      routes: { r: { match: {}, respond: { status: 204 } } },
      events: { driver: 'memory' },
    })
    const node = new Running(process.execPath, [MAIN, 'up', '-c', config])
    const [, admin] = await node.printed(/admin on (http:\/\/[\d.:]+)/)
    const onNode = ['--admin', admin!]
    await banyan(['append', '--batch', ...onNode], { input: cloudEvents(5) })
    const paid = ['append', 'order-1', 'OrderPaid', '-', '--binary', '-t', 'a', '--expect', '1', ...onNode]
    expect((await banyan(paid, { input: 'bytes' })).stdout).toBe('order-1@2  position 6\n')
    expect((await banyan(paid, { input: 'bytes' })).code).toBe(3)

    const tail = start(['tail', '-n', '1', ...onNode])
    await tail.printed(/order-1@2 {2}OrderPaid {2}<5 bytes 6279746573> {2}#a/)
    await banyan(['append', 'order-1', 'OrderSent', ...onNode])
    await tail.printed(/order-1@3 {2}OrderSent/)
    tail.signal('SIGINT')
    expect(await tail.ended).toMatchObject({ code: 0, stderr: '' })

    expect((await banyan(['read', '-s', 'order-1', '-n', '1', '-b', ...onNode])).stdout).toContain(
      'OrderSent',
    )
    expect(await json(['stats', ...onNode])).toMatchObject({ driver: 'memory', events: 7 })
    expect((await banyan(['streams', ...onNode])).stdout).toContain('order-1')
    expect((await banyan(['verify', ...onNode])).stdout).toContain('is sound')
    const { stdout } = await banyan(['export', ...onNode])
    expect(stdout.trim().split('\n')).toHaveLength(7)
    await refused(undefined, [
      [`read --from 10m -a ${admin!}`, 1, 'BANYAN_UNSUPPORTED'],
      [`read --from x -a ${admin!}`, 1, 'BANYAN_INVALID_POSITION'],
      ['stats -a 127.0.0.1:9', 1, 'BANYAN_ADMIN_UNREACHABLE'],
      [`stats -a ${admin!} --log sqlite:x`, 2, 'each say which log'],
    ])
  })
})

describe.skipIf(postgresMissing())('on PostgreSQL', () => {
  test('as on SQLite, and what it leaves to its own tools', async () => {
    await using server = await PostgresServer.start()
    const log = await server.database()
    expect(await json(['migrate', '--log', log])).toMatchObject({ from: 0 })
    expect((await banyan(['migrate', '--log', log])).stdout).toContain('nothing to do')
    await banyan(['append', '--batch', '--log', log], { input: cloudEvents(4) })
    const tail = start(['tail', '--from', '2', '--log', log])
    await tail.printed(/"index":3/)
    expect((await banyan(['append', 'order-1', 'OrderPaid', '--expect', '9', '--log', log])).code).toBe(3)
    await banyan(['append', 'order-1', 'OrderPaid', '--log', log])
    await tail.printed(/OrderPaid/)
    tail.signal('SIGINT')
    expect((await tail.ended).code).toBe(0)
    expect((await banyan(['verify', '--log', log])).stdout).toContain('5 events in 3 streams checked')
    await refused(log, [[`backup ${join(directory, 'pg.db')}`, 1, 'pg_dump']])
  }, 60_000)
})
