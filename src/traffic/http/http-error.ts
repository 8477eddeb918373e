import { BanyanError } from '../../core/errors.js'

/**
 * A message that is not valid HTTP/1.1, or beyond a limit. Code `BANYAN_HTTP_INVALID`. The connection it came on
 * cannot be trusted any further and is closed after the answer.
 */
export class HttpError extends BanyanError {
  /** The status to answer a request with. */
  readonly status: number

  constructor(status: number, message: string) {
    super('BANYAN_HTTP_INVALID', message)
    this.status = status
  }
}
