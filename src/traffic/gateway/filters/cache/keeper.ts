import type { Clock } from '../../../../core/clock.js'
import type { Fields } from '../../../http/fields.js'
import type { UpstreamAnswer } from '../../answer.js'
import { selectingFields } from '../../semantics/variants.js'
import { CachedAnswer, keptFields, keptHead, type Term } from './cached-answer.js'
import type { Flight } from './flight.js'
import type { Flights } from './flights.js'
import type { Lookup } from './lookup.js'
import { Recording, Room } from './recording.js'
import { ageOnArrival, freshnessOf, type Freshness } from './rules.js'
import type { CacheSettings } from './settings.js'
import type { AnswerStore } from './store.js'

/** What a 304 has put an end to. */
const ENDED: Freshness = { lifetime: 0, staleWhileRevalidate: 0, staleIfError: 0, forAuthorized: false }

/** Puts answers of the service into the store, as far as they may be kept. */
export class Keeper {
  readonly #store: AnswerStore
  readonly #flights: Flights
  readonly #settings: CacheSettings
  readonly #clock: Clock
  readonly #room: Room

  constructor(store: AnswerStore, flights: Flights, settings: CacheSettings, clock: Clock) {
    this.#store = store
    this.#flights = flights
    this.#settings = settings
    this.#clock = clock
    this.#room = new Room(settings.receivingBytes)
  }

  /**
   * Keeps an answer while it passes; its fetch is over when it is here in full, or turns out not to be kept.
   *
   * @returns the answer for the client; `undefined` if it must not be kept, which leaves it as it is
   */
  keep(
    answer: UpstreamAnswer,
    lookup: Lookup,
    flight: Flight,
    requestedAt: number,
  ): UpstreamAnswer | undefined {
    const { key, sent, asker } = lookup
    const { defaults, entryBytes } = this.#settings
    const receivedAt = this.#clock.wall()
    const freshness = freshnessOf(answer.status, answer.fields, asker, defaults, receivedAt)
    const names = selectingFields(answer.fields)
    const body = answer.open()
    const length = body.ended ? body.heldBytes : (body.length ?? 0)
    if (flight.outdated || !freshness || !names || length > entryBytes) return undefined
    const fields = keptFields(answer.fields, receivedAt)
    const term = termOf(freshness, answer.fields, requestedAt, receivedAt)
    const recording = new Recording(body, entryBytes, this.#room, (recorded) => {
      if (recorded.kind !== 'whole') {
        this.#flights.end(flight, { kind: recorded.kind === 'broken' ? 'abandoned' : 'unshared' })
        return
      }
      const head = keptHead(answer.head, fields, recorded.data.length)
      const kept = new CachedAnswer(head, fields, recorded.data, term)
      // A write may have been seen meanwhile.
      if (!flight.outdated) this.#store.put(key, names, sent, kept)
      this.#flights.end(flight, { kind: 'stored' })
    })
    recording.start()
    return answer.withBody(recording.body)
  }

  /** What is kept, as fresh as the 304 that has confirmed it. */
  confirm(
    kept: CachedAnswer,
    answer: UpstreamAnswer,
    lookup: Lookup,
    flight: Flight,
    requestedAt: number,
  ): CachedAnswer {
    const { key, sent, asker } = lookup
    const receivedAt = this.#clock.wall()
    const fields = kept.confirmedBy(keptFields(answer.fields, receivedAt))
    const freshness = freshnessOf(kept.status, fields, asker, this.#settings.defaults, receivedAt)
    const confirmed = kept.with(fields, termOf(freshness ?? ENDED, answer.fields, requestedAt, receivedAt))
    const names = selectingFields(confirmed.fields)
    this.#store.drop(key, kept)
    if (freshness && names && !flight.outdated) this.#store.put(key, names, sent, confirmed)
    return confirmed
  }
}

function termOf(freshness: Freshness, fields: Fields, requestedAt: number, receivedAt: number): Term {
  return { freshness, requestedAt, ageOnArrival: ageOnArrival(fields, receivedAt) }
}
