import { BanyanError } from '../core/errors.js'
import { systemClock, sleep } from '../core/clock.js'
import type { NodeState } from '../node/node.js'
import { askAdmin } from './admin-client.js'
import { paint } from './paint.js'
import { render } from './status/render.js'

/** How often the live table is drawn anew, in ms. */
const EVERY_MS = 1_000

/** `banyan status`. */
export async function status(options: { admin: string; once?: true; json?: true }): Promise<void> {
  const look = async (): Promise<NodeState> => {
    const state = (await askAdmin(options.admin, '/api/state')) as Partial<NodeState>
    if (state.node === undefined)
      throw new BanyanError('BANYAN_ADMIN_REFUSED', `${options.admin} is not the admin listener of a node`)
    return state as NodeState
  }
  if (options.json) {
    console.log(JSON.stringify(await look(), undefined, 2))
    return
  }
  console.log(render(await look(), systemClock.wall(), width()))
  if (options.once || !process.stdout.isTTY) return

  const stop = new AbortController()
  process.once('SIGINT', () => stop.abort())
  for (;;) {
    await sleep(systemClock, EVERY_MS, stop.signal).catch(() => undefined)
    if (stop.signal.aborted) return
    const text = await look().then(
      (state) => render(state, systemClock.wall(), width()),
      (error: unknown) => paint('red', (error as Error).message),
    )
    // Home, the text with every line cleared to its end, then everything below it.
    process.stdout.write(`\u001b[H${text.replaceAll('\n', '\u001b[K\n')}\u001b[K\n\u001b[J`)
  }
}

/** Characters of a line; a file or pipe takes any. */
function width(): number {
  return process.stdout.isTTY ? process.stdout.columns : Infinity
}
