import type { Retried } from './status.js'

interface Waiter<Result> {
  readonly resolve: (result: Result) => void
  readonly reject: (error: Error) => void
}

/** What others ask a capture for while it runs; done between two transactions, by whichever session comes to it. */
export class Requests {
  /** Told of everything that is asked. */
  onAsked: (() => void) | undefined
  #snapshots: Waiter<void>[] = []
  #isSnapshotAsked = false
  #retries: Waiter<Retried>[] = []
  /** Those who wait for a place, which is found out first. */
  #places: (Waiter<void> & { target: bigint | undefined })[] = []

  get isSnapshotAsked(): boolean {
    return this.#isSnapshotAsked
  }

  /** Whether somebody waits for a place to be reached. */
  get isWaitedFor(): boolean {
    return this.#places.length > 0
  }

  /** Whether anything waits to be done. */
  get any(): boolean {
    return this.#isSnapshotAsked || this.#retries.length > 0 || this.#places.length > 0
  }

  askSnapshot(): void {
    this.#isSnapshotAsked = true
    this.onAsked?.()
  }

  snapshot(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#snapshots.push({ resolve, reject })
      this.askSnapshot()
    })
  }

  snapshotTaken(): void {
    this.#isSnapshotAsked = false
    for (const { resolve } of this.#snapshots.splice(0)) resolve()
  }

  retried(): Promise<Retried> {
    return new Promise((resolve, reject) => {
      this.#retries.push({ resolve, reject })
      this.onAsked?.()
    })
  }

  async retry(work: () => Promise<Retried>): Promise<void> {
    if (this.#retries.length === 0) return
    const asked = [...this.#retries]
    // If it fails, the next session does it.
    const retried = await work()
    this.#retries = this.#retries.filter((each) => !asked.includes(each))
    for (const { resolve } of asked) resolve(retried)
  }

  caughtUp(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#places.push({ resolve, reject, target: undefined })
      this.onAsked?.()
    })
  }

  /** Finds out what those wait for who have just come. */
  async aim(end: () => Promise<bigint>): Promise<void> {
    const open = this.#places.filter(({ target }) => target === undefined)
    if (open.length === 0) return
    const target = await end()
    for (const each of open) each.target = target
    // What has been said before may be all there is: the source is asked again.
    this.onAsked?.()
  }

  reached(lsn: bigint): void {
    const isReached = ({ target }: { target: bigint | undefined }): boolean =>
      target !== undefined && target <= lsn
    const done = this.#places.filter(isReached)
    if (done.length === 0) return
    this.#places = this.#places.filter((each) => !isReached(each))
    for (const { resolve } of done) resolve()
  }

  /** Nothing of it will be done any more. */
  fail(error: Error): void {
    for (const { reject } of [...this.#snapshots, ...this.#retries, ...this.#places]) reject(error)
    this.#snapshots = []
    this.#retries = []
    this.#places = []
  }
}
