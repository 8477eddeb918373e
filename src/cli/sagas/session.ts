import { mustBeKnown } from '../../events/saga/description.js'
import { sagas } from '../../events/saga/sagas.js'
import type { PlaceOptions } from '../events/place.js'
import { onLog, type Session } from '../events/session.js'
import type { SagaOperations } from './operations.js'

/** What a command on sagas has. */
export interface SagasSession extends Session {
  readonly manage: SagaOperations
}

/** As {@link onLog}; a running node is asked for its sagas, as it knows what their inputs must be like. */
export async function onSagas(
  where: PlaceOptions,
  work: (session: SagasSession) => Promise<void>,
): Promise<void> {
  await onLog(where, async (session) => {
    const { log, place } = session
    if ('admin' in place) {
      const { nodeSagas } = await import('./node-sagas.js')
      await work({ ...session, manage: nodeSagas(place.admin) })
    } else {
      const manage = sagas(log)
      const own: SagaOperations = {
        list: (options) => manage.list(options),
        show: (id) => manage.show(id),
        trace: (correlationId, options) => manage.trace(correlationId, options),
        retry: (id, by) => manage.retry(id, by),
        skip: (id, by) => manage.skip(id, by),
        cancel: (id, by) => manage.cancel(id, by),
        signal: (id, name, payload, options) => manage.signal(id, name, payload, options),
        start: (name, input, options) => manage.start(name, input, options),
        mustBeKnown: (name) => mustBeKnown(log, name),
      }
      await work({ ...session, manage: own })
    }
  })
}
