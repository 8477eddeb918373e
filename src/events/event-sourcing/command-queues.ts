import type { Clock, Timer } from '../../core/clock.js'
import { eventError } from '../errors.js'
import type { EventLog } from '../log.js'

/** How many commands may wait for their turn at one stream. */
const MOST_WAITING = 10_000
/** How long one command may keep the next from being tried, in ms. */
const TURN_MS = 2000

const queues = new WeakMap<EventLog, CommandQueues>()

/** Those of a log: repositories of one process share them, as they append to the same streams. */
export function queuesOf(log: EventLog): CommandQueues {
  let found = queues.get(log)
  if (!found) queues.set(log, (found = new CommandQueues()))
  return found
}

/** The commands to one stream, of which one is tried. */
interface Queue {
  /** What is tried now; another one when it has had its time. */
  turn: object
  waiting: (() => void)[]
  /** Ends the turn of a command that takes long, while others wait. */
  timer: Timer | undefined
}

/**
 * Lets the commands of one process to one stream be tried one after the other, as they came: at the same time all but one
 * of them would conflict. What is right does not hang on it, as that is for the expected revision to see to. So a command
 * that takes long holds the others up for a while only, and one that waits for another to the same stream, as from inside a
 * transform, goes on after that.
 */
class CommandQueues {
  readonly #queues = new Map<string, Queue>()

  /**
   * @throws `BANYAN_LOG_OVERLOADED`, the reason of the signal: it was not tried
   */
  async run<T>(
    stream: string,
    clock: Clock,
    signal: AbortSignal | undefined,
    task: () => Promise<T>,
  ): Promise<T> {
    signal?.throwIfAborted()
    let queue = this.#queues.get(stream)
    if (!queue) this.#queues.set(stream, (queue = { turn: {}, waiting: [], timer: undefined }))
    else await this.#wait(stream, queue, clock, signal)
    const { turn } = queue
    try {
      return await task()
    } finally {
      if (queue.turn === turn) this.#next(stream, queue, clock)
    }
  }

  #wait(stream: string, queue: Queue, clock: Clock, signal: AbortSignal | undefined): Promise<void> {
    const { waiting } = queue
    if (waiting.length >= MOST_WAITING)
      throw eventError(
        'BANYAN_LOG_OVERLOADED',
        `${waiting.length} commands wait for their turn at ${stream}; this one was not tried`,
      )
    return new Promise((resolve, reject) => {
      const begin = (): void => {
        signal?.removeEventListener('abort', giveUp)
        resolve()
      }
      const giveUp = (): void => {
        waiting.splice(waiting.indexOf(begin), 1)
        reject(signal!.reason as Error)
      }
      signal?.addEventListener('abort', giveUp, { once: true })
      waiting.push(begin)
      if (waiting.length === 1) this.#limitTurn(stream, queue, clock)
    })
  }

  #next(stream: string, queue: Queue, clock: Clock): void {
    queue.timer?.cancel()
    queue.timer = undefined
    queue.turn = {}
    const begin = queue.waiting.shift()
    if (!begin) {
      this.#queues.delete(stream)
      return
    }
    if (queue.waiting.length > 0) this.#limitTurn(stream, queue, clock)
    begin()
  }

  #limitTurn(stream: string, queue: Queue, clock: Clock): void {
    queue.timer?.cancel()
    queue.timer = clock.schedule(clock.now() + TURN_MS, () => {
      queue.timer = undefined
      this.#next(stream, queue, clock)
    })
  }
}
