import { afterEach, describe, expect, test } from 'vitest'
import { openLog, openSnapshots, repository, type UndoableRepository } from '../../src/events/index.js'
import {
  undoableAccount as decider,
  type Account,
  type AccountCommand,
  type AccountEvent,
} from '../support/account.js'
import { closeLogs, collect, newDirectory } from '../support/logs.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'

/** Programs that handle commands on the same streams, each over connections of its own. */

const noPostgres = postgresMissing()
const open: { close: () => Promise<void> }[] = []
const server = PostgresServer.ofSuite()

afterEach(async () => {
  for (const each of open.splice(0)) await each.close()
  await closeLogs()
})

const PROGRAMS = 3
const START_BALANCE = 40

const places: Record<string, () => Promise<string>> = {
  sqlite: () => Promise.resolve(`sqlite:${newDirectory()}`),
  postgres: () => server.database(),
}

async function program(where: string): Promise<UndoableRepository<Account, AccountCommand, AccountEvent>> {
  const [log, store] = [await openLog(where), await openSnapshots(where)]
  open.push(log, store)
  const snapshots = { store, version: 1, every: 7 }
  return repository(log, decider, { category: 'account', retries: 1000, snapshots })
}

describe.each(['sqlite', 'postgres'])('programs that share a log in %s', (name) => {
  const here = name === 'postgres' && noPostgres ? test.skip : test

  here('take out what is there and no more, each command once, whoever repeats it', async () => {
    const where = await places[name]!()
    const programs = await Promise.all(Array.from({ length: PROGRAMS }, () => program(where)))
    await programs[0]!.handle('1', { deposit: START_BALANCE })
    const ids = Array.from({ length: START_BALANCE + 20 }, (_, number) => `w-${number}`)
    // Each command comes to two of the programs at the same time.
    const asked = await Promise.allSettled(
      ids.flatMap((id, number) =>
        [number, number + 1].map((at) => programs[at % PROGRAMS]!.handle('1', { withdraw: 1 }, { id })),
      ),
    )
    const handled = asked.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
    const refused = asked.flatMap((each) => (each.status === 'rejected' ? [String(each.reason)] : []))
    expect(handled.filter(({ duplicate }) => !duplicate).length).toBe(START_BALANCE)
    expect(new Set(handled.map(({ id }) => id)).size).toBe(START_BALANCE)
    expect(new Set(refused)).toEqual(new Set(['Error: only 0 is there']))
    const history = await collect(programs[1]!.history('1'))
    expect(history.length).toBe(START_BALANCE + 1)
    for (const each of programs)
      expect(await each.load('1')).toMatchObject({ state: { balance: 0 }, revision: START_BALANCE })
  })

  here('undo each command once', async () => {
    const where = await places[name]!()
    const programs = await Promise.all(Array.from({ length: PROGRAMS }, () => program(where)))
    for (let number = 0; number < 12; number++)
      await programs[number % PROGRAMS]!.handle('1', { deposit: 2 ** number }, { id: `d-${number}` })
    const undone = await Promise.allSettled(
      Array.from({ length: 18 }, (_, number) => programs[number % PROGRAMS]!.undo('1')),
    )
    expect(undone.filter(({ status }) => status === 'fulfilled').length).toBe(12)
    const undoes = (await collect(programs[0]!.history('1'))).map(({ metadata }) => metadata['undoes'])
    expect(undoes.slice(12)).toEqual(Array.from({ length: 12 }, (_, number) => `d-${11 - number}`))
    expect((await programs[2]!.load('1')).state.balance).toBe(0)
  })
})
