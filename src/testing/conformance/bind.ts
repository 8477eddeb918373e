import assert from 'node:assert/strict'
import type { LogDriver } from '../../events/driver.js'
import { DriverLog } from '../../events/event-log.js'
import type { Capabilities, EventLog } from '../../events/log.js'
import type { CaseDefinition, ConformanceCase, LogSetup, LogUnderTest, Need, Trial } from './setup.js'

/** Cases with the driver they are to try. */
export function bindCases(setup: LogSetup, definitions: readonly CaseDefinition[]): ConformanceCase[] {
  return definitions.map(({ name, needs = [], run }) => {
    const skip = needs
      .map((need) => NOT_NEEDED[need](setup.capabilities))
      .find((reason) => reason !== undefined)
    return { name, ...(skip !== undefined && { skip }), run: () => runCase(setup, run) }
  })
}

/** Why a driver need not pass; undefined if it must. */
const NOT_NEEDED: Record<Need, (capabilities: Capabilities) => string | undefined> = {
  restart: ({ durable }) => (durable === 'none' ? 'nothing stays (durable: none)' : undefined),
  transactions: ({ transactions }) => (transactions ? undefined : 'no transactions'),
  elsewhere: ({ transactions }) => (transactions ? undefined : 'no transactions'),
  backup: ({ backup }) => (backup ? undefined : 'no backup'),
  'no transactions': ({ transactions }) => (transactions ? 'has transactions' : undefined),
  'no backup': ({ backup }) => (backup ? 'has backup' : undefined),
  log: ({ atomic, order }) =>
    atomic === 'log' && order === 'log' ? undefined : 'commits and order are of one stream only',
  'for ever': ({ dedupe }) => (dedupe === 'for ever' ? undefined : `ids are known for ${dedupe}`),
}

async function runCase(setup: LogSetup, run: CaseDefinition['run']): Promise<void> {
  const made: LogUnderTest[] = []
  const open: EventLog[] = []
  const track = (driver: LogDriver): EventLog => {
    const log = new DriverLog(driver)
    open.push(log)
    return log
  }
  const make = async (): Promise<LogUnderTest> => {
    const fresh = await setup.open()
    made.push(fresh)
    return fresh
  }
  try {
    const subject = await make()
    assert.deepEqual(subject.driver.capabilities, setup.capabilities, 'the driver promises something else')
    await run(trialOf(setup, subject, track, async () => track((await make()).driver), open))
  } finally {
    for (const log of open) await log.close()
    for (const subject of made) await subject.dispose?.()
  }
}

function trialOf(
  setup: LogSetup,
  subject: LogUnderTest,
  track: (driver: LogDriver) => EventLog,
  otherLog: () => Promise<EventLog>,
  open: EventLog[],
): Trial {
  const log = track(subject.driver)
  const hook = <Name extends keyof LogUnderTest>(name: Name): NonNullable<LogUnderTest[Name]> => {
    const found = subject[name]
    assert.ok(found, `the setup must bring ${name}: the capabilities promise what it is for`)
    return found
  }
  return {
    log,
    driver: subject.driver,
    capabilities: setup.capabilities,
    another: async () =>
      setup.capabilities.shared === 'process' ? log : track(await hook('connect').call(subject)),
    restart: async () => {
      for (const handle of open.splice(0)) await handle.close()
      return track(await hook('connect').call(subject))
    },
    otherLog,
    transaction: () => hook('transaction').call(subject),
    transactionElsewhere: () => hook('transactionElsewhere').call(subject),
    openBackup: async (path) => track(await hook('openBackup').call(subject, path)),
  }
}
