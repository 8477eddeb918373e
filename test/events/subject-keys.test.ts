import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import Database from 'better-sqlite3'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import {
  openSubjectKeys,
  type MasterKey,
  type SubjectInfo,
  type SubjectKeys,
  type SubjectKeysOptions,
} from '../../src/events/index.js'
import { memorySubjectKeys } from '../../src/drivers/memory/subject-keys.js'
import { virtualRuntime } from '../../src/testing/index.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'

const directory = mkdtempSync(join(tmpdir(), 'banyan-keys-'))
const opened: SubjectKeys[] = []
const noPostgres = postgresMissing()
const server = PostgresServer.ofSuite()
let stores = 0

afterEach(async () => {
  await Promise.all(opened.splice(0).map((keys) => keys.close()))
})
afterAll(() => rmSync(directory, { recursive: true }))

/** A new store that may be opened several times. */
const engines: Record<string, () => Promise<Parameters<typeof openSubjectKeys>[0]>> = {
  memory: () => {
    const store = memorySubjectKeys()
    return Promise.resolve({ ...methodsOf(store), close: () => Promise.resolve() })
  },
  sqlite: () => Promise.resolve(`sqlite:${join(directory, String(stores++))}`),
  postgres: () => server.database(),
}

function methodsOf(store: ReturnType<typeof memorySubjectKeys>): ReturnType<typeof memorySubjectKeys> {
  return {
    get: (subject) => store.get(subject),
    insert: (key) => store.insert(key),
    replace: (key, secret, masterKey) => store.replace(key, secret, masterKey),
    forget: (subject, time) => store.forget(subject, time),
    list: (after, limit) => store.list(after, limit),
    close: () => store.close(),
  }
}

async function open(
  where: Parameters<typeof openSubjectKeys>[0],
  options: SubjectKeysOptions = {},
): Promise<SubjectKeys> {
  const keys = await openSubjectKeys(where, options)
  opened.push(keys)
  return keys
}

async function listed(
  keys: SubjectKeys,
  options?: Parameters<SubjectKeys['list']>[0],
): Promise<SubjectInfo[]> {
  const subjects: SubjectInfo[] = []
  for await (const subject of keys.list(options)) subjects.push(subject)
  return subjects
}

async function bytesOf(keys: SubjectKeys, subject: string): Promise<Buffer> {
  const key = await keys.get(subject)
  if (typeof key !== 'object') throw new Error(`${subject} has no key`)
  return key.key.export()
}

describe.each(Object.keys(engines))('keys of subjects in %s', (name) => {
  const engine = engines[name]!
  const here = name === 'postgres' && noPostgres ? test.skip : test

  here('are made once and found again', async () => {
    const where = await engine()
    const keys = await open(where)
    expect(await keys.get('c7')).toBeUndefined()
    const made = await keys.create('c7')
    expect(made.key.symmetricKeySize).toBe(32)
    expect((await keys.create('c7')).id).toBe(made.id)
    const again = await (await open(where)).get('c7')
    expect(again).toMatchObject({ id: made.id })
    expect(await bytesOf(await open(where), 'c7')).toEqual(made.key.export())
    expect((await keys.create('c8')).key.equals(made.key)).toBe(false)
  })

  here('are one for each subject, whoever asks at once', async () => {
    const where = await engine()
    const rings = await Promise.all([1, 2, 3, 4].map(() => open(where)))
    const subjects = Array.from({ length: 50 }, (_, index) => `c${index}`)
    const made = await Promise.all(
      rings.map((keys) => Promise.all(subjects.map(async (subject) => (await keys.create(subject)).id))),
    )
    for (const ids of made) expect(ids).toEqual(made[0])
    expect(new Set(made[0]).size).toBe(50)
  })

  here('are forgotten for good', async () => {
    const where = await engine()
    const keys = await open(where)
    await keys.create('c7')
    expect(await keys.forget('c7')).toBe(true)
    expect(await keys.forget('c7')).toBe(false)
    expect(await keys.get('c7')).toBe('forgotten')
    await expect(keys.create('c7')).rejects.toMatchObject({ code: 'BANYAN_SUBJECT_FORGOTTEN' })
    const other = await open(where)
    expect(await other.get('c7')).toBe('forgotten')
    await expect(other.create('c7')).rejects.toMatchObject({ code: 'BANYAN_SUBJECT_FORGOTTEN' })
  })

  here('may be forgotten before there is one', async () => {
    const keys = await open(await engine())
    expect(await keys.forget('c7')).toBe(false)
    await expect(keys.create('c7')).rejects.toMatchObject({ code: 'BANYAN_SUBJECT_FORGOTTEN' })
  })

  here('are listed in order, with what became of them', async () => {
    const runtime = virtualRuntime()
    const keys = await open(await engine(), { runtime })
    const time = runtime.clock.wall()
    for (const subject of ['c', 'a', 'b', 'd']) await keys.create(subject)
    await keys.forget('b')
    expect(await listed(keys, { after: 'a', limit: 2 })).toEqual([
      { subject: 'b', created: time, forgotten: time, masterKey: undefined },
      { subject: 'c', created: time, forgotten: undefined, masterKey: undefined },
    ])
    expect((await listed(keys)).map(({ subject }) => subject)).toEqual(['a', 'b', 'c', 'd'])
  })

  here('live on in the cache of another process for cacheFor, not longer', async () => {
    const where = await engine()
    const runtime = virtualRuntime()
    const one = await open(where)
    const other = await open(where, { runtime, cacheFor: '10s' })
    await one.create('c7')
    expect(await other.get('c7')).toMatchObject({ key: expect.anything() as unknown })
    await one.forget('c7')
    await runtime.clock.advance(9_999)
    expect(await other.get('c7')).toMatchObject({ key: expect.anything() as unknown })
    await runtime.clock.advance(1)
    expect(await other.get('c7')).toBe('forgotten')
  })

  here('with a master key open with that only', async () => {
    const where = await engine()
    const masterKey = randomBytes(32)
    const made = await (await open(where, { masterKey })).create('c7')
    expect(
      (await (await open(where, { masterKey: masterKey.toString('hex') })).create('c7')).key.equals(made.key),
    ).toBe(true)
    expect(await bytesOf(await open(where, { masterKey: masterKey.toString('base64') }), 'c7')).toEqual(
      made.key.export(),
    )
    const unavailable = { code: 'BANYAN_SUBJECT_KEY_UNAVAILABLE' }
    await expect((await open(where)).get('c7')).rejects.toMatchObject({
      ...unavailable,
      message: expect.stringMatching(
        /^the key of subject c7 is wrapped by master key \w{16}; none is given$/,
      ) as string,
    })
    const wrong = await open(where, { masterKey: randomBytes(32) })
    await expect(wrong.get('c7')).rejects.toMatchObject(unavailable)
    await expect(wrong.create('c7')).rejects.toMatchObject(unavailable)
    expect(await wrong.forget('c7')).toBe(true)
  })

  here('get a new master key, and need the old one no more', async () => {
    const where = await engine()
    const [old, next] = [randomBytes(32), randomBytes(32)]
    const unwrapped = await open(where)
    await unwrapped.create('plain')
    const before = await open(where, { masterKey: old })
    for (const subject of ['a', 'b', 'gone']) await before.create(subject)
    await before.forget('gone')
    const secrets = await Promise.all(['a', 'b', 'plain'].map((subject) => bytesOf(before, subject)))

    expect(await (await open(where, { masterKey: [next, old] })).rotate()).toBe(3)
    const after = await open(where, { masterKey: next })
    expect(await after.rotate()).toBe(0)
    expect(await Promise.all(['a', 'b', 'plain'].map((subject) => bytesOf(after, subject)))).toEqual(secrets)
    expect(await after.get('gone')).toBe('forgotten')
    await expect((await open(where, { masterKey: old })).get('a')).rejects.toMatchObject({
      code: 'BANYAN_SUBJECT_KEY_UNAVAILABLE',
    })
  })
})

test('a rotation does not bring back who is forgotten meanwhile', async () => {
  const store = memorySubjectKeys()
  const keys = await open(
    {
      ...methodsOf(store),
      replace: async (key, secret, masterKey) => {
        await store.forget(key.subject, 1)
        return store.replace(key, secret, masterKey)
      },
    },
    { masterKey: randomBytes(32) },
  )
  await (await open(methodsOf(store))).create('c7')
  expect(await keys.rotate()).toBe(0)
  expect(await keys.get('c7')).toBe('forgotten')
})

test('a key that is being loaded while it is forgotten is not cached', async () => {
  const store = memorySubjectKeys()
  await (await open(methodsOf(store))).create('c7')
  let loaded = (): void => undefined
  const keys = await open({
    ...methodsOf(store),
    get: async (subject) => {
      const key = await store.get(subject)
      await new Promise<void>((resolve) => (loaded = resolve))
      return key
    },
  })
  const getting = keys.get('c7')
  await Promise.resolve()
  await keys.forget('c7')
  loaded()
  await getting
  const again = keys.get('c7')
  await Promise.resolve()
  loaded()
  expect(await again).toBe('forgotten')
})

test('the cache keeps the keys that were used last', async () => {
  const store = memorySubjectKeys()
  const asked: string[] = []
  const keys = await open(
    {
      ...methodsOf(store),
      get: (subject) => {
        asked.push(subject)
        return store.get(subject)
      },
    },
    { cacheKeys: 2 },
  )
  for (const subject of ['a', 'b']) await keys.create(subject)
  asked.length = 0
  for (const subject of ['a', 'c', 'a', 'b'])
    await (subject === 'c' ? keys.create(subject) : keys.get(subject))
  expect(asked).toEqual(['c', 'b'])
})

test('a master key may be somewhere else', async () => {
  const wrapped: string[] = []
  const masterKey: MasterKey = {
    id: 'kms/7',
    wrap: (secret, context) => {
      wrapped.push(context)
      return Promise.resolve(Uint8Array.from(secret, (byte) => byte ^ 0xff))
    },
    unwrap: (bytes) => Promise.resolve(Uint8Array.from(bytes, (byte) => byte ^ 0xff)),
  }
  const store = methodsOf(memorySubjectKeys())
  const made = await (await open(store, { masterKey })).create('c7')
  expect(wrapped).toEqual([JSON.stringify(['banyan subject key', 1, 'c7', made.id])])
  const keys = await open(store, { masterKey })
  expect(await bytesOf(keys, 'c7')).toEqual(made.key.export())
  expect(await listed(keys)).toMatchObject([{ masterKey: 'kms/7' }])
  const away = { ...masterKey, unwrap: () => Promise.reject(new Error('no network')) }
  await expect((await open(store, { masterKey: away })).get('c7')).rejects.toThrow(
    /cannot be unwrapped.*no network/,
  )
})

test.each(['', 'short', Buffer.alloc(31)])('%j is no master key', async (masterKey) => {
  await expect(openSubjectKeys('memory:', { masterKey })).rejects.toMatchObject({
    code: 'BANYAN_INVALID_OPTIONS',
    message: expect.stringContaining('openssl rand -hex 32') as string,
  })
})

test('a master key that is not set is no way to go without one', async () => {
  const options = { masterKey: process.env['NOT_SET'] } as SubjectKeysOptions
  await expect(openSubjectKeys('memory:', options)).rejects.toMatchObject({ code: 'BANYAN_INVALID_OPTIONS' })
})

describe('the file of SQLite', () => {
  /** Everything that SQLite has on disk. */
  function contents(path: string): Buffer {
    return Buffer.concat(readdirSync(path).map((file) => readFileSync(join(path, file))))
  }

  test('holds nothing of keys that were forgotten, in no page and no log', async () => {
    const path = join(directory, 'shredded')
    const keys = await open(`sqlite:${path}`)
    // In an order that splits pages, and some that stay between those that go.
    const subjects = Array.from({ length: 1000 }, (_, index) => `c${(index * 619) % 1000}`)
    const secrets = new Map<string, Buffer>()
    for (const subject of subjects) secrets.set(subject, (await keys.create(subject)).key.export())
    const before = contents(path)
    for (const secret of secrets.values()) expect(before.includes(secret)).toBe(true)

    const gone = subjects.filter((_, index) => index % 3 !== 0)
    for (const subject of gone) await keys.forget(subject)
    for (const when of ['while it is open', 'when it is closed']) {
      const after = contents(path)
      expect(
        gone.filter((subject) => after.includes(secrets.get(subject)!)),
        when,
      ).toEqual([])
      await Promise.all(opened.splice(0).map((ring) => ring.close()))
    }
  })

  test('is for its owner only', async () => {
    const path = join(directory, 'private')
    await (await open(`sqlite:${path}`)).create('c7')
    for (const file of readdirSync(path)) expect(statSync(join(path, file)).mode & 0o077).toBe(0)
  })

  test('says so if another process reads it while a key is forgotten', async () => {
    const path = join(directory, 'read')
    const runtime = virtualRuntime()
    const keys = await open(`sqlite:${path}`, { runtime })
    await keys.create('c7')
    const reader = new Database(join(path, 'keys.db'))
    const secret = await bytesOf(keys, 'c7')
    const rows = reader.prepare('SELECT * FROM subject_key').iterate()
    rows.next()
    const forgetting = runtime.clock.settle(keys.forget('c7'))
    await expect(forgetting).rejects.toMatchObject({
      code: 'BANYAN_LOG_LOCKED',
      message: expect.stringContaining('forget it again') as string,
    })
    expect(await keys.get('c7')).toBe('forgotten')
    rows.return?.()
    reader.close()
    await keys.forget('c7')
    expect(contents(path).includes(secret)).toBe(false)
  })

  test.each<[string, (file: string) => void, string]>([
    ['no database', (file) => writeFileSync(file, 'x'.repeat(4096)), 'BANYAN_LOG_CORRUPT'],
    [
      'another database',
      (file) => new Database(file).exec('CREATE TABLE t (x)').close(),
      'BANYAN_LOG_FORMAT',
    ],
    [
      'of a newer version',
      (file) =>
        new Database(file)
          .exec('PRAGMA application_id = 0x424b4559; PRAGMA user_version = 99; CREATE TABLE t (x)')
          .close(),
      'BANYAN_LOG_FORMAT',
    ],
  ])('that is %s is refused', async (_, make, code) => {
    const file = join(directory, `${stores++}.db`)
    make(file)
    const failure: unknown = await openSubjectKeys(`sqlite:${file}`).catch((error: unknown) => error)
    expect(failure).toMatchObject({ code, message: expect.stringContaining(file) as string })
  })

  test('has one key for a subject, whichever process makes it', async () => {
    const script = join(directory, 'make.mjs')
    writeFileSync(
      script,
      `import { openSubjectKeys } from ${JSON.stringify(join(import.meta.dirname, '../../dist/events/index.js'))}
       const keys = await openSubjectKeys(process.argv[2])
       const ids = []
       for (let index = 0; index < 100; index++) ids.push((await keys.create('c' + index)).id)
       await keys.close()
       console.log(JSON.stringify(ids))`,
    )
    const where = `sqlite:${join(directory, 'shared')}`
    const runs = await Promise.all(
      [1, 2, 3].map(() => promisify(execFile)(process.execPath, [script, where])),
    )
    for (const { stdout } of runs) expect(stdout).toBe(runs[0]!.stdout)
    expect(new Set(JSON.parse(runs[0]!.stdout) as string[]).size).toBe(100)
  })
})

describe.skipIf(noPostgres)('PostgreSQL', () => {
  test('makes the schema once, whoever comes first', async () => {
    const where = await server.database()
    await Promise.all([1, 2, 3, 4].map(() => open(where)))
    expect(await server.query('SELECT version FROM banyan_keys.format', [], where)).toEqual([{ version: 1 }])
  })

  test('may stand behind a pooler of transactions', async () => {
    const where = await server.database()
    const port = await server.pooler()
    const keys = await open(where.replace(String(server.port), String(port)))
    const made = await keys.create('c7')
    expect(await (await open(where)).get('c7')).toMatchObject({ id: made.id })
    expect(await keys.forget('c7')).toBe(true)
  })

  test('that cannot be reached is an error that says so', async () => {
    await expect(openSubjectKeys('postgres://nobody@127.0.0.1:1/none')).rejects.toMatchObject({
      code: 'BANYAN_LOG_UNAVAILABLE',
    })
  })
})
