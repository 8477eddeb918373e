import { partitionBy, UNKNOWN, type SequentialModel, type Step, type Unknown } from './model.js'
import {
  revisionIn,
  type CoordinatorEntry,
  type CoordinatorInput,
  type CoordinatorOperation,
  type CoordinatorOutput,
  type CoordinatorState,
  type Present,
  type Span,
} from './coordinator.js'
import { inputWords, outputWords, stateWords } from './coordinator-words.js'

type Put = Extract<CoordinatorInput, { op: 'put' }>
type Delete = Extract<CoordinatorInput, { op: 'delete' }>

/**
 * A key of a coordinator: a register with revisions that rise with every change, also over its absence, and that a put or delete can
 * expect. Each key is a part of its own. That revisions rise over all keys is the matter of `checkRevisions`.
 *
 * Revisions are whole numbers from 1. An unanswered put has a revision that nobody knows, higher than those before: what sees it first
 * settles it.
 *
 * A key of a lease may vanish once, at any time after it was first put with it. For that, `expire` is added to the history, without
 * an answer. A history that says itself when a lease can have ended has its own `expire`: called when it can have ended at the
 * earliest, and answered `done` if it certainly had ended by then.
 */
export const coordinatorModel: SequentialModel<CoordinatorState, CoordinatorInput, CoordinatorOutput> = {
  init: () => ({ is: 'absent', above: 0 }),
  step(state, input, output) {
    const next = after(state, input, output)
    return next ? { ok: true, state: next } : REFUSED
  },
  rank: (_input, output) => revisionIn(output),
  key(state) {
    if (state.is === 'absent') return `-${state.above}`
    const { value, revision, created, lease } = state
    return `${revision.join()} ${created?.join() ?? ''} ${lease === undefined ? '' : JSON.stringify(lease)} ${value}`
  },
  partition: (history) => byKey(withExpiries(history)),
  words: { input: inputWords, output: outputWords, state: stateWords },
}

const REFUSED: Step<never> = { ok: false }

const byKey = partitionBy(({ key }: CoordinatorInput) => key)

/** Adds the ends of leases that the history says nothing of. */
function withExpiries(history: readonly CoordinatorOperation[]): readonly CoordinatorOperation[] {
  const nameOf = (key: string, lease: string): string => JSON.stringify([key, lease])
  const told = new Set<string>()
  for (const { input } of history) if (input.op === 'expire') told.add(nameOf(input.key, input.lease))
  const ends = new Map<string, CoordinatorOperation>()
  for (const { input, called } of history) {
    if (input.op !== 'put' || input.lease === undefined) continue
    const { key, lease } = input
    const name = nameOf(key, lease)
    if (told.has(name) || called >= (ends.get(name)?.called ?? Infinity)) continue
    ends.set(name, { process: `lease ${lease}`, input: { op: 'expire', key, lease }, called })
  }
  return ends.size === 0 ? history : [...history, ...ends.values()]
}

/** The state after an operation, or nothing if it cannot have had this output. */
function after(
  state: CoordinatorState,
  input: CoordinatorInput,
  output: CoordinatorOutput | Unknown,
): CoordinatorState | undefined {
  switch (input.op) {
    case 'get':
      return output === UNKNOWN ? state : got(state, output)
    case 'put':
      if (output !== UNKNOWN && output.is === 'conflict') return refused(state, input, output.actual)
      return put(state, input, output)
    case 'delete':
      if (output !== UNKNOWN && output.is === 'conflict') return refused(state, input, output.actual)
      return deleted(state, input, output)
    case 'expire':
      if (state.is === 'present' && state.lease === input.lease)
        return { is: 'absent', above: state.revision[0] }
      return output === UNKNOWN ? undefined : state
  }
}

function got(state: CoordinatorState, output: CoordinatorOutput): CoordinatorState | undefined {
  if (output.is === 'absent') return state.is === 'absent' ? state : undefined
  return output.is === 'present' && state.is === 'present' ? having(state, output) : undefined
}

/** The state, if this can be what the key has. */
function having(state: Present, { value, revision, created }: CoordinatorEntry): Present | undefined {
  if (state.value !== value) return undefined
  const known = at(state, revision)
  return known && created !== undefined ? madeAt(known, created) : known
}

function put(
  state: CoordinatorState,
  { value, expected, lease }: Put,
  output: CoordinatorOutput | Unknown,
): CoordinatorState | undefined {
  if (output !== UNKNOWN && output.is !== 'done') return undefined
  const before = expecting(state, expected)
  if (!before) return undefined
  const revision = risen(before, output)
  if (!revision) return undefined
  const created = before.is === 'present' ? createdBefore(before, revision) : undefined
  if (before.is === 'present' && !created) return undefined
  const written: Present = {
    is: 'present',
    value,
    revision,
    ...(created && { created }),
    ...(lease !== undefined && { lease }),
  }
  const told = output === UNKNOWN ? undefined : output.created
  return told === undefined ? written : madeAt(written, told)
}

function deleted(
  state: CoordinatorState,
  { expected }: Delete,
  output: CoordinatorOutput | Unknown,
): CoordinatorState | undefined {
  if (output !== UNKNOWN && output.is !== 'done') return undefined
  const before = expecting(state, expected)
  if (!before) return undefined
  const told = output === UNKNOWN ? undefined : output.revision
  if (before.is === 'absent') return told === undefined ? before : undefined
  if (told !== undefined && told <= before.revision[0]) return undefined
  // An engine may not count deletions, so that one whose revision was not told may have had none.
  return { is: 'absent', above: told ?? before.revision[0] }
}

/** The state after a conflict: the same, but for what the conflict tells of it. */
function refused(
  state: CoordinatorState,
  { op, expected }: Put | Delete,
  actual: CoordinatorEntry | number | 'absent',
): CoordinatorState | undefined {
  const found = typeof actual === 'object' ? actual.revision : actual
  // What expects anything can only find nothing to delete.
  if (found === expected || (expected === 'any' && (op === 'put' || found !== 'absent'))) return undefined
  if (actual === 'absent') return state.is === 'absent' ? state : undefined
  if (state.is === 'absent') return undefined
  return typeof actual === 'object' ? having(state, actual) : at(state, actual)
}

/** The state, if it is as expected. */
function expecting(
  state: CoordinatorState,
  expected: 'any' | 'absent' | number,
): CoordinatorState | undefined {
  if (expected === 'any') return state
  if (expected === 'absent') return state.is === 'absent' ? state : undefined
  return state.is === 'present' ? at(state, expected) : undefined
}

/** The state, if the key can have been made at this revision. */
function madeAt(state: Present, revision: number): Present | undefined {
  if (!state.created) return at(state, revision)
  const created = narrow(state.created, revision, revision)
  return created && { ...state, created }
}

/** The state, if its revision can be this. */
function at(state: Present, revision: number): Present | undefined {
  const { revision: known, created } = state
  if (known[0] === known[1]) return known[0] === revision ? state : undefined
  const seen = narrow(known, revision, revision)
  if (!seen) return undefined
  if (!created) return { ...state, revision: seen }
  const earlier = narrow(created, 0, revision - 1)
  return earlier && { ...state, revision: seen, created: earlier }
}

/** The revision of a put after this state. */
function risen(before: CoordinatorState, output: CoordinatorOutput | Unknown): Span | undefined {
  const told = output !== UNKNOWN && output.is === 'done' ? output.revision : undefined
  const above = before.is === 'absent' ? before.above : before.revision[0]
  if (told !== undefined) return told > above ? [told, told] : undefined
  // What overwrites a revision that nobody saw has the same bound as without it: one state less to be looked at.
  const isSeen = before.is === 'absent' || before.revision[1] === above
  return [isSeen ? above + 1 : above, Infinity]
}

/** When the key was created that is put again, with this revision. */
function createdBefore({ revision, created }: Present, [, max]: Span): Span | undefined {
  return created ? narrow(created, 0, max - 2) : narrow(revision, 0, max - 1)
}

function narrow([min, max]: Span, from: number, to: number): Span | undefined {
  const span: Span = [Math.max(min, from), Math.min(max, to)]
  return span[0] <= span[1] ? span : undefined
}
