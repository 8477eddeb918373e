import { inspect } from 'node:util'
import type { Timer } from '../../core/clock.js'
import type { Runtime } from '../../core/runtime.js'
import type { Metadata } from '../log.js'
import type { Call as CallSettings, StepContext } from './definition.js'
import { SagaFailure, classOf, infoOf, isClass, type FailureClass } from './failure.js'
import type { Direction } from './records.js'

/** What came of a call. */
export interface Fact {
  readonly op: number
  readonly direction: Direction
  /** ms since the epoch */
  readonly at: number
  /** `none`: it was not called, as it is not wanted any more. */
  readonly result:
    | { readonly is: 'done'; readonly value: unknown }
    | { readonly is: 'failed'; readonly error: unknown; readonly class: FailureClass }
    | { readonly is: 'none' }
}

/** What is called, and how. */
export interface CallOf extends Pick<CallSettings, 'timeout' | 'classify'> {
  readonly op: number
  readonly direction: Direction
  readonly idempotencyKey: string
  readonly attempt: number
  readonly metadata: () => Metadata
  /** ms to wait before. */
  readonly wait: number
  readonly call: (context: StepContext) => unknown
}

/** One try of a step or of its compensation. */
export class Call {
  readonly fact: Promise<Fact>
  readonly #of: CallOf
  readonly #runtime: Runtime
  /** Made when somebody asks: most steps do not. */
  #abort: AbortController | undefined
  #aborted: SagaFailure | undefined
  #settle!: (fact: Fact) => void
  #timer: Timer | undefined
  #hasBegun = false
  #hasEnded = false
  #isAbandoned = false

  constructor(of: CallOf, runtime: Runtime) {
    this.#of = of
    this.#runtime = runtime
    this.fact = new Promise((resolve) => (this.#settle = resolve))
    if (of.wait > 0) this.#after(of.wait, () => this.#begin())
    else this.#begin()
  }

  /** It is not wanted any more: its signal aborts, and what it says then counts. What has not begun never does. */
  cancel(why: string): void {
    if (!this.#hasBegun) this.#end({ is: 'none' })
    else this.#stop(new SagaFailure('cancelled', why))
  }

  /** Nobody looks at what comes of it. */
  abandon(why: string): void {
    this.#isAbandoned = true
    this.#timer?.cancel()
    this.#stop(new SagaFailure('cancelled', why))
  }

  get #signal(): AbortSignal {
    this.#abort ??= new AbortController()
    if (this.#aborted) this.#abort.abort(this.#aborted)
    return this.#abort.signal
  }

  #stop(why: SagaFailure): void {
    this.#aborted ??= why
    this.#abort?.abort(why)
  }

  #begin(): void {
    const { idempotencyKey, attempt, metadata, timeout, call } = this.#of
    this.#hasBegun = true
    this.#after(timeout, () => {
      const error = new SagaFailure('unknown', `it has not answered within ${timeout} ms`)
      this.#end({ is: 'failed', error, class: 'unknown' })
      this.#stop(error)
    })
    const context = new Context(idempotencyKey, attempt, metadata, () => this.#signal)
    void new Promise((resolve) => resolve(call(context))).then(
      (value) => this.#end({ is: 'done', value }),
      (error: unknown) => {
        // What is thrown because it was cancelled says nothing of what was done.
        const kind = this.#classOf(error)
        const isCancelled = this.#aborted !== undefined && kind === 'unknown'
        this.#end({ is: 'failed', error, class: isCancelled ? 'cancelled' : kind })
      },
    )
  }

  #classOf(error: unknown): FailureClass {
    const { classify, idempotencyKey } = this.#of
    let why: string
    try {
      const given: unknown = classify?.(error)
      if (given === undefined) return classOf(error)
      if (isClass(given)) return given
      why = `gives ${inspect(given)}, which is no class of failures`
    } catch (thrown) {
      why = `has thrown: ${infoOf(thrown).message}`
    }
    this.#runtime.telemetry.log(
      'error',
      `${idempotencyKey}: its classify ${why}; the failure is taken as unknown`,
    )
    return 'unknown'
  }

  #end(result: Fact['result']): void {
    const { op, direction, idempotencyKey } = this.#of
    const { clock, telemetry } = this.#runtime
    if (this.#isAbandoned) return
    if (this.#hasEnded) {
      const said = result.is === 'done' ? 'has succeeded' : 'has failed'
      telemetry.log('warn', `${idempotencyKey} ${said} after its time, which does not count any more`)
      return
    }
    this.#hasEnded = true
    this.#timer?.cancel()
    this.#settle({ op, direction, at: clock.wall(), result })
  }

  #after(ms: number, then: () => void): void {
    const { clock } = this.#runtime
    this.#timer = clock.schedule(clock.now() + ms, then)
  }
}

/** What a step is told, with a signal and metadata for those who look at them. */
class Context implements StepContext {
  readonly idempotencyKey: string
  readonly attempt: number
  readonly #metadata: () => Metadata
  readonly #signal: () => AbortSignal

  constructor(idempotencyKey: string, attempt: number, metadata: () => Metadata, signal: () => AbortSignal) {
    this.idempotencyKey = idempotencyKey
    this.attempt = attempt
    this.#metadata = metadata
    this.#signal = signal
  }

  get metadata(): Metadata {
    return this.#metadata()
  }

  get signal(): AbortSignal {
    return this.#signal()
  }
}
