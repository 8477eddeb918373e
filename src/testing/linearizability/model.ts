import type { Operation } from './operation.js'

/** Stands for the output of an operation whose outcome nobody knows. */
export const UNKNOWN: unique symbol = Symbol('unknown')

/** The type of {@link UNKNOWN}. */
export type Unknown = typeof UNKNOWN

/** What an operation makes of a state; not `ok` if it cannot have had this output there. */
export type Step<State> = { readonly ok: true; readonly state: State } | { readonly ok: false }

/**
 * What a thing does when it is used by one caller at a time. All of it is pure: states are never changed.
 *
 * The model of a register:
 *
 * ```ts
 * const register: SequentialModel<number, { set: number } | 'get', number | undefined> = {
 *   init: () => 0,
 *   step: (value, input, output) => {
 *     if (input !== 'get') return { ok: true, state: input.set }
 *     return output === value || output === UNKNOWN ? { ok: true, state: value } : { ok: false }
 *   },
 *   key: String,
 * }
 * ```
 */
export interface SequentialModel<State, Input, Output> {
  /** The state before the first operation. */
  init(): State

  /**
   * Says whether an operation can have had this output in this state, and what state it leaves.
   *
   * @param output - {@link UNKNOWN} if nobody knows it. The step then says what becomes of the state if the operation took
   *   effect. That it never did is tried anyway, so what had no effect may just leave the state, or be not `ok`.
   */
  step(state: State, input: Input, output: Output | Unknown): Step<State>

  /**
   * How far the thing had come when an operation took effect, if its answer tells: a version, an offset. Operations take effect in
   * the order of their ranks, those of one rank in any. This must follow from `step`; it only saves work, and a lot of it where many
   * use one thing at the same time. Default: nothing is known.
   */
  rank?(input: Input, output: Output): number | undefined

  /** The same text for states that behave the same from here on, and for no others. */
  key(state: State): string

  /**
   * Takes a history apart where its parts have nothing to do with each other: a history of many keys is linearizable exactly if
   * that of each key is, and the work grows with the longest part only. Default: one part. See {@link partitionBy}.
   *
   * @returns each part with its name
   */
  partition?(
    history: readonly Operation<Input, Output>[],
  ): Iterable<readonly [name: string, operations: readonly Operation<Input, Output>[]]>

  /** Words for evidence; default as Node prints values. */
  readonly words?: {
    input?(input: Input): string
    output?(output: Output): string
    state?(state: State): string
  }
}

/**
 * A `partition` of {@link SequentialModel} by what the input names.
 *
 * @param name - the name of the part that an operation belongs to: its key, most often
 */
export function partitionBy<Input>(name: (input: Input) => string) {
  return <Output>(history: readonly Operation<Input, Output>[]): Map<string, Operation<Input, Output>[]> => {
    const parts = new Map<string, Operation<Input, Output>[]>()
    for (const operation of history) {
      const key = name(operation.input)
      const part = parts.get(key)
      if (part) part.push(operation)
      else parts.set(key, [operation])
    }
    return parts
  }
}
