import { BanyanError } from '../../core/errors.js'

/** Something of an event's data that its schema refuses. */
export interface EventProblem {
  /** Names of properties and numbers of elements, from the outside. */
  readonly path: readonly (string | number)[]
  readonly message: string
}

/** A message names at most this many problems; all are in `problems`. */
const MOST_TOLD = 10

/** `BANYAN_INVALID_EVENT`: the schema of its type refuses the data of an event. */
export class InvalidEventError extends BanyanError {
  readonly stream: string
  readonly type: string
  readonly schemaVersion: number
  readonly problems: readonly EventProblem[]

  /** @param where - what to call the event: `for stream order-1` */
  constructor(
    event: { stream: string; type: string; schemaVersion: number },
    where: string,
    problems: readonly EventProblem[],
  ) {
    const { stream, type, schemaVersion } = event
    const told = problems
      .slice(0, MOST_TOLD)
      .map(({ path, message }) => `data${formatPath(path)}: ${message}`)
    const more = problems.length - told.length
    super(
      'BANYAN_INVALID_EVENT',
      `${type} ${where} is not as version ${schemaVersion} of its schema says: ${told.join('; ')}` +
        (more > 0 ? `; and ${more} more` : ''),
    )
    this.stream = stream
    this.type = type
    this.schemaVersion = schemaVersion
    this.problems = problems
  }
}

function formatPath(path: EventProblem['path']): string {
  return path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${part}`)).join('')
}
