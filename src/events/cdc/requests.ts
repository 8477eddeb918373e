import type { Work } from './work.js'

interface Waiter<Result> {
  readonly resolve: (result: Result) => void
  readonly reject: (error: Error) => void
}

/** Something that is to be done with what is parked. */
interface Job {
  /** Does it and tells who has asked; if it fails, the next session does it. */
  readonly run: (work: Work) => Promise<void>
  readonly reject: (error: Error) => void
}

/** What others ask a capture for while it runs; done between two transactions, by whichever session comes to it. */
export class Requests {
  /** Told of everything that is asked. */
  onAsked: (() => void) | undefined
  #snapshots: Waiter<void>[] = []
  #isSnapshotAsked = false
  #jobs: Job[] = []
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
    return this.#isSnapshotAsked || this.#jobs.length > 0 || this.#places.length > 0
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

  /** Lets something be done with what is parked. */
  job<Result>(work: (work: Work) => Promise<Result>): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#jobs.push({ run: async (each) => resolve(await work(each)), reject })
      this.onAsked?.()
    })
  }

  async work(work: Work): Promise<void> {
    for (let job = this.#jobs[0]; job; job = this.#jobs[0]) {
      await job.run(work)
      this.#jobs.shift()
    }
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
    for (const { reject } of [...this.#snapshots, ...this.#jobs, ...this.#places]) reject(error)
    this.#snapshots = []
    this.#jobs = []
    this.#places = []
  }
}
