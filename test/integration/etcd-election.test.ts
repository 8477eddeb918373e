import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import { ensure } from '../../scripts/engines.mjs'
import { elect, observeElection, openCoordinator, type Leader } from '../../src/coordination/index.js'
import { mirror } from '../../src/coordination/mirror.js'
import { etcdMissing, EtcdServer } from '../support/etcd.js'

const PREFIX = 'shop/banyan/elections/importer/candidates'

/** `etcdctl elect`, which goes on until it is ended. */
class Etcdctl implements AsyncDisposable {
  readonly #child
  readonly #closed
  #stdout = ''

  constructor({ endpoint }: EtcdServer, ...args: string[]) {
    this.#child = spawn(ensure('etcdctl'), ['--endpoints', endpoint, 'elect', ...args])
    this.#child.stdout.on('data', (data: Buffer) => (this.#stdout += data.toString()))
    this.#closed = once(this.#child, 'close')
  }

  /** Waits for so many lines: of each leader its key, and what that has. */
  async lines(count: number): Promise<string[]> {
    while (this.#stdout.split('\n').length <= count) await once(this.#child.stdout, 'data')
    return this.#stdout.split('\n').slice(0, count)
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill()
  }
}

describe.skipIf(etcdMissing())('an election in etcd', () => {
  test('is one with `etcdctl elect`: who came first leads, and tokens rise over both', async () => {
    await using server = await EtcdServer.start()
    await using coordinator = await openCoordinator(`etcd://${server.endpoint}/shop`)
    const leaders = observeElection(coordinator, 'importer')
    const next = async (): Promise<Leader> => {
      for (;;) {
        const { value } = await leaders.next()
        if (value) return value
      }
    }
    const join = (holder: string) => elect(coordinator, 'importer', { holder, algorithm: 'line' })
    const inLine = async (count: number): Promise<string[]> => {
      const ending = new AbortController()
      const line = mirror(coordinator, 'banyan/elections/importer/candidates/', ending.signal)
      for await (const { entries } of line)
        if (entries.size === count)
          return [...entries.values()].sort((a, b) => a.created - b.created).map(({ key }) => key)
      throw new Error('the line is not seen any more')
    }

    const a = join('a')
    const first = await next()
    expect(first).toMatchObject({ holder: 'a' })
    await using watching = new Etcdctl(server, '--listen', PREFIX)
    const [keyOfA, valueOfA] = await watching.lines(2)
    expect(valueOfA).toContain('"holder":"a"')
    expect(await server.ctl('get', keyOfA!, '--write-out', 'json')).toContain(
      `"create_revision":${first.token},`,
    )

    await using foreign = new Etcdctl(server, PREFIX, 'web-1')
    const [, keyOfForeign] = await inLine(2)
    const b = join('b')
    await inLine(3)
    expect(a.state.kind).toBe('leading')
    await a.close()
    expect(await foreign.lines(2)).toEqual([`shop/${keyOfForeign}`, 'web-1'])
    const second = await next()
    expect(second).toMatchObject({ holder: 'web-1', value: 'web-1' })
    expect(second.token).toBeGreaterThan(first.token)
    expect(b.state.kind).not.toBe('leading')

    await foreign.kill()
    expect(await b.leader()).toEqual(second)
    // Its lease is one of 60 s, and its key is named after that.
    await server.ctl('lease', 'revoke', keyOfForeign!.split('/').at(-1)!)
    const third = await next()
    expect(third).toMatchObject({ holder: 'b' })
    expect(third.token).toBeGreaterThan(second.token)
    const seen = await watching.lines(6)
    expect(seen[3]).toBe('web-1')
    expect(seen[5]).toContain('"holder":"b"')
    await b.close()
  })
})
