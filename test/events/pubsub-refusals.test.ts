import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { openLog, subscribe, subscriptions, topic } from '../../src/events/index.js'

const directory = mkdtempSync(join(tmpdir(), 'banyan-refusals-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const INVALID = expect.objectContaining({ code: 'BANYAN_INVALID_OPTIONS' }) as Error

describe.each(['memory:', `sqlite:${directory}`])('on %s, places that are none are refused', (place) => {
  test.each([{ time: NaN }, { time: '2020-01-01' }, { tme: 5 }, {}, new Date(0), null, 5])(
    '%s',
    async (from) => {
      const log = await openLog(place)
      await expect(subscribe(log, { name: 'new', topic: 'order', from: from as never })).rejects.toEqual(
        INVALID,
      )
      const subscription = await subscribe(log, { name: 'mailer', topic: 'order', from: 'start' })
      await expect(subscriptions(log).seek('mailer', from as never)).rejects.toEqual(INVALID)
      await subscription.close()
      await log.close()
    },
  )

  test('a new subscription does not begin where events were truncated, but at the start', async () => {
    const log = await openLog(place)
    const { position } = await topic(log, 'parcel').publish({ type: 'Sent' })
    await topic(log, 'parcel').publish([{ type: 'Sent' }, { type: 'Sent' }])
    await subscriptions(log)
      .delete('mailer', { force: true })
      .catch(() => undefined)
    await log.truncate({ stream: 'parcel', beforeRevision: 2 })
    for (const from of [position, { time: 0 }])
      await expect(subscribe(log, { name: 'late', topic: 'parcel', from })).rejects.toMatchObject({
        code: 'BANYAN_POSITION_TRUNCATED',
      })
    const late = await subscribe(log, { name: 'late', topic: 'parcel', from: 'start' })
    expect(await late.pull({ max: 5, wait: '5s' })).toHaveLength(1)
    await late.close()
    await log.close()
  })

  test('as are topics that are Banyan’s own, or every topic', async () => {
    const log = await openLog(place)
    await expect(subscribe(log, { name: 'loop', topic: '$subscription' })).rejects.toEqual(INVALID)
    expect(() => topic(log, '*')).toThrow(INVALID)
    await log.close()
  })
})
