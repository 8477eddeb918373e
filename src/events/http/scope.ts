import { categoryOf } from '../names.js'
import type { Selector } from '../log.js'
import { problem } from './problem.js'

/**
 * What clients may do: append is also publishing, read is also following, consume is taking messages of subscriptions, replicate
 * is keeping a copy, which may take the place of the log.
 */
type Deed = 'append' | 'read' | 'consume' | 'replicate'

/** Which streams clients may come to. */
export interface ScopeOptions {
  /** What clients may do; default all of it but `replicate`. */
  allow?: readonly Deed[]
  /** Only streams of these categories; default all. */
  categories?: readonly string[]
  /** Only these streams, by name or the beginning of it with `*` at its end; default all. */
  streams?: readonly string[]
  /** Only these subscriptions, which then may follow any topic; default those whose topic is open to clients. */
  subscriptions?: readonly string[]
}

/** A problem of 403: what a stream of that name holds is no client's business. */
export function systemStream(stream: string): Error {
  return problem(
    403,
    'stream-not-allowed',
    `Streams whose name begins with $ are kept by Banyan itself, as ${JSON.stringify(stream)} is.`,
  )
}

/** What clients may do with which streams. */
export class Scope {
  readonly #allowed: ReadonlySet<string>
  readonly #categories: ReadonlySet<string>
  readonly #names: ReadonlySet<string>
  readonly #prefixes: readonly string[]
  readonly #isWhole: boolean
  readonly #subscriptions: ReadonlySet<string> | undefined

  constructor({ allow = ['append', 'read', 'consume'], categories, streams, subscriptions }: ScopeOptions) {
    this.#allowed = new Set(allow)
    this.#categories = new Set(categories)
    this.#names = new Set(streams?.filter((each) => !each.endsWith('*')))
    this.#prefixes = streams?.filter((each) => each.endsWith('*')).map((each) => each.slice(0, -1)) ?? []
    this.#subscriptions = subscriptions && new Set(subscriptions)
    this.#isWhole = categories === undefined && streams === undefined
  }

  /** Whether something may be done at all. */
  allows(what: Deed): boolean {
    return this.#allowed.has(what)
  }

  /** @throws a problem of 403 if a stream may not be touched */
  checkStream(stream: string): void {
    if (this.#isWhole || this.#categories.has(categoryOf(stream)) || this.#names.has(stream)) return
    if (this.#prefixes.some((prefix) => stream.startsWith(prefix))) return
    throw problem(
      403,
      'stream-not-allowed',
      `The stream ${JSON.stringify(stream)} is not open to clients here.`,
    )
  }

  /** @throws a problem of 403 if a selector could select what may not be read */
  checkSelector({ stream, category }: Selector): void {
    if (this.#isWhole) return
    if (stream !== undefined) this.checkStream(stream)
    else if (category === undefined || !this.#categories.has(category))
      throw problem(
        403,
        'stream-not-allowed',
        category === undefined
          ? 'Not every stream is open to clients here: say which `stream` or `category`.'
          : `The category ${JSON.stringify(category)} is not open to clients here.`,
      )
  }

  /**
   * @param topic - what the subscription follows
   * @throws a problem of 403 if its messages may not be taken
   */
  checkSubscription(name: string, topic: string): void {
    const isOpen = this.#subscriptions
      ? this.#subscriptions.has(name)
      : this.#isWhole || this.#categories.has(topic)
    if (!isOpen)
      throw problem(
        403,
        'subscription-not-allowed',
        `The subscription ${JSON.stringify(name)} is not open to clients here.`,
      )
  }
}
