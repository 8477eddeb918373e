import type { Sagas, SagaView } from '../../src/events/index.js'

/** Waits until a reaction is so; default: where it does not go on by itself. */
export async function reaction(
  all: Sagas,
  id: string,
  isSo = ({ status }: SagaView): boolean => ['completed', 'compensated', 'parked'].includes(status),
): Promise<SagaView> {
  for await (const { changes } of all.follow({ id, from: '0' }))
    if (changes.length > 0) {
      const view = await all.show(id)
      if (isSo(view)) return view
    }
  throw new Error('the log was closed')
}
