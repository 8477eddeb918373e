import { systemClock, type Clock } from '../../core/clock.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import type { Operation } from './operation.js'

/** Options of {@link recordHistory}. */
export interface RecordHistoryOptions {
  /**
   * Whether an error says that nothing was done, nor will be: such a call is left out of the history. All others may have taken
   * effect, or may later. Default: no error says so.
   */
  nothingDone?: (error: unknown) => boolean
}

const OPTIONS: OptionTable<RecordHistoryOptions> = {
  nothingDone: { kind: 'code', type: 'function', doc: 'whether an error says that nothing was done' },
}

/** Makes calls, and keeps when they were made and what came of them. */
export interface RecordedOperations<Input, Output> {
  /**
   * Makes a call. If it throws, its outcome is unknown, unless `nothingDone` says otherwise.
   *
   * @param process - who calls
   * @param input - what is asked for, in the words of the model
   * @param outputOf - what the call resolves to, in the words of the model; needed if it is not so itself
   * @returns what the call resolves to
   * @throws what the call throws
   */
  run<Answer extends Output>(
    process: string,
    input: Input,
    call: () => PromiseLike<Answer> | Answer,
  ): Promise<Answer>
  run<Answer>(
    process: string,
    input: Input,
    call: () => PromiseLike<Answer> | Answer,
    outputOf: (answer: Answer) => Output,
  ): Promise<Answer>

  /** The history up to now; the outcome of what is under way is unknown. */
  readonly operations: readonly Operation<Input, Output>[]
}

/** Apart by so much, in ms, are two moments at which the clock says the same; less than clocks tell apart. */
const INSTANT = 1e-6

/**
 * Records calls for {@link checkLinearizability}. What happens in one process happens in some order, also where its clock stands
 * still: moments at the same time are a millionth of a millisecond apart, so that the checker knows which came first.
 *
 * @param clock - default the clock of the process. For histories of several processes, one that they share:
 *   `{ now: () => Number(process.hrtime.bigint()) / 1e6 }` on one machine
 */
export function recordHistory<Input, Output>(
  clock: Pick<Clock, 'now'> = systemClock,
  options: RecordHistoryOptions = {},
): RecordedOperations<Input, Output> {
  checkOptions('recordHistory', OPTIONS, options)
  const { nothingDone = () => false } = options
  const operations = new Map<number, Operation<Input, Output>>()
  let calls = 0
  let last = -1
  const moment = (): number => {
    // Of large times the next number that there is.
    last = Math.max(clock.now(), last + INSTANT, last * (1 + Number.EPSILON))
    return last
  }
  return {
    async run<Answer>(
      process: string,
      input: Input,
      call: () => PromiseLike<Answer> | Answer,
      outputOf: (answer: Answer) => Output = (answer) => answer as unknown as Output,
    ): Promise<Answer> {
      const id = calls++
      const called = moment()
      operations.set(id, { process, input, called })
      let answer: Answer
      try {
        answer = await call()
      } catch (error) {
        if (nothingDone(error)) operations.delete(id)
        throw error
      }
      const returned = moment()
      operations.set(id, { process, input, output: outputOf(answer), called, returned })
      return answer
    },
    get operations() {
      return Array.from(operations.values())
    },
  }
}
