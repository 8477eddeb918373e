import type { Clock } from '../../core/clock.js'
import { duration, type Duration } from '../../core/duration.js'
import type { Random } from '../../core/random.js'
import type { Changes } from '../../coordination/coordinator.js'
import type { CoordinatorDriver } from '../../coordination/driver.js'
import { FaultyRequests } from '../faulty-requests.js'

/** What {@link faultyCoordinator} does. Probabilities are from 0 to 1, and of each request. */
export interface CoordinatorFaults {
  /** The longest time a request is on its way, and its answer as well; default `'20ms'`. */
  delay?: Duration
  /** A change is refused with `BANYAN_COORDINATOR_UNAVAILABLE`, before anything was done; default 0.05. */
  refuse?: number
  /**
   * The answer to a change is lost: it was done, or was not, or is done later, or now and again later; the caller gets
   * `BANYAN_OUTCOME_UNKNOWN`; default 0.05.
   */
  loseAnswer?: number
  /** A read, a grant or a renewal fails with `BANYAN_COORDINATOR_UNAVAILABLE`, though it may have been done; default 0.05. */
  failRead?: number
  /** A watch says that nothing was missed, without a change; default 0.1. */
  wakeForNothing?: number
  /** From this request on nothing comes through for a while; default 0.01. */
  cut?: number
  /** The longest such while; default `'5s'`. */
  cutTime?: Duration
}

const DEFAULTS = {
  delay: '20ms',
  refuse: 0.05,
  loseAnswer: 0.05,
  failRead: 0.05,
  wakeForNothing: 0.1,
  cut: 0.01,
  cutTime: '5s',
} satisfies CoordinatorFaults

/** Options of {@link faultyCoordinator}. */
export interface FaultyCoordinatorOptions {
  /** Where chance comes from: a seeded source makes it the same each time. */
  random: Random
  /** Where time comes from. */
  clock: Clock
  /** What goes wrong, how often; see {@link CoordinatorFaults} for the defaults. */
  faults?: CoordinatorFaults
  /** Whether anything goes wrong now; default always. */
  active?: () => boolean
  /** Told what happens, in a few words. */
  note?: (text: string) => void
}

/**
 * A coordinator that fails as those over a network do: late answers, answers that are lost after the work was done, work that is
 * done after its sender has given up, and times without any contact. It never breaks a law of the port: what comes through it
 * is what a user of any driver must live with.
 */
export function faultyCoordinator(
  driver: CoordinatorDriver,
  options: FaultyCoordinatorOptions,
): CoordinatorDriver {
  const rates = { ...DEFAULTS, ...options.faults } as typeof DEFAULTS
  const { wakeForNothing } = rates
  const times = { delay: duration(rates.delay), cutTime: duration(rates.cutTime) }
  const faults = new FaultyRequests({ ...rates, ...times }, options)
  const putAndList = driver.putAndList?.bind(driver)
  return {
    capabilities: driver.capabilities,
    get: (key) => faults.ask(`get ${key}`, () => driver.get(key)),
    list: (prefix) => faults.ask(`list ${prefix}`, () => driver.list(prefix)),
    head: () => faults.ask('head', () => driver.head()),
    grant: (ttl) => faults.ask('grant', () => driver.grant(ttl)),
    renew: (leases, within) => faults.ask(`renew ${leases.join(', ')}`, () => driver.renew(leases, within)),
    revoke: (lease) => faults.ask(`revoke ${lease}`, () => driver.revoke(lease)),
    put: (key, value, expected, lease) =>
      faults.change(`put ${key}, expected ${expected}`, () => driver.put(key, value, expected, lease)),
    ...(putAndList && {
      putAndList: (key, value, expected, lease, prefix) =>
        faults.change(`put ${key}, expected ${expected}, list ${prefix}`, () =>
          putAndList(key, value, expected, lease, prefix),
        ),
    }),
    delete: (key, expected) => faults.change(`delete ${key}`, () => driver.delete(key, expected)),
    watch: (prefix, after, signal) =>
      late(faults, driver.watch(prefix, after, signal), { after, signal, wakeForNothing }),
    close: () => driver.close(),
  }
}

/** The same groups, late, and with some that have nothing new. */
async function* late(
  faults: FaultyRequests,
  groups: AsyncIterable<Changes>,
  { after, signal, wakeForNothing }: { after: number; signal: AbortSignal; wakeForNothing: number },
): AsyncGenerator<Changes, void, undefined> {
  let revision = after
  for await (const group of groups) {
    await faults.arrives()
    if (signal.aborted) return
    if (faults.happens(wakeForNothing)) yield { revision, changes: [] }
    revision = group.revision
    yield group
  }
}
