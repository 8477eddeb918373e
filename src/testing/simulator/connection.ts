import type { LogDriver } from '../../events/driver.js'

/** What stands between a node and a log: it can end before the answer is there. */
export interface Wire {
  /** Something is sent; now the sender may crash at any time. */
  readonly send: () => void
  /** Hands an answer over, if the node that asked is still there, as soon as it does not stand still. */
  readonly deliver: (hand: () => void) => void
}

/** A driver as one node sees it: once the node has crashed, no answer comes back. */
export function connection(driver: LogDriver, wire: Wire): LogDriver {
  const ask = <T>(request: () => Promise<T>): Promise<T> => {
    wire.send()
    return answered(request(), wire)
  }
  return {
    capabilities: driver.capabilities,
    parallel: driver.parallel,
    ...(driver.consecutive && { consecutive: true }),
    append: (group) =>
      ask(async () =>
        (await driver.append(group)).map((outcome) =>
          'kind' in outcome ? outcome : answered(outcome, wire),
        ),
      ),
    read: (query) => ask(() => driver.read(query)),
    head: () => ask(() => driver.head()),
    positionAt: (time) => ask(() => driver.positionAt(time)),
    changed: (position, signal) => ask(() => driver.changed(position, signal)),
    ...(driver.appendWithin && {
      appendWithin: (transaction, commit) => ask(() => driver.appendWithin!(transaction, commit)),
    }),
    revision: (stream) => ask(() => driver.revision(stream)),
    streams: (query) => ask(() => driver.streams(query)),
    truncate: (what) => ask(() => driver.truncate(what)),
    hold: (name, position) => ask(() => driver.hold(name, position)),
    release: (name) => ask(() => driver.release(name)),
    stats: () => ask(() => driver.stats()),
    verify: (signal) => driver.verify(signal),
    // The log outlives its nodes.
    close: () => Promise.resolve(),
  }
}

/** Hands an answer over as the wire does. */
export function answered<T>(answer: Promise<T>, wire: Wire): Promise<T> {
  return new Promise((resolve, reject) => {
    answer.then(
      (value) => wire.deliver(() => resolve(value)),
      (error: unknown) => wire.deliver(() => reject(error)),
    )
  })
}

/** Hands over what comes one by one as the wire does. */
export async function* delivered<T>(items: AsyncIterable<T>, wire: Wire): AsyncGenerator<T, void, undefined> {
  const iterator = items[Symbol.asyncIterator]()
  try {
    for (;;) {
      const next = await answered(iterator.next(), wire)
      if (next.done === true) return
      yield next.value
    }
  } finally {
    await iterator.return?.()
  }
}
