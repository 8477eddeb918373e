/** What can go wrong with a call of a step, in words of a trace. The first is nothing. */
export const RUN_FAULTS = [
  'answers',
  'is refused for good, with nothing done',
  'is refused for now, with nothing done',
  'is done, and its answer is lost',
  'is not done, and nobody knows',
  'is done, and never answers',
  'fails each time, and perhaps is done',
  'is called by a process that is killed before',
  'is done, and its process is killed',
] as const

export const COMPENSATION_FAULTS = [
  'answers',
  'fails once',
  'is done, and its answer is lost',
  'fails each time',
  'is called by a process that is killed before',
  'is done, and its process is killed',
] as const

/** What can go wrong when what has happened is written. */
export const COMMIT_FAULTS = [
  'is written',
  'is not written, as its process is killed',
  'is written, and its process is killed',
  'comes after somebody has cancelled the saga',
] as const

export const WAIT_FAULTS = ['comes', 'does not come in time'] as const
