import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execFileSync } from 'node:child_process'
import { afterEach, describe, expect, test } from 'vitest'
import { Gateway, type RouteSpec } from '../../src/traffic/gateway/index.js'
import type { FilesSpec } from '../../src/traffic/gateway/responders/files/spec.js'
import { closeAll, field, open, problem } from '../support/gateway.js'
import { RawClient } from '../support/raw.js'

afterEach(closeAll)

const PAGE = '<!doctype html><title>shop</title>'

function site(): string {
  const base = mkdtempSync(join(tmpdir(), 'banyan-files-'))
  const root = join(base, 'public')
  for (const each of ['', 'docs', 'empty', 'assets', '.git', '.well-known', 'sp ace'])
    mkdirSync(join(root, each), { recursive: true })
  const put = (name: string, content: string | Buffer): void => writeFileSync(join(root, name), content)
  put('index.html', PAGE)
  put('docs/index.html', 'docs')
  put('assets/app.1a2b.js', 'let a = 1')
  put('hello.txt', 'hello, world')
  put('data.json', '{}')
  put('noextension', 'bytes')
  put('.git/config', 'secret')
  put('.env', 'secret')
  put('.well-known/security.txt', 'Contact: us')
  put('sp ace/ü%.txt', 'odd')
  put('zero.txt', '')
  writeFileSync(join(base, 'secret.txt'), 'secret')
  symlinkSync(join(base, 'secret.txt'), join(root, 'out.txt'))
  symlinkSync(base, join(root, 'up'))
  symlinkSync('hello.txt', join(root, 'in.txt'))
  return root
}

async function start(spec: Partial<FilesSpec> = {}, route: Partial<RouteSpec> = {}) {
  const root = site()
  const gateway = await Gateway.open({
    services: {},
    routes: { site: { match: {}, files: { root, ...spec }, ...route } },
  })
  open.push(gateway)
  const { port } = await gateway.listen(0)
  const client = async (): Promise<RawClient> => {
    const each = await RawClient.open(port)
    open.push({ close: () => each.destroy() })
    return each
  }
  const c = await client()
  const ask = (path: string, fields: Record<string, string> = {}, method = 'GET') =>
    c.ask(
      `${method} ${path} HTTP/1.1\r\nHost: shop.example\r\n${Object.entries(fields)
        .map(([name, value]) => `${name}: ${value}\r\n`)
        .join('')}\r\n`,
      method,
    )
  return { root, ask, client, gateway, port }
}

describe('a file', () => {
  test('is given with its type, its length, and what tells whether it has changed', async () => {
    const { ask } = await start()
    const answer = await ask('/hello.txt?x=y')
    expect([answer.start, answer.body]).toEqual(['200 OK 1.1', 'hello, world'])
    expect(field(answer, 'content-type')).toBe('text/plain; charset=utf-8')
    expect(field(answer, 'x-content-type-options')).toBe('nosniff')
    expect(field(answer, 'content-length')).toBe('12')
    expect(field(answer, 'accept-ranges')).toBe('bytes')
    expect(field(answer, 'etag')).toMatch(/^"c-[0-9a-z]+"$/)
    expect(field(answer, 'last-modified')).toMatch(/ GMT$/)
    expect(field(answer, 'cache-control')).toBe('no-cache')
  })

  test.each([
    ['/', 'text/html; charset=utf-8'],
    ['/assets/app.1a2b.js', 'text/javascript; charset=utf-8'],
    ['/data.json', 'application/json'],
    ['/noextension', 'application/octet-stream'],
  ])('%s is %s', async (path, type) => {
    const { ask } = await start()
    expect(field(await ask(path), 'content-type')).toBe(type)
  })

  test.each([
    ['/sp%20ace/%C3%BC%25.txt', 'odd'],
    ['/.well-known/security.txt', 'Contact: us'],
    ['/in.txt', 'hello, world'],
    ['/docs/../hello.txt', 'hello, world'],
    ['/zero.txt', ''],
    ['/docs/', 'docs'],
  ])('%s is found', async (path, body) => {
    const { ask } = await start()
    expect(await ask(path)).toMatchObject({ start: '200 OK 1.1', body })
  })

  test('is described to a HEAD, with its length', async () => {
    const { ask } = await start()
    const answer = await ask('/hello.txt', {}, 'HEAD')
    expect([answer.body, field(answer, 'content-length')]).toEqual(['', '12'])
  })

  test('below a prefix is found by the path that a service would see', async () => {
    const { ask } = await start({}, { match: { path: '/static/*' }, rewrite: { path: '/' } })
    expect((await ask('/static/hello.txt')).body).toBe('hello, world')
    expect(field(await ask('/static/docs?a=b'), 'location')).toBe('/static/docs/?a=b')
  })

  test('that never changes is kept by clients for a year, others as long as is said', async () => {
    const { ask } = await start({ maxAge: '1h', immutable: '/assets/*' })
    expect(field(await ask('/assets/app.1a2b.js'), 'cache-control')).toBe(
      'public, max-age=31536000, immutable',
    )
    expect(field(await ask('/hello.txt'), 'cache-control')).toBe('public, max-age=3600')
  })
})

describe('nothing is given', () => {
  test.each([
    '/missing.txt',
    '/../secret.txt',
    '/%2e%2e/secret.txt',
    '/..%2fsecret.txt',
    '/docs/..%2f..%2fsecret.txt',
    '/docs/..%5c..%5csecret.txt',
    '/..\\secret.txt',
    '/%252e%252e/secret.txt',
    '/out.txt',
    '/up/secret.txt',
    '/.env',
    '/.git/config',
    '/docs/.%2e/.env',
    '//etc/passwd',
    '/docs//index.html',
    '/hello.txt/',
    '/hello.txt/more',
    '/hello.txt%00.html',
    '/%ff',
    '/empty/',
    '/empty',
    `/${'a'.repeat(3000)}`,
  ])('at %s', async (path) => {
    const { ask } = await start()
    const answer = await ask(path)
    expect(['404 Not Found 1.1', '400 Bad Request 1.1']).toContain(answer.start)
    expect(answer.body).not.toContain('secret')
    expect(answer.body).not.toContain('/tmp')
  })

  test('of a pipe, and nobody waits for a writer', async () => {
    const { ask, root } = await start()
    execFileSync('mkfifo', [join(root, 'pipe')])
    expect((await ask('/pipe')).start).toMatch(/^404/)
  })

  test('by other methods', async () => {
    const { ask } = await start()
    const answer = await ask('/hello.txt', { 'Content-Length': '0' }, 'POST')
    expect(problem(answer).status).toBe(405)
    expect(field(answer, 'allow')).toBe('GET, HEAD')
  })

  test.skipIf(process.getuid?.() === 0)('that the process may not read', async () => {
    const { ask, root } = await start()
    chmodSync(join(root, 'hello.txt'), 0)
    expect(problem(await ask('/hello.txt')).status).toBe(403)
  })
})

describe('a directory', () => {
  test('without its slash is told with it, on this host whatever the path looks like', async () => {
    const { ask } = await start()
    const answer = await ask('/docs')
    expect([answer.start, field(answer, 'location')]).toEqual(['301 Moved Permanently 1.1', '/docs/'])
    expect((await ask('//docs')).start).toMatch(/^404/)
  })

  test('has no list, and no index if there is to be none', async () => {
    const { ask } = await start({ index: false })
    expect((await ask('/')).start).toMatch(/^404/)
    expect((await ask('/docs')).start).toMatch(/^404/)
  })
})

describe('the fallback', () => {
  test('is the page for browsers where there is no file, never for what a page needs', async () => {
    const { ask } = await start({ fallback: 'index.html', maxAge: '1h' })
    const page = await ask('/orders/7', { Accept: 'text/html,application/xhtml+xml,*/*;q=0.8' })
    expect([page.start, page.body, field(page, 'vary')]).toEqual(['200 OK 1.1', PAGE, 'Accept'])
    expect(field(page, 'cache-control')).toBe('no-cache')
    expect((await ask('/assets/gone.js', { Accept: '*/*' })).start).toMatch(/^404/)
    expect((await ask('/.env', { Accept: 'text/html' })).body).not.toBe('secret')
  })

  test('and the root must be there', async () => {
    const refuse = (files: FilesSpec) =>
      Gateway.open({ services: {}, routes: { site: { match: {}, files } } })
    await expect(refuse({ root: '/nowhere' })).rejects.toThrow(/there is no directory `\/nowhere`/)
    await expect(refuse({ root: site(), fallback: '../secret.txt' })).rejects.toThrow(/there is no file/)
  })
})

describe('conditions and ranges', () => {
  test('a file that the client has is a 304, one that it does not mean a 412', async () => {
    const { ask } = await start()
    const first = await ask('/hello.txt')
    const etag = field(first, 'etag')!
    const unchanged = await ask('/hello.txt', { 'If-None-Match': etag })
    expect([unchanged.start, unchanged.body, field(unchanged, 'etag')]).toEqual([
      '304 Not Modified 1.1',
      '',
      etag,
    ])
    expect(field(unchanged, 'content-length')).toBeUndefined()
    const since = await ask('/hello.txt', { 'If-Modified-Since': field(first, 'last-modified')! })
    expect(since.start).toMatch(/^304/)
    expect(problem(await ask('/hello.txt', { 'If-Match': '"other"' })).status).toBe(412)
  })

  test('a file that has changed has another tag, even within the same second', async () => {
    const { ask, root } = await start()
    const etag = field(await ask('/hello.txt'), 'etag')!
    writeFileSync(join(root, 'hello.txt'), 'HELLO, WORLD')
    const answer = await ask('/hello.txt', { 'If-None-Match': etag })
    expect(answer.body).toBe('HELLO, WORLD')
  })

  test.each([
    ['bytes=0-4', '206', 'hello', 'bytes 0-4/12'],
    ['bytes=7-', '206', 'world', 'bytes 7-11/12'],
    ['bytes=-5', '206', 'world', 'bytes 7-11/12'],
    ['bytes=0-0,2-2', '200', 'hello, world', undefined],
    ['lines=1-2', '200', 'hello, world', undefined],
  ])('%s is %s', async (range, status, body, contentRange) => {
    const { ask } = await start()
    const answer = await ask('/hello.txt', { Range: range })
    expect([answer.start.slice(0, 3), answer.body, field(answer, 'content-range')]).toEqual([
      status,
      body,
      contentRange,
    ])
  })

  test('a range behind the end is a 416 that says where the end is', async () => {
    const { ask } = await start()
    const answer = await ask('/hello.txt', { Range: 'bytes=12-' })
    expect([problem(answer).status, field(answer, 'content-range')]).toEqual([416, 'bytes */12'])
  })

  test('a range of another version is the whole', async () => {
    const { ask } = await start()
    const etag = field(await ask('/hello.txt'), 'etag')!
    expect((await ask('/hello.txt', { Range: 'bytes=0-4', 'If-Range': etag })).body).toBe('hello')
    expect((await ask('/hello.txt', { Range: 'bytes=0-4', 'If-Range': '"old"' })).body).toBe('hello, world')
  })
})

describe('compressed forms beside a file', () => {
  const withForms = async () => {
    const set = await start({ precompressed: true })
    for (const [suffix, content] of [
      ['br', 'BROTLI'],
      ['gz', 'GZIP'],
    ])
      writeFileSync(join(set.root, `hello.txt.${suffix}`), content!)
    return set
  }

  test('are given to clients that take them, as what the file is', async () => {
    const { ask } = await withForms()
    const br = await ask('/hello.txt', { 'Accept-Encoding': 'gzip, br' })
    expect([br.body, field(br, 'content-encoding'), field(br, 'content-type'), field(br, 'vary')]).toEqual([
      'BROTLI',
      'br',
      'text/plain; charset=utf-8',
      'Accept-Encoding',
    ])
    expect((await ask('/hello.txt', { 'Accept-Encoding': 'gzip, zstd' })).body).toBe('GZIP')
    const plain = await ask('/hello.txt')
    expect([plain.body, field(plain, 'vary')]).toEqual(['hello, world', 'Accept-Encoding'])
    expect(field(plain, 'etag')).not.toBe(field(br, 'etag'))
  })

  test('are passed over if they are older than it', async () => {
    const { ask, root } = await withForms()
    utimesSync(join(root, 'hello.txt.br'), 1, 1)
    expect((await ask('/hello.txt', { 'Accept-Encoding': 'br' })).body).toBe('hello, world')
  })
})

describe('a large file', () => {
  test('comes as it is, and in parts', async () => {
    const { ask, root } = await start()
    const data = randomBytes(1_000_003)
    writeFileSync(join(root, 'large.bin'), data)
    expect((await ask('/large.bin')).body).toBe(data.toString('latin1'))
    const part = await ask('/large.bin', { Range: 'bytes=100000-899999' })
    expect(part.body).toBe(data.subarray(100_000, 900_000).toString('latin1'))
  })

  test('is closed when its client goes', async () => {
    const { client, root } = await start()
    const path = join(root, 'huge.bin')
    writeFileSync(path, '')
    truncateSync(path, 200 * 1024 * 1024)
    const c = await client()
    c.send('GET /huge.bin HTTP/1.1\r\nHost: a\r\n\r\n')
    await c.until((text) => text.includes('\r\n\r\n'))
    c.socket.pause()
    expect(isOpen(path)).toBe(true)
    c.destroy()
    while (isOpen(path)) await new Promise(setImmediate)
  })
})

/** Whether this process has a file open. */
function isOpen(path: string): boolean {
  return readdirSync('/proc/self/fd').some((each) => {
    try {
      return readlinkSync(`/proc/self/fd/${each}`) === path
    } catch {
      // The one that reads the list itself.
      return false
    }
  })
}
