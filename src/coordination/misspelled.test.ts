import { describe, expect, it } from 'vitest'
import { processes } from '../../test/support/coordinators.js'
import { openLog } from '../events/index.js'
import {
  coordinatorFences,
  elect,
  fenced,
  fencedPut,
  forceUnlock,
  lock,
  pauseJob,
  requestDrain,
  requestHandOver,
  triggerJob,
  type Claim,
} from './index.js'

const invalid = (message: string): unknown =>
  expect.objectContaining({
    code: 'BANYAN_INVALID_OPTIONS',
    message: expect.stringContaining(message) as string,
  })

describe('what is misspelled', () => {
  it('takes no lock from anybody', async () => {
    const coordinator = processes().open()
    const held = await lock(coordinator, 'x').acquire()
    await expect(forceUnlock(coordinator, 'x', { tokn: held.token } as object)).rejects.toEqual(
      invalid('forceUnlock: tokn is not an option, did you mean `token`?'),
    )
    expect(await forceUnlock(coordinator, 'x', { token: held.token + 1 })).toEqual([])
    expect(held.held).toBe(true)
  })

  it('asks nobody to hand over, drain, run or pause', async () => {
    const { clock, open } = processes()
    const coordinator = open()
    const election = elect(coordinator, 'x')
    await clock.advance(1)
    const given = { too: 'b', bye: 'ada' } as object
    await expect(election.handOver(given)).rejects.toEqual(invalid('too is not an option'))
    await expect(requestHandOver(coordinator, 'x', given)).rejects.toEqual(invalid('too is not an option'))
    await expect(requestDrain(coordinator, 'x', 'y', given)).rejects.toEqual(invalid('did you mean `by`'))
    await expect(triggerJob(coordinator, 'x', given)).rejects.toEqual(invalid('did you mean `by`'))
    await expect(pauseJob(coordinator, 'x', given)).rejects.toEqual(invalid('did you mean `by`'))
    expect(election.term?.held).toBe(true)
    await election.close()
  })

  it.each([
    [{ name: 'x', token: 1, foo: 1 }, 'a fence: foo is not an option'],
    [{ name: 'x', token: { token: 1, check: 5 } }, '`check` of what is held'],
  ])('is no claim: %o', async (given, said) => {
    const claim = given as Claim
    await using log = await openLog('memory:')
    expect(() => fenced(log, claim)).toThrow(invalid(said))
    await expect(coordinatorFences(processes().open()).raise(claim)).rejects.toEqual(invalid(said))
  })

  it('puts nothing as if anything were expected', async () => {
    const coordinator = processes().open()
    const put = fencedPut(coordinator, 'a', 'one', { token: 1, expected: undefined } as never)
    await expect(put).rejects.toEqual(invalid('expected must be'))
    expect(await coordinator.get('a')).toBeUndefined()
  })
})
