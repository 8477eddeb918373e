import type { StartedSaga, StartOptions } from '../../events/index.js'

/** What one process of a node does about the sagas of a name. */
export interface HostedSagaState {
  modules: string[]
  versions: number[]
  /** How many go on here now; those that sleep do not count. */
  running: number
  /** Why they are not run; they are tried again. */
  problem?: string
}

/** What is told of the sagas of a name; without what is hosted if others run them. */
export interface SagaKindState extends Partial<HostedSagaState> {
  /** How many are parked, as far as that was counted. */
  parked?: { count: number; isComplete: boolean }
}

/** Starts sagas as the code of this node says: their input is checked. */
export interface SagaStarter {
  start(name: string, input: unknown, options: StartOptions): Promise<StartedSaga>
}
