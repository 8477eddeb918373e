import {
  revisionIn,
  type CoordinatorInput,
  type CoordinatorOperation,
  type CoordinatorOutput,
} from './coordinator.js'
import { inputWords, outputWords } from './coordinator-words.js'
import { isAnswered, type AnsweredOperation } from './operation.js'

/** A revision that an operation was told. */
interface Told {
  readonly revision: number
  readonly operation: AnsweredOperation<CoordinatorInput, CoordinatorOutput>
}

/**
 * Says whether revisions rise over all keys, which `coordinatorModel` cannot see, as it looks at each key by itself: no two changes
 * have the same, and a change has a higher one than all that anybody had been told before it was called. Not for histories of a
 * store that changes several keys at one revision.
 *
 * @returns what is wrong, one line each; empty if nothing is
 */
export function checkRevisions(history: readonly CoordinatorOperation[]): string[] {
  const told: Told[] = []
  for (const operation of history) {
    if (!isAnswered(operation)) continue
    const revision = revisionIn(operation.output)
    if (revision !== undefined) told.push({ revision, operation })
  }
  const changes = told.filter(({ operation }) => operation.output.is === 'done')
  return [...findTwice(changes), ...findLate(changes, told)]
}

function findTwice(changes: readonly Told[]): string[] {
  const found: string[] = []
  const first = new Map<number, Told>()
  for (const change of changes) {
    const other = first.get(change.revision)
    if (other) found.push(`one revision for two changes: ${words(other)}; and ${words(change)}`)
    else first.set(change.revision, change)
  }
  return found
}

function findLate(changes: readonly Told[], told: readonly Told[]): string[] {
  const found: string[] = []
  const byReturn = told.toSorted((a, b) => a.operation.returned - b.operation.returned)
  let highest: Told | undefined
  let next = 0
  for (const change of changes.toSorted((a, b) => a.operation.called - b.operation.called)) {
    for (; next < byReturn.length; next++) {
      const known = byReturn[next]!
      if (known.operation.returned >= change.operation.called) break
      if (!highest || known.revision > highest.revision) highest = known
    }
    if (highest && change.revision <= highest.revision)
      found.push(`not above a revision that was known before: ${words(change)}; after ${words(highest)}`)
  }
  return found
}

function words({ operation: { process, input, output, called, returned } }: Told): string {
  return `${inputWords(input)} -> ${outputWords(output)} by ${process} (${ms(called)} to ${ms(returned)} ms)`
}

function ms(time: number): number {
  return Math.round(time * 1000) / 1000
}
