import { afterEach, expect, test } from 'vitest'
import { altered, closeLogs, newLog } from '../../../../test/support/logs.js'
import { virtualRuntime } from '../../../testing/index.js'
import type { EventLog, EventShape } from '../../index.js'
import { Ledger, readLedger, type LedgerOwner } from './ledger.js'
import type { LedgerEvent, Progress } from './state.js'

afterEach(closeLogs)

const STREAM = '$subscription-mail/0'

/** An owner that has something to write each time, and always the same to say of everything. */
class Owner implements LedgerOwner {
  readonly ledger: Ledger
  readonly told: (event: LedgerEvent) => void = () => undefined
  isLost = false
  #count = 0

  private constructor(log: EventLog, id: string, state: Awaited<ReturnType<typeof readLedger>>) {
    const lost = (): void => void (this.isLost = true)
    const runtime = virtualRuntime()
    this.ledger = new Ledger(log, STREAM, state, { id, owner: this, runtime, hold: 'mail/0', lost })
    this.everything = () => ({ cursor: position(this.#count), owner: id })
  }

  /** Takes the partition, from whoever has it. */
  static async claim(log: EventLog, id: string): Promise<Owner> {
    const state = await readLedger(log, STREAM, '0')
    const events = [{ type: 'Claimed', data: { owner: id } }]
    const result = await log.append({ streams: [{ stream: STREAM, expected: state.revision, events }] })
    state.revision = result.ok ? result.streams[0]!.revision : state.revision
    return new Owner(log, id, state)
  }

  readonly everything: () => Progress & { owner: string }
  change = (): Progress => ({ cursor: position(++this.#count) })
  written = (): void => undefined

  async write(steps: number): Promise<void> {
    for (let step = 0; step < steps; step++) await this.ledger.write()
  }
}

function position(number: number): string {
  return String(number).padStart(16, '0')
}

async function typesOf(log: EventLog): Promise<string[]> {
  const types: string[] = []
  for await (const { type } of log.read({ stream: STREAM })) types.push(type)
  return types
}

test.each(['memory', 'sqlite'])(
  'is short on %s however old a hold is, and its steps are forgotten',
  async (driver) => {
    const log = await newLog(driver)
    await log.hold('a lane that is parked for weeks', '0')
    const owner = await Owner.claim(log, 'first')
    await owner.write(2 * 512 + 3)
    expect(await typesOf(log)).toEqual(['Kept', 'Progressed', 'Progressed', 'Progressed'])
    expect(await log.stats()).toMatchObject({ events: 4, commits: 4 })
    expect(await readLedger(log, STREAM, '0')).toMatchObject({
      owner: 'first',
      cursor: position(2 * 512 + 3),
    })
  },
)

test.each(['memory', 'sqlite'])(
  'tells an owner on %s that was asleep while another kept everything',
  async (driver) => {
    const log = await newLog(driver)
    const asleep = await Owner.claim(log, 'first')
    await asleep.write(3)
    const owner = await Owner.claim(log, 'second')
    await owner.write(512)
    expect(await typesOf(log), 'the claim is gone').toEqual(['Kept'])
    await asleep.write(1)
    expect(asleep.isLost).toBe(true)
    expect(await typesOf(log)).toEqual(['Kept'])
    await owner.write(1)
    expect(owner.isLost).toBe(false)
    expect(await readLedger(log, STREAM, '0')).toMatchObject({ owner: 'second', cursor: position(513) })
  },
)

test('is read whole although its owner keeps everything while it is read', async () => {
  const log = await newLog('memory')
  const owner = await Owner.claim(log, 'first')
  await owner.write(511)
  let isFirst = true
  const overtaken = altered(log, {
    async *read<Event extends EventShape>(...args: Parameters<EventLog['read']>) {
      let left = 100
      for await (const event of log.read<Event>(...args)) {
        yield event
        if (!isFirst || --left > 0) continue
        // Here ends the first page; when the next one is read, what would be on it was removed.
        isFirst = false
        await owner.write(1)
        return
      }
    },
  })
  expect(await readLedger(overtaken, STREAM, '0')).toMatchObject({ owner: 'first', cursor: position(512) })
})
