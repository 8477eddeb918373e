import type {
  CoordinatorEntry,
  CoordinatorInput,
  CoordinatorOutput,
  CoordinatorState,
  Span,
} from './coordinator.js'

/** What was asked for, in words. */
export function inputWords(input: CoordinatorInput): string {
  const { op, key } = input
  switch (op) {
    case 'get':
      return `get ${key}`
    case 'put':
      return `put ${key} = ${JSON.stringify(input.value)}${expectedWords(input.expected)}${input.lease === undefined ? '' : ` with lease ${input.lease}`}`
    case 'delete':
      return `delete ${key}${expectedWords(input.expected)}`
    case 'expire':
      return `${key} vanishes with lease ${input.lease}`
  }
}

function expectedWords(expected: 'any' | 'absent' | number): string {
  if (expected === 'any') return ''
  return expected === 'absent' ? ' if absent' : ` if at ${expected}`
}

/** What came of it, in words. */
export function outputWords(output: CoordinatorOutput): string {
  switch (output.is) {
    case 'present':
      return entryWords(output)
    case 'absent':
      return 'absent'
    case 'done':
      return `done${output.revision === undefined ? '' : ` at ${output.revision}`}${createdWords(output.created)}`
    case 'conflict':
      if (typeof output.actual === 'object') return `conflict, is ${entryWords(output.actual)}`
      return `conflict, is ${output.actual === 'absent' ? 'absent' : `at ${output.actual}`}`
  }
}

function entryWords({ value, revision, created }: CoordinatorEntry): string {
  return `${JSON.stringify(value)} at ${revision}${createdWords(created)}`
}

function createdWords(created: number | undefined): string {
  return created === undefined ? '' : `, created at ${created}`
}

/** What is known of a key, in words. */
export function stateWords(state: CoordinatorState): string {
  if (state.is === 'absent')
    return state.above === 0 ? 'absent' : `absent, revisions up to ${state.above} are taken`
  const { value, revision, created = revision, lease } = state
  return `${JSON.stringify(value)} at ${spanWords(revision)}, created at ${spanWords(created)}${lease === undefined ? '' : `, with lease ${lease}`}`
}

function spanWords([min, max]: Span): string {
  if (min === max) return String(min)
  return max === Infinity ? `${min} or later` : `${min} to ${max}`
}
