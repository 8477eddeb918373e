import type { Sagas, StartedSaga, StartOptions } from '../../events/index.js'

/** What can be asked of the sagas of a log, or of the node that has it. */
export interface SagaOperations extends Pick<
  Sagas,
  'list' | 'show' | 'trace' | 'retry' | 'skip' | 'cancel' | 'signal'
> {
  start(name: string, input: unknown, options: StartOptions): Promise<StartedSaga>
  /** @throws `BANYAN_SAGA_UNKNOWN` */
  mustBeKnown(name: string): Promise<void>
}
