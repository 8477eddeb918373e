import type { RunSettings } from './options.js'
import type { Projector, ProjectorState } from './projector.js'

/** Runs nothing until it is closed: another part of the same bucket has all that there is to do. */
export function idleProjector(
  { name, version }: { readonly name: string; readonly version: number },
  { signal, fence }: RunSettings,
): Projector {
  let state: ProjectorState = 'standby'
  let close = (): void => undefined
  const ended = new Promise<void>((resolve) => {
    close = () => {
      state = 'closed'
      resolve()
    }
  })
  for (const each of [signal, fence?.signal])
    if (each?.aborted) close()
    else each?.addEventListener('abort', close, { once: true })
  const closed = (): Promise<void> => {
    close()
    return ended
  }
  return {
    name,
    version,
    status: () => ({ state, position: undefined, attempts: 0, error: undefined, effectsError: undefined }),
    caughtUp: () => Promise.resolve(),
    ended,
    close: closed,
    [Symbol.asyncDispose]: closed,
  }
}
