import { BanyanError } from '../../src/core/errors.js'
import { terminal } from '../../src/events/index.js'
import type { SimulatedNode } from '../../src/testing/index.js'

/** What a service does with the calls of a step. */
export type Behaviour = 'good' | 'flaky' | 'slow' | 'hangs' | 'mute' | 'refuses' | 'breaks'
/** Services that honour idempotency keys: what they do for one they do once. */
export class Services {
  readonly done = new Map<string, number>()
  readonly #tries = new Map<string, number>()
  readonly #node: () => SimulatedNode

  constructor(node: () => SimulatedNode) {
    this.#node = node
  }

  /** The call as a node makes it. */
  async call(key: string, behaviour: Behaviour, isRepaired: () => boolean): Promise<string> {
    const node = this.#node()
    const tries = (this.#tries.get(key) ?? 0) + 1
    this.#tries.set(key, tries)
    await node.sleep(behaviour === 'slow' ? 300 : 5)
    if (behaviour === 'refuses') throw terminal('refused')
    if (behaviour === 'breaks' && !isRepaired()) throw new Error('broken')
    if (behaviour === 'flaky' && tries === 1) throw new Error('flaky')
    if (!this.done.has(key)) {
      this.done.set(key, this.done.size)
      node.note(`does ${key}`)
    }
    if (behaviour === 'hangs' && tries === 1) await new Promise(() => undefined)
    await node.sleep(5)
    // It was done, and nobody hears of it.
    if (behaviour === 'mute' && tries === 1) throw new Error('connection reset')
    return key
  }
}

/** Tries something until it is done, or a saga refuses it. */
export async function insist(node: SimulatedNode, work: () => Promise<unknown>): Promise<void> {
  for (;;)
    try {
      await work()
      return
    } catch (error) {
      if (!(error instanceof BanyanError)) throw error
      // It has ended meanwhile, or will not be undone any more.
      if (error.code.startsWith('BANYAN_SAGA')) return
      await node.sleep('50ms')
    }
}
