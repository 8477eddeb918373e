import { isDeepStrictEqual } from 'node:util'
import type { Runtime } from '../../core/runtime.js'
import { DeferredGauges } from './deferred-gauges.js'

/** What a part is made with. */
export interface PartContext {
  /** Time, chance and telemetry; gauges are shown once the part is in force. */
  readonly runtime: Runtime
  /** Registers how to give back what the part holds; called once, when no request can use the part any more. */
  readonly onClose: (close: () => void) => void
}

/**
 * Something of a gateway that outlives a change as long as what it was made from stays the same: a service, the
 * policies of a route. Its gauges are shown while it is in force; what it holds is given back when the last
 * generation that has it is over.
 */
export class Part<Value = unknown> {
  readonly value: Value
  readonly #basis: unknown
  readonly #gauges: DeferredGauges
  readonly #closers: readonly (() => void)[]
  #holders = 0
  #closed = false

  private constructor(
    value: Value,
    basis: unknown,
    gauges: DeferredGauges,
    closers: readonly (() => void)[],
  ) {
    this.value = value
    this.#basis = basis
    this.#gauges = gauges
    this.#closers = closers
  }

  /** @throws what `make` throws; nothing stays open then */
  static async make<Value>(
    basis: unknown,
    runtime: Runtime,
    make: (context: PartContext) => Value | Promise<Value>,
  ): Promise<Part<Value>> {
    const gauges = new DeferredGauges(runtime.telemetry)
    const closers: (() => void)[] = []
    const context: PartContext = {
      runtime: { ...runtime, telemetry: gauges },
      onClose: (close) => void closers.push(close),
    }
    try {
      return new Part(await make(context), basis, gauges, closers)
    } catch (error) {
      for (const close of closers) close()
      throw error
    }
  }

  /** Whether it would come out the same from that basis. */
  fits(basis: unknown): boolean {
    return isDeepStrictEqual(this.#basis, basis)
  }

  show(): void {
    this.#gauges.show()
  }

  hide(): void {
    this.#gauges.hide()
  }

  hold(): void {
    this.#holders++
  }

  release(): void {
    if (--this.#holders === 0) this.close()
  }

  /** Gives back what it holds, whoever has it. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.hide()
    for (const close of this.#closers) close()
  }
}

/** Collects the parts of a new generation, those of the one before wherever they fit. Nothing is in force yet. */
export class Assembly {
  readonly parts = new Map<string, Part>()
  readonly #runtime: Runtime
  readonly #previous: ReadonlyMap<string, Part>

  constructor(runtime: Runtime, previous: ReadonlyMap<string, Part>) {
    this.#runtime = runtime
    this.#previous = previous
  }

  /**
   * The part of that name: the one before if it was made from the same, else a new one.
   *
   * @param basis - everything that the part depends on; compared deeply
   * @param stillGood - what else must hold for the one before
   */
  async part<Value>(
    name: string,
    basis: unknown,
    make: (context: PartContext, before: Value | undefined) => Value | Promise<Value>,
    stillGood: (value: Value) => boolean = () => true,
  ): Promise<Value> {
    const before = this.#previous.get(name) as Part<Value> | undefined
    const part =
      before?.fits(basis) === true && stillGood(before.value)
        ? before
        : await Part.make(basis, this.#runtime, (context) => make(context, before?.value))
    this.parts.set(name, part)
    return part.value
  }

  /** Gives up: closes what was made anew. */
  discard(): void {
    for (const [name, part] of this.parts) if (this.#previous.get(name) !== part) part.close()
  }
}
