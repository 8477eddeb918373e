import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { archive, type EventLog, type Truncation } from '../../src/events/index.js'
import { onEveryLog } from '../support/every-log.js'
import { collect, newDirectory } from '../support/logs.js'

async function filled(open: () => Promise<EventLog>): Promise<EventLog> {
  const log = await open()
  for (const stream of ['order-1', 'invoice-1', 'order-1'])
    await log.append({ streams: [{ stream, events: [{ type: 'Happened' }] }] })
  return log
}

const WRONG: [string, (head: string) => unknown, string][] = [
  ['a name that is misspelt', (upTo) => ({ categry: 'invoice', upTo }), 'BANYAN_INVALID_SELECTOR'],
  ['an end of nothing', (upTo) => ({ upTo }), 'BANYAN_INVALID_SELECTOR'],
  ['not the whole log', (upTo) => ({ all: false, upTo }), 'BANYAN_INVALID_SELECTOR'],
  ['the whole log by another word', (upTo) => ({ all: 'true', upTo }), 'BANYAN_INVALID_SELECTOR'],
  ['a stream up to a position', (upTo) => ({ stream: 'order-1', upTo }), 'BANYAN_INVALID_SELECTOR'],
  [
    'a stream with both ends',
    (upTo) => ({ stream: 'order-1', upTo, beforeRevision: 1 }),
    'BANYAN_INVALID_SELECTOR',
  ],
  ['a category without an end', () => ({ category: 'order' }), 'BANYAN_INVALID_POSITION'],
  [
    'a category before a revision',
    () => ({ category: 'order', beforeRevision: 1 }),
    'BANYAN_INVALID_SELECTOR',
  ],
  [
    'a category and a stream',
    (upTo) => ({ category: 'order', stream: 'order-1', upTo }),
    'BANYAN_INVALID_SELECTOR',
  ],
  ['a category that is none', (upTo) => ({ category: undefined, upTo }), 'BANYAN_INVALID_SELECTOR'],
  ['an empty category', (upTo) => ({ category: '', upTo }), 'BANYAN_INVALID_SELECTOR'],
  ['everything without an end', () => ({ all: true }), 'BANYAN_INVALID_POSITION'],
  ['a number as position', () => ({ all: true, upTo: 3 }), 'BANYAN_INVALID_POSITION'],
  ['a position that is none', () => ({ all: true, upTo: '3' }), 'BANYAN_INVALID_POSITION'],
  ...[-1, 1.5, '1', NaN, Infinity, null, undefined].map((beforeRevision): (typeof WRONG)[0] => [
    `a revision of ${String(beforeRevision)} (${typeof beforeRevision})`,
    () => ({ stream: 'order-1', beforeRevision }),
    'BANYAN_INVALID_SELECTOR',
  ]),
  ['nothing', () => undefined, 'BANYAN_INVALID_SELECTOR'],
  ['a name', () => 'order', 'BANYAN_INVALID_SELECTOR'],
]

onEveryLog('a call whose arguments are not right', (open) => {
  it('removes nothing', async () => {
    const log = await filled(open)
    const head = await log.head()
    const directory = join(newDirectory(), 'archive')
    for (const [name, wrong, code] of WRONG) {
      const what = wrong(head) as Truncation
      await expect(log.truncate(what), name).rejects.toMatchObject({ code })
      await expect(archive(log, what, { directory }), name).rejects.toMatchObject({ code })
    }
    expect(existsSync(directory)).toBe(false)
    expect((await log.stats()).events).toBe(3)
  })

  it('is told what the forms of a truncation are', async () => {
    const log = await filled(open)
    const wrong = { categry: 'invoice', upTo: await log.head() } as unknown as Truncation
    await expect(log.truncate(wrong)).rejects.toThrow(
      /must be \{ stream, beforeRevision \}, \{ category, upTo \} or, for the whole log, \{ all: true, upTo \}, got \{"categry":/,
    )
  })

  it('sets no hold', async () => {
    const log = await filled(open)
    const hold = (name: unknown, position: unknown): Promise<void> =>
      log.hold(name as string, position as string)
    await expect(hold('', '0')).rejects.toMatchObject({ code: 'BANYAN_INVALID_SELECTOR' })
    await expect(hold(undefined, '0')).rejects.toMatchObject({ code: 'BANYAN_INVALID_SELECTOR' })
    for (const position of [undefined, 3, '', '3', 'end'])
      await expect(hold('audit', position)).rejects.toMatchObject({ code: 'BANYAN_INVALID_POSITION' })
    await expect(log.release(undefined as never)).rejects.toMatchObject({ code: 'BANYAN_INVALID_SELECTOR' })
    expect((await log.stats()).holds).toEqual([])
  })

  it('finds no position', async () => {
    const log = await filled(open)
    for (const time of [NaN, Infinity, '2026-01-01', undefined, null])
      await expect(log.positionAt(time as number)).rejects.toMatchObject({ code: 'BANYAN_INVALID_SELECTOR' })
    await expect(log.positionAt(new Date() as never)).rejects.toThrow('of a Date it is date.getTime()')
  })

  it('lists no streams', async () => {
    const log = await filled(open)
    const list = (options: unknown): Promise<unknown[]> => collect(log.streams(options as object))
    await expect(list({ categry: 'order' })).rejects.toThrow(
      'categry is not an option of streams, did you mean category?',
    )
    for (const options of [
      { category: '' },
      { category: 5 },
      { limit: -1 },
      { limit: NaN },
      { after: 3 },
      'order',
      null,
    ])
      await expect(list(options)).rejects.toMatchObject({ code: 'BANYAN_INVALID_SELECTOR' })
    expect(await list({ category: 'order', limit: Infinity })).toHaveLength(1)
  })
})
