import { BanyanError } from '../core/errors.js'

/** The command line was used in a way that it cannot be: the process ends with 2, as for an unknown option. */
export class UsageError extends BanyanError {
  constructor(message: string) {
    super('BANYAN_INVALID_OPTIONS', message)
  }
}
