import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { openLog, subscribe, topic, type SubscriptionOptions } from '../../src/events/index.js'
import { groupStream } from '../../src/events/pubsub/group/names.js'

const directory = mkdtempSync(join(tmpdir(), 'banyan-terms-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const MAILER = { name: 'mailer', topic: 'order', from: 'start', takeover: '1s' } as const

describe('processes that take part in one subscription', () => {
  test.each<[string, Partial<SubscriptionOptions>, RegExp]>([
    ['types', { types: ['A', 'B'] }, /types: A, not A, B/],
    ['no types', { types: undefined as never }, /types: A, not any/],
    ['tags', { tags: ['vip'] }, /tags: any, not vip/],
    ['a function', { where: () => true }, /where: none, not a function/],
    ['delivery', { delivery: 'at-most-once' }, /delivery: at-least-once, not at-most-once/],
    ['park', { park: 'message' }, /park: key, not message/],
  ])('agree on %s, or the newcomer is refused', async (_, others, text) => {
    const place = `sqlite:${mkdtempSync(join(directory, 'log-'))}`
    const [log, otherLog] = [await openLog(place), await openLog(place)]
    const first = await subscribe(log, { ...MAILER, types: ['A'] })
    const refused = subscribe(otherLog, { ...MAILER, types: ['A'], ...others })
    await expect(refused).rejects.toMatchObject({
      code: 'BANYAN_SUBSCRIPTION_MISMATCH',
      message: expect.stringMatching(text) as string,
    })
    // What may differ, and the order of types, is nobody's matter.
    await (await subscribe(otherLog, { ...MAILER, types: ['A', 'A'], attempts: 9, deadline: '1m' })).close()
    await first.close()
    // Nobody is there any more: the new settings hold.
    const second = await subscribe(otherLog, { ...MAILER, types: ['A'], ...others })
    await expect(subscribe(log, { ...MAILER, types: ['A'] })).rejects.toMatchObject({
      code: 'BANYAN_SUBSCRIPTION_MISMATCH',
    })
    await second.close()
    await log.close()
    await otherLog.close()
  })

  test('stay with streams or a key function for good', async () => {
    const log = await openLog('memory:')
    await (await subscribe(log, MAILER)).close()
    const refused = subscribe(log, { ...MAILER, key: () => 'x' })
    await expect(refused).rejects.toThrow(/by the streams of messages, not by a key function/)
    await log.close()
  })

  test('do not wait for those that have ended without a word, on whatever machine', async () => {
    const log = await openLog('memory:')
    await (await subscribe(log, { ...MAILER, types: ['A'] })).close()
    await log.append({
      streams: [
        { stream: groupStream('mailer'), events: [{ type: 'Joined', data: { member: 'elsewhere/1/2/3' } }] },
      ],
    })
    const second = await subscribe(log, { ...MAILER, types: ['B'] })
    await topic(log, 'order').publish([{ type: 'A' }, { type: 'B' }])
    const [message] = await second.pull({ wait: '10s' })
    expect(message!.event.type).toBe('B')
    await message!.ack()
    await second.close()
    await log.close()
  })

  test('are replaced in one process by one with other settings, without a gap', async () => {
    const log = await openLog('memory:')
    const first = await subscribe(log, { ...MAILER, types: ['A'] })
    const second = await subscribe(log, { ...MAILER, types: ['A', 'B'] }, first)
    await first.close()
    await topic(log, 'order').publish([{ type: 'A' }, { type: 'B' }])
    const types: string[] = []
    while (types.length < 2)
      for (const message of await second.pull({ max: 2, wait: '10s' })) {
        types.push(message.event.type)
        await message.ack()
      }
    expect(types.sort()).toEqual(['A', 'B'])
    await second.close()
    await log.close()
  })
})
