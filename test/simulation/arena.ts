import type { World } from '../../src/testing/index.js'

/** Somebody who believes to hold something. */
export interface Believer {
  readonly node: string
  readonly token: number
  /** Together with others of its kind, or alone. */
  readonly kind: 'alone' | 'shared'
  /** Whether it believes that at this moment, by its own clock. */
  readonly believes: () => boolean
}

/** Who may believe to hold what at the same time, and what reaches a resource that compares tokens. */
export class Arena {
  /** How often each node has had it. */
  readonly had = new Map<string, number>()
  readonly #world: World
  readonly #permits: number
  readonly #believers = new Set<Believer>()
  readonly #tokens = new Set<number>()
  /** Whether operators take it away by force: then more may believe, and only tokens help. */
  readonly #forced: boolean
  #highest = 0
  #written = 0

  constructor(world: World, { permits = 1, forced = false } = {}) {
    this.#world = world
    this.#permits = permits
    this.#forced = forced
  }

  /** Whoever has crashed believes nothing. */
  crashed(node: string): void {
    for (const each of this.#believers) if (each.node === node) this.#believers.delete(each)
  }

  comes(believer: Believer): void {
    const { node, token, kind } = believer
    if (this.#tokens.has(token)) throw new Error(`${node} holds it with token ${token}, as somebody else did`)
    this.#tokens.add(token)
    if (kind === 'alone' && this.#permits === 1 && !this.#forced) {
      if (token <= this.#highest)
        throw new Error(`${node} holds it with token ${token}, and ${this.#highest} was given before`)
      this.#highest = token
    }
    this.#believers.add(believer)
    this.look()
  }

  goes(believer: Believer): void {
    this.#believers.delete(believer)
    this.had.set(believer.node, (this.had.get(believer.node) ?? 0) + 1)
  }

  /** Whether no more believe to hold it at this moment than may. */
  look(): void {
    if (this.#forced) return
    const now = [...this.#believers].filter(({ believes }) => believes())
    const alone = now.filter(({ kind }) => kind === 'alone')
    const isFine = this.#permits > 1 ? now.length <= this.#permits : alone.length === 0 || now.length === 1
    if (!isFine)
      throw new Error(
        `these believe to hold it at once: ${now.map(({ node, token, kind }) => `${node} (${token}, ${kind})`).join(', ')}`,
      )
  }

  /** A write with a token is on its way to a resource that refuses lower ones than it has seen. */
  write({ node, token }: Believer): void {
    const { clock, random } = this.#world
    clock.schedule(clock.now() + random.below(3000), () => {
      if (token < this.#written) this.#world.note(`the resource refuses ${node} with token ${token}`)
      else this.#written = token
    })
  }
}
