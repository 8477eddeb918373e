import type { Clock } from '../../core/clock.js'

/** How many turns of the event loop a call may take: as many as a virtual clock gives to what waits for no time. */
const MOST_TURNS = 100

/**
 * Has virtual time stand still for a call, by a timer that is due now and so comes before all others.
 *
 * @param what - is called, for the message
 * @param isReal - told when the call waits for something else than turns of the event loop
 */
export async function inMemory(
  clock: Clock,
  what: string,
  work: () => unknown,
  isReal: (error: Error) => void,
): Promise<unknown> {
  let turns = 0
  const turn = (): void => {
    if (++turns <= MOST_TURNS) timer = clock.schedule(clock.now(), turn)
    else
      isReal(
        new Error(
          `${what} waits for something real: it has not settled after ${MOST_TURNS} turns of the event loop, and no fault was chosen for that. Time is virtual here: have it work on something in memory`,
        ),
      )
  }
  let timer = clock.schedule(clock.now(), turn)
  try {
    return await work()
  } finally {
    timer.cancel()
  }
}
