import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CloudEvent } from 'cloudevents'
import { describe, expect, test } from 'vitest'
import { sleep, systemClock } from '../../src/core/clock.js'
import { openLog } from '../../src/events/index.js'
import {
  MAIN,
  directory,
  cleanUps,
  Running,
  start,
  banyan,
  json,
  newLog,
  cloudEvents,
  filledLog,
  append,
  countIn,
  refused,
} from '../support/banyan-events.js'
import { configFile } from '../support/cli.js'

/**
 * `banyan events` as its users run it: the built command line in processes of its own, on files of SQLite.
 */

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

  test('help ends quietly too if nobody reads it', async () => {
    const script = `"$0" "$1" events read --help | true; echo "\${PIPESTATUS[0]}"`
    const run = await new Running('bash', ['-c', script, process.execPath, MAIN]).ended
    expect(run).toMatchObject({ stdout: '0\n', stderr: '' })
  })

  test.runIf(existsSync('/dev/full'))('a disk that is full is told in one line', async () => {
    const log = await filledLog(1)
    for (const command of [`events read --log ${log}`, 'schema']) {
      const script = `"$0" "$1" ${command} > /dev/full`
      const run = await new Running('bash', ['-c', script, process.execPath, MAIN]).ended
      expect(run.code).toBe(1)
      expect(run.stderr).toMatch(/^cannot write what was asked for: ENOSPC.*\n$/)
    }
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
      ['read --from-revision 1', 2, '--from-revision and --to-revision need --stream'],
      ['read -s a --from-revision x', 2, '--from-revision is a whole number'],
      ['read --limit -1', 2, '--limit is a whole number'],
      ['read --from yesterday', 2, '--from is a position as it is printed'],
      ['read --frm 1', 2, '(banyan events read --help tells more)'],
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
    // What stands before it is shown.
    expect(read.code).toBe(1)
    expect(read.stdout).toMatch(/^\S+ {2}1 {2}order-1@0 {2}Said .*\n$/)
    expect(read.stderr).toMatch(/position 0*2, order-1@1, is not what was appended.*\[BANYAN_LOG_CORRUPT\]/)
    // What is sound can still be had.
    expect((await banyan(['read', '--to', '1', '--log', log])).stdout).toContain('order-1@0')
    expect((await banyan(['read', '--from', '2', '--log', log])).stdout).toContain('order-1@2')
  })
})
