import { createHash } from 'node:crypto'
import { BanyanError } from '../../../core/errors.js'
import { causedBy } from '../../caused-by.js'
import { eventError, isPassing } from '../../errors.js'
import type { EventLog, Metadata, RecordedEvent } from '../../log.js'
import type { RunnableSaga } from '../execution.js'
import { given, type SagaContext } from '../definition.js'
import { retryable, terminal } from '../failure.js'
import { MAX_ID_BYTES } from '../names.js'
import type { EventPlace } from '../records.js'
import type { AnyPolicy } from './policy.js'

/** The only step of a reaction. */
const STEP = 'react'

/** Of a reaction: the name of its policy, and the id of the event, or a hash of it if that is too long. */
export function reactionId(policy: string, eventId: string): string {
  const id = `${policy}/${eventId}`
  if (Buffer.byteLength(id) <= MAX_ID_BYTES) return id
  return `${policy}/${createHash('sha256').update(eventId).digest('base64url')}`
}

/** What a policy does with one event, as a saga of one step that is parked instead of undone. */
export function reactionsOf(policy: AnyPolicy, log: EventLog): RunnableSaga {
  const { name, where } = policy
  return {
    name,
    ...given(policy),
    parks: true,
    run: (place: EventPlace, { id, step }: SagaContext) =>
      step(STEP, async (context) => {
        const event = await eventAt(log, place).catch((error: unknown) => {
          // Nothing was done yet, whatever it is.
          throw error instanceof BanyanError && !isPassing(error) ? terminal(error) : retryable(error)
        })
        // It may not have been readable when it was started, or be wanted no more.
        if (where && !isWanted(where, event)) return
        const { idempotencyKey, attempt } = context
        await policy.run(event, {
          ...{ id, idempotencyKey, attempt },
          metadata: causedBy(event, { policy: name }),
          get signal() {
            return context.signal
          },
        })
      }),
  }
}

/** @throws a terminal failure if that says neither yes nor no */
export function isWanted(where: (event: RecordedEvent) => unknown, event: RecordedEvent): boolean {
  let answer: unknown
  try {
    answer = where(event)
  } catch (error) {
    throw terminal(new Error(`its where function has thrown ${String(error)}`, { cause: error }))
  }
  if (answer instanceof Promise) {
    answer.catch(() => undefined)
    throw terminal('its where function gave a promise, and has to say yes or no at once')
  }
  return Boolean(answer)
}

/** What is known of a reaction from its first event on. Who did it stays with the event, where it can be erased. */
export function metadataOf(event: RecordedEvent): Metadata {
  const metadata = causedBy(event)
  delete metadata.actor
  return metadata
}

/** @throws `BANYAN_EVENT_REMOVED`, and what `read` throws */
async function eventAt(log: EventLog, { stream, revision }: EventPlace): Promise<RecordedEvent> {
  const options = { fromRevision: revision, toRevision: revision }
  for await (const event of log.read({ stream }, options)) return event
  throw eventError(
    'BANYAN_EVENT_REMOVED',
    `the event ${stream}@${revision} that it reacts to was truncated: cancel it, or do it by hand and skip it`,
  )
}
