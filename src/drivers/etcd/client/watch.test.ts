import { expect, test } from 'vitest'
import type { Event, WatchResponse } from './messages.js'
import { Watch, type WatchKeeper } from './watch.js'

const VALUE = Buffer.alloc(256 * 1024)
const LAST = 100

/** Has revisions with one event each, and sends them while they are wanted. */
class Etcd implements WatchKeeper {
  sent = 0
  readonly #fragments: boolean
  #wants = false

  /** @param fragments - whether all is one answer in parts */
  constructor(fragments: boolean) {
    this.#fragments = fragments
  }

  wanted(watch: Watch): void {
    this.#wants = true
    const first = watch.begin().startRevision!
    setImmediate(() => {
      for (let revision = first; this.#wants && revision <= LAST; revision++) {
        this.sent++
        watch.answer(answer(revision, this.#fragments && revision < LAST))
      }
    })
  }

  unwanted(): void {
    this.#wants = false
  }
}

function answer(modRevision: number, fragment: boolean): WatchResponse {
  const kv = { key: Buffer.from('k'), value: VALUE, modRevision } as unknown as Event['kv']
  return { events: [{ type: 0, kv, prevKv: undefined }], fragment } as unknown as WatchResponse
}

test.each([
  ['answers', false],
  ['one answer in parts', true],
])('large values do not wait without end for who does not read, in %s', async (_, fragments) => {
  const etcd = new Etcd(fragments)
  const watch = new Watch({ key: Buffer.from('k'), startRevision: 2 }, etcd, undefined)
  await new Promise((resolve) => setImmediate(resolve))
  expect(etcd.sent).toBeGreaterThan(10)
  expect(etcd.sent).toBeLessThan(50)
  const revisions: number[] = []
  for await (const { events, revision } of watch) {
    revisions.push(...events.map(({ kv }) => kv!.modRevision))
    if (revision === LAST) break
  }
  expect(revisions).toEqual(Array.from({ length: LAST - 1 }, (_each, index) => index + 2))
})
