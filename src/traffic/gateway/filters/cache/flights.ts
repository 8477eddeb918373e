import type { Clock } from '../../../../core/clock.js'
import { Flight, type Outcome } from './flight.js'

/** For how long requests for a resource whose answers cannot be shared do not wait for each other, in ms. */
const UNSHARED_FOR = 10_000

/** Resources that are remembered to be so. */
const UNSHARED = 1_000

/** The fetches of a cache that are under way. */
export class Flights {
  readonly #clock: Clock
  /** Those that others may wait for, by resource and selection. */
  readonly #shared = new Map<string, Flight>()
  /** All of them by resource, so that a write makes them outdated. */
  readonly #all = new Map<string, Set<Flight>>()
  /** Resources whose answers could not be shared, and until when that is believed. */
  readonly #unshared = new Map<string, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The fetch that a request may wait for. */
  get(flightKey: string): Flight | undefined {
    return this.#shared.get(flightKey)
  }

  /** @param flightKey - what others find it by; without one nobody does */
  begin(key: string, flightKey: string | undefined): Flight {
    const flight = new Flight(key, flightKey)
    if (flightKey !== undefined) this.#shared.set(flightKey, flight)
    this.#all.set(key, (this.#all.get(key) ?? new Set()).add(flight))
    return flight
  }

  end(flight: Flight, outcome: Outcome): void {
    const others = this.#all.get(flight.key)
    others?.delete(flight)
    if (others?.size === 0) this.#all.delete(flight.key)
    this.#hide(flight)
    flight.end(outcome)
  }

  /** What is being read of such resources was read too early: nobody who comes from now on must wait for it. */
  outdate(key: string): void {
    for (const flight of this.#all.get(key) ?? []) {
      flight.outdated = true
      this.#hide(flight)
    }
  }

  outdateAll(matches: (key: string) => boolean): void {
    for (const key of this.#all.keys()) if (matches(key)) this.outdate(key)
  }

  /** Whether waiting for each other would only make requests for that resource slower. */
  isUnshared(key: string): boolean {
    const until = this.#unshared.get(key)
    if (until === undefined) return false
    if (until > this.#clock.now()) return true
    this.#unshared.delete(key)
    return false
  }

  noteShared(key: string): void {
    this.#unshared.delete(key)
  }

  noteUnshared(key: string): void {
    this.#unshared.delete(key)
    this.#unshared.set(key, this.#clock.now() + UNSHARED_FOR)
    if (this.#unshared.size > UNSHARED) this.#unshared.delete(this.#unshared.keys().next().value!)
  }

  #hide(flight: Flight): void {
    const { flightKey } = flight
    if (flightKey !== undefined && this.#shared.get(flightKey) === flight) this.#shared.delete(flightKey)
  }
}
