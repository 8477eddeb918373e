import { expect } from 'vitest'
import { BanyanError } from '../../../src/core/errors.js'
import { openLog, type EventLog } from '../../../src/events/index.js'
import { problems } from './judge.js'
import { inspect, repeatAll, type Truth } from './truth.js'

/** What came of one flip. */
export interface Outcome {
  readonly about: string
  /** Wrong or missing, without a word. */
  readonly silent: readonly string[]
  readonly strange: readonly string[]
  /** Some read said that the log is damaged. */
  readonly told: boolean
  /** Opening or `verify` said so. */
  readonly found: boolean
  /** Appended again: not known, or known wrongly. */
  readonly repeated: readonly string[]
}

/** Opens a damaged log, reads it in every way, verifies it, and appends everything once more. */
export async function tryOut(where: string, truth: Truth, about: string): Promise<Outcome> {
  let log: EventLog
  try {
    log = await openLog(where)
  } catch (error) {
    const named =
      error instanceof BanyanError && ['BANYAN_LOG_CORRUPT', 'BANYAN_LOG_FORMAT'].includes(error.code)
    const strange = named ? [] : [`opening: ${String(error)}`]
    return { about, silent: [], strange, told: true, found: true, repeated: [] }
  }
  const { silent, strange, told } = await inspect(log, truth)
  const found = await verified(log)
  const repeated = await repeatAll(log, truth)
  await log.close()
  return {
    about,
    silent,
    strange: [...strange, ...repeated.strange],
    told: told.length > 0,
    found,
    repeated: repeated.silent,
  }
}

/** Whether `verify` finds something wrong. */
async function verified(log: EventLog): Promise<boolean> {
  try {
    return (await problems(log)).length > 0
  } catch (error) {
    if (error instanceof BanyanError && error.code === 'BANYAN_LOG_CORRUPT') return true
    throw error
  }
}

/** Nothing was wrong without a word; what was wrong is found by `verify`. */
export function expectHonest(outcomes: readonly Outcome[]): void {
  const all = (what: (outcome: Outcome) => readonly string[]): string[] =>
    outcomes.flatMap((outcome) => what(outcome).map((each) => `${outcome.about}: ${each}`)).slice(0, 20)
  expect(all(({ silent }) => silent)).toEqual([])
  expect(all(({ strange }) => strange)).toEqual([])
  expect(
    all(({ told, found }) => (told && !found ? ['met by reading, and verify found nothing'] : [])),
  ).toEqual([])
  // Without verify, a commit whose id is damaged may be appended twice.
  expect(all(({ found, repeated }) => (found ? [] : repeated))).toEqual([])
}

/** Figures of many flips. */
export function summaryOf(outcomes: readonly Outcome[]): string {
  const count = (what: (outcome: Outcome) => boolean): number => outcomes.filter(what).length
  return (
    `${outcomes.length} flips: ${count(({ found }) => found)} found by opening or verify, ` +
    `${count(({ told }) => told)} met by reading, ${count(({ silent }) => silent.length > 0)} silent`
  )
}
