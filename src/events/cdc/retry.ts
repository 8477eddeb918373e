import { categoryOf } from '../names.js'
import { eventsOf, streamOf, type Binding } from './mapping.js'
import type { ParkedChange } from './parking.js'
import type { Retried } from './status.js'
import { keyOrProblem, type KeyOrProblem, type Work } from './work.js'

/**
 * Tries parked rows again, in their order; the first of a stream that fails holds up the rest of that.
 *
 * @param streams - only those that wait for one of these; default all
 */
export async function retryRows(work: Work, streams?: ReadonlySet<string>): Promise<Retried> {
  const { state, parking, bindings, signal } = work
  const failed = new Set<string>()
  let released = 0
  for await (const row of parking.list()) {
    signal.throwIfAborted()
    if (failed.has(row.stream) || streams?.has(row.stream) === false) continue
    const binding = bindings.find(({ topic }) => topic === categoryOf(row.stream))
    const made = binding && (await eventsOfRow(work, binding, row))
    if (!made) {
      failed.add(row.stream)
      continue
    }
    const own = { stream: parking.stream, events: [parking.release(row.revision)] }
    await state.commit(made.events.length > 0 ? [made, own] : [own], state.state)
    parking.released(row.stream)
    released++
  }
  await parking.tidy()
  return { released, parked: parking.rows }
}

/** What a row becomes now; undefined if it still cannot be taken. */
async function eventsOfRow(
  { settings, state, parking, instruments }: Work,
  binding: Binding,
  { stream: lane, change }: ParkedChange,
): Promise<{ stream: string; events: ReturnType<typeof eventsOf> } | undefined> {
  try {
    const isKeyless = lane === binding.topic
    const { key, problem }: KeyOrProblem = isKeyless
      ? keyOrProblem(binding, binding.shape, change.row)
      : { key: change.key }
    if (problem !== undefined) throw new Error(problem)
    const stream = streamOf(binding.topic, key)
    if (isKeyless && parking.lastOf(stream)) throw new Error(`${stream} has rows of its own that are parked`)
    const events = eventsOf(settings.name, binding, { ...change, key })
    const refusal = events.length > 0 ? await state.probe([{ stream, events }]) : undefined
    if (refusal) throw refusal
    return { stream, events }
  } catch (error) {
    instruments.log(
      'warn',
      `a parked row of ${binding.name} still cannot be taken: ${(error as Error).message}`,
    )
    return undefined
  }
}
