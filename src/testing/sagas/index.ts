/** Tries a saga in every way that it can go. */
export { SagaTrialError, trySaga, type TriedSaga } from './try-saga.js'
export type { TrySagaOptions } from './options.js'
