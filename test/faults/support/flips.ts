import { expect } from 'vitest'
import { BanyanError } from '../../../src/core/errors.js'
import { openLog, type EventLog, type LogSpec } from '../../../src/events/index.js'
import { problems } from './judge.js'
import type { Choices } from './choices.js'
import { inspect, inspectStreams, repeatAll, type Truth } from './truth.js'

/** What came of one flip. */
export interface Outcome {
  readonly about: string
  /** Wrong or missing, without a word. */
  readonly silent: readonly string[]
  /** What of that was an event other than it had been appended. */
  readonly changed: readonly string[]
  readonly other: readonly string[]
  readonly strange: readonly string[]
  /** What errors of reads said. */
  readonly told: readonly string[]
  /** Opening or `verify` said so. */
  readonly found: boolean
  /** Wrong without a word where no event is read: revisions, lists of streams, commits that are appended once more. */
  readonly untold: readonly string[]
}

/** Flips a bit; mostly not where there is nothing. */
export function flipBit(original: Buffer, choices: Choices): { bytes: Buffer; about: string } {
  const bytes = Buffer.from(original)
  let at = choices.below(bytes.length)
  for (let tries = 0; bytes[at] === 0 && tries < 20; tries++) at = choices.below(bytes.length)
  const bit = choices.below(8)
  bytes[at]! ^= 1 << bit
  return { bytes, about: `bit ${bit} of byte ${at}` }
}

/** Opens a damaged log, reads it in every way, verifies it, and appends everything once more. */
export async function tryOut(where: string | LogSpec, truth: Truth, about: string): Promise<Outcome> {
  let log: EventLog
  try {
    log = await openLog(where)
  } catch (error) {
    const named =
      error instanceof BanyanError && ['BANYAN_LOG_CORRUPT', 'BANYAN_LOG_FORMAT'].includes(error.code)
    const strange = named ? [] : [`opening: ${String(error)}`]
    return { about, silent: [], changed: [], other: [], strange, told: [], found: true, untold: [] }
  }
  const seen = [await inspect(log, truth), await inspectStreams(log, truth)]
  const found = await verified(log)
  seen.push(await repeatAll(log, truth))
  await log.close()
  const other = seen.flatMap((each) => each.other)
  const [read, ...indexes] = seen
  return {
    about,
    silent: read!.silent,
    changed: read!.changed,
    other,
    strange: seen.flatMap(({ strange }) => strange),
    told: [...read!.told.map(({ message }) => message), ...read!.other],
    found,
    untold: indexes.flatMap(({ silent }) => silent),
  }
}

/** Whether `verify` finds something wrong, or cannot go on. */
async function verified(log: EventLog): Promise<boolean> {
  try {
    return (await problems(log)).length > 0
  } catch (error) {
    if (error instanceof BanyanError) return true
    throw error
  }
}

/** No event was given that is not what was appended, and no error that is not one of the log. */
export function expectNothingChanged(outcomes: readonly Outcome[]): void {
  expect(list(outcomes, ({ changed }) => changed)).toEqual([])
  expect(list(outcomes, ({ strange }) => strange)).toEqual([])
}

/** Nothing was missing or wrong without an error that says that the log is damaged. */
export function expectNothingSilent(outcomes: readonly Outcome[]): void {
  expect(list(outcomes, ({ silent }) => silent)).toEqual([])
  expect(list(outcomes, ({ other }) => other)).toEqual([])
}

/** What was missing without a word, and commits that were not known any more, are found by `verify`. */
export function expectVerifyFinds(outcomes: readonly Outcome[]): void {
  expect(list(outcomes, ({ found, silent, untold }) => (found ? [] : [...silent, ...untold]))).toEqual([])
}

/** Whatever an error was met for is found by `verify`. */
export function expectVerifyFindsAll(outcomes: readonly Outcome[]): void {
  expectVerifyFinds(outcomes)
  expect(list(outcomes, ({ found, told }) => (found ? [] : told))).toEqual([])
}

/** The first of many. */
function list(outcomes: readonly Outcome[], what: (outcome: Outcome) => readonly string[]): string[] {
  return outcomes.flatMap((outcome) => what(outcome).map((each) => `${outcome.about}: ${each}`)).slice(0, 20)
}
