/** Tries a saga in every way that it can go. */
export { SagaTrialError, trySaga, type TriedSaga, type TrySagaOptions } from './try-saga.js'
