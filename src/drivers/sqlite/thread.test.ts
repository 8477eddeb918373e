import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { afterAll, afterEach, expect, test, vi } from 'vitest'
import { openLog, type EventLog } from '../../events/index.js'
import type { Call } from './thread.js'

const root = mkdtempSync(join(tmpdir(), 'banyan-thread-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
afterEach(() => vi.restoreAllMocks())

const { postMessage } = Worker.prototype as { postMessage: (this: Worker, ...args: unknown[]) => void }

/** Ends the thread at the first call of a method, before or after it has got it; so often. */
function endThreadAt(method: string, moment: 'before' | 'after', times = 1): () => number {
  let ended = 0
  vi.spyOn(Worker.prototype, 'postMessage').mockImplementation(function (this: Worker, value: Call, ...rest) {
    const ends = value.method === method && ended < times
    if (!ends || moment === 'after') postMessage.call(this, value, ...rest)
    if (!ends) return
    ended++
    void this.terminate()
  })
  return () => ended
}

function append(log: EventLog, id: string): ReturnType<EventLog['append']> {
  return log.append({ id, streams: [{ stream: 'order-1', events: [{ type: 'Placed' }] }] })
}

test.each(['before', 'after'] as const)(
  'a thread that dies %s it has got a group: the group is appended once, and the log goes on',
  async (moment) => {
    const log = await openLog(`sqlite:${join(root, moment)}`)
    await append(log, 'first')
    const ended = endThreadAt('append', moment)
    const results = await Promise.all(['a', 'b', 'c'].map((id) => append(log, id)))
    expect(results.map((result) => result.ok && result.streams[0]!.revision)).toEqual([1, 2, 3])
    expect(ended()).toBe(1)
    expect(await append(log, 'last')).toMatchObject({ ok: true, streams: [{ revision: 4 }] })
    await log.truncate({ stream: 'order-1', beforeRevision: 1 })
    await log.close()
  },
)

test('one that dies again leaves the outcome open, which the id tells', async () => {
  const log = await openLog(`sqlite:${join(root, 'twice')}`)
  await append(log, 'first')
  endThreadAt('append', 'before', 2)
  await expect(append(log, 'a')).rejects.toMatchObject({ code: 'BANYAN_OUTCOME_UNKNOWN' })
  vi.restoreAllMocks()
  expect(await append(log, 'a')).toMatchObject({ ok: true, streams: [{ revision: 1 }], duplicate: false })
  await log.close()
})

test('followers of one handle see at once what another appends', async () => {
  const path = join(root, 'shared')
  const [reader, writer] = [await openLog(`sqlite:${path}`), await openLog(`sqlite:${path}`)]
  const seen: string[] = []
  const done = (async () => {
    for await (const { events } of reader.follow({ category: 'order' })) {
      seen.push(...events.map(({ commit }) => commit))
      if (seen.length === 50) return
    }
  })()
  const ids = Array.from({ length: 50 }, (_, number) => `c${number}`)
  for (const id of ids) await append(writer, id)
  await done
  expect(seen).toEqual(ids)
  await reader.close()
  await writer.close()
})

test('closing while it is truncated ends the truncation, and what was removed stays so', async () => {
  const path = join(root, 'closing')
  const log = await openLog(`sqlite:${path}`)
  const events = Array.from({ length: 9000 }, (_, number) => ({ type: 'A', data: number }))
  await log.append({ streams: [{ stream: 'order-1', events }] })
  const truncation = log.truncate({ all: true, upTo: await log.head() }).catch((error: unknown) => error)
  await log.close()
  const result = await truncation
  expect(result).toEqual(
    expect.objectContaining(
      result instanceof Error ? { code: 'BANYAN_LOG_CLOSED' } : { removed: expect.any(Number) as number },
    ),
  )
  const again = await openLog(`sqlite:${path}`)
  expect(await again.revision('order-1')).toBe(8999)
  for await (const finding of again.verify()) expect(finding).toMatchObject({ ok: true })
  await again.close()
})
