import type { Metadata, Recorded } from '../log.js'
import type { ErrorInfo, FailureClass } from './failure.js'
import type { Direction, End, OpKind, Parked, Request, SagaEvent, SagaRecord, Started } from './records.js'

/** Something that the code of a saga has asked for, and what became of it. */
export interface Op {
  readonly index: number
  readonly kind: OpKind
  readonly name: string
  compensable: boolean
  /** When a timer fires, or a signal is given up; ms since the epoch. */
  readonly due: number | undefined
  status: 'open' | 'done' | 'failed'
  result?: unknown
  class?: FailureClass
  error?: ErrorInfo
  /** Its place in the order in which ops were completed; what is not completed has none. */
  settled: number | undefined
  /** Failed tries, each way. */
  readonly tries: Record<Direction, number>
  /** All failed tries were such that nothing was done. */
  isHarmless: boolean
  /** How often whoever ran it has ended without a word. */
  interruptions: number
  /** Not tried again before; ms since the epoch. */
  next: number | undefined
  compensated: boolean
}

/** What the code gets to see, in its order. */
export type Entry =
  | { readonly is: 'begun'; readonly op: Op }
  | {
      readonly is: 'settled'
      readonly op: Op
      readonly at: number
      /** Noted by whoever ran the saga, who has seen everything before it, and has noted what followed from that. */
      readonly isNoted: boolean
    }
  /** It is not run any further: the saga goes back. */
  | { readonly is: 'stop' }

/** Why a saga goes back. */
export interface Failing {
  readonly class: FailureClass
  readonly error: ErrorInfo
}

/** A saga as its stream tells it. */
export class SagaState {
  started: (Started & { readonly at: number }) | undefined
  /** It was started with. */
  metadata: Metadata = {}
  readonly ops: Op[] = []
  readonly entries: Entry[] = []
  /** How many of them were seen by whoever has run the saga. */
  seen = 0
  failing: Failing | undefined
  parked: Parked | undefined
  end: End | undefined
  /** It only goes forward. */
  isBeyondReturn = false
  /** Its last event. */
  revision: number | 'none' = 'none'
  /** Somebody has decided that it goes on, and nobody has begun with that. */
  isReleased = false
  /** The step whose compensation may have been called: whoever ran the saga has written when it was the next. */
  undoing: number | undefined
  readonly #signals = new Map<string, { payload: unknown; at: number }[]>()
  #settled = 0

  apply(event: Recorded<SagaEvent>): void {
    this.revision = event.revision
    // What comes for a saga that was removed changes nothing.
    if (!this.started && event.type !== 'Started') return
    switch (event.type) {
      case 'Started':
        // A second one is of somebody who did not see the first.
        if (this.started) return
        this.started = { ...event.data, at: event.data.at ?? event.recorded }
        this.metadata = event.metadata
        return
      case 'Signalled':
        this.#signalled(event.data.name, event.data.payload, event.recorded)
        return
      case 'Woken':
        this.#woken(event.data.op, event.recorded)
        return
      case 'Requested':
        this.#requested(event.data, event.recorded)
        return
      case 'ChildEnded':
        this.#childEnded(event.data.op, event.data.end, event.recorded)
        return
      case 'Progressed':
        for (const record of event.data.records) this.record(record)
        this.noted()
        return
      case 'Parked':
        for (const record of event.data.records) this.record(record)
        this.parked = event.data.parked
        this.noted()
        return
      case 'Ended':
        for (const record of event.data.records) this.record(record)
        this.end = event.data.end
        this.noted()
    }
  }

  /** Whoever runs the saga has written what it knows, and goes on from there. */
  noted(): void {
    const next = this.failing && this.open.length === 0 ? this.nextToCompensate : undefined
    this.undoing = next?.kind === 'step' ? next.index : undefined
  }

  record(record: SagaRecord): void {
    switch (record.is) {
      case 'begun':
        this.#begun(record)
        return
      case 'done':
        this.#settle(record.op, { status: 'done', result: record.result }, record.at, true)
        return
      case 'failed':
        this.#settle(
          record.op,
          { status: 'failed', class: record.class, error: record.error },
          record.at,
          true,
        )
        return
      case 'tried': {
        const op = this.ops[record.op]!
        op.tries[record.direction]++
        op.next = record.next
        op.error = record.error
        if (record.class === 'unknown' || record.class === 'cancelled') op.isHarmless = false
        return
      }
      case 'interrupted':
        for (const index of record.ops) {
          this.ops[index]!.interruptions++
          this.ops[index]!.isHarmless = false
        }
        return
      case 'failing':
        this.#fail(record)
        return
      case 'resumed':
        this.isReleased = false
        return
      case 'compensated':
        this.ops[record.op]!.compensated = true
        return
      case 'undoing':
    }
  }

  /** What is to be undone next: what was completed last, or may have been. */
  get nextToCompensate(): Op | undefined {
    let last: Op | undefined
    for (const op of this.ops)
      if (mustCompensate(op) && (last === undefined || op.settled! > last.settled!)) last = op
    return last
  }

  /** Steps and children that nobody knows the end of yet. */
  get open(): Op[] {
    return this.ops.filter(({ status, kind }) => status === 'open' && (kind === 'step' || kind === 'child'))
  }

  #begun({ op: index, kind, name, compensable, due, at }: SagaRecord & { is: 'begun' }): void {
    const op: Op = {
      index,
      kind,
      name,
      compensable: compensable === true,
      due,
      status: 'open',
      settled: undefined,
      tries: { run: 0, compensate: 0 },
      isHarmless: true,
      interruptions: 0,
      next: undefined,
      compensated: false,
    }
    if (kind === 'patch' || kind === 'no-return') op.status = 'done'
    this.ops.push(op)
    this.entries.push({ is: 'begun', op })
    this.seen = this.entries.length
    if (kind === 'no-return') this.isBeyondReturn = true
    const signal = kind === 'signal' ? this.#signals.get(name)?.shift() : undefined
    if (signal) this.#settle(index, { status: 'done', result: signal.payload }, at)
  }

  #settle(
    index: number,
    how: Pick<Op, 'status' | 'result' | 'class' | 'error'>,
    at: number,
    isNoted = false,
  ): void {
    const op = this.ops[index]
    if (op?.status !== 'open') return
    Object.assign(op, how)
    op.next = undefined
    op.settled = this.#settled++
    this.entries.push({ is: 'settled', op, at, isNoted })
    if (isNoted) this.seen = this.entries.length
  }

  #signalled(name: string, payload: unknown, at: number): void {
    const waiting = this.ops.find((op) => op.kind === 'signal' && op.name === name && op.status === 'open')
    if (waiting) this.#settle(waiting.index, { status: 'done', result: payload }, at)
    else {
      const signals = this.#signals.get(name)
      if (signals) signals.push({ payload, at })
      else this.#signals.set(name, [{ payload, at }])
    }
  }

  #woken(index: number | 'deadline', at: number): void {
    if (index === 'deadline') {
      const after = at - this.started!.at
      this.#goBack(`its deadline has passed, ${after} ms after it was started`)
      return
    }
    const op = this.ops[index]
    if (op?.kind === 'timer') this.#settle(index, { status: 'done' }, at)
    else if (op?.kind === 'signal') {
      const error = { message: `no signal ${op.name} has come in time` }
      this.#settle(index, { status: 'failed', class: 'terminal', error }, at)
    } else if (op) op.next = undefined
  }

  #requested({ what, reason = 'somebody has asked for it', result }: Request, at: number): void {
    if (what === 'compensate' && this.end?.outcome === 'completed') {
      this.end = undefined
      this.#fail({ class: 'cancelled', error: { message: reason } })
    } else if (what === 'cancel' || what === 'compensate') {
      // What could not be done any more is not in the way of going back; what cannot be undone is.
      if (this.parked?.direction !== 'compensate' && this.#goBack(reason)) this.#release()
    } else if (this.parked) {
      const { op: index, direction } = this.parked
      this.#release()
      const op = index === undefined ? undefined : this.ops[index]
      if (!op || direction === undefined) return
      op.tries[direction] = 0
      op.next = undefined
      if (what !== 'skip') return
      if (direction === 'compensate') op.compensated = true
      else this.#settle(op.index, { status: 'done', result }, at)
    }
  }

  #release(): void {
    if (!this.parked) return
    this.parked = undefined
    this.isReleased = true
    for (const op of this.ops) op.interruptions = 0
  }

  #childEnded(index: number, end: End, at: number): void {
    const op = this.ops[index]
    if (!op) return
    if (op.status !== 'open') op.compensated = end.outcome === 'compensated'
    else if (end.outcome === 'completed') {
      if (end.final) op.compensable = false
      this.#settle(index, { status: 'done', result: end.result }, at)
    }
    // It has undone whatever it had done.
    else this.#settle(index, { status: 'failed', class: 'terminal', error: end.error }, at)
  }

  /** @returns whether it goes back now */
  #goBack(message: string): boolean {
    if (this.isBeyondReturn || this.failing || this.end) return false
    this.#fail({ class: 'cancelled', error: { message } })
    return true
  }

  #fail({ class: kind, error }: Failing): void {
    this.failing = { class: kind, error }
    this.entries.push({ is: 'stop' })
  }
}

function mustCompensate(op: Op): boolean {
  if (!op.compensable || op.compensated || op.status === 'open') return false
  return op.status === 'done' || (op.kind === 'step' && (op.class === 'unknown' || op.class === 'cancelled'))
}
